use super::{failure::Failure, grpc, record::Record};
use crate::{
    downstream::Busy,
    metrics::Class,
    routes::Endpoint,
    timers::Timer,
    upstream::{Answering, Trouble},
    worker::Worker,
};
use bytes::Bytes;
use hyper::{
    StatusCode,
    body::{Frame, SizeHint},
};
use std::{
    io,
    pin::Pin,
    rc::Rc,
    sync::Arc,
    task::{Context, Poll, ready},
    time::{Duration, Instant},
};
use tokio::net::TcpStream;

/// What is sent to a client.
pub(crate) struct Body {
    kind: Kind,
    /// The connection is not idle as long as its answer is not sent.
    busy: Busy,
}

enum Kind {
    /// An answer of the router itself, or one that was complete before it was passed on.
    Full(Option<Bytes>),
    /// An answer that is passed on as it comes.
    Passing(Box<Passing>),
}

/// An answer on its way through.
pub(super) struct Passing {
    /// What was read before it was decided to pass it on.
    pub(super) held: Option<Bytes>,
    pub(super) source: Source,
    pub(super) record: Record,
    pub(super) timer: Timer,
    /// How long the backend may be silent.
    pub(super) idle: Duration,
    pub(super) is_grpc: bool,
    /// The length of the body was stated, and must be kept.
    pub(super) is_sized: bool,
}

/// The body of an answer together with the connection that it comes from.
pub(super) struct Source {
    /// `None` once the answer has ended.
    pub(super) answering: Option<Answering>,
    pub(super) endpoint: Arc<Endpoint>,
    pub(super) worker: Rc<Worker>,
}

/// From this size on a body goes from socket to socket.
const DIRECT_MIN: u64 = 16 * 1024;

/// The answer has no end, and why.
#[derive(Debug, thiserror::Error)]
#[error("the backend broke its answer off")]
pub(crate) struct Broken(Failure);

// === impl Source ===

impl Source {
    /// The next piece. With the last one the connection goes back to the pool: whoever knows the length does not ask
    /// for more.
    pub(super) fn poll_frame(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Trouble>>> {
        let Some(answering) = &mut self.answering else { return Poll::Ready(None) };
        let polled = answering.poll_frame(cx);
        match &polled {
            Poll::Ready(None) => self.finish(),
            Poll::Ready(Some(Ok(_))) if answering.is_answered() => self.finish(),
            Poll::Ready(Some(Err(_))) => self.answering = None,
            _ => {}
        }
        polled
    }

    /// The whole body, if it is there already.
    pub(super) fn take_whole(&mut self) -> Option<Bytes> {
        let whole = self.answering.as_mut()?.take_whole_body()?;
        self.finish();
        Some(whole)
    }

    /// The whole body, when its length was stated and all of it has come; `None` where it comes in pieces.
    pub(super) fn poll_whole(&mut self, cx: &mut Context<'_>) -> Poll<Result<Option<Bytes>, Trouble>> {
        let Some(Answering::H1(connection)) = &mut self.answering else { return Poll::Ready(Ok(None)) };
        let whole = ready!(connection.poll_whole_body(cx))?;
        if whole.is_some() {
            self.finish();
        }
        Poll::Ready(Ok(whole))
    }

    /// Lets `take` have the next bytes of the body from the socket; see [`crate::upstream::h1::Connection::poll_take`].
    fn poll_take(
        &mut self,
        cx: &mut Context<'_>,
        take: impl FnMut(&TcpStream, u64) -> io::Result<usize>,
    ) -> Poll<Result<usize, Trouble>> {
        let Some(Answering::H1(connection)) = &mut self.answering else { return Poll::Ready(Ok(0)) };
        let taken = ready!(connection.poll_take(cx, take));
        if connection.is_answered() {
            self.finish();
        }
        Poll::Ready(taken)
    }

    pub(super) const fn is_finished(&self) -> bool {
        self.answering.is_none()
    }

    pub(super) fn remaining(&self) -> Option<u64> {
        self.answering.as_ref().map_or(Some(0), Answering::remaining)
    }

    fn finish(&mut self) {
        // A stream of HTTP/2 only gives its place back.
        if let Some(Answering::H1(connection)) = self.answering.take()
            && connection.is_reusable()
        {
            self.worker.pool.borrow_mut().put(&self.endpoint, connection);
        }
    }
}

// === impl Body ===

impl Body {
    pub(super) const fn full(bytes: Bytes, busy: Busy) -> Self {
        Self { kind: Kind::Full(Some(bytes)), busy }
    }

    pub(super) const fn passing(passing: Box<Passing>, busy: Busy) -> Self {
        Self { kind: Kind::Passing(passing), busy }
    }

    /// The head of the answer is passed on.
    pub(super) fn begins(&mut self, status: StatusCode) {
        self.busy.line.answers(status);
        if hyper::body::Body::is_end_stream(self) {
            self.busy.line.is_whole();
        }
    }

    /// Whether what is left is large and may go from socket to socket.
    pub(crate) fn is_direct(&self) -> bool {
        let Kind::Passing(passing) = &self.kind else { return false };
        let Some(Answering::H1(connection)) = &passing.source.answering else { return false };
        let is_large = connection.remaining().is_some_and(|left| left >= DIRECT_MIN);
        is_large && passing.held.is_none() && connection.is_untouched()
    }

