//! Latencies with a constant relative error.

use std::time::Duration;

use hdrhistogram::Histogram;
use serde::Serialize;

/// A histogram of times from 1 µs to one hour, three significant figures.
#[derive(Clone, Debug)]
pub struct Latencies(Histogram<u64>);

/// Percentiles in milliseconds.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct Percentiles {
    /// Half of the requests took at most this.
    pub p50: f64,
    /// Nine of ten took at most this.
    pub p90: f64,
    /// 99 of 100 took at most this.
    pub p99: f64,
    /// 999 of 1000 took at most this.
    pub p999: f64,
    /// The slowest.
    pub max: f64,
}

/// The longest time that can be told apart.
const HIGHEST_US: u64 = 3_600_000_000;

impl Latencies {
    /// An empty histogram.
    #[expect(
        clippy::expect_used,
        reason = "the bounds are constants that the library accepts; a test builds one"
    )]
    pub fn new() -> Self {
        Self(Histogram::new_with_bounds(1, HIGHEST_US, 3).expect("1 to an hour with three figures"))
    }

    /// Adds one time; longer ones count as an hour.
    pub fn add(&mut self, latency: Duration) {
        let us = u64::try_from(latency.as_micros()).unwrap_or(HIGHEST_US);
        self.0.saturating_record(us);
    }

    /// Forgets everything.
    pub fn clear(&mut self) {
        self.0.clear();
    }

    /// The percentiles, if there was any time.
    pub fn percentiles(&self) -> Option<Percentiles> {
        if self.0.is_empty() {
            return None;
        }
        let at = |quantile| self.milliseconds(self.0.value_at_quantile(quantile));
        Some(Percentiles {
            p50: at(0.5),
            p90: at(0.9),
            p99: at(0.99),
            p999: at(0.999),
            max: self.milliseconds(self.0.max()),
        })
    }

    /// The values are exact to 0.1 %, so more digits would be invented ones.
    #[expect(clippy::cast_precision_loss, reason = "an hour in µs has 32 bits")]
    fn milliseconds(&self, us: u64) -> f64 {
        us.min(self.0.max()) as f64 / 1_000.0
    }
}

impl Default for Latencies {
    fn default() -> Self {
        Self::new()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn percentiles_of_a_thousand_known_times() {
        let mut latencies = Latencies::new();
        assert_eq!(latencies.percentiles(), None);
        (1..=1_000).for_each(|ms| latencies.add(Duration::from_millis(ms)));
        let p = latencies.percentiles().unwrap();
        for (value, exact) in
            [(p.p50, 500.0), (p.p90, 900.0), (p.p99, 990.0), (p.p999, 999.0), (p.max, 1_000.0)]
        {
            assert!((value / exact - 1.0_f64).abs() < 0.001, "{value} {exact}");
        }
        latencies.add(Duration::from_hours(5));
        assert!(latencies.percentiles().unwrap().max >= 3_600_000.0);
    }
}
