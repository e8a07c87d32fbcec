//! One thread with a runtime, a listener and connection pools of its own. Workers share nothing but the table,
//! the counters and the state of the routes.

use crate::{
    lifecycle::Phase,
    metrics::Metrics,
    routes::Table,
    serve::{self, Pool},
};
use arc_swap::ArcSwap;
use hyper::{server::conn::http1, service::service_fn};
use hyper_util::rt::{TokioIo, TokioTimer};
use rand::{SeedableRng, rngs::SmallRng};
use std::{
    cell::RefCell,
    io,
    net::{SocketAddr, TcpListener},
    pin::pin,
    rc::Rc,
    sync::Arc,
    thread,
    time::Duration,
};
use tokio::{net, runtime, sync::watch, time};

/// What all workers share.
#[derive(Clone, Debug)]
pub struct Shared {
    /// Replaced as a whole by the control plane.
    pub table: Arc<ArcSwap<Table>>,
    /// Pre-resolved handles are in the table; this one is for what is rare.
    pub metrics: Arc<Metrics>,
    /// Where the process is in its life.
    pub phase: watch::Receiver<Phase>,
}

/// What a request finds on its thread.
pub(crate) struct Worker {
    pub(crate) shared: Shared,
    pub(crate) pool: RefCell<Pool>,
    pub(crate) rng: RefCell<SmallRng>,
}

/// The longest that a client may take for the head of a request, and a connection may stay idle.
const HEAD_TIMEOUT: Duration = Duration::from_secs(60);

/// The most header lines of a request.
const HEADERS_MAX: usize = 100;

/// The most bytes that are read ahead of a request, and so the longest head.
const READ_BUFFER_MAX: usize = 64 * 1024;

/// How often idle upstream connections are looked after.
const SWEEP_INTERVAL: Duration = Duration::from_secs(1);

/// Starts a worker; its thread ends when the phase is [`Phase::Closing`] and its connections are done.
///
/// # Errors
/// No thread or no runtime can be had.
pub fn start(index: usize, listener: TcpListener, shared: Shared) -> io::Result<thread::JoinHandle<()>> {
    let runtime_of = move || {
        runtime::Builder::new_current_thread().enable_all().event_interval(61).build_local(Default::default())
    };
    let run = move || {
        let result = runtime_of().and_then(|runtime| runtime.block_on(run(listener, shared)));
        if let Err(error) = result {
            tracing::error!(%error, worker = index, "Worker {index} ended: {error}");
        }
    };
    thread::Builder::new().name(format!("worker-{index}")).spawn(run)
}

async fn run(listener: TcpListener, shared: Shared) -> io::Result<()> {
    let listener = net::TcpListener::from_std(listener)?;
    let mut phase = shared.phase.clone();
    let worker = Rc::new(Worker {
        shared,
        pool: RefCell::default(),
        rng: RefCell::new(SmallRng::seed_from_u64(rand::random())),
    });
    tokio::task::spawn_local(sweep(Rc::clone(&worker)));
    // Every connection holds a sender; the receiver ends when the last one is gone.
    let (open, mut all_closed) = tokio::sync::mpsc::channel::<()>(1);
    loop {
        let draining = phase.wait_for(|&phase| phase >= Phase::Draining);
        tokio::select! {
            accepted = listener.accept() => match accepted {
                Ok((stream, client)) => accept(&worker, stream, client, open.clone()),
                Err(error) => pause_after(&error).await,
            },
            _ = draining => break,
        }
    }
    // What the kernel has already accepted would be reset when the listener closes.
    while let Ok(Ok((stream, client))) = time::timeout(Duration::ZERO, listener.accept()).await {
        accept(&worker, stream, client, open.clone());
    }
    drop((listener, open));
    all_closed.recv().await;
    Ok(())
}

fn accept(
    worker: &Rc<Worker>,
    stream: net::TcpStream,
    client: SocketAddr,
    open: tokio::sync::mpsc::Sender<()>,
) {
    let worker = Rc::clone(worker);
    tokio::task::spawn_local(async move {
        if let Err(error) = connection(worker, stream, client).await {
            tracing::debug!(%client, %error, "Connection of {client} ended: {error}");
        }
        drop(open);
    });
}

async fn connection(worker: Rc<Worker>, stream: net::TcpStream, client: SocketAddr) -> hyper::Result<()> {
    // Small answers must not wait for the client's acknowledgement of the one before.
    if let Err(error) = stream.set_nodelay(true) {
        tracing::debug!(%error, "No TCP_NODELAY: {error}");
    }
    let mut phase = worker.shared.phase.clone();
    let service = service_fn(move |request| serve::handle(Rc::clone(&worker), client, request));
    let connection = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(HEAD_TIMEOUT)
        .max_headers(HEADERS_MAX)
        .max_buf_size(READ_BUFFER_MAX)
        .serve_connection(TokioIo::new(stream), service);
    let mut connection = pin!(connection);
    let closing = phase.wait_for(|&phase| phase >= Phase::Closing);
    tokio::select! {
        biased;
        result = connection.as_mut() => return result,
        _ = closing => {}
    }
    connection.as_mut().graceful_shutdown();
    connection.await
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
    }
}