    /// Lets `take` have the next bytes from the backend's socket, and how many it may take; how many it took. They count
    /// as sent.
    pub(crate) fn poll_take(
        &mut self,
        cx: &mut Context<'_>,
        take: impl FnMut(&TcpStream, u64) -> io::Result<usize>,
    ) -> Poll<Result<usize, Broken>> {
        let Self { kind: Kind::Passing(passing), busy } = self else { return Poll::Ready(Ok(0)) };
        let taken = passing.poll_take(cx, take);
        match &taken {
            Poll::Ready(Ok(count)) => {
                busy.line.sends(*count as u64);
                if passing.source.is_finished() {
                    busy.line.is_whole();
                }
            }
            Poll::Ready(Err(Broken(failure))) => busy.line.fails(failure.reason()),
            Poll::Pending => {}
        }
        taken
    }

    fn poll_kind(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Broken>>> {
        let Self { kind, busy } = self;
        let passing = match kind {
            Kind::Full(bytes) => return Poll::Ready(bytes.take().map(|bytes| Ok(Frame::data(bytes)))),
            Kind::Passing(passing) => passing,
        };
        match passing.poll_frame(cx) {
            Poll::Ready(Some(Err(Broken(failure)))) => {
                busy.line.fails(failure.reason());
                if !passing.may_trail() || !busy.takes_trailers() {
                    return Poll::Ready(Some(Err(Broken(failure))));
                }
                // A client of gRPC reads the reason where it reads any other.
                *kind = Kind::Full(None);
                Poll::Ready(Some(Ok(Frame::trailers(grpc::broken_off()))))
            }
            polled => polled,
        }
    }
}

impl hyper::body::Body for Body {
    type Data = Bytes;
    type Error = Broken;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Broken>>> {
        let polled = self.poll_kind(cx);
        if let Poll::Ready(Some(Ok(frame))) = &polled {
            self.busy.line.sends(frame.data_ref().map_or(0, Bytes::len) as u64);
        }
        if matches!(polled, Poll::Ready(None)) || self.is_end_stream() {
            self.busy.line.is_whole();
        }
        polled
    }

    fn is_end_stream(&self) -> bool {
        match &self.kind {
            Kind::Full(bytes) => bytes.as_ref().is_none_or(Bytes::is_empty),
            Kind::Passing(passing) => passing.held.is_none() && passing.source.is_finished(),
        }
    }

    fn size_hint(&self) -> SizeHint {
        let held = |bytes: &Option<Bytes>| bytes.as_ref().map_or(0, |bytes| bytes.len() as u64);
        match &self.kind {
            Kind::Full(bytes) => SizeHint::with_exact(held(bytes)),
            Kind::Passing(passing) => {
                let held = held(&passing.held);
                match passing.source.remaining() {
                    Some(remaining) => SizeHint::with_exact(held + remaining),
                    None => {
                        let mut hint = SizeHint::new();
                        hint.set_lower(held);
                        hint
                    }
                }
            }
        }
    }
}

// === impl Passing ===

impl Passing {
    /// Whether trailers may tell that the answer broke off.
    const fn may_trail(&self) -> bool {
        self.is_grpc && !self.is_sized
    }

    fn poll_frame(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Broken>>> {
        if let Some(bytes) = self.held.take() {
            return Poll::Ready(Some(Ok(Frame::data(bytes))));
        }
        match self.source.poll_frame(cx) {
            Poll::Ready(None) => {
                self.record.complete();
                Poll::Ready(None)
            }
            Poll::Ready(Some(Ok(frame))) => {
                self.timer.set(None);
                if self.is_grpc
                    && let Some(status) = frame.trailers_ref().and_then(|trailers| trailers.get(grpc::STATUS))
                {
                    self.record.trailers(grpc::class_of(status.as_bytes()));
                }
                if self.source.is_finished() {
                    self.record.complete();
                }
                Poll::Ready(Some(Ok(frame)))
            }
            // A client that stops sending is not the backend's fault.
            Poll::Ready(Some(Err(trouble @ (Trouble::Request | Trouble::Slow)))) => {
                Poll::Ready(Some(Err(Broken(trouble.into()))))
            }
            Poll::Ready(Some(Err(trouble))) => Poll::Ready(Some(Err(self.break_off(trouble.into())))),
            Poll::Pending => self.poll_silent(cx).map(|broken| Some(Err(broken))),
        }
    }

    fn poll_take(
        &mut self,
        cx: &mut Context<'_>,
        take: impl FnMut(&TcpStream, u64) -> io::Result<usize>,
    ) -> Poll<Result<usize, Broken>> {
        match self.source.poll_take(cx, take) {
            Poll::Ready(Ok(count)) => {
                self.timer.set(None);
                if self.source.is_finished() {
                    self.record.complete();
                }
                Poll::Ready(Ok(count))
            }
            Poll::Ready(Err(trouble)) => {
                self.source.answering = None;
                Poll::Ready(Err(self.break_off(trouble.into())))
            }
            Poll::Pending => self.poll_silent(cx).map(Err),
        }
    }

    /// Ready when the backend has been silent for too long.
    fn poll_silent(&mut self, cx: &Context<'_>) -> Poll<Broken> {
        if !self.timer.is_set() {
            self.timer.set(Some(Instant::now() + self.idle));
        }
        self.timer.poll_passed(cx).map(|()| self.break_off(Failure::Timeout))
    }

    fn break_off(&mut self, why: Failure) -> Broken {
        self.source.endpoint.failed();
        self.record.fail(Class::Error);
        Broken(why)
    }
}
