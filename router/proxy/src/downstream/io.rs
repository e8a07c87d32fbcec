use super::{
    client::{Client, PROGRESS_MIN},
    gate::Gate,
    transport::Transport,
};
use bytes::BytesMut;
use hyper::rt;
use std::{
    io::{self, IoSlice},
    pin::Pin,
    rc::Rc,
    task::{Context, Poll},
};

/// A client's connection, as hyper reads and writes it: what comes is looked at by the gate, and deadlines are kept.
pub(super) struct Io<S> {
    pub(super) stream: S,
    pub(super) gate: Gate,
    /// What was read and not handed on.
    pub(super) input: BytesMut,
    pub(super) client: Rc<Client>,
    /// Bytes of a body since its deadline was set, and bytes written since theirs.
    pub(super) read: usize,
    written: usize,
}

// === impl Io ===

impl<S: Transport> Io<S> {
    /// `input` was read already.
    pub(super) fn new((stream, input): (S, BytesMut), gate: Gate, client: Rc<Client>) -> Self {
        Self { stream, gate, input, client, read: 0, written: 0 }
    }

    fn has_written(&mut self, result: Poll<io::Result<usize>>) -> Poll<io::Result<usize>> {
        match &result {
            Poll::Pending => self.client.waits_to_write(),
            Poll::Ready(Ok(count)) => {
                self.written += count;
                if self.written >= PROGRESS_MIN {
                    self.written = 0;
                    self.client.has_written();
                }
            }
            Poll::Ready(Err(_)) => {}
        }
        result
    }
}

impl<S: Transport> rt::Write for Io<S> {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        let result = Pin::new(&mut self.stream).poll_write(cx, bytes);
        self.has_written(result)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        slices: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let result = Pin::new(&mut self.stream).poll_write_vectored(cx, slices);
        self.has_written(result)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let flushed = Pin::new(&mut self.stream).poll_flush(cx);
        if flushed.is_pending() {
            self.client.waits_to_write();
        } else {
            // All that was written is out: the client took it.
            self.written = 0;
            self.client.has_written();
        }
        flushed
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }
}
