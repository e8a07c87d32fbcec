//! Bytes from socket to socket inside the kernel (splice(2)): they are never copied into this process, and a tunnel
//! that is silent needs no buffer.

use super::tunnel::Flow;
use rustix::{
    fd::OwnedFd,
    pipe::{PipeFlags, SpliceFlags, pipe_with, splice},
};
use socket2::SockRef;
use std::{cell::Cell, io, net::Shutdown};
use tokio::{io::Interest, net::TcpStream};

/// The way between two sockets; empty whenever it is waited for more.
pub(crate) struct Pipe {
    inlet: OwnedFd,
    outlet: OwnedFd,
}

/// More than a pipe holds.
const BYTES_MAX: usize = 1024 * 1024;

const FLAGS: SpliceFlags = SpliceFlags::NONBLOCK.union(SpliceFlags::MOVE);

/// Moves bytes both ways until both sides have ended.
pub(super) async fn both(
    client: &TcpStream,
    backend: &TcpStream,
    ([upwards, downwards], flow): ([Pipe; 2], &Flow),
) -> io::Result<()> {
    let up = upwards.moves(client, backend, (flow, &flow.received));
    let down = downwards.moves(backend, client, (flow, &flow.sent));
    tokio::try_join!(up, down).map(drop)
}

// === impl Pipe ===

impl Pipe {
    /// One for each way.
    pub(super) fn pair() -> io::Result<[Self; 2]> {
        Ok([Self::new()?, Self::new()?])
    }

    pub(super) fn new() -> io::Result<Self> {
        let (outlet, inlet) = pipe_with(PipeFlags::NONBLOCK | PipeFlags::CLOEXEC)?;
        Ok(Self { inlet, outlet })
    }

    /// Takes up to `max` bytes from a socket.
    pub(super) fn fill(&self, from: &TcpStream, max: usize) -> io::Result<usize> {
        Ok(splice(from, None, &self.inlet, None, max.min(BYTES_MAX), FLAGS)?)
    }

    /// Gives up to `max` bytes to a socket.
    pub(super) fn empty(&self, to: &TcpStream, max: usize) -> io::Result<usize> {
        Ok(splice(&self.outlet, None, to, None, max, FLAGS)?)
    }

    /// Moves bytes until `from` ends; then `to` learns of it.
    async fn moves(
        self,
        from: &TcpStream,
        to: &TcpStream,
        (flow, counter): (&Flow, &Cell<usize>),
    ) -> io::Result<()> {
        let fill = || self.fill(from, BYTES_MAX);
        loop {
            // The pipe is empty, so it is the socket that has to be waited for.
            let mut left = from.async_io(Interest::READABLE, fill).await?;
            if left == 0 {
                return SockRef::from(to).shutdown(Shutdown::Write);
            }
            flow.moved(counter, left);
            while left > 0 {
                match to.async_io(Interest::WRITABLE, || self.empty(to, left)).await? {
                    0 => return Err(io::ErrorKind::WriteZero.into()),
                    count => left -= count,
                }
                flow.taken();
            }
        }
    }
}
