//! Line and area plots over the time of a run, as inline SVG.

use std::fmt::Write;

/// The style sheet of a report; light and dark.
pub const STYLE: &str = include_str!("report.css");

/// One plot.
pub struct Plot<'a> {
    /// What it shows.
    pub title: &'a str,
    /// What its values are.
    pub unit: &'a str,
    /// How they are drawn.
    pub kind: Kind,
    /// Seconds since the run began, ascending.
    pub times: &'a [f64],
    /// What is drawn.
    pub series: Vec<Series>,
}

/// How series are drawn.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// Each series on its own.
    Lines,
    /// Series on top of each other; together they are 100 %.
    Shares,
}

/// A line or an area.
#[derive(Clone)]
pub struct Series {
    /// Its name in the legend.
    pub name: String,
    /// The class of its colour.
    pub class: String,
    /// One value for each time; `None` leaves a gap.
    pub values: Vec<Option<f64>>,
}

const WIDTH: f64 = 860.0;
const HEIGHT: f64 = 220.0;
const LEFT: f64 = 56.0;
const RIGHT: f64 = 20.0;
const TOP: f64 = 12.0;
const BOTTOM: f64 = 26.0;
/// More points than a screen can show are joined.
const POINTS_MAX: usize = 600;
/// Labels of the time axis.
const TIMES_MAX: f64 = 8.0;

// === impl Series ===

impl Series {
    /// A series in the colour with this number; there are six.
    pub fn new(name: &str, colour: usize, values: Vec<Option<f64>>) -> Self {
        Self { name: name.to_owned(), class: format!("s{}", colour % 6), values }
    }

    fn map_chunks(&self, size: usize, join: impl Fn(&[Option<f64>]) -> Option<f64>) -> Self {
        Self { values: self.values.chunks(size).map(join).collect(), ..self.clone() }
    }
}

// === impl Plot ===

impl Plot<'_> {
    /// The plot with title and legend.
    pub fn figure(&self) -> String {
        let entry = |series: &Series| {
            format!("<span><i class=\"{}\"></i>{}</span>", series.class, escape(&series.name))
        };
        let legend: String = self.series.iter().map(entry).collect();
        format!(
            "<figure><figcaption><b>{}</b> <small>{}</small> <span class=legend>{legend}</span></figcaption>{}</figure>\n",
            escape(self.title),
            escape(self.unit),
            self.svg()
        )
    }

    fn svg(&self) -> String {
        let (times, series) = self.joined();
        let series = if self.kind == Kind::Shares { stacked(series) } else { series };
        let highest =
            series.iter().flat_map(|series| &series.values).flatten().fold(0.0_f64, |a, &b| a.max(b));
        let top = if self.kind == Kind::Shares { 100.0 } else { round_up(highest) };
        let scale = Scale { top, until: times.last().copied().unwrap_or(1.0).max(1.0) };
        let mut svg =
            format!("<svg viewBox=\"0 0 {WIDTH} {HEIGHT}\" role=img aria-label=\"{}\">", escape(self.title));
        scale.grid(&mut svg);
        let kind = if self.kind == Kind::Shares { "area" } else { "line" };
        // The first series is drawn last, over the others: it is the most important line, or the lowest area.
        for Series { name, class, values } in series.iter().rev() {
            let path = scale.path(&times, values, self.kind);
            let name = escape(name);
            let _ = write!(svg, "<path class=\"{kind} {class}\" d=\"{path}\"><title>{name}</title></path>");
        }
        svg.push_str("</svg>");
        svg
    }

    /// Fewer points. Of neighbours a line keeps the highest value, so that no peak is lost, and an area the
    /// mean, so that the sum stays 100 %.
    fn joined(&self) -> (Vec<f64>, Vec<Series>) {
        let size = self.times.len().div_ceil(POINTS_MAX).max(1);
        let times = self.times.chunks(size).filter_map(|chunk| chunk.last().copied()).collect();
        let join = |chunk: &[Option<f64>]| {
            let values = chunk.iter().flatten();
            let count = f64::from(u32::try_from(values.clone().count()).unwrap_or(u32::MAX));
            match self.kind {
                Kind::Lines => values.copied().reduce(f64::max),
                Kind::Shares => (count > 0.0).then(|| values.sum::<f64>() / count),
            }
        };
        (times, self.series.iter().map(|series| series.map_chunks(size, join)).collect())
    }
}

/// Each series on top of those before it.
fn stacked(series: Vec<Series>) -> Vec<Series> {
    let mut sums = vec![0.0; series.first().map_or(0, |series| series.values.len())];
    let pile = |series: Series| {
        let add = |(value, sum): (&Option<f64>, &mut f64)| {
            *sum += value.unwrap_or(0.0);
            value.map(|_| *sum)
        };
        Series { values: series.values.iter().zip(&mut sums).map(add).collect(), ..series }
    };
    series.into_iter().map(pile).collect()
}

// === impl Scale ===

struct Scale {
    top: f64,
    until: f64,
}

impl Scale {
    fn x(&self, time: f64) -> f64 {
        LEFT + (WIDTH - LEFT - RIGHT) * time / self.until
    }

