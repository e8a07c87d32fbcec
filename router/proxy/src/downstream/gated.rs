use super::{
    client::PROGRESS_MIN,
    gate::{REFUSED, Stage, Verdict},
    io::Io,
    linger::drain,
    transport::Transport,
};
use bytes::{Buf, BytesMut};
use hyper::rt;
use std::{
    io,
    pin::Pin,
    task::{Context, Poll},
};

/// A connection of HTTP/1.1: hyper reads what the [`Gate`](super::gate::Gate) lets through.
pub(super) type Gated<S> = Io<S>;

/// Read at once: an ordinary head fits, and a body comes in pieces of the size that hyper asks for.
const READ_SIZE: usize = 8 * 1024;

// === impl Gated ===

impl<S: Transport> Gated<S> {
    /// After the last answer: a client that was refused can read why.
    pub(super) async fn linger(mut self) {
        if self.gate.is_refused() {
            drain(&mut self.stream).await;
        }
    }

    /// The socket and what was read but not handed on: after a change of protocol.
    pub(super) fn into_parts(self) -> (S, BytesMut) {
        (self.stream, self.input)
    }

    fn poll_fill(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<usize>> {
        self.input.reserve(READ_SIZE);
        self.stream.poll_fill(&mut self.input, cx)
    }

    /// Keeps the deadlines of reading: a body has to go on.
    fn has_passed(&mut self, count: usize) {
        self.read += count;
        if self.gate.stage() != Stage::Body || self.read >= PROGRESS_MIN {
            self.read = 0;
            self.client.has_read();
        }
    }
}

impl<S: Transport> rt::Read for Gated<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        mut target: rt::ReadBufCursor<'_>,
    ) -> Poll<io::Result<()>> {
        let this = &mut *self;
        loop {
            match this.gate.admit(&this.input, target.remaining()) {
                Verdict::Pass(count) => {
                    target.put_slice(this.input.get(..count).unwrap_or_default());
                    this.input.advance(count);
                    this.has_passed(count);
                    return Poll::Ready(Ok(()));
                }
                Verdict::Skip(count) => this.input.advance(count),
                Verdict::Refuse(refusal) => {
                    this.client.refuse(refusal);
                    this.input = BytesMut::from(REFUSED);
                }
                Verdict::Break => return Poll::Ready(Err(io::ErrorKind::InvalidData.into())),
                Verdict::Hold if this.gate.answered(this.client.answered()) => {}
                Verdict::Hold => {
                    this.client.holds(cx);
                    return Poll::Pending;
                }
                Verdict::More if this.gate.is_refused() => return Poll::Pending,
                Verdict::More => match this.poll_fill(cx) {
                    Poll::Ready(Ok(0)) => return Poll::Ready(Ok(())),
                    Poll::Ready(Ok(_)) => {}
                    Poll::Ready(Err(error)) => return Poll::Ready(Err(error)),
                    Poll::Pending => {
                        if this.input.is_empty() {
                            // An idle connection keeps no buffer.
                            this.input = BytesMut::new();
                        }
                        this.client.waits_for(this.gate.stage(), this.input.is_empty());
                        return Poll::Pending;
                    }
                },
            }
        }
    }
}
