//! Calls of the system that tokio has no name for, on sockets that it waits for.

use std::{
    io,
    task::{Context, Poll, ready},
};
use tokio::{io::Interest, net::TcpStream};

/// Ready when `call` does not say that it would block.
pub(crate) fn poll_io<T>(
    stream: &TcpStream,
    interest: Interest,
    cx: &mut Context<'_>,
    mut call: impl FnMut() -> io::Result<T>,
) -> Poll<io::Result<T>> {
    loop {
        let polled =
            if interest.is_readable() { stream.poll_read_ready(cx) } else { stream.poll_write_ready(cx) };
        ready!(polled)?;
        match stream.try_io(interest, &mut call) {
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
            done => return Poll::Ready(done),
        }
    }
}
