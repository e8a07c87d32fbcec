//! What a run must keep to.

use std::time::Duration;

use serde::Serialize;

use duration::Duration as Span;

use crate::drive::Outcome;

/// The limits stated on the command line.
#[derive(Clone, Debug, Default)]
pub struct Limits {
    /// Most failures.
    pub failures_max: Option<u64>,
    /// Highest share of requests that fail.
    pub failure_rate_max: Option<Share>,
    /// Highest 99th percentile of the latency.
    pub p99_max: Option<Duration>,
    /// Most arrivals that the driver drops.
    pub dropped_max: Option<u64>,
}

/// A share, written as a percentage or a fraction.
#[derive(Clone, Copy, Debug, PartialEq, PartialOrd)]
pub struct Share(f64);

/// Text that is no [`Share`].
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is not a share: write a percentage from 0% to 100%, such as 0.1%, or a fraction from 0 to 1")]
pub struct ShareError(String);

/// A limit and what became of it.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Checked {
    /// The flag with its value.
    pub limit: String,
    /// What was measured.
    pub actual: String,
    /// Whether the run kept to it.
    pub kept: bool,
}

impl std::str::FromStr for Share {
    type Err = ShareError;

    fn from_str(text: &str) -> Result<Self, ShareError> {
        let (number, unit) = text.strip_suffix('%').map_or((text, 1.0), |number| (number, 100.0));
        let share = number.trim().parse::<f64>().map(|number| number / unit);
        share
            .ok()
            .filter(|share| (0.0..=1.0).contains(share))
            .map(Self)
            .ok_or_else(|| ShareError(text.to_owned()))
    }
}

impl Limits {
    /// Compares the run with each limit that was stated. Where any was, a run without requests breaks them:
    /// no data is no pass.
    pub fn check(&self, outcome: &Outcome) -> Vec<Checked> {
        let Self { failures_max, failure_rate_max, p99_max, dropped_max } = self;
        let total = &outcome.counts.total;
        let mut checked = vec![];
        let mut push =
            |limit: String, actual: String, kept: bool| checked.push(Checked { limit, actual, kept });
        if let Some(max) = failures_max {
            push(
                format!("--max-failures {max}"),
                format!("{} failures", total.failures),
                total.failures <= *max,
            );
        }
        if let Some(Share(max)) = failure_rate_max {
            let share = ratio(total.failures, total.requests);
            let actual = format!("{:.4}% ({} of {} requests)", share * 100.0, total.failures, total.requests);
            push(format!("--max-failure-rate {}%", max * 100.0), actual, share <= *max);
        }
        if let Some(max) = p99_max {
            let p99 = total.latency.map(|latency| latency.p99);
            let actual = p99.map_or("no request ended".to_owned(), |p99| format!("p99 {p99:.1} ms"));
            let limit = format!("--max-p99 {}", Span::from(*max));
            push(limit, actual, p99.is_some_and(|p99| p99 <= max.as_secs_f64() * 1_000.0));
        }
        if let Some(max) = dropped_max {
            push(format!("--max-dropped {max}"), format!("{} dropped", total.dropped), total.dropped <= *max);
        }
        if !checked.is_empty() && total.requests == 0 {
            let actual = "no request ended".to_owned();
            checked.push(Checked { limit: "at least one request".to_owned(), actual, kept: false });
        }
        checked
    }
}

#[expect(clippy::cast_precision_loss, reason = "counts stay far below 2^52")]
fn ratio(part: u64, whole: u64) -> f64 {
    if whole == 0 { 0.0 } else { part as f64 / whole as f64 }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shares_are_percentages_or_fractions() {
        assert_eq!("0.1%".parse(), Ok(Share(0.001)));
        assert_eq!("0.25".parse(), Ok(Share(0.25)));
        for text in ["101%", "-1%", "2", "NaN", "%", ""] {
            assert!(text.parse::<Share>().unwrap_err().to_string().contains("such as 0.1%"), "{text}");
        }
    }
}
