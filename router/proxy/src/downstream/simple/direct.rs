//! A large body from socket to socket, inside the kernel.

use crate::{
    downstream::{client::Client, splice::Pipe, transport::Transport},
    socket::poll_io,
};
use std::{
    any::Any,
    io,
    task::{Context, Poll, ready},
};
use tokio::{io::Interest, net::TcpStream};

/// The way of one answer.
pub(super) struct Direct {
    pipe: Pipe,
    /// Bytes that are in the pipe.
    inside: usize,
}

/// Pipes that a worker keeps for the next answers.
const KEPT_MAX: usize = 64;

// === impl Direct ===

impl Direct {
    /// A way to a client without TLS; `None` where there is none.
    pub(super) fn to<S: Transport>(stream: &S, client: &Client) -> Option<Self> {
        plain(stream)?;
        let kept = client.worker.pipes.borrow_mut().pop();
        let pipe = kept.or_else(|| Pipe::new().ok())?;
        Some(Self { pipe, inside: 0 })
    }

    /// Takes up to `max` bytes from a backend; nothing may be in the pipe.
    pub(super) fn fill(&mut self, from: &TcpStream, max: u64) -> io::Result<usize> {
        self.inside = self.pipe.fill(from, usize::try_from(max).unwrap_or(usize::MAX))?;
        Ok(self.inside)
    }

    /// Gives what is in the pipe to the client; how many bytes it took, and zero when there are none.
    pub(super) fn poll_empty<S: Transport>(
        &mut self,
        stream: &S,
        cx: &mut Context<'_>,
    ) -> Poll<io::Result<usize>> {
        let Some(stream) = plain(stream).filter(|_| self.inside > 0) else { return Poll::Ready(Ok(0)) };
        let empty = || self.pipe.empty(stream, self.inside);
        match ready!(poll_io(stream, Interest::WRITABLE, cx, empty))? {
            0 => Poll::Ready(Err(io::ErrorKind::WriteZero.into())),
            count => {
                self.inside -= count;
                Poll::Ready(Ok(count))
            }
        }
    }

    /// Keeps the pipe, if nothing of this answer is in it.
    pub(super) fn end(self, client: &Client) {
        let mut pipes = client.worker.pipes.borrow_mut();
        if self.inside == 0 && pipes.len() < KEPT_MAX {
            pipes.push(self.pipe);
        }
    }
}

/// The socket of a client without TLS.
fn plain<S: Transport>(stream: &S) -> Option<&TcpStream> {
    (stream as &dyn Any).downcast_ref()
}
