use super::h2;
use crate::{timers::Timer, upstream::Trouble, worker::Worker};
use bytes::Bytes;
use hyper::body::{self, Body as _, Frame, SizeHint};
use std::{
    cell::Cell,
    pin::Pin,
    rc::Rc,
    task::{Context, Poll},
    time::{Duration, Instant},
};

/// The body of a request, as the client sends it.
pub(crate) struct Upload {
    incoming: Incoming,
    /// Pieces that were taken already, and come once more, the first one last.
    again: Vec<Bytes>,
    is_over: bool,
    /// Fields that `Connection` named: they are for this hop only, trailers too.
    named: Vec<String>,
    /// For the access log.
    received: Option<Rc<Cell<u64>>>,
    /// In HTTP/1.1 the connection has the deadline.
    stall: Option<Stall>,
}

/// What a client sends after the head of a request.
pub(crate) enum Incoming {
    Http1(body::Incoming),
    Http2(h2::Incoming),
}

/// How long a stream of HTTP/2 may bring nothing while its answer has not begun.
struct Stall {
    timer: Timer,
    limit: Duration,
    /// Bytes since the deadline was set.
    bytes: usize,
}

// === impl Upload ===

impl Upload {
    pub(crate) const fn new(incoming: Incoming, received: Option<Rc<Cell<u64>>>) -> Self {
        Self { incoming, again: Vec::new(), is_over: false, named: Vec::new(), received, stall: None }
    }

    /// Its trailers go on without those that `Connection` named.
    pub(crate) fn without(self, named: Vec<String>) -> Self {
        Self { named, ..self }
    }

    pub(crate) fn named(&self) -> &[String] {
        &self.named
    }

    /// A stream among others on its connection.
    pub(crate) fn of_stream(self, worker: &Worker) -> Self {
        let (timer, limit) = (worker.timers.timer(), worker.shared.settings.patience.stall);
        Self { stall: Some(Stall { timer, limit, bytes: 0 }), ..self }
    }

    /// The answer has begun: from now on the client may send whenever it likes.
    pub(crate) fn is_answered(&mut self) {
        self.stall = None;
    }

    /// How long it is as far as that is stated, for whoever has read nothing of it.
    pub(crate) fn size_hint(&self) -> SizeHint {
        if self.again.is_empty() { self.incoming.size_hint() } else { SizeHint::new() }
    }

    /// Whether nothing more will come.
    pub(crate) fn is_over(&self) -> bool {
        self.again.is_empty() && (self.is_over || self.incoming.is_end_stream())
    }

    /// Pieces that were taken, and are to come once more.
    pub(crate) fn put_back(&mut self, mut pieces: Vec<Bytes>) {
        pieces.reverse();
        self.again = pieces;
    }

    pub(crate) fn poll_frame(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Trouble>>> {
        if let Some(piece) = self.again.pop() {
            return Poll::Ready(Some(Ok(Frame::data(piece))));
        }
        if self.is_over {
            return Poll::Ready(None);
        }
        match self.incoming.poll_frame(cx) {
            Poll::Ready(Some(Ok(frame))) => {
                let bytes = frame.data_ref().map_or(0, Bytes::len);
                if let Some(received) = &self.received {
                    received.set(received.get() + bytes as u64);
                }
                if let Some(stall) = &mut self.stall {
                    stall.has_read(bytes);
                }
                Poll::Ready(Some(Ok(frame)))
            }
            Poll::Ready(Some(Err(trouble))) => Poll::Ready(Some(Err(trouble))),
            Poll::Ready(None) => {
                self.is_over = true;
                Poll::Ready(None)
            }
            Poll::Pending => match &self.stall {
                Some(stall) => stall.poll_passed(cx).map(|()| Some(Err(Trouble::Slow))),
                None => Poll::Pending,
            },
        }
    }
}

// === impl Incoming ===

impl Incoming {
    /// Whether nothing more will come.
    pub(crate) fn is_end_stream(&self) -> bool {
        match self {
            Self::Http1(incoming) => incoming.is_end_stream(),
            Self::Http2(incoming) => incoming.is_end_stream(),
        }
    }

    fn size_hint(&self) -> SizeHint {
        match self {
            Self::Http1(incoming) => incoming.size_hint(),
            Self::Http2(incoming) => incoming.size_hint(),
        }
    }

    fn poll_frame(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Trouble>>> {
        match self {
            Self::Http1(incoming) => {
                let frame = Pin::new(incoming).poll_frame(cx);
                frame.map(|frame| frame.map(|frame| frame.map_err(|_| Trouble::Request)))
            }
            Self::Http2(incoming) => incoming.poll_frame(cx),
        }
    }
}

// === impl Stall ===

impl Stall {
    fn has_read(&mut self, bytes: usize) {
        self.bytes += bytes;
        if self.bytes >= super::client::PROGRESS_MIN {
            self.bytes = 0;
            self.timer.set(None);
        }
    }

    fn poll_passed(&self, cx: &Context<'_>) -> Poll<()> {
        if !self.timer.is_set() {
            self.timer.set(Some(Instant::now() + self.limit));
        }
        self.timer.poll_passed(cx)
    }
}
