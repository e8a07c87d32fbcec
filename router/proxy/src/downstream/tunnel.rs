//! After a change of protocol: bytes both ways, and no more HTTP.

use super::{client::Client, transport::Transport};
use crate::{exchange::Record, timers::Timer, upstream::h1::Connection};
use bytes::BytesMut;
use std::{
    cell::Cell,
    future::poll_fn,
    io,
    pin::{Pin, pin},
    task::{Context, Poll},
    time::{Duration, Instant},
};
use tokio::io::{AsyncRead, AsyncWrite, AsyncWriteExt, ReadBuf, copy_bidirectional_with_sizes};

/// The backend's side of an upgraded connection.
pub(crate) struct Tunnel {
    pub(crate) connection: Box<Connection>,
    /// In flight until the tunnel ends.
    pub(crate) record: Record,
    pub(crate) timer: Timer,
    /// How long both sides may be silent.
    pub(crate) idle: Duration,
}

/// A socket that tells when it was used last.
struct Watched<'a, S> {
    stream: S,
    used: &'a Cell<Instant>,
}

const BUFFER_BYTES: usize = 16 * 1024;

impl Tunnel {
    /// Copies until both sides have ended or nothing has moved for too long. `early` is what the client sent before
    /// the backend had agreed.
    pub(super) async fn run<S: Transport>(self, client: S, early: [BytesMut; 2]) -> io::Result<()> {
        let Self { connection, record, timer, idle } = self;
        let (backend, late) = connection.into_tunnel();
        let used = Cell::new(Instant::now());
        let mut client = Watched { stream: client, used: &used };
        let mut backend = Watched { stream: backend, used: &used };
        for bytes in early {
            backend.write_all(&bytes).await?;
        }
        client.write_all(&late).await?;
        client.flush().await?;
        let mut copy =
            pin!(copy_bidirectional_with_sizes(&mut client, &mut backend, BUFFER_BYTES, BUFFER_BYTES));
        timer.set(Some(used.get() + idle));
        let result = poll_fn(|cx| {
            if let Poll::Ready(result) = copy.as_mut().poll(cx) {
                return Poll::Ready(result.map(drop));
            }
            if timer.poll_passed(cx).is_ready() {
                let deadline = used.get() + idle;
                if deadline <= Instant::now() {
                    return Poll::Ready(Err(io::ErrorKind::TimedOut.into()));
                }
                timer.set(Some(deadline));
            }
            Poll::Pending
        });
        let result = result.await;
        drop(record);
        result
    }
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
        let polled = Pin::new(&mut self.stream).poll_read(cx, buf);
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
