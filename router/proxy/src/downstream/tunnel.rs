//! After a change of protocol: bytes both ways, and no more HTTP.

use super::{client::Client, transport::Transport};
use crate::{
    exchange::{Line, Record},
    timers::Timer,
    upstream::h1::Connection,
};
use bytes::BytesMut;
use std::{
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

/// A socket that tells when it was used last.
struct Watched<'a, S> {
    stream: S,
    used: &'a Cell<Instant>,
    read: usize,
}

const BUFFER_BYTES: usize = 16 * 1024;

impl Tunnel {
    /// Copies until both sides have ended or nothing has moved for too long. `early` is what the client sent before
    /// the backend had agreed.
    pub(super) async fn run<S: Transport>(self, client: S, early: [BytesMut; 2]) -> io::Result<()> {
        let Self { connection, record, mut line, timer, idle } = self;
        let (backend, late) = connection.into_tunnel();
        let used = Cell::new(Instant::now());
        let read = early.iter().map(BytesMut::len).sum();
        let mut client = Watched { stream: client, used: &used, read };
        let mut backend = Watched { stream: backend, used: &used, read: late.len() };
        let result = {
            let mut copy = Box::pin(copy(&mut client, &mut backend, (early, late)));
            timer.set(Some(used.get() + idle));
            poll_fn(|cx| match copy.as_mut().poll(cx) {
                Poll::Ready(result) => Poll::Ready(result),
                Poll::Pending => poll_silent(&timer, &used, (idle, cx)).map(Err),
            })
            .await
        };
        drop(record);
        line.passed(client.read as u64, backend.read as u64);
        match &result {
            Ok(()) => line.is_whole(),
            Err(error) if error.kind() == io::ErrorKind::TimedOut => line.fails("timeout"),
            Err(_) => line.fails("reset"),
        }
        result
    }
}

async fn copy<S: Transport>(
    client: &mut Watched<'_, S>,
    backend: &mut Watched<'_, TcpStream>,
    (early, late): ([BytesMut; 2], BytesMut),
) -> io::Result<()> {
    for bytes in early {
        backend.write_all(&bytes).await?;
    }
    client.write_all(&late).await?;
    client.flush().await?;
    copy_bidirectional_with_sizes(client, backend, BUFFER_BYTES, BUFFER_BYTES).await.map(drop)
}

/// Ready when nothing has moved for too long.
fn poll_silent(timer: &Timer, used: &Cell<Instant>, (idle, cx): (Duration, &Context<'_>)) -> Poll<io::Error> {
    ready!(timer.poll_passed(cx));
    let deadline = used.get() + idle;
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

// === impl Watched ===

impl<S> Watched<'_, S> {
    fn note<T>(&self, polled: Poll<T>) -> Poll<T> {
        if polled.is_ready() {
            self.used.set(Instant::now());
        }
        polled
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for Watched<'_, S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let before = buf.filled().len();
        let polled = Pin::new(&mut self.stream).poll_read(cx, buf);
        self.read += buf.filled().len() - before;
        self.note(polled)
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Watched<'_, S> {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        let polled = Pin::new(&mut self.stream).poll_write(cx, buf);
        self.note(polled)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }
}
