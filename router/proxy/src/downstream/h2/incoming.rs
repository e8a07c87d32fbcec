use super::frame::Reason;
use crate::upstream::Trouble;
use bytes::{Bytes, BytesMut};
use hyper::{
    HeaderMap,
    body::{Frame, SizeHint},
};
use std::{
    cell::RefCell,
    collections::VecDeque,
    rc::Rc,
    task::{Context, Poll, Waker},
};

/// The body of a request on a stream, for whoever sends it on.
pub(crate) struct Incoming(Rc<RefCell<State>>);

/// The same, for the connection that it comes by.
pub(super) struct Inlet(Rc<RefCell<State>>);

struct State {
    /// What has come and was not taken, in pieces of a buffer each: neither does a small frame hold a large buffer, nor a
    /// piece that a backend does not take the rest of the body.
    data: VecDeque<BytesMut>,
    /// How many bytes that is.
    length: usize,
    trailers: Option<HeaderMap>,
    /// How many bytes are still to come, where that is stated.
    left: Option<u64>,
    is_over: bool,
    is_broken: bool,
    asks: Asks,
    /// Nobody takes it any more.
    is_unwanted: bool,
    /// Bytes that were taken, and for which the client may send others.
    taken: usize,
    reader: Option<Waker>,
    /// Wakes the stream, so that it opens the window.
    stream: Waker,
}

/// Whether the client is asked for the body before it sends it (RFC 9110 §10.1.1).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Asks {
    Never,
    /// It waits for that.
    WhenRead,
    /// The body is wanted; the client does not know yet.
    Now,
}

/// What a backend takes at once: as much as a frame carries at most.
const PIECE_MAX: usize = 16 * 1024;

/// Both ends of a body whose length is `left`, where it is stated.
pub(super) fn channel((left, asks): (Option<u64>, Asks), stream: Waker) -> (Inlet, Incoming) {
    let state = Rc::new(RefCell::new(State {
        data: VecDeque::new(),
        length: 0,
        trailers: None,
        left,
        is_over: false,
        is_broken: false,
        asks,
        is_unwanted: false,
        taken: 0,
        reader: None,
        stream,
    }));
    (Inlet(Rc::clone(&state)), Incoming(state))
}

// === impl Incoming ===

impl Incoming {
    pub(crate) fn poll_frame(&self, cx: &Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Trouble>>> {
        let mut state = self.0.borrow_mut();
        if let Some(data) = state.data.pop_front() {
            let data = data.freeze();
            state.length -= data.len();
            state.taken += data.len();
            state.stream.wake_by_ref();
            return Poll::Ready(Some(Ok(Frame::data(data))));
        }
        if let Some(trailers) = state.trailers.take() {
            return Poll::Ready(Some(Ok(Frame::trailers(trailers))));
        }
        if state.is_over {
            return Poll::Ready(None);
        }
        if state.is_broken {
            return Poll::Ready(Some(Err(Trouble::Request)));
        }
        if state.asks == Asks::WhenRead {
            state.asks = Asks::Now;
            state.stream.wake_by_ref();
        }
        if !state.reader.as_ref().is_some_and(|waker| waker.will_wake(cx.waker())) {
            state.reader = Some(cx.waker().clone());
        }
        Poll::Pending
    }

    pub(crate) fn is_end_stream(&self) -> bool {
        let state = self.0.borrow();
        state.is_over && state.data.is_empty() && state.trailers.is_none()
    }

    pub(crate) fn size_hint(&self) -> SizeHint {
        let state = self.0.borrow();
        let stated = state.left.map(|left| SizeHint::with_exact(state.length as u64 + left));
        stated.unwrap_or_default()
    }
}

impl Drop for Incoming {
    fn drop(&mut self) {
        let mut state = self.0.borrow_mut();
        state.is_unwanted = true;
        state.drop_data();
        state.stream.wake_by_ref();
    }
}

// === impl Inlet ===

impl Inlet {
    /// A part of it has come; an error where it is longer than it was said to be.
    pub(super) fn put(&self, bytes: &[u8]) -> Result<(), Reason> {
        let mut state = self.0.borrow_mut();
        if let Some(left) = state.left {
            let Some(left) = left.checked_sub(bytes.len() as u64) else {
                state.taken += bytes.len();
                return Err(Reason::ProtocolError);
            };
            state.left = Some(left);
        }
        if state.is_unwanted {
            state.taken += bytes.len();
            return Ok(());
        }
        state.add(bytes);
        state.wake();
        Ok(())
    }

