use super::frames::{Frames, Within};
use crate::downstream::{
    client::{Client, PROGRESS_MIN},
    gate::Stage,
    transport::Transport,
};
use bytes::{Buf, BytesMut};
use hyper::rt;
use std::{
    io::{self, IoSlice},
    pin::Pin,
    rc::Rc,
    task::{Context, Poll},
};

/// A client's connection, as h2 reads and writes it: its frames are followed, and its deadlines are kept.
pub(super) struct Io<S> {
    stream: S,
    frames: Frames,
    /// What was read and not handed on.
    input: BytesMut,
    client: Rc<Client>,
    /// Bytes of a body since its deadline was set, and bytes written since theirs.
    read: usize,
    written: usize,
}

/// Read at once: an ordinary frame of headers fits, and a body comes in more pieces.
const READ_SIZE: usize = 8 * 1024;

// === impl Io ===

impl<S: Transport> Io<S> {
    pub(super) fn new(stream: S, input: BytesMut, client: Rc<Client>) -> Self {
        Self { stream, frames: Frames::new(), input, client, read: 0, written: 0 }
    }

    /// Follows what is handed on, and keeps the deadlines of reading.
    fn follow(&mut self, count: usize) -> io::Result<()> {
        let bytes = self.input.get(..count).unwrap_or_default();
        let progress = self.frames.follow(bytes, self.client.answered());
        let progress = progress.map_err(|flood| {
            tracing::debug!(client = %self.client.address, "Ended {}: {flood}", self.client.address);
            io::Error::new(io::ErrorKind::InvalidData, flood)
        })?;
        self.read += count;
        if progress.is_useful || self.read >= PROGRESS_MIN && self.frames.within() == Within::Data {
            self.read = 0;
            self.client.has_read();
        } else if progress.has_ended {
            self.client.has_read_frame();
        }
        Ok(())
    }

    fn waits(&mut self) {
        if self.input.is_empty() {
            // An idle connection keeps no buffer.
            self.input = BytesMut::new();
        }
        match self.frames.within() {
            Within::Nothing => self.client.waits_for(Stage::Head, true),
            Within::Data => self.client.waits_for(Stage::Body, false),
            Within::Frame => self.client.waits_for(Stage::Frame, false),
        }
    }

    fn has_written(&mut self, result: Poll<io::Result<usize>>) -> Poll<io::Result<usize>> {
        match &result {
            Poll::Pending => self.client.waits_to_write(),
            Poll::Ready(Ok(count)) => {
                self.frames.sent(*count);
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

impl<S: Transport> rt::Read for Io<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        mut target: rt::ReadBufCursor<'_>,
    ) -> Poll<io::Result<()>> {
        let this = &mut *self;
        if this.input.is_empty() {
            this.input.reserve(READ_SIZE);
            match this.stream.poll_fill(&mut this.input, cx) {
                Poll::Ready(Ok(0)) => return Poll::Ready(Ok(())),
                Poll::Ready(Ok(_)) => {}
                Poll::Ready(Err(error)) => return Poll::Ready(Err(error)),
                Poll::Pending => {
                    this.waits();
                    return Poll::Pending;
                }
            }
        }
        let count = this.input.len().min(target.remaining());
        this.follow(count)?;
        target.put_slice(this.input.get(..count).unwrap_or_default());
        this.input.advance(count);
        Poll::Ready(Ok(()))
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
            self.written = 0;
            self.client.has_written();
        }
        flushed
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }
}
