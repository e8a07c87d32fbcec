use super::{
    client::PROGRESS_MIN,
    gate::{Gate, REFUSED, Stage, Verdict},
    io::{Filter, Io},
    transport::Transport,
};
use bytes::{Buf, BytesMut};
use hyper::rt;
use std::{
    io,
    pin::Pin,
    task::{Context, Poll},
    time::Duration,
};
use tokio::{io::AsyncReadExt, time};

/// A connection of HTTP/1.1: hyper reads what the [`Gate`] lets through.
pub(super) type Gated<S> = Io<S, Gate>;

/// Read at once: an ordinary head fits, and a body comes in pieces of the size that hyper asks for.
const READ_SIZE: usize = 8 * 1024;

/// What a client may still send after a refusal, and how long, so that it can read the answer before a reset.
const LINGER_BYTES_MAX: usize = 256 * 1024;
const LINGER_TIME_MAX: Duration = Duration::from_secs(1);

// === impl Gated ===

impl<S: Transport> Gated<S> {
    /// After the last answer: takes in what the client is still sending. A socket that is closed with unread bytes is
    /// reset, and the reset may overtake the answer.
    pub(super) async fn linger(mut self) {
        if !self.filter.is_refused() {
            return;
        }
        let mut sink = vec![0; READ_SIZE];
        let mut left = LINGER_BYTES_MAX;
        let drain = async {
            while let Ok(count @ 1..) = self.stream.read(&mut sink).await {
                left = left.saturating_sub(count);
                if left == 0 {
                    break;
                }
            }
        };
        // Whether the client was done or not makes no difference any more.
        let _ = time::timeout(LINGER_TIME_MAX, drain).await;
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
        if self.filter.stage() != Stage::Body || self.read >= PROGRESS_MIN {
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
            match this.filter.admit(&this.input, target.remaining()) {
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
                Verdict::Hold if this.filter.answered(this.client.answered()) => {}
                Verdict::Hold => {
                    this.client.holds(cx);
                    return Poll::Pending;
                }
                Verdict::More if this.filter.is_refused() => return Poll::Pending,
                Verdict::More => match this.poll_fill(cx) {
                    Poll::Ready(Ok(0)) => return Poll::Ready(Ok(())),
                    Poll::Ready(Ok(_)) => {}
                    Poll::Ready(Err(error)) => return Poll::Ready(Err(error)),
                    Poll::Pending => {
                        if this.input.is_empty() {
                            // An idle connection keeps no buffer.
                            this.input = BytesMut::new();
                        }
                        this.client.waits_for(this.filter.stage(), this.input.is_empty());
                        return Poll::Pending;
                    }
                },
            }
        }
    }
}

impl Filter for Gate {
    fn has_sent(&mut self, _count: usize) {}
}
