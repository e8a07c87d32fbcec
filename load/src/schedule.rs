//! When requests start. Pure: no clock, and the randomness is an argument.

use std::time::Duration;

use rand::{Rng, RngExt};
use serde::{Deserialize, Deserializer, Serialize, de::Error as _};

use duration::Duration as Span;

/// Requests started per second: a finite number from 0 to [`Rate::MAX`].
#[derive(Clone, Copy, Debug, PartialEq, PartialOrd, Serialize)]
#[serde(transparent)]
pub struct Rate(f64);

/// How long a stage lasts and how many requests start in it.
#[derive(Clone, Copy, Debug, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Stage {
    /// Requests per second when the stage starts, where that differs from `rate`: the rate then climbs or
    /// falls in a straight line to `rate` at the stage's end.
    #[serde(default)]
    pub from: Option<Rate>,
    /// Requests per second.
    pub rate: Rate,
    /// Length of the stage: more than 0, at most [`RUN_MAX`].
    #[serde(deserialize_with = "stage_length")]
    pub duration: Span,
}

/// How the starts of one rate are spread.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Arrivals {
    /// Evenly: one every 1/rate seconds, an exact count.
    Constant,
    /// As independent readers come: exponential gaps with mean 1/rate.
    Poisson,
}

/// One start: how long after the beginning of the run, and in which stage.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Arrival {
    /// Time since the run began.
    pub offset: Duration,
    /// Index of the stage.
    pub stage: usize,
}

/// The starts of a run, in order.
///
/// The expected number of starts until `t` is `Λ(t)`, the area under the rates. Constant arrivals start
/// where `Λ` reaches 0, 1, 2, …; Poisson arrivals start where it reaches the sums of exponential steps of
/// mean 1 (the time-rescaling theorem), so both follow ramps exactly.
pub struct Schedule<R> {
    stages: Vec<Stage>,
    arrivals: Arrivals,
    rng: R,
    /// `Λ` of the next start.
    due: f64,
    stage: usize,
    /// `Λ` and the time where `stage` begins.
    area: f64,
    start: Duration,
}

/// The longest run. One second of it is one entry in the report.
pub const RUN_MAX: Duration = Duration::from_hours(24);

/// Where in its stages a run is.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct Position {
    /// Index of the stage; after the end that of the last one.
    pub index: usize,
    /// Number of stages.
    pub of: usize,
    /// Planned requests per second at this moment; 0 after the end.
    pub rate: f64,
}

/// A number that is not a [`Rate`].
#[derive(Debug, PartialEq, thiserror::Error)]
#[error("{0} is not a rate: give requests per second from 0 to {max}", max = Rate::MAX)]
pub struct RateError(f64);

// === impl Rate ===

impl Rate {
    /// The highest rate: above a million a second one process is not the right driver.
    pub const MAX: f64 = 1_000_000.0;

    /// A rate in requests per second.
    ///
    /// # Errors
    /// [`RateError`] for a negative number, one over [`Rate::MAX`], NaN and infinities.
    pub fn try_new(per_second: f64) -> Result<Self, RateError> {
        if (0.0..=Self::MAX).contains(&per_second) {
            Ok(Self(per_second))
        } else {
            Err(RateError(per_second))
        }
    }

    /// Requests per second.
    pub const fn per_second(self) -> f64 {
        self.0
    }
}

impl std::str::FromStr for Rate {
    type Err = RateError;

    fn from_str(text: &str) -> Result<Self, RateError> {
        Self::try_new(text.parse().unwrap_or(f64::NAN))
    }
}

impl<'de> Deserialize<'de> for Rate {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Self::try_new(f64::deserialize(deserializer)?).map_err(D::Error::custom)
    }
}

// === impl Stage ===

impl Stage {
    /// The rate at this share (0 to 1) of the stage's length.
    pub fn rate_at(&self, share: f64) -> f64 {
        let from = self.from.unwrap_or(self.rate).0;
        from + (self.rate.0 - from) * share
    }

    /// How many starts are expected in the stage.
    fn area(&self) -> f64 {
        (self.rate_at(0.0) + self.rate.0) / 2.0 * self.seconds()
    }

    /// When, after the stage's beginning, `area` starts are expected to have happened.
    ///
    /// Solves `from·t + (rate − from)/(2·length)·t² = area` for `t`, in the form that stays exact when the
    /// quadratic part is zero.
    fn reach(&self, area: f64) -> f64 {
        let from = self.rate_at(0.0);
        let slope = (self.rate.0 - from) / self.seconds();
        let root = (from * from + 2.0 * slope * area).max(0.0).sqrt();
        if from + root > 0.0 { 2.0 * area / (from + root) } else { 0.0 }
    }

    fn seconds(&self) -> f64 {
        self.duration.get().as_secs_f64()
    }
}

fn stage_length<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Span, D::Error> {
    let span = Span::deserialize(deserializer)?;
    if span.get().is_zero() || span.get() > RUN_MAX {
        return Err(D::Error::custom(format!(
            "a stage of {span} is not possible: give more than 0s and at most {}",
            Span::from(RUN_MAX)
        )));
    }
    Ok(span)
}

impl Position {
    /// The position after this time.
    pub fn at(elapsed: Duration, stages: &[Stage]) -> Self {
        let of = stages.len();
        let mut begin = Duration::ZERO;
        for (index, stage) in stages.iter().enumerate() {
            let length = stage.duration.get();
            if elapsed < begin + length {
                let share = (elapsed - begin).as_secs_f64() / length.as_secs_f64();
                return Self { index, of, rate: stage.rate_at(share) };
            }
            begin += length;
        }
        Self { index: of.saturating_sub(1), of, rate: 0.0 }
    }
}

