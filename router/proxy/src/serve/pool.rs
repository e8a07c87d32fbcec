use super::upstream::Upstream;
use crate::routes::Endpoint;
use std::{
    collections::HashMap,
    sync::Arc,
    time::{Duration, Instant},
};

/// The idle upstream connections of one worker.
#[derive(Default)]
pub(crate) struct Pool {
    idle: HashMap<u64, Idle>,
}

struct Idle {
    endpoint: Arc<Endpoint>,
    #[expect(clippy::vec_box, reason = "a connection is large and moves with every request")]
    /// The last one in is the first one out, so that surplus connections grow old.
    connections: Vec<Box<Upstream>>,
}

/// Idle connections that are kept for one endpoint; a burst may use more.
const IDLE_MAX: usize = 256;

/// Shorter than what servers usually allow (nginx 75 s, Go and hyper without limit), so that we close first.
const IDLE_TIMEOUT: Duration = Duration::from_secs(30);

// === impl Pool ===

impl Pool {
    /// A connection that was not closed by the other side a moment ago.
    pub(super) fn take(&mut self, endpoint: &Endpoint) -> Option<Box<Upstream>> {
        self.idle.get_mut(&endpoint.id)?.connections.pop()
    }

    /// Keeps a connection for the next request.
    pub(super) fn put(&mut self, endpoint: &Arc<Endpoint>, mut upstream: Box<Upstream>) {
        if endpoint.is_retired() {
            return;
        }
        let idle = self.idle.entry(endpoint.id);
        let idle = idle.or_insert_with(|| Idle { endpoint: Arc::clone(endpoint), connections: Vec::new() });
        if idle.connections.len() < IDLE_MAX {
            upstream.idle_since = Instant::now();
            idle.connections.push(upstream);
        }
    }

    /// Closes what is too old, closed by the other side, or leads to an endpoint that no route uses any more.
    pub(crate) fn sweep(&mut self) {
        self.idle.retain(|_, idle| {
            idle.connections.retain_mut(|upstream| {
                !idle.endpoint.is_retired()
                    && upstream.idle_since.elapsed() < IDLE_TIMEOUT
                    && !upstream.is_closed()
            });
            !idle.connections.is_empty()
        });
    }
}
