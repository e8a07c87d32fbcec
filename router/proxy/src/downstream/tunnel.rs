//! After a change of protocol: bytes both ways, and no more HTTP.

use super::{
    client::Client,
    splice::{self, Pipe},
    transport::Transport,
};
use crate::{
    exchange::{Line, Record},
    timers::Timer,
    upstream::h1::Connection,
};
use bytes::BytesMut;
use std::{
    any::Any,
    cell::Cell,
    future::poll_fn,
    io,
    pin::Pin,
    task::{Context, Poll, ready},
    time::{Duration, Instant},
};
use tokio::{
    io::{AsyncRead, AsyncWrite, AsyncWriteExt, ReadBuf, copy_bidirectional_with_sizes},
    net::TcpStream,
};

/// The backend's side of an upgraded connection.
pub(crate) struct Tunnel {
    pub(crate) connection: Box<Connection>,
    /// In flight until the tunnel ends.
    pub(crate) record: Record,
    pub(crate) line: Line,
    pub(crate) timer: Timer,
    /// How long both sides may be silent.
    pub(crate) idle: Duration,
}

/// What has moved through a tunnel, and when.
pub(super) struct Flow {
    used: Cell<Instant>,
    /// From the client.
    pub(super) received: Cell<usize>,
    /// From the backend.
    pub(super) sent: Cell<usize>,
}

/// A socket whose use is noted.
struct Watched<'a, S> {
    stream: S,
    flow: &'a Flow,
    read: &'a Cell<usize>,
}

const BUFFER_BYTES: usize = 16 * 1024;

impl Tunnel {
    /// Copies until both sides have ended or nothing has moved for too long. `early` is what the client sent before
    /// the backend had agreed.
    pub(super) async fn run<S: Transport>(self, client: S, early: [BytesMut; 2]) -> io::Result<()> {
        let Self { connection, record, mut line, timer, idle } = self;
        let (backend, late) = connection.into_tunnel();
        let flow = Flow::new();
        let result = {
            let mut copy = Box::pin(copy((client, early), (backend, late), &flow));
            timer.set(Some(flow.used.get() + idle));
            poll_fn(|cx| match copy.as_mut().poll(cx) {
                Poll::Ready(result) => Poll::Ready(result),
                Poll::Pending => poll_silent(&timer, &flow, (idle, cx)).map(Err),
            })
            .await
        };
        drop(record);
        line.passed(flow.received.get() as u64, flow.sent.get() as u64);
        match &result {
            Ok(()) => line.is_whole(),
            Err(error) if error.kind() == io::ErrorKind::TimedOut => line.fails("timeout"),
            Err(_) => line.fails("reset"),
        }
        result
    }
}

async fn copy<S: Transport>(
    (mut client, early): (S, [BytesMut; 2]),
    (mut backend, late): (TcpStream, BytesMut),
    flow: &Flow,
) -> io::Result<()> {
    for bytes in early {
        backend.write_all(&bytes).await?;
        flow.moved(&flow.received, bytes.len());
    }
    client.write_all(&late).await?;
    client.flush().await?;
    flow.moved(&flow.sent, late.len());
    let plain = (&client as &dyn Any).downcast_ref::<TcpStream>();
    // Without descriptors for pipes, or with TLS on one side, the bytes come by here.
    if let (Some(client), Ok(pipes)) = (plain, Pipe::pair()) {
        return splice::both(client, &backend, (pipes, flow)).await;
    }
    let mut client = Watched { stream: client, flow, read: &flow.received };
    let mut backend = Watched { stream: backend, flow, read: &flow.sent };
    copy_bidirectional_with_sizes(&mut client, &mut backend, BUFFER_BYTES, BUFFER_BYTES).await.map(drop)
}

/// Ready when nothing has moved for too long.
fn poll_silent(timer: &Timer, flow: &Flow, (idle, cx): (Duration, &Context<'_>)) -> Poll<io::Error> {
    ready!(timer.poll_passed(cx));
    let deadline = flow.used.get() + idle;
    if deadline <= Instant::now() {
        return Poll::Ready(io::ErrorKind::TimedOut.into());
    }
    timer.set(Some(deadline));
    Poll::Pending
}

impl Client {
    /// The client and a backend speak another protocol from now on.
    pub(crate) fn tunnel(&self, tunnel: Tunnel) {
        *self.tunnel.borrow_mut() = Some(tunnel);
    }
}

// === impl Flow ===

impl Flow {
    fn new() -> Self {
        Self { used: Cell::new(Instant::now()), received: Cell::new(0), sent: Cell::new(0) }
    }

    /// So many bytes have come from one side.
    pub(super) fn moved(&self, counter: &Cell<usize>, bytes: usize) {
        counter.set(counter.get() + bytes);
        self.used.set(Instant::now());
    }

    /// One side has taken something.
    pub(super) fn taken(&self) {
        self.used.set(Instant::now());
    }
}

// === impl Watched ===

impl<S: AsyncRead + Unpin> AsyncRead for Watched<'_, S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let before = buf.filled().len();
        ready!(Pin::new(&mut self.stream).poll_read(cx, buf))?;
        self.flow.moved(self.read, buf.filled().len() - before);
        Poll::Ready(Ok(()))
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Watched<'_, S> {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        let written = ready!(Pin::new(&mut self.stream).poll_write(cx, buf))?;
        self.flow.taken();
        Poll::Ready(Ok(written))
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }
}