// === impl Schedule ===

impl<R: Rng> Schedule<R> {
    /// The starts of these stages, one after the other.
    pub fn new(stages: Vec<Stage>, arrivals: Arrivals, rng: R) -> Self {
        let mut schedule =
            Self { stages, arrivals, rng, due: 0.0, stage: 0, area: 0.0, start: Duration::ZERO };
        if arrivals == Arrivals::Poisson {
            schedule.due = schedule.gap();
        }
        schedule
    }

    fn gap(&mut self) -> f64 {
        match self.arrivals {
            Arrivals::Constant => 1.0,
            // 1 - u is in (0, 1], so the logarithm is finite.
            Arrivals::Poisson => -(1.0 - self.rng.random::<f64>()).ln(),
        }
    }
}

/// Keeps rounding from adding a start at the very end of a stage.
const ROUNDING: f64 = 1e-6;

impl<R: Rng> Iterator for Schedule<R> {
    type Item = Arrival;

    fn next(&mut self) -> Option<Arrival> {
        loop {
            let stage = self.stages.get(self.stage)?;
            let within = (self.due - self.area).max(0.0);
            if within < stage.area() - ROUNDING {
                let offset = self.start + Duration::from_secs_f64(stage.reach(within));
                let arrival = Arrival { offset, stage: self.stage };
                self.due += self.gap();
                return Some(arrival);
            }
            self.area += stage.area();
            self.start += stage.duration.get();
            self.stage += 1;
        }
    }
}

#[cfg(test)]
mod tests {
    use rand::{SeedableRng, rngs::Xoshiro256PlusPlus};

    use super::*;

    fn stage(rate: f64, seconds: u64) -> Stage {
        Stage { from: None, rate: Rate(rate), duration: Span::from(Duration::from_secs(seconds)) }
    }

    fn starts(stages: &[Stage], arrivals: Arrivals, seed: u64) -> Vec<Arrival> {
        Schedule::new(stages.to_vec(), arrivals, Xoshiro256PlusPlus::seed_from_u64(seed)).collect()
    }

    #[test]
    fn a_constant_rate_is_exact_for_every_rate() {
        for rate in [1.0, 3.0, 7.0, 100.0, 333.0, 9_999.0] {
            let all = starts(&[stage(rate, 10)], Arrivals::Constant, 1);
            assert_eq!(all.len() as f64, rate * 10.0);
            assert_eq!(all[0].offset, Duration::ZERO);
            let gap = all[1].offset.as_secs_f64();
            assert!((gap - 1.0 / rate).abs() < 1e-8, "{gap}");
        }
    }

    #[test]
    fn stages_follow_each_other_and_a_pause_has_no_starts() {
        let all = starts(&[stage(10.0, 2), stage(0.0, 5), stage(20.0, 1)], Arrivals::Constant, 1);
        assert_eq!([0, 1, 2].map(|n| all.iter().filter(|a| a.stage == n).count()), [20, 0, 20]);
        assert_eq!(all[20].offset, Duration::from_secs(7));
        assert!(all.is_sorted_by_key(|a| a.offset));
    }

    #[test]
    fn a_ramp_has_the_area_of_its_triangle() {
        let ramp = Stage { from: Some(Rate(0.0)), ..stage(100.0, 10) };
        let all = starts(&[ramp], Arrivals::Constant, 1);
        assert_eq!(all.len(), 500);
        let first_half = all.iter().filter(|a| a.offset < Duration::from_secs(5)).count();
        assert_eq!(first_half, 125);
    }

    #[test]
    fn the_position_follows_stages_and_ramps() {
        let stages = [stage(10.0, 2), Stage { from: Some(Rate(10.0)), ..stage(30.0, 4) }];
        let at = |seconds| Position::at(Duration::from_secs(seconds), &stages);
        assert_eq!(at(1), Position { index: 0, of: 2, rate: 10.0 });
        assert_eq!(at(4), Position { index: 1, of: 2, rate: 20.0 });
        assert_eq!(at(6), Position { index: 1, of: 2, rate: 0.0 });
    }

    #[test]
    fn poisson_arrivals_have_the_mean_and_the_variance_of_the_rate() {
        let all = starts(&[stage(100.0, 1_000)], Arrivals::Poisson, 7);
        let mut per_second = vec![0.0_f64; 1_000];
        for arrival in &all {
            per_second[usize::try_from(arrival.offset.as_secs()).unwrap()] += 1.0;
        }
        let mean = per_second.iter().sum::<f64>() / 1_000.0;
        let variance = per_second.iter().map(|n| (n - mean).powi(2)).sum::<f64>() / 999.0;
        // Four standard errors: of the mean sqrt(100/1000), of the variance about 100*sqrt(2/999).
        assert!((mean - 100.0).abs() < 4.0 * 0.316, "{mean}");
        assert!((variance - 100.0).abs() < 4.0 * 4.5, "{variance}");
    }

    #[test]
    fn a_seed_repeats_its_arrivals_and_another_does_not() {
        let stages = [stage(50.0, 10)];
        assert_eq!(starts(&stages, Arrivals::Poisson, 5), starts(&stages, Arrivals::Poisson, 5));
        assert_ne!(starts(&stages, Arrivals::Poisson, 5), starts(&stages, Arrivals::Poisson, 6));
    }

    #[test]
    fn rates_that_are_no_rates_are_refused() {
        for text in ["-1", "NaN", "inf", "1000001", "ten"] {
            assert!(text.parse::<Rate>().unwrap_err().to_string().contains("requests per second"));
        }
    }
}
