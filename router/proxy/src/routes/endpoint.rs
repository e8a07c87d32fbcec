use std::{
    net::SocketAddr,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU32, AtomicU64, AtomicUsize, Ordering::Relaxed},
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
    /// Milliseconds since `epoch`; 0 when it was never ejected.
    ejected_until: AtomicU64,
    epoch: Instant,
    retired: AtomicBool,
}

/// What a person is told about an endpoint.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize)]
#[serde(rename_all = "lowercase")]
pub enum EndpointState {
    /// Takes requests.
    Ready,
    /// Failed in a row, and is left alone for a while unless no other is left.
    Ejected,
}

/// A request that is under way at an endpoint; ends when dropped.
#[derive(Debug)]
pub struct Pending(Arc<Endpoint>);

/// The first ejection; each further failure doubles it up to [`EJECTION_MAX`].
const EJECTION_MIN: Duration = Duration::from_millis(250);

/// Long enough to spare a dead endpoint, short enough that one that came back is soon used.
const EJECTION_MAX: Duration = Duration::from_secs(10);

// === impl Endpoint ===

impl Endpoint {
    /// A new endpoint without history.
    #[must_use]
    pub fn new(address: SocketAddr) -> Self {
        static NEXT: AtomicU64 = AtomicU64::new(1);
        Self {
            id: NEXT.fetch_add(1, Relaxed),
            address,
            pending: AtomicUsize::new(0),
            failures: AtomicU32::new(0),
            ejected_until: AtomicU64::new(0),
            epoch: Instant::now(),
            retired: AtomicBool::new(false),
        }
    }

    /// Requests that are under way here.
    #[must_use]
    pub fn pending(&self) -> usize {
        self.pending.load(Relaxed)
    }

    /// Counts a request until the result is dropped.
    #[must_use]
    pub fn begin(self: Arc<Self>) -> Pending {
        self.pending.fetch_add(1, Relaxed);
        Pending(self)
    }

    /// The state that a choice at this moment would respect.
    #[must_use]
    pub fn state(&self) -> EndpointState {
        let until = self.ejected_until.load(Relaxed);
        if until > 0 && until > self.now_ms() { EndpointState::Ejected } else { EndpointState::Ready }
    }

    /// It answered.
    pub fn succeeded(&self) {
        if self.failures.load(Relaxed) > 0 {
            self.failures.store(0, Relaxed);
            self.ejected_until.store(0, Relaxed);
        }
    }

    /// It refused a connection or broke one.
    pub fn failed(&self) {
        let failures = self.failures.fetch_add(1, Relaxed).min(10);
        let length = EJECTION_MAX.min(EJECTION_MIN * 2_u32.pow(failures));
        let length_ms = u64::try_from(length.as_millis()).unwrap_or(u64::MAX);
        self.ejected_until.store(self.now_ms() + length_ms, Relaxed);
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
