use super::connection::{Connection, Lease};
use crate::{routes::Endpoint, worker::Worker};
use std::{
    cell::Cell,
    collections::HashMap,
    rc::Rc,
    sync::Arc,
    time::{Duration, Instant},
};
use tokio::{sync::Notify, task, time};

/// The HTTP/2 connections of one worker.
#[derive(Default)]
pub(crate) struct Pool {
    entries: HashMap<u64, Entry>,
}

struct Entry {
    endpoint: Arc<Endpoint>,
    connections: Vec<Rc<Connection>>,
    /// At most one connection is being made; all who need one wait for it.
    connecting: Option<Rc<Connecting>>,
}

/// A connection that is being made. It has a task of its own, so that it does not end with the request that wanted it.
#[derive(Default)]
struct Connecting {
    result: Cell<Option<Result<(), Unreachable>>>,
    done: Notify,
}

/// No connection could be made.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Unreachable;

/// Connecting to an endpoint nearby takes milliseconds; a lost SYN is repeated after one second.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(3);

/// Idle connections are closed after this, before the other side is likely to do it.
const IDLE_TIMEOUT: Duration = Duration::from_secs(30);

/// A place on a connection to `endpoint`. The caller limits the time.
pub(crate) async fn lease(worker: &Rc<Worker>, endpoint: &Arc<Endpoint>) -> Result<Lease, Unreachable> {
    loop {
        let connecting = {
            let mut pool = worker.h2.borrow_mut();
            let entry = pool.entry(endpoint);
            if let Some(lease) = entry.lease() {
                return Ok(lease);
            }
            Rc::clone(entry.connecting.get_or_insert_with(|| connect(worker, endpoint)))
        };
        connecting.done().await?;
    }
}

fn connect(worker: &Rc<Worker>, endpoint: &Arc<Endpoint>) -> Rc<Connecting> {
    let connecting = Rc::new(Connecting::default());
    let (worker, endpoint, result) = (Rc::clone(worker), Arc::clone(endpoint), Rc::clone(&connecting));
    task::spawn_local(async move {
        let connected = time::timeout(CONNECT_TIMEOUT, Connection::connect(endpoint.address)).await;
        let connected = connected.ok().and_then(Result::ok).ok_or(Unreachable);
        let mut pool = worker.h2.borrow_mut();
        let entry = pool.entry(&endpoint);
        entry.connecting = None;
        result.end(connected.map(|connection| entry.connections.push(connection)));
    });
    connecting
}

// === impl Pool ===

impl Pool {
    /// Closes what is idle for long or leads to an endpoint that no route uses any more; what is under way goes on.
    pub(crate) fn sweep(&mut self) {
        let now = Instant::now();
        self.entries.retain(|_, entry| {
            let is_retired = entry.endpoint.is_retired();
            entry.connections.retain(|connection| {
                !is_retired && connection.is_open() && connection.idle_for(now) < IDLE_TIMEOUT
            });
            !entry.connections.is_empty() || entry.connecting.is_some()
        });
    }

    fn entry(&mut self, endpoint: &Arc<Endpoint>) -> &mut Entry {
        self.entries.entry(endpoint.id).or_insert_with(|| Entry {
            endpoint: Arc::clone(endpoint),
            connections: Vec::new(),
            connecting: None,
        })
    }
}

// === impl Entry ===

impl Entry {
    /// The first connection with a free place, so that surplus ones grow old.
    fn lease(&mut self) -> Option<Lease> {
        self.connections.retain(|connection| connection.is_open());
        self.connections.iter().find(|connection| connection.has_room()).map(Lease::new)
    }
}

// === impl Connecting ===

impl Connecting {
    fn end(&self, result: Result<(), Unreachable>) {
        self.result.set(Some(result));
        self.done.notify_waiters();
    }

    async fn done(&self) -> Result<(), Unreachable> {
        loop {
            let done = self.done.notified();
            match self.result.get() {
                Some(result) => return result,
                None => done.await,
            }
        }
    }
}
