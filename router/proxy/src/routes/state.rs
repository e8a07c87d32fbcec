use super::{Budget, Queue, Trip};
use crate::metrics::TrackMetrics;
use split::{Split, Track};
use std::sync::{
    Arc,
    atomic::{AtomicUsize, Ordering::SeqCst},
};

/// What a route remembers across tables.
#[derive(Debug)]
pub struct RouteState {
    /// The sequence that keeps shares exact over weight changes.
    pub split: Split,
    /// The local trip.
    pub trip: Trip,
    /// Limits attempts beyond the first.
    pub budget: Budget,
    metrics: [TrackMetrics; 2],
}

/// What a backend remembers across tables.
#[derive(Debug, Default)]
pub struct BackendState {
    in_flight: AtomicUsize,
    /// Requests that wait for room.
    pub queue: Arc<Queue>,
}

/// A request that chose a backend and has not ended; ends when dropped.
#[derive(Debug)]
pub struct InFlight(Arc<BackendState>);

// === impl RouteState ===

impl RouteState {
    /// A route that was not there before. Metrics are for stable and canary, in this order.
    #[must_use]
    pub fn new(metrics: [TrackMetrics; 2]) -> Self {
        Self { split: Split::new(rand::random()), trip: Trip::default(), budget: Budget::default(), metrics }
    }

    /// The pre-resolved handles of a track.
    #[must_use]
    pub const fn metrics(&self, track: Track) -> &TrackMetrics {
        let [stable, canary] = &self.metrics;
        match track {
            Track::Stable => stable,
            Track::Canary => canary,
        }
    }
}

// === impl BackendState ===

impl BackendState {
    /// Requests that chose this backend and have not ended.
    #[must_use]
    pub fn in_flight(&self) -> usize {
        self.in_flight.load(SeqCst)
    }

    /// Counts a request until the result is dropped.
    #[must_use]
    pub fn begin(self: &Arc<Self>) -> InFlight {
        self.in_flight.fetch_add(1, SeqCst);
        InFlight(Arc::clone(self))
    }
}

impl Drop for InFlight {
    fn drop(&mut self) {
        self.0.in_flight.fetch_sub(1, SeqCst);
        self.0.queue.frees();
    }
}
