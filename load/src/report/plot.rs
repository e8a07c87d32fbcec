//! Line and area plots as inline SVG.

use std::fmt::Write;

/// One plot over the time of the run.
pub(super) struct Plot<'a> {
    pub(super) title: &'a str,
    pub(super) unit: &'a str,
    pub(super) kind: Kind,
    /// Seconds since the run began, ascending.
    pub(super) times: &'a [f64],
    pub(super) series: Vec<Series>,
}

#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    /// Each series on its own.
    Lines,
    /// Series on top of each other; together they are 100 %.
    Shares,
}

pub(super) struct Series {
    pub(super) name: String,
    /// One value for each time; `None` leaves a gap.
    pub(super) values: Vec<Option<f64>>,
}

const WIDTH: f64 = 860.0;
const HEIGHT: f64 = 220.0;
const LEFT: f64 = 56.0;
const RIGHT: f64 = 12.0;
const TOP: f64 = 12.0;
const BOTTOM: f64 = 26.0;
/// Points beyond what a screen can show are joined.
const POINTS_MAX: usize = 600;

impl Plot<'_> {
    /// The plot with title and legend.
    pub(super) fn figure(&self) -> String {
        let legend: String = self
            .series
            .iter()
            .enumerate()
            .map(|(n, series)| format!("<span><i class=\"s{}\"></i>{}</span>", n % 6, escape(&series.name)))
            .collect();
        format!(
            "<figure><figcaption><b>{}</b> <small>{}</small> <span class=legend>{legend}</span></figcaption>{}</figure>\n",
            escape(self.title),
            escape(self.unit),
            self.svg()
        )
    }

    fn svg(&self) -> String {
        let joined = self.joined();
        let stacked = joined.stacked();
        let highest =
            stacked.iter().flat_map(|series| &series.values).flatten().fold(0.0_f64, |a, &b| a.max(b));
        let top = if self.kind == Kind::Shares { 100.0 } else { nice_above(highest) };
        let until = joined.times.last().copied().unwrap_or(1.0).max(1.0);
        let scale = Scale { top, until };
        let mut svg =
            format!("<svg viewBox=\"0 0 {WIDTH} {HEIGHT}\" role=img aria-label=\"{}\">", escape(self.title));
        scale.grid(&mut svg);
        for (n, series) in stacked.iter().enumerate().rev() {
            let path = scale.path(&joined.times, &series.values, self.kind);
            let class = if self.kind == Kind::Shares { "area" } else { "line" };
            let _ = write!(
                svg,
                "<path class=\"{class} s{}\" d=\"{path}\"><title>{}</title></path>",
                n % 6,
                escape(&series.name)
            );
        }
        svg.push_str("</svg>");
        svg
    }

    /// Fewer points: of each group of neighbours the highest value, so that no peak is lost.
    fn joined(&self) -> Joined {
        let group = self.times.len().div_ceil(POINTS_MAX).max(1);
        let times = self.times.chunks(group).filter_map(|chunk| chunk.last().copied()).collect();
        let series = self.series.iter().map(|series| Series {
            name: series.name.clone(),
            values: series
                .values
                .chunks(group)
                .map(|chunk| {
                    let values = chunk.iter().flatten().copied();
                    if self.kind == Kind::Shares {
                        let count = chunk.iter().flatten().count();
                        (count > 0)
                            .then(|| values.sum::<f64>() / f64::from(u32::try_from(count).unwrap_or(1)))
                    } else {
                        values.reduce(f64::max)
                    }
                })
                .collect(),
        });
        Joined { times, series: series.collect(), kind: self.kind }
    }
}

struct Joined {
    times: Vec<f64>,
    series: Vec<Series>,
    kind: Kind,
}

impl Joined {
    fn stacked(&self) -> Vec<Series> {
        let mut sums = vec![0.0; self.times.len()];
        let copy = |series: &Series| Series { name: series.name.clone(), values: series.values.clone() };
        if self.kind == Kind::Lines {
            return self.series.iter().map(copy).collect();
        }
        let pile = |series: &Series| {
            let values = series.values.iter().zip(&mut sums).map(|(value, sum)| {
                *sum += value.unwrap_or(0.0);
                value.map(|_| *sum)
            });
            Series { name: series.name.clone(), values: values.collect() }
        };
        self.series.iter().map(pile).collect()
    }
}

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
            let y = self.y(value);
            let _ = write!(
                svg,
                "<path class=grid d=\"M{LEFT} {y:.1}H{:.1}\"/><text x=\"{:.1}\" y=\"{:.1}\" class=end>{}</text>",
                WIDTH - RIGHT,
                LEFT - 6.0,
                y + 4.0,
                number(value)
            );
            let time = self.until * f64::from(quarter) / 4.0;
            let _ = write!(
                svg,
                "<text x=\"{:.1}\" y=\"{:.1}\" class={}>{} s</text>",
                self.x(time),
                HEIGHT - 8.0,
                if quarter == 4 { "end" } else { "mid" },
                number(time)
            );
        }
    }

    fn path(&self, times: &[f64], values: &[Option<f64>], kind: Kind) -> String {
        let mut path = String::new();
        let points: Vec<_> =
            times.iter().zip(values).filter_map(|(&time, value)| Some((time, (*value)?))).collect();
        for (n, (time, value)) in points.iter().enumerate() {
            let verb = if n == 0 { 'M' } else { 'L' };
            let _ = write!(path, "{verb}{:.1} {:.1}", self.x(*time), self.y(*value));
        }
        if let (Kind::Shares, Some((first, _)), Some((last, _))) = (kind, points.first(), points.last()) {
            let _ = write!(path, "L{:.1} {1:.1}L{2:.1} {1:.1}Z", self.x(*last), self.y(0.0), self.x(*first));
        }
        path
    }
}

/// The next of 1, 2, 4, 5, 8 times a power of ten, so that quarters are short numbers.
fn nice_above(value: f64) -> f64 {
    if value <= 0.0 {
        return 1.0;
    }
    let power = 10_f64.powf(value.log10().floor());
    [1.0, 2.0, 4.0, 5.0, 8.0]
        .map(|step| step * power)
        .into_iter()
        .find(|&step| step >= value)
        .unwrap_or(power * 10.0)
}

fn number(value: f64) -> String {
    let text = if value >= 100.0 { format!("{value:.0}") } else { format!("{value:.2}") };
    if text.contains('.') { text.trim_end_matches('0').trim_end_matches('.').to_owned() } else { text }
}

/// Text made harmless for HTML: versions and paths come from the target.
pub(super) fn escape(text: &str) -> String {
    text.replace('&', "&amp;")
        .replace('<', "&lt;")
        .replace('>', "&gt;")
        .replace('"', "&quot;")
        .replace('\'', "&#39;")
}
