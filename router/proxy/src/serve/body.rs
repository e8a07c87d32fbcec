use super::{record::Record, upstream::Upstream};
use crate::{metrics::Class, routes::Endpoint, worker::Worker};
use bytes::Bytes;
use hyper::body::{Body as _, Frame, Incoming, SizeHint};
use std::{
    pin::Pin,
    rc::Rc,
    sync::Arc,
    task::{Context, Poll},
};

/// What is sent to a backend.
pub(super) enum RequestBody {
    Empty,
    Stream(Incoming),
}

/// What is sent to a client.
pub(crate) enum Body {
    /// An answer of the router itself, or one that was held back until it was complete.
    Full(Option<Bytes>),
    /// An answer that is passed on as it comes.
    Stream(Box<Passing>),
}

/// An answer on its way through.
pub(crate) struct Passing {
    /// What was read before it was decided to pass it on.
    pub(super) held: Option<Bytes>,
    pub(super) source: Source,
    pub(super) record: Record,
}

/// The body of an answer together with the connection that it comes from.
pub(super) struct Source {
    pub(super) incoming: Incoming,
    pub(super) upstream: Option<Box<Upstream>>,
    pub(super) endpoint: Arc<Endpoint>,
    pub(super) worker: Rc<Worker>,
}

/// The backend broke its answer off.
#[derive(Debug, thiserror::Error)]
#[error("the backend broke its answer off")]
pub(crate) struct Broken;

// === impl RequestBody ===

impl hyper::body::Body for RequestBody {
    type Data = Bytes;
    type Error = hyper::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, hyper::Error>>> {
        match &mut *self {
            Self::Empty => Poll::Ready(None),
            Self::Stream(incoming) => Pin::new(incoming).poll_frame(cx),
        }
    }

    fn is_end_stream(&self) -> bool {
        match self {
            Self::Empty => true,
            Self::Stream(incoming) => incoming.is_end_stream(),
        }
    }

    fn size_hint(&self) -> SizeHint {
        match self {
            Self::Empty => SizeHint::with_exact(0),
            Self::Stream(incoming) => incoming.size_hint(),
        }
    }
}

// === impl Source ===

impl Source {
    /// The next piece. At the end the connection goes back to the pool.
    pub(super) fn poll_frame(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Broken>>> {
        loop {
            let Some(upstream) = &mut self.upstream else { return Poll::Ready(None) };
            // Asking first makes the connection deliver; asking again takes what it delivered.
            let polled = match Pin::new(&mut self.incoming).poll_frame(cx) {
                Poll::Pending => {
                    upstream.drive(cx);
                    Pin::new(&mut self.incoming).poll_frame(cx)
                }
                ready => ready,
            };
            match polled {
                Poll::Pending => return Poll::Pending,
                Poll::Ready(None) => self.finish(cx),
                Poll::Ready(Some(Ok(frame))) => return Poll::Ready(Some(Ok(frame))),
                Poll::Ready(Some(Err(_))) => {
                    self.upstream = None;
                    return Poll::Ready(Some(Err(Broken)));
                }
            }
        }
    }

    fn finish(&mut self, cx: &mut Context<'_>) {
        if let Some(mut upstream) = self.upstream.take() {
            upstream.drive(cx);
            if upstream.is_reusable() {
                self.worker.pool.borrow_mut().put(&self.endpoint, upstream);
            }
        }
    }
}

// === impl Body ===

impl Body {
    pub(super) const fn text(text: &'static str) -> Self {
        Self::Full(Some(Bytes::from_static(text.as_bytes())))
    }
}

impl hyper::body::Body for Body {
    type Data = Bytes;
    type Error = Broken;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Broken>>> {
        match &mut *self {
            Self::Full(bytes) => Poll::Ready(bytes.take().map(|bytes| Ok(Frame::data(bytes)))),
            Self::Stream(passing) => passing.poll_frame(cx),
        }
    }

    fn is_end_stream(&self) -> bool {
        match self {
            Self::Full(bytes) => bytes.is_none(),
            Self::Stream(_) => false,
        }
    }

    fn size_hint(&self) -> SizeHint {
        let held = |bytes: &Option<Bytes>| bytes.as_ref().map_or(0, |bytes| bytes.len() as u64);
        match self {
            Self::Full(bytes) => SizeHint::with_exact(held(bytes)),
            Self::Stream(passing) => {
                let mut hint = passing.source.incoming.size_hint();
                let held = held(&passing.held);
                if let Some(upper) = hint.upper() {
                    hint.set_upper(upper + held);
                }
                hint.set_lower(hint.lower() + held);
                hint
            }
        }
    }
}

// === impl Passing ===

impl Passing {
    pub(super) fn poll_frame(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Broken>>> {
        if let Some(bytes) = self.held.take() {
            return Poll::Ready(Some(Ok(Frame::data(bytes))));
        }
        let polled = self.source.poll_frame(cx);
        match &polled {
            Poll::Ready(None) => self.record.complete(),
            Poll::Ready(Some(Err(Broken))) => {
                self.source.endpoint.failed();
                self.record.fail(Class::Error);
            }
            _ => {}
        }
        polled
    }
}
