use super::h1::Connection;
use crate::routes::Endpoint;
use std::{
    collections::HashMap,
    sync::Arc,
    time::{Duration, Instant},
};

/// The idle upstream connections of one worker.
#[derive(Default)]
pub(crate) struct Pool {
    idle: HashMap<u64, Idle, std::hash::BuildHasherDefault<ByIdentity>>,
}

struct Idle {
    endpoint: Arc<Endpoint>,
    /// The last one in is the first one out, so that surplus connections grow old.
    #[expect(clippy::vec_box, reason = "a connection is large and moves with every request")]
    connections: Vec<Box<Connection>>,
}

/// Endpoint ids are counted up, and so are as good as their own hash.
#[derive(Default)]
struct ByIdentity(u64);

/// Idle connections that are kept for one endpoint; a burst may use more.
const IDLE_MAX: usize = 256;

/// Shorter than what servers usually allow (nginx 75 s, Go and hyper without limit), so that we close first.
const IDLE_TIMEOUT: Duration = Duration::from_secs(30);

/// After this a connection gives its buffer back.
const LIGHT_AFTER: Duration = Duration::from_secs(2);

// === impl Pool ===

impl Pool {
    /// An idle connection, if there is one that the other side has not closed yet as far as is known.
    pub(crate) fn take(&mut self, endpoint: &Endpoint) -> Option<Box<Connection>> {
        let connections = &mut self.idle.get_mut(&endpoint.id)?.connections;
        while let Some(mut connection) = connections.pop() {
            if connection.is_quiet() {
                return Some(connection);
            }
        }
        None
    }

    /// Keeps a connection for the next request.
    pub(crate) fn put(&mut self, endpoint: &Arc<Endpoint>, mut connection: Box<Connection>) {
        if endpoint.is_retired() {
            return;
        }
        let idle = self.idle.entry(endpoint.id);
        let idle = idle.or_insert_with(|| Idle { endpoint: Arc::clone(endpoint), connections: Vec::new() });
        if idle.connections.len() < IDLE_MAX {
            connection.idle_since = None;
            idle.connections.push(connection);
        }
    }

    /// Closes what is too old, closed by the other side, or leads to an endpoint that no route uses any more.
    pub(crate) fn sweep(&mut self) {
        let now = Instant::now();
        self.idle.retain(|_, idle| {
            let is_retired = idle.endpoint.is_retired();
            idle.connections.retain_mut(|connection| {
                // The clock is not asked when a connection is put back, but here, once for all.
                let age = now.duration_since(*connection.idle_since.get_or_insert(now));
                if age >= LIGHT_AFTER {
                    connection.lighten();
                }
                !is_retired && age < IDLE_TIMEOUT && connection.is_quiet()
            });
            !idle.connections.is_empty()
        });
    }
}

// === impl ByIdentity ===

impl std::hash::Hasher for ByIdentity {
    fn finish(&self) -> u64 {
        self.0
    }

    fn write(&mut self, bytes: &[u8]) {
        self.0 = bytes.iter().fold(self.0, |hash, &byte| hash.rotate_left(8) ^ u64::from(byte));
    }

    fn write_u64(&mut self, number: u64) {
        // The table takes its upper bits from the upper bits of the hash.
        self.0 = number.wrapping_mul(0x9E37_79B9_7F4A_7C15);
    }
}
