use super::h1::Connection;
use crate::{routes::Endpoint, turn};
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

#[expect(clippy::vec_box, reason = "a connection is large and moves with every request")]
struct Idle {
    endpoint: Arc<Endpoint>,
    /// The last one in is the first one out, so that surplus connections grow old.
    connections: Vec<Box<Connection>>,
    /// Those that were put back in this turn. What has come by them since is not known, so they are the last choice.
    fresh: Vec<Box<Connection>>,
    turn: u64,
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
        let idle = self.idle.get_mut(&endpoint.id)?;
        idle.settle();
        while let Some(mut connection) = idle.connections.pop() {
            if connection.is_quiet() {
                return Some(connection);
            }
        }
        while let Some(mut connection) = idle.fresh.pop() {
            if connection.is_quiet() && connection.is_certainly_quiet() {
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
        let idle = idle.or_insert_with(|| Idle::of(endpoint));
        idle.settle();
        if idle.connections.len() + idle.fresh.len() < IDLE_MAX {
            connection.idle_since = None;
            idle.fresh.push(connection);
        }
    }

    /// Closes what is too old, closed by the other side, or leads to an endpoint that no route uses any more.
    pub(crate) fn sweep(&mut self) {
        let now = Instant::now();
        self.idle.retain(|_, idle| {
            let is_retired = idle.endpoint.is_retired();
            idle.settle();
            idle.connections.retain_mut(|connection| {
                // The clock is not asked when a connection is put back, but here, once for all.
                let age = now.duration_since(*connection.idle_since.get_or_insert(now));
                if age >= LIGHT_AFTER {
                    connection.lighten();
                }
                !is_retired && age < IDLE_TIMEOUT && connection.is_quiet()
            });
            let is_empty = idle.connections.is_empty() && idle.fresh.is_empty();
            !(is_retired || is_empty)
        });
    }
}

// === impl Idle ===

impl Idle {
    fn of(endpoint: &Arc<Endpoint>) -> Self {
        Self {
            endpoint: Arc::clone(endpoint),
            connections: Vec::new(),
            fresh: Vec::new(),
            turn: turn::number(),
        }
    }

    /// What was put back in an earlier turn is known to be open and silent, or not.
    fn settle(&mut self) {
        if std::mem::replace(&mut self.turn, turn::number()) != self.turn {
            self.connections.append(&mut self.fresh);
        }
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::routes::Age;
    use std::{
        io::Write,
        net::{TcpListener, TcpStream},
    };

    /// An endpoint, and connections to it with their other ends.
    async fn connected(count: usize) -> (Arc<Endpoint>, Vec<(Box<Connection>, TcpStream)>) {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let endpoint = Arc::new(Endpoint::new(listener.local_addr().unwrap(), Age::Old));
        let mut connections = Vec::new();
        for _ in 0..count {
            let connection = Connection::connect(endpoint.address).await.unwrap();
            connections.push((Box::new(connection), listener.accept().unwrap().0));
        }
        (endpoint, connections)
    }

    #[tokio::test]
    async fn a_connection_by_which_something_came_since_it_was_put_back_is_not_used_again() {
        let (endpoint, mut connections) = connected(1).await;
        let (connection, mut backend) = connections.remove(0);
        let mut pool = Pool::default();
        pool.put(&endpoint, connection);
        let connection = pool.take(&endpoint).expect("a silent connection");
        pool.put(&endpoint, connection);
        // The runtime looks at no socket between these lines, as in the middle of a busy turn.
        backend.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\npoison").unwrap();
        assert!(pool.take(&endpoint).is_none());
    }

    #[tokio::test]
    async fn connections_of_which_the_sockets_were_looked_at_come_first() {
        let (endpoint, mut connections) = connected(2).await;
        let mut pool = Pool::default();
        let (older, _backend) = connections.remove(0);
        let older_at: *const Connection = &raw const *older;
        pool.put(&endpoint, older);
        turn::begin();
        let (newer, _other) = connections.remove(0);
        pool.put(&endpoint, newer);
        assert!(std::ptr::eq(older_at, &raw const *pool.take(&endpoint).unwrap()));
        assert!(pool.take(&endpoint).is_some() && pool.take(&endpoint).is_none());
    }
}
