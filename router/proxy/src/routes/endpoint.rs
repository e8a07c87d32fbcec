use std::{
    net::SocketAddr,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicI64, AtomicU32, AtomicU64, AtomicUsize, Ordering::Relaxed},
    },
    time::{Duration, Instant},
};

/// One replica of a backend, shared by all workers and kept across tables.
#[derive(Debug)]
pub struct Endpoint {
    /// Unique in the process: the key of the workers' connection pools.
    pub id: u64,
    /// Where it listens.
    pub address: SocketAddr,
    pending: AtomicUsize,
    failures: AtomicU32,
    /// Answers in a row that were server errors or too late.
    bad_answers: AtomicU32,
    /// Milliseconds since `epoch`; 0 when it was never ejected.
    ejected_until: AtomicU64,
    epoch: Instant,
    retired: AtomicBool,
    unhealthy: AtomicBool,
    /// Milliseconds since `epoch` when it began to take requests; long ago where it was there before the router.
    began: AtomicI64,
}

/// Whether an endpoint was there before the router knew of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Age {
    /// As far as is known, it has been serving for long.
    Old,
    /// It joined others.
    New,
}

/// What a person is told about an endpoint.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize)]
#[serde(rename_all = "lowercase")]
pub enum EndpointState {
    /// Takes requests.
    Ready,
    /// Failed in a row, and is left alone for a while unless no other is left.
    Ejected,
    /// Does not pass its health check, and is left alone unless no other is left.
    Unhealthy,
}

/// A request that is under way at an endpoint; ends when dropped.
#[derive(Debug)]
pub struct Pending(Arc<Endpoint>);

/// The first ejection; each further failure doubles it up to [`EJECTION_MAX`].
const EJECTION_MIN: Duration = Duration::from_millis(250);

/// Long enough to spare a dead endpoint, short enough that one that came back is soon used.
const EJECTION_MAX: Duration = Duration::from_secs(10);

/// So many bad answers in a row are the endpoint's fault rather than the requests' (Envoy's `consecutive_5xx`).
const BAD_ANSWERS_MAX: u32 = 5;

/// The whole share of an endpoint, and what it begins with, in thousandths.
pub(super) const WARM: u32 = 1_000;
const COLD: u32 = 100;

/// Longer ago than any slow start takes.
const LONG_AGO_MS: i64 = -1_000_000_000_000;

// === impl Endpoint ===

impl Endpoint {
    /// An endpoint without history.
    #[must_use]
    pub fn new(address: SocketAddr, age: Age) -> Self {
        static NEXT: AtomicU64 = AtomicU64::new(1);
        Self {
            id: NEXT.fetch_add(1, Relaxed),
            address,
            pending: AtomicUsize::new(0),
            failures: AtomicU32::new(0),
            bad_answers: AtomicU32::new(0),
            ejected_until: AtomicU64::new(0),
            epoch: Instant::now(),
            retired: AtomicBool::new(false),
            unhealthy: AtomicBool::new(false),
            began: AtomicI64::new(if age == Age::Old { LONG_AGO_MS } else { 0 }),
        }
    }

    /// Requests that are under way here.
    #[must_use]
    pub fn pending(&self) -> usize {
        self.pending.load(Relaxed)
    }

    /// Counts a request until the result is dropped, where fewer than `max` are under way.
    #[must_use]
    pub fn begin_below(self: Arc<Self>, max: usize) -> Option<Pending> {
        let begun = self.pending.fetch_update(Relaxed, Relaxed, |count| (count < max).then_some(count + 1));
        begun.is_ok().then(|| Pending(self))
    }

    /// The state that a choice at this moment would respect.
    #[must_use]
    pub fn state(&self) -> EndpointState {
        if self.unhealthy.load(Relaxed) {
            return EndpointState::Unhealthy;
        }
        let until = self.ejected_until.load(Relaxed);
        if until > 0 && until > self.now_ms() { EndpointState::Ejected } else { EndpointState::Ready }
    }

    /// It answered, and well.
    pub fn succeeded(&self) {
        if self.bad_answers.load(Relaxed) > 0 {
            self.bad_answers.store(0, Relaxed);
        }
        if self.failures.load(Relaxed) > 0 {
            self.failures.store(0, Relaxed);
            self.ejected_until.store(0, Relaxed);
        }
    }

    /// It refused a connection or broke one.
    pub fn failed(&self) {
        self.failed_at(self.now_ms());
    }

    fn failed_at(&self, now_ms: u64) {
        let until = self.ejected_until.load(Relaxed);
        // Whatever else was under way there fails with it, and says nothing new.
        if until > now_ms {
            return;
        }
        let failures = self.failures.load(Relaxed).min(10);
        let length = EJECTION_MAX.min(EJECTION_MIN * 2_u32.pow(failures));
        let next = now_ms + u64::try_from(length.as_millis()).unwrap_or(u64::MAX);
        if self.ejected_until.compare_exchange(until, next, Relaxed, Relaxed).is_ok() {
            self.failures.fetch_add(1, Relaxed);
        }
    }

