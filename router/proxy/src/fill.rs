//! Reading where usually little comes, or nothing for long.

use bytes::BytesMut;
use std::{
    io,
    mem::MaybeUninit,
    pin::Pin,
    task::{Context, Poll, ready},
};
use tokio::io::{AsyncRead, ReadBuf};

/// Read at once: an ordinary head and a small answer fit.
const BYTES_MAX: usize = 4 * 1024;

/// Shows `take` what can be read, where it was read; nothing is the end.
///
/// After a short read this asks the system again only when it has told of more; `try_read` would ask in vain.
pub(crate) fn poll_bytes<T>(
    stream: &mut (impl AsyncRead + Unpin),
    cx: &mut Context<'_>,
    take: impl FnOnce(&[u8]) -> T,
) -> Poll<io::Result<T>> {
    let mut room = [const { MaybeUninit::uninit() }; BYTES_MAX];
    let mut read = ReadBuf::uninit(&mut room);
    ready!(Pin::new(stream).poll_read(cx, &mut read))?;
    Poll::Ready(Ok(take(read.filled())))
}

/// Adds what can be read to `input`, which takes memory only for what has come; 0 is the end.
pub(crate) fn poll_little(
    stream: &mut (impl AsyncRead + Unpin),
    input: &mut BytesMut,
    cx: &mut Context<'_>,
) -> Poll<io::Result<usize>> {
    poll_bytes(stream, cx, |bytes| {
        input.extend_from_slice(bytes);
        bytes.len()
    })
}
