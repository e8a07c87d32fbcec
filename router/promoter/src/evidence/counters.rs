//! What routers count.

use jiff::Timestamp;
use release::{Counts, Duration, Tally};
use split::Track;
use std::collections::BTreeMap;

/// The bounds of the routers' buckets.
pub const LATENCY_BOUNDS: [Duration; 12] = [
    Duration::from_millis(5),
    Duration::from_millis(10),
    Duration::from_millis(25),
    Duration::from_millis(50),
    Duration::from_millis(100),
    Duration::from_millis(250),
    Duration::from_millis(500),
    Duration::from_millis(1000),
    Duration::from_millis(2500),
    Duration::from_millis(5000),
    Duration::from_millis(10_000),
    Duration::from_millis(30_000),
];

/// One look at all counters.
#[derive(Clone, Debug, PartialEq)]
pub struct Reading {
    /// Nothing that was counted before this moment is missing.
    pub at: Timestamp,
    /// By router; a text says why one could not be read.
    pub routers: BTreeMap<String, Result<Counters, String>>,
}

/// What one router has counted since it began.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Counters {
    /// Changes when the router begins anew, where the source knows.
    pub instance: String,
    /// By track and class of the answer.
    pub series: BTreeMap<(Track, String), Series>,
}

/// The requests of one track and one class.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Series {
    /// All of them.
    pub requests: u64,
    /// Those that took no longer than the latency bound; all of them where there is no bound.
    pub in_time: u64,
}

/// The label `le` of the bucket that ends at `bound`, in seconds; none where no bucket does.
pub fn bucket_of(bound: Duration) -> Option<f64> {
    LATENCY_BOUNDS.contains(&bound).then(|| bound.get().as_secs_f64())
}

// === impl Counters ===

impl Counters {
    /// What came since `before`; none where the router began anew in between, so that something may be missing.
    pub fn since(&self, before: &Self) -> Option<Counts> {
        if self.instance != before.instance || before.series.keys().any(|key| !self.series.contains_key(key))
        {
            return None;
        }
        let mut counts = Counts::default();
        for ((track, class), now) in &self.series {
            let then = before.series.get(&(*track, class.clone())).copied().unwrap_or_default();
            let requests = now.requests.checked_sub(then.requests)?;
            let in_time = now.in_time.checked_sub(then.in_time)?;
            let errors = if is_error(class) { requests } else { requests.saturating_sub(in_time) };
            let tally = match track {
                Track::Canary => &mut counts.canary,
                Track::Stable => &mut counts.stable,
            };
            *tally += Tally::new(requests, errors);
        }
        Some(counts)
    }
}

fn is_error(class: &str) -> bool {
    matches!(class, "5xx" | "error")
}
