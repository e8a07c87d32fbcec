use super::frames::{Frames, Within};
use crate::downstream::{
    client::PROGRESS_MIN,
    gate::Stage,
    io::{Filter, Io},
    transport::Transport,
};
use bytes::{Buf, BytesMut};
use hyper::rt;
use std::{
    io,
    pin::Pin,
    task::{Context, Poll},
};

/// A connection of HTTP/2, whose frames are followed.
pub(super) type Framed<S> = Io<S, Frames>;

/// Read at once: an ordinary frame of headers fits, and a body comes in more pieces.
const READ_SIZE: usize = 8 * 1024;

// === impl Framed ===

impl<S: Transport> Framed<S> {
    /// Follows what is handed on, and keeps the deadlines of reading.
    fn follow(&mut self, count: usize) -> io::Result<()> {
        let bytes = self.input.get(..count).unwrap_or_default();
        let progress = self.filter.follow(bytes, self.client.answered());
        let progress = progress.map_err(|flood| {
            tracing::debug!(client = %self.client.address, "Ended {}: {flood}", self.client.address);
            io::Error::new(io::ErrorKind::InvalidData, flood)
        })?;
        self.read += count;
        if progress.is_useful || self.read >= PROGRESS_MIN && self.filter.within() == Within::Data {
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
        match self.filter.within() {
            Within::Nothing => self.client.waits_for(Stage::Head, true),
            Within::Data => self.client.waits_for(Stage::Body, false),
            Within::Frame => self.client.waits_for(Stage::Frame, false),
        }
    }
}

impl<S: Transport> rt::Read for Framed<S> {
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

impl Filter for Frames {
    fn has_sent(&mut self, count: usize) {
        self.sent(count);
    }
}