    /// It answered with a server error, or too late. Some of these in a row count as a failure.
    pub fn answered_badly(&self) {
        if self.bad_answers.fetch_add(1, Relaxed) + 1 >= BAD_ANSWERS_MAX {
            self.bad_answers.store(0, Relaxed);
            self.failed();
        }
    }

    /// What its health check says. One that recovers begins slowly again.
    pub fn set_healthy(&self, is_healthy: bool) {
        if self.unhealthy.swap(!is_healthy, Relaxed) && is_healthy {
            self.began.store(i64::try_from(self.now_ms()).unwrap_or(i64::MAX), Relaxed);
        }
    }

    /// How much of its share it may take while it warms up over `slow_start`, in thousandths; a tenth at first.
    #[must_use]
    pub fn warmth(&self, slow_start: Duration) -> u32 {
        // Most were there before the router, and need no clock.
        if self.began.load(Relaxed) == LONG_AGO_MS { WARM } else { self.warmth_at(self.now_ms(), slow_start) }
    }

    fn warmth_at(&self, now_ms: u64, slow_start: Duration) -> u32 {
        let age = i64::try_from(now_ms).unwrap_or(i64::MAX).saturating_sub(self.began.load(Relaxed));
        let full = i64::try_from(slow_start.as_millis()).unwrap_or(i64::MAX).max(1);
        let share = age.saturating_mul(WARM.into()) / full;
        u32::try_from(share.clamp(COLD.into(), WARM.into())).unwrap_or(WARM)
    }

    /// No route uses it any more: its idle connections may be closed.
    pub fn retire(&self) {
        self.retired.store(true, Relaxed);
    }

    /// Whether [`Endpoint::retire`] was called.
    #[must_use]
    pub fn is_retired(&self) -> bool {
        self.retired.load(Relaxed)
    }

    fn now_ms(&self) -> u64 {
        u64::try_from(self.epoch.elapsed().as_millis()).unwrap_or(u64::MAX)
    }
}

// === impl Pending ===

impl Pending {
    /// The endpoint that the request is at.
    #[must_use]
    pub const fn endpoint(&self) -> &Arc<Endpoint> {
        &self.0
    }
}

impl Drop for Pending {
    fn drop(&mut self) {
        self.0.pending.fetch_sub(1, Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SLOW_START: Duration = Duration::from_secs(100);

    #[test]
    fn a_new_endpoint_warms_up_from_a_tenth_to_its_whole_share() {
        let new = Endpoint::new(([127, 0, 0, 1], 1).into(), Age::New);
        let shares =
            [0, 10_000, 25_000, 50_000, 99_900, 100_000, 900_000].map(|ms| new.warmth_at(ms, SLOW_START));
        assert_eq!(shares, [100, 100, 250, 500, 999, 1_000, 1_000]);
        let old = Endpoint::new(([127, 0, 0, 1], 1).into(), Age::Old);
        assert_eq!(old.warmth_at(0, Duration::from_secs(3_600)), 1_000);
    }

    #[test]
    fn what_fails_together_ejects_once_and_what_goes_on_failing_for_twice_as_long() {
        let endpoint = Endpoint::new(([127, 0, 0, 1], 1).into(), Age::Old);
        let mut now = 1_000;
        for expected in [250, 500, 1_000, 2_000, 4_000, 8_000, 10_000, 10_000] {
            (0..64).for_each(|failure| endpoint.failed_at(now + failure));
            let until = endpoint.ejected_until.load(Relaxed);
            assert_eq!(until - now, expected);
            now = until;
        }
        endpoint.succeeded();
        endpoint.failed_at(now);
        assert_eq!(endpoint.ejected_until.load(Relaxed) - now, 250, "it had answered in between");
    }

    #[test]
    fn an_endpoint_that_recovers_warms_up_again() {
        let endpoint = Endpoint::new(([127, 0, 0, 1], 1).into(), Age::Old);
        endpoint.set_healthy(true);
        assert_eq!(endpoint.warmth(SLOW_START), 1_000, "it was never ill");
        endpoint.set_healthy(false);
        assert_eq!(endpoint.state(), EndpointState::Unhealthy);
        endpoint.set_healthy(true);
        let recovered = endpoint.now_ms();
        assert_eq!(endpoint.state(), EndpointState::Ready);
        assert_eq!(endpoint.warmth_at(recovered, SLOW_START), 100);
        assert_eq!(endpoint.warmth_at(recovered + 100_000, SLOW_START), 1_000);
    }
}
