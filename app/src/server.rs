//! Listening and ending without losing a request.
//!
//! SIGTERM → `/readyz` says no and answers carry `connection: close` → serving goes on for the drain delay, so that
//! routers stop sending first → no new connections, requests under way finish → the deadline.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::extract::ConnectInfo;
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::server::graceful::GracefulShutdown;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tower::Service as _;

/// Connections of one process; further ones wait in the system's queue.
const CONNECTIONS_MAX: usize = 4096;
/// How long a client may take to send its head: a slow one must not hold a connection for ever.
const HEAD_TIMEOUT: Duration = Duration::from_secs(15);
/// Bytes of a request's head.
const HEAD_BYTES_MAX: usize = 32 << 10;

/// How to end.
#[derive(Clone, Copy, Debug)]
pub struct Drain {
    /// How long to go on after the signal.
    pub delay: Duration,
    /// How long requests under way may take after that.
    pub timeout: Duration,
}

/// A bound port and what answers on it.
#[derive(Debug)]
pub struct Server {
    listener: TcpListener,
    router: Router,
}

/// How serving ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum End {
    /// Every request was answered.
    Clean,
    /// The deadline passed with this many connections open.
    Cut(usize),
}

impl Server {
    /// Binds a port.
    ///
    /// # Errors
    /// When the port is taken or not allowed.
    pub async fn bind(address: SocketAddr, router: Router) -> std::io::Result<Self> {
        Ok(Self { listener: TcpListener::bind(address).await?, router })
    }

    /// Where it listens; tells the port when port 0 was asked for.
    ///
    /// # Errors
    /// When the system does not say.
    pub fn address(&self) -> std::io::Result<SocketAddr> {
        self.listener.local_addr()
    }

    /// Serves until `stop` is done, then drains; `draining` is called first.
    pub async fn serve(self, stop: impl Future<Output = ()>, draining: impl FnOnce(), drain: Drain) -> End {
        let connections = GracefulShutdown::new();
        let permits = Arc::new(Semaphore::new(CONNECTIONS_MAX));
        {
            let accepting = accept(&self.listener, &self.router, (&connections, &permits));
            tokio::pin!(accepting);
            tokio::select! {
                () = stop => {}
                () = &mut accepting => {}
            }
            draining();
            let _ = tokio::time::timeout(drain.delay, accepting).await;
        }
        drop(self.listener);
        let open = connections.count();
        match tokio::time::timeout(drain.timeout, connections.shutdown()).await {
            Ok(()) => End::Clean,
            Err(_) => End::Cut(open),
        }
    }
}

/// Accepts connections; never ends.
async fn accept(
    listener: &TcpListener,
    router: &Router,
    (connections, permits): (&GracefulShutdown, &Arc<Semaphore>),
) {
    loop {
        let Ok(permit) = Arc::clone(permits).acquire_owned().await else { return };
        match listener.accept().await {
            Ok((stream, peer)) => {
                let _ = stream.set_nodelay(true);
                start((stream, peer), router.clone(), (connections, permit));
            }
            Err(error) => {
                // Out of file descriptors, most likely: waiting lets some be closed.
                tracing::warn!(%error, "a connection could not be accepted: {error}");
                tokio::time::sleep(Duration::from_millis(50)).await;
            }
        }
    }
}

fn start(
    (stream, peer): (TcpStream, SocketAddr),
    router: Router,
    (connections, permit): (&GracefulShutdown, OwnedSemaphorePermit),
) {
    let service = service_fn(move |mut request: hyper::Request<Incoming>| {
        request.extensions_mut().insert(ConnectInfo(peer));
        router.clone().call(request)
    });
    let connection = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(HEAD_TIMEOUT)
        .max_buf_size(HEAD_BYTES_MAX)
        .serve_connection(TokioIo::new(stream), service);
    let connection = connections.watch(connection);
    tokio::spawn(async move {
        if let Err(error) = connection.await {
            tracing::debug!(%error, "a connection ended early: {error}");
        }
        drop(permit);
    });
}