    /// Nothing more comes; an error where it is shorter than it was said to be.
    pub(super) fn end(&self, trailers: Option<HeaderMap>) -> Result<(), Reason> {
        let mut state = self.0.borrow_mut();
        if state.left.is_some_and(|left| left > 0) {
            return Err(Reason::ProtocolError);
        }
        state.trailers = trailers;
        state.is_over = true;
        state.wake();
        Ok(())
    }

    pub(super) fn is_over(&self) -> bool {
        self.0.borrow().is_over
    }

    /// So many bytes came that are no part of the body.
    pub(super) fn skip(&self, padding: usize) {
        self.0.borrow_mut().taken += padding;
    }

    /// Whether the client is to be asked for the body now; it is so only once.
    pub(super) fn take_asks(&self) -> bool {
        let mut state = self.0.borrow_mut();
        let is_now = state.asks == Asks::Now && state.data.is_empty() && !state.is_over;
        if state.asks == Asks::Now {
            state.asks = Asks::Never;
        }
        is_now
    }

    /// How many bytes were taken since this was asked last.
    pub(super) fn take_taken(&self) -> usize {
        std::mem::take(&mut self.0.borrow_mut().taken)
    }

    /// Nothing more will come; how many bytes the client may send anew, to other streams.
    pub(super) fn close(&self) -> usize {
        let mut state = self.0.borrow_mut();
        state.is_broken = !state.is_over;
        if state.is_broken {
            // What is not whole is not sent on.
            state.drop_data();
        }
        state.wake();
        // What is whole and not taken yet does not count any more.
        std::mem::take(&mut state.taken) + state.length
    }
}

// === impl State ===

impl State {
    fn add(&mut self, bytes: &[u8]) {
        self.length += bytes.len();
        match self.data.back_mut() {
            Some(piece) if piece.len() + bytes.len() <= PIECE_MAX => piece.extend_from_slice(bytes),
            _ if bytes.is_empty() => {}
            _ => self.data.push_back(BytesMut::from(bytes)),
        }
    }

    fn drop_data(&mut self) {
        self.data = VecDeque::new();
        self.taken += std::mem::take(&mut self.length);
    }

    fn wake(&mut self) {
        if let Some(waker) = self.reader.take() {
            waker.wake();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn next(incoming: &Incoming) -> Poll<Option<Result<Frame<Bytes>, Trouble>>> {
        incoming.poll_frame(&Context::from_waker(Waker::noop()))
    }

    #[test]
    fn a_body_comes_through_and_frees_the_window_as_it_is_taken() {
        let (inlet, incoming) = channel((Some(5), Asks::Never), Waker::noop().clone());
        assert!(next(&incoming).is_pending());
        inlet.put(b"he").unwrap();
        inlet.put(b"llo").unwrap();
        assert_eq!(inlet.take_taken(), 0);
        assert!(
            matches!(next(&incoming), Poll::Ready(Some(Ok(frame))) if frame.data_ref().unwrap() == "hello")
        );
        assert_eq!(inlet.take_taken(), 5);
        inlet.end(None).unwrap();
        assert!(matches!(next(&incoming), Poll::Ready(None)) && incoming.is_end_stream());
    }

    #[test]
    fn a_body_of_another_length_than_stated_never_ends() {
        let (inlet, incoming) = channel((Some(5), Asks::Never), Waker::noop().clone());
        inlet.put(b"hell").unwrap();
        assert_eq!(inlet.end(None), Err(Reason::ProtocolError));
        assert_eq!(inlet.put(b"oo"), Err(Reason::ProtocolError));
        assert_eq!(inlet.close(), 6, "the window is free for others");
        assert!(matches!(next(&incoming), Poll::Ready(Some(Err(Trouble::Request)))));
    }

    #[test]
    fn a_client_that_waits_is_asked_once_and_only_when_the_body_is_wanted() {
        let (inlet, incoming) = channel((None, Asks::WhenRead), Waker::noop().clone());
        assert!(!inlet.take_asks());
        assert!(next(&incoming).is_pending() && inlet.take_asks());
        assert!(next(&incoming).is_pending() && !inlet.take_asks());
        let (inlet, incoming) = channel((None, Asks::WhenRead), Waker::noop().clone());
        inlet.put(b"hello").unwrap();
        assert!(next(&incoming).is_ready() && !inlet.take_asks(), "it did not wait");
    }

    #[test]
    fn what_nobody_wants_frees_the_window_at_once() {
        let (inlet, incoming) = channel((None, Asks::Never), Waker::noop().clone());
        inlet.put(b"he").unwrap();
        drop(incoming);
        inlet.put(b"llo").unwrap();
        assert_eq!(inlet.take_taken(), 5);
    }
}
