//! How many requests a track had, and how many of them failed.

use serde::{Deserialize, Serialize};
use std::ops::AddAssign;

/// Requests of one track, and those of them that failed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Tally {
    /// First attempts that chose the track.
    pub requests: u64,
    /// First attempts that failed: an answer of the 5xx class, none at all, or one slower than the bound.
    pub errors: u64,
}

/// What both tracks had in the same window of time.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Counts {
    /// The candidate's share.
    pub canary: Tally,
    /// The stable version's share.
    pub stable: Tally,
}

// === impl Tally ===

impl Tally {
    /// A tally; errors beyond the requests are cut, since a scrape may fall between two counters.
    pub fn new(requests: u64, errors: u64) -> Self {
        Self { requests, errors: errors.min(requests) }
    }

    /// The share of requests that failed, from 0 to 1; 0 where there was none.
    #[expect(clippy::cast_precision_loss, reason = "counts stay far below 2^52")]
    pub fn error_share(self) -> f64 {
        if self.requests == 0 { 0.0 } else { self.errors as f64 / self.requests as f64 }
    }
}

impl AddAssign for Tally {
    fn add_assign(&mut self, other: Self) {
        self.requests = self.requests.saturating_add(other.requests);
        self.errors = self.errors.saturating_add(other.errors);
    }
}

// === impl Counts ===

impl AddAssign for Counts {
    fn add_assign(&mut self, other: Self) {
        self.canary += other.canary;
        self.stable += other.stable;
    }
}
