//! One thread with a runtime, a listener and connection pools of its own. Workers share nothing but the table,
//! the counters and the state of the routes.

pub use crate::downstream::Patience;
use crate::{
    access_log::AccessLog,
    config::Share,
    downstream::{self, Pipe},
    lifecycle::Phase,
    listen::{Entry, Listeners},
    metrics::Metrics,
    routes::Table,
    timers::Timers,
    turn,
    upstream::{Pool, h2},
};
use arc_swap::ArcSwap;
use rand::{SeedableRng, rngs::SmallRng};
use std::{
    cell::{Cell, RefCell},
    io,
    net::SocketAddr,
    rc::Rc,
    sync::Arc,
    thread,
    time::Duration,
};
use tokio::{net::TcpStream, runtime, sync::mpsc, sync::watch, time};
use tokio_rustls::rustls::ServerConfig;

/// What all workers share.
#[derive(Clone, Debug)]
pub struct Shared {
    /// Replaced as a whole by the control plane.
    pub table: Arc<ArcSwap<Table>>,
    /// Pre-resolved handles are in the table; this one is for what is rare.
    pub metrics: Arc<Metrics>,
    /// Takes a line for each request that is to have one.
    pub access_log: Arc<AccessLog>,
    /// What TLS is spoken with, where it is spoken.
    pub tls: Option<Arc<ServerConfig>>,
    /// Where the process is in its life.
    pub phase: watch::Receiver<Phase>,
    /// What does not change while it runs.
    pub settings: Settings,
}

/// What is set by flags.
#[derive(Clone, Copy, Debug)]
pub struct Settings {
    /// How long clients may take.
    pub patience: Patience,
    /// Proxies in front of this one whose word on the client is taken.
    pub trusted_hops: usize,
    /// Of the requests without a trace, the share whose trace is recorded; none begins where it is not set.
    pub trace_sample: Option<Share>,
    /// Connections of clients that one worker serves at a time.
    pub connections_max: usize,
}

/// What a request finds on its thread.
pub(crate) struct Worker {
    pub(crate) shared: Shared,
    pub(crate) phase: Cell<Phase>,
    pub(crate) pool: RefCell<Pool>,
    pub(crate) h2: RefCell<h2::Pool>,
    /// Empty ones, for large bodies.
    pub(crate) pipes: RefCell<Vec<Pipe>>,
    pub(crate) rng: RefCell<SmallRng>,
    pub(crate) timers: Rc<Timers>,
    /// The time as `Date` tells it, kept by [`sweep`].
    pub(crate) date: Cell<[u8; 29]>,
}

/// How often idle upstream connections are looked after.
const SWEEP_INTERVAL: Duration = Duration::from_secs(1);

/// Steps of tasks between two looks at the sockets, while there is something to do: a request takes four of them, and
/// what is ready together is sent together (see [`crate::turn`]).
const STEPS: u32 = 256;

/// Starts a worker; its thread ends when the phase is [`Phase::Closing`] and its connections are done.
///
/// # Errors
/// No thread or no runtime can be had.
pub fn start(index: usize, listeners: Listeners, shared: Shared) -> io::Result<thread::JoinHandle<()>> {
    let runtime = || {
        runtime::Builder::new_current_thread()
            .event_interval(STEPS)
            .on_thread_unpark(turn::begin)
            .enable_all()
            .build_local(Default::default())
    };
    let run = move || {
        let result = runtime().and_then(|runtime| runtime.block_on(run(listeners, shared)));
        if let Err(error) = result {
            tracing::error!(%error, worker = index, "Worker {index} ended: {error}");
        }
    };
    thread::Builder::new().name(format!("worker-{index}")).spawn(run)
}

async fn run(listeners: Listeners, shared: Shared) -> io::Result<()> {
    let listeners = listeners.into_async()?;
    let mut phase = shared.phase.clone();
    let worker = Rc::new(Worker {
        shared,
        phase: Cell::new(Phase::Serving),
        pool: RefCell::default(),
        h2: RefCell::default(),
        pipes: RefCell::default(),
        rng: RefCell::new(SmallRng::seed_from_u64(rand::random())),
        timers: Rc::new(Timers::new()),
        date: Cell::new(date()),
    });
    tokio::task::spawn_local(sweep(Rc::clone(&worker)));
    tokio::task::spawn_local({
        let timers = Rc::clone(&worker.timers);
        async move { timers.run().await }
    });
    // Every connection holds a sender; the receiver ends when the last one is gone.
    let (open, mut all_closed) = mpsc::channel::<()>(1);
    let places = worker.shared.settings.connections_max;
    while worker.phase.get() < Phase::Draining {
        tokio::select! {
            // The rest waits in the backlog of the kernel.
            accepted = listeners.accept(), if open.strong_count() <= places => match accepted {
                Ok((connection, entry)) => spawn(&worker, connection, entry, open.clone()),
                Err(error) => pause_after(&error).await,
            },
            changed = phase.changed() => worker.phase.set(next_phase(changed, &phase)),
        }
    }
    for (connection, entry) in listeners.close() {
        spawn(&worker, connection, entry, open.clone());
    }
    drop(open);
    // Clients that speak HTTP/2 are told to go.
    worker.timers.wake_all();
    loop {
        tokio::select! {
            _ = all_closed.recv() => return Ok(()),
            changed = phase.changed(), if worker.phase.get() < Phase::Closing => {
                worker.phase.set(next_phase(changed, &phase));
                worker.timers.wake_all();
            }
        }
    }
}

/// A control plane that is gone says nothing more: then it is time to end.
fn next_phase(changed: Result<(), watch::error::RecvError>, phase: &watch::Receiver<Phase>) -> Phase {
    changed.map_or(Phase::Closing, |()| *phase.borrow())
}

fn spawn(worker: &Rc<Worker>, connection: (TcpStream, SocketAddr), entry: Entry, open: mpsc::Sender<()>) {
    let worker = Rc::clone(worker);
    tokio::task::spawn_local(async move {
        let client = connection.1;
        if let Err(error) = downstream::serve(worker, connection, entry).await {
            tracing::debug!(%client, %error, "Connection of {client} ended: {error}");
        }
        drop(open);
    });
}

/// Running out of descriptors is a state that ends when connections end; asking again at once would only burn CPU.
async fn pause_after(error: &io::Error) {
    if !matches!(error.kind(), io::ErrorKind::ConnectionAborted | io::ErrorKind::ConnectionReset) {
        tracing::warn!(%error, "Can't accept connections for now: {error}");
        time::sleep(Duration::from_millis(50)).await;
    }
}

async fn sweep(worker: Rc<Worker>) {
    let mut interval = time::interval(SWEEP_INTERVAL);
    loop {
        interval.tick().await;
        worker.pool.borrow_mut().sweep();
        worker.h2.borrow_mut().sweep();
        worker.date.set(date());
    }
}

/// The time in the format of RFC 9110 §5.6.7, which is always 29 bytes long.
fn date() -> [u8; 29] {
    let text = jiff::Timestamp::now().strftime("%a, %d %b %Y %H:%M:%S GMT").to_string();
    text.as_bytes().try_into().unwrap_or(*b"Thu, 01 Jan 1970 00:00:00 GMT")
}
