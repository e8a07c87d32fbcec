use arc_swap::ArcSwapOption;
use jiff::Timestamp;
use serde::Serialize;
use split::Track;
use std::sync::{
    Arc,
    atomic::{AtomicU64, Ordering::Relaxed},
};

/// The local trip: takes the canary out of the split within milliseconds when most of its requests fail,
/// long before evidence reaches the promoter.
///
/// It stays tripped until a configuration gives the canary a weight of zero: the next release begins there.
#[derive(Debug, Default)]
pub struct Trip {
    canary: Window,
    stable: Window,
    report: ArcSwapOption<TripReport>,
}

/// When and on which evidence the trip happened.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct TripReport {
    /// The moment.
    pub at: Timestamp,
    /// First attempts on the canary that failed …
    pub failed: u32,
    /// … of so many last ones.
    pub of: u32,
}

/// The last [`WINDOW`] outcomes: the low half of the word has a bit for each failure, the high half counts outcomes.
#[derive(Debug, Default)]
struct Window(AtomicU64);

/// Outcomes that are remembered for each track.
const WINDOW: u32 = 20;

/// Failures among them that trip: half of a full window, so ten in a row for a canary that never worked.
const FAILURES_MIN: u32 = 10;

// === impl Trip ===

impl Trip {
    /// Notes the outcome of a first attempt; true when it is the one that trips.
    ///
    /// Stable failing at half the canary's rate or more means a shared outage, which a trip would not cure.
    pub fn note(&self, track: Track, outcome: Result<(), ()>) -> bool {
        let window = match track {
            Track::Stable => &self.stable,
            Track::Canary => &self.canary,
        };
        let (failed, of) = window.push(outcome.is_err());
        if track == Track::Stable || outcome.is_ok() || failed < FAILURES_MIN || self.is_tripped() {
            return false;
        }
        let (stable_failed, stable_of) = self.stable.read();
        // stable_failed / stable_of < failed / of / 2, without dividing by a stable of nothing.
        if stable_of > 0 && 2 * stable_failed * of >= failed * stable_of {
            return false;
        }
        self.report.store(Some(Arc::new(TripReport { at: Timestamp::now(), failed, of })));
        true
    }

    /// Whether the canary is out of the split.
    #[must_use]
    pub fn is_tripped(&self) -> bool {
        self.report.load().is_some()
    }

    /// The report of the trip, as long as it lasts.
    #[must_use]
    pub fn report(&self) -> Option<Arc<TripReport>> {
        self.report.load_full()
    }

    /// Forgets everything: the canary has no weight, so whatever comes next is another release.
    pub fn reset(&self) {
        self.canary.0.store(0, Relaxed);
        self.stable.0.store(0, Relaxed);
        self.report.store(None);
    }
}

// === impl Window ===

impl Window {
    /// Adds an outcome; failures and outcomes in the window after it.
    fn push(&self, failed: bool) -> (u32, u32) {
        let add = |word: u64| {
            let bits = ((word << 1) | u64::from(failed)) & ((1 << WINDOW) - 1);
            let count = ((word >> 32) + 1).min(u64::from(WINDOW));
            count << 32 | bits
        };
        let mut seen = self.0.load(Relaxed);
        loop {
            match self.0.compare_exchange_weak(seen, add(seen), Relaxed, Relaxed) {
                Ok(_) => return counts(add(seen)),
                Err(actual) => seen = actual,
            }
        }
    }

    fn read(&self) -> (u32, u32) {
        counts(self.0.load(Relaxed))
    }
}

fn counts(word: u64) -> (u32, u32) {
    let failed = (word & u64::from(u32::MAX)).count_ones();
    (failed, u32::try_from(word >> 32).unwrap_or(WINDOW))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn note(trip: &Trip, track: Track, outcomes: &[Result<(), ()>]) -> bool {
        outcomes.iter().fold(false, |tripped, &outcome| trip.note(track, outcome) | tripped)
    }

    #[test]
    fn ten_failures_in_a_row_trip_once() {
        let trip = Trip::default();
        assert!(!note(&trip, Track::Canary, &[Err(()); 9]));
        assert!(trip.note(Track::Canary, Err(())));
        assert!(!trip.note(Track::Canary, Err(())), "it is tripped already");
        let report = trip.report().unwrap();
        assert_eq!((report.failed, report.of), (10, 10));
        trip.reset();
        assert!(!trip.is_tripped() && !note(&trip, Track::Canary, &[Err(()); 9]));
    }

    #[test]
    fn a_third_of_failures_does_not_trip() {
        let trip = Trip::default();
        for _ in 0..100 {
            assert!(!note(&trip, Track::Canary, &[Ok(()), Err(()), Ok(())]));
        }
    }

    #[test]
    fn a_shared_outage_does_not_trip() {
        let trip = Trip::default();
        note(&trip, Track::Stable, &[Ok(()), Ok(()), Err(()), Err(())]);
        assert!(!note(&trip, Track::Canary, &[Err(()); 40]));
        note(&trip, Track::Stable, &[Ok(()); 20]);
        assert!(trip.note(Track::Canary, Err(())), "stable has recovered and the canary has not");
    }
}
