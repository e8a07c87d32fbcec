use hyper::rt;
use hyper_util::rt::TokioIo;
use std::{
    io,
    pin::Pin,
    task::{Context, Poll},
};
use tokio::{net::TcpStream, sync::oneshot};

/// The socket of a connection; it tells when the endpoint has said something. The first thing that a server of HTTP/2
/// says are its settings, with the number of requests that it takes at a time.
pub(super) struct Io {
    stream: TokioIo<TcpStream>,
    greeted: Option<oneshot::Sender<()>>,
}

// === impl Io ===

impl Io {
    pub(super) fn new(stream: TcpStream, greeted: oneshot::Sender<()>) -> Self {
        Self { stream: TokioIo::new(stream), greeted: Some(greeted) }
    }
}

impl rt::Read for Io {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        target: rt::ReadBufCursor<'_>,
    ) -> Poll<io::Result<()>> {
        let polled = Pin::new(&mut self.stream).poll_read(cx, target);
        if polled.is_ready()
            && let Some(greeted) = self.greeted.take()
        {
            // Whoever has given up waiting needs no greeting.
            let _ = greeted.send(());
        }
        polled
    }
}

impl rt::Write for Io {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write(cx, bytes)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        slices: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write_vectored(cx, slices)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }
}
