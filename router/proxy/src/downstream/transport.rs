use bytes::BytesMut;
use std::{
    io,
    pin::pin,
    task::{Context, Poll},
};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite};

/// A client's connection, plain or encrypted.
pub(super) trait Transport: AsyncRead + AsyncWrite + Unpin + 'static {
    /// Adds what can be read to `input`, which has room for it; 0 is the end.
    ///
    /// After a short read this asks the system again only when it has told of more; `try_read` would ask in vain.
    fn poll_fill(&mut self, input: &mut BytesMut, cx: &mut Context<'_>) -> Poll<io::Result<usize>> {
        pin!(self.read_buf(input)).poll(cx)
    }
}

impl<S: AsyncRead + AsyncWrite + Unpin + 'static> Transport for S {}
