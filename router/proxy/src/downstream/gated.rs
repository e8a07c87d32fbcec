use super::{
    client::{Client, PROGRESS_MIN},
    gate::{Gate, REFUSED, Stage, Verdict},
    linger::drain,
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

/// A connection of HTTP/1.1 as hyper reads and writes it: the [`Gate`] lets through what is clear, and deadlines are kept.
pub(super) struct Gated<S> {
    stream: S,
    gate: Gate,
    /// What was read and not handed on.
    input: BytesMut,
    client: Rc<Client>,
    /// Bytes of a body since its deadline was set, and bytes written since theirs.
    read: usize,
    written: usize,
}

/// Read at once: an ordinary head fits, and a body comes in pieces of the size that hyper asks for.
const READ_SIZE: usize = 8 * 1024;

// === impl Gated ===

impl<S: Transport> Gated<S> {
    /// `input` was read already.
    pub(super) fn new((stream, input): (S, BytesMut), client: Rc<Client>) -> Self {
        Self { stream, gate: Gate::new(), input, client, read: 0, written: 0 }
    }

    /// After the last answer: the client can read it, whatever it is still sending.
    pub(super) async fn linger(mut self) {
        drain(&mut self.stream).await;
    }

    /// Whether no request has begun that was not answered.
    pub(super) fn is_at_rest(&self) -> bool {
        self.gate.stage() == Stage::Head && self.input.is_empty()
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

impl<S: Transport> rt::Write for Gated<S> {
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
