use crate::upstream::{RequestBody, Trouble};
use bytes::Bytes;
use hyper::body::{Body, Frame, SizeHint};
use std::{
    cell::RefCell,
    pin::Pin,
    rc::Rc,
    task::{Context, Poll},
};

/// The body of a request that hyper sends; a second handle can tell what became of it.
#[derive(Clone)]
pub(crate) struct Sent(Rc<RefCell<State>>);

struct State {
    body: RequestBody,
    /// What was handed on, as long as it can be kept: an endpoint may say that it did not look at it.
    kept: Option<Vec<Bytes>>,
    kept_bytes: usize,
    failed: Option<Trouble>,
}

/// What is kept of a body to send it once more. The pieces are shared with what is being sent, not copied.
const KEPT_BYTES_MAX: usize = 64 * 1024;

// === impl Sent ===

impl Sent {
    pub(crate) fn new(body: RequestBody) -> Self {
        Self(Rc::new(RefCell::new(State { body, kept: Some(Vec::new()), kept_bytes: 0, failed: None })))
    }

    /// Gives the whole body back, where all of it is still at hand.
    pub(crate) fn take_back(&self) -> Option<RequestBody> {
        let mut state = self.0.borrow_mut();
        let kept = state.kept.take()?;
        let mut body = std::mem::replace(&mut state.body, RequestBody::Ended);
        body.put_back(kept);
        Some(body)
    }

    /// The answer has begun.
    pub(crate) fn is_answered(&self) {
        self.0.borrow_mut().body.is_answered();
    }

    /// What went wrong with the body, which is not the endpoint's fault.
    pub(super) fn failed(&self) -> Option<Trouble> {
        self.0.borrow().failed
    }
}

// === impl State ===

impl State {
    fn keep(&mut self, frame: &Frame<Bytes>) {
        self.kept_bytes += frame.data_ref().map_or(KEPT_BYTES_MAX, Bytes::len);
        if self.kept_bytes >= KEPT_BYTES_MAX {
            self.kept = None;
        }
        if let (Some(kept), Some(data)) = (&mut self.kept, frame.data_ref()) {
            kept.push(data.clone());
        }
    }
}

impl Body for Sent {
    type Data = Bytes;
    type Error = Trouble;

    fn poll_frame(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Trouble>>> {
        let mut state = self.0.borrow_mut();
        let polled = state.body.poll_frame(cx);
        match &polled {
            Poll::Pending | Poll::Ready(None) => {}
            Poll::Ready(Some(Err(trouble))) => state.failed = Some(*trouble),
            Poll::Ready(Some(Ok(frame))) => state.keep(frame),
        }
        polled
    }

    fn is_end_stream(&self) -> bool {
        self.0.borrow().body.is_over()
    }

    fn size_hint(&self) -> SizeHint {
        self.0.borrow().body.size_hint()
    }
}
