use super::{io::Io, sent::Sent};
use hyper::{Request, Response, body::Incoming, client::conn::http2, rt};
use hyper_util::rt::TokioTimer;
use std::{
    cell::{Cell, RefCell},
    future::poll_fn,
    net::SocketAddr,
    pin::Pin,
    rc::Rc,
    task::Poll,
    time::{Duration, Instant},
};
use tokio::{net::TcpStream, sync::oneshot, task};

/// A connection to an endpoint, and how many requests share it.
pub(super) struct Connection {
    sender: http2::SendRequest<Sent>,
    /// `None` once the connection has ended, so that nothing waits in its queue.
    driver: Rc<RefCell<Option<Driver>>>,
    streams: Cell<usize>,
    /// It takes no more requests.
    is_leaving: Cell<bool>,
    idle_since: Cell<Option<Instant>>,
}

/// What a task of its own polls; it knows what the endpoint allows.
type Driver = http2::Connection<Io, Sent, Executor>;

/// A place on a connection; ends when dropped.
pub(crate) struct Lease(Rc<Connection>);

/// Why there is no connection.
#[derive(Debug, thiserror::Error)]
pub(super) enum Unconnected {
    #[error(transparent)]
    Socket(#[from] std::io::Error),
    #[error(transparent)]
    Http(#[from] hyper::Error),
    #[error("the endpoint does not speak HTTP/2")]
    Silent,
}

/// Runs the tasks of connections on this thread.
#[derive(Clone, Copy)]
struct Executor;

/// Requests at a time on one connection; more go by another one.
const STREAMS_MAX: usize = 100;

/// What an endpoint may send of one answer before the client takes it. All answers of a connection together may be as
/// much as all streams allow, so that clients that read slowly never hold up others.
const STREAM_WINDOW: u32 = 64 * 1024;
const CONNECTION_WINDOW: u32 = 100 * STREAM_WINDOW;

/// What is kept of a request that the endpoint does not take.
const SEND_BUFFER_BYTES: usize = 64 * 1024;

/// The longest head of an answer.
const HEAD_BYTES_MAX: u32 = 64 * 1024;

/// An endpoint that answers no ping for so long is gone, whatever its requests wait for.
const PING_INTERVAL: Duration = Duration::from_secs(10);
const PING_TIMEOUT: Duration = Duration::from_secs(10);

// === impl Connection ===

impl Connection {
    /// Connects. The caller limits the time.
    pub(super) async fn connect(address: SocketAddr) -> Result<Rc<Self>, Unconnected> {
        let stream = TcpStream::connect(address).await?;
        stream.set_nodelay(true)?;
        let (greeted, greeting) = oneshot::channel();
        let (sender, driver) = builder().handshake(Io::new(stream, greeted)).await?;
        let driver = Rc::new(RefCell::new(Some(driver)));
        task::spawn_local(drive(Rc::clone(&driver), address));
        let (streams, is_leaving, idle_since) = (Cell::new(0), Cell::new(false), Cell::new(None));
        let connection = Self { sender, driver, streams, is_leaving, idle_since };
        // How many requests the endpoint takes at a time is not known before.
        match greeting.await {
            Ok(()) if connection.is_open() && connection.has_room() => Ok(Rc::new(connection)),
            _ => Err(Unconnected::Silent),
        }
    }

    /// Whether it may carry requests at all.
    pub(super) fn is_open(&self) -> bool {
        !self.is_leaving.get() && self.sender.is_ready()
    }

    /// Whether another request fits.
    pub(super) fn has_room(&self) -> bool {
        let allowed = self.driver.borrow().as_ref().map_or(0, Driver::current_max_send_streams);
        self.streams.get() < allowed.min(STREAMS_MAX)
    }

    /// How long nothing was under way, as of the looks that were taken.
    pub(super) fn idle_for(&self, now: Instant) -> Duration {
        if self.streams.get() > 0 {
            return Duration::ZERO;
        }
        let since = self.idle_since.get().unwrap_or(now);
        self.idle_since.set(Some(since));
        now.duration_since(since)
    }
}

async fn drive(driver: Rc<RefCell<Option<Driver>>>, address: SocketAddr) {
    let ended = poll_fn(|cx| match driver.borrow_mut().as_mut() {
        Some(driver) => Pin::new(driver).poll(cx),
        None => Poll::Ready(Ok(())),
    });
    if let Err(error) = ended.await {
        tracing::debug!(%address, %error, "HTTP/2 connection to {address} ended: {error}");
    }
    driver.take();
}

// === impl Lease ===

impl Lease {
    pub(super) fn new(connection: &Rc<Connection>) -> Self {
        connection.streams.set(connection.streams.get() + 1);
        connection.idle_since.set(None);
        Self(Rc::clone(connection))
    }

    /// Sends a request. Whoever drops the result takes it back.
    pub(crate) fn send(
        &self,
        request: Request<Sent>,
    ) -> impl Future<Output = hyper::Result<Response<Incoming>>> + 'static {
        self.0.sender.clone().send_request(request)
    }

    /// The endpoint takes no more requests by this connection.
    pub(crate) fn retire(&self) {
        self.0.is_leaving.set(true);
    }
}

impl Drop for Lease {
    fn drop(&mut self) {
        self.0.streams.set(self.0.streams.get() - 1);
    }
}

// === impl Executor ===

impl<F: Future<Output = ()> + 'static> rt::Executor<F> for Executor {
    fn execute(&self, future: F) {
        task::spawn_local(future);
    }
}

fn builder() -> http2::Builder<Executor> {
    let mut builder = http2::Builder::new(Executor);
    builder
        .timer(TokioTimer::new())
        .initial_max_send_streams(0)
        .initial_stream_window_size(STREAM_WINDOW)
        .initial_connection_window_size(CONNECTION_WINDOW)
        .max_send_buf_size(SEND_BUFFER_BYTES)
        .max_header_list_size(HEAD_BYTES_MAX)
        .keep_alive_interval(PING_INTERVAL)
        .keep_alive_timeout(PING_TIMEOUT);
    builder
}