    fn y(&self, value: f64) -> f64 {
        let floor = HEIGHT - BOTTOM;
        floor - (floor - TOP) * value / self.top
    }

    fn grid(&self, svg: &mut String) {
        for quarter in 0..=4 {
            let value = self.top * f64::from(quarter) / 4.0;
            let (y, right, label) = (self.y(value), WIDTH - RIGHT, LEFT - 6.0);
            let _ = write!(svg, "<path class=grid d=\"M{LEFT} {y:.1}H{right:.1}\"/>");
            let _ =
                write!(svg, "<text x=\"{label:.1}\" y=\"{:.1}\" class=end>{}</text>", y + 4.0, number(value));
        }
        let step = time_step(self.until);
        let mut time = 0.0;
        while time <= self.until {
            let (x, y) = (self.x(time), HEIGHT - 8.0);
            let _ = write!(svg, "<text x=\"{x:.1}\" y=\"{y:.1}\" class=mid>{}</text>", clock(time));
            time += step;
        }
    }

    fn path(&self, times: &[f64], values: &[Option<f64>], kind: Kind) -> String {
        let mut path = String::new();
        let mut verb = 'M';
        for (&time, value) in times.iter().zip(values) {
            match value {
                Some(value) => {
                    let _ = write!(path, "{verb}{:.1} {:.1}", self.x(time), self.y(*value));
                    verb = 'L';
                }
                None => verb = 'M',
            }
        }
        if let (Kind::Shares, Some(first), Some(last)) = (kind, times.first(), times.last()) {
            let _ = write!(path, "L{:.1} {1:.1}L{2:.1} {1:.1}Z", self.x(*last), self.y(0.0), self.x(*first));
        }
        path
    }
}

/// The next of 1, 2, 4, 8 times a power of ten, so that quarters are short numbers.
fn round_up(value: f64) -> f64 {
    if value <= 0.0 {
        return 1.0;
    }
    let power = 10_f64.powf(value.log10().floor());
    [1.0, 2.0, 4.0, 8.0]
        .map(|step| step * power)
        .into_iter()
        .find(|&step| step >= value)
        .unwrap_or(power * 10.0)
}

/// Whole seconds, minutes or hours between labels.
fn time_step(until: f64) -> f64 {
    let steps = [
        1.0, 2.0, 5.0, 10.0, 15.0, 30.0, 60.0, 120.0, 300.0, 600.0, 900.0, 1_800.0, 3_600.0, 7_200.0,
        14_400.0,
    ];
    steps.into_iter().find(|step| until / step <= TIMES_MAX).unwrap_or(86_400.0)
}

fn clock(seconds: f64) -> String {
    duration::Duration::from(std::time::Duration::from_secs_f64(seconds)).to_string()
}

fn number(value: f64) -> String {
    let text = if value >= 100.0 { format!("{value:.0}") } else { format!("{value:.2}") };
    if text.contains('.') { text.trim_end_matches('0').trim_end_matches('.').to_owned() } else { text }
}

/// Text made harmless for HTML: versions and paths come from the target.
pub fn escape(text: &str) -> String {
    text.replace('&', "&amp;")
        .replace('<', "&lt;")
        .replace('>', "&gt;")
        .replace('"', "&quot;")
        .replace('\'', "&#39;")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn plot(kind: Kind, series: &[&[f64]]) -> String {
        let times: Vec<f64> = (1..=u32::try_from(series[0].len()).unwrap()).map(f64::from).collect();
        let series = series.iter().enumerate().map(|(n, values)| {
            Series::new(&format!("<{n}>"), n, values.iter().map(|&value| Some(value)).collect())
        });
        Plot { title: "t", unit: "u", kind, times: &times, series: series.collect() }.figure()
    }

    #[test]
    fn the_highest_value_is_below_the_top_and_nothing_is_below_the_floor() {
        let svg = plot(Kind::Lines, &[&[0.0, 30.0]]);
        // The top of the scale is 40: 30 of 40 parts of the height from 194 up to 12.
        assert!(svg.contains("M448.0 194.0L840.0 57.5"), "{svg}");
        assert!(svg.contains(">40<") && svg.contains("&lt;0&gt;"));
    }

    #[test]
    fn shares_are_stacked_to_the_top() {
        let svg = plot(Kind::Shares, &[&[75.0, 50.0], &[25.0, 50.0]]);
        assert!(svg.contains("M448.0 12.0L840.0 12.0L840.0 194.0"), "{svg}");
        assert!(svg.contains("M448.0 57.5L840.0 103.0"), "{svg}");
    }

    #[test]
    fn a_long_run_keeps_its_peak_in_few_points() {
        let mut values = vec![1.0; 86_400];
        values[40_000] = 100.0;
        let svg = plot(Kind::Lines, &[&values]);
        assert!(svg.len() < 20_000, "{}", svg.len());
        assert!(svg.contains(" 12.0L"), "the peak is at the top");
    }

    #[test]
    fn an_empty_plot_is_still_a_plot() {
        assert!(plot(Kind::Lines, &[&[]]).contains("<svg"));
        assert!(plot(Kind::Shares, &[&[]]).contains("</svg>"));
    }
}
