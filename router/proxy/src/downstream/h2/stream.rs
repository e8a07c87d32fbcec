use super::{hpack, incoming::Inlet, output::Output, window::Window};
use crate::{
    downstream::{Client, h2::frame::Reason},
    exchange::{Body, is_hop_by_hop},
    message::{Fields, Response},
    timers::Timer,
};
use bytes::Bytes;
use hyper::{
    HeaderMap, Method, StatusCode,
    body::{Body as _, Frame},
};
use std::{
    pin::Pin,
    task::{Context, Poll},
    time::Instant,
};

/// One request and its answer.
pub(super) struct Stream {
    pub(super) id: u32,
    state: State,
    /// Nobody has looked at it.
    pub(super) is_new: bool,
    is_head: bool,
    /// What was taken from the body of the answer and not sent.
    piece: Bytes,
    /// Nothing follows the piece.
    is_last: bool,
    /// How much of the answer the client takes.
    pub(super) window: i64,
    /// The body of the request, where it has one.
    pub(super) inlet: Option<Inlet>,
    /// How much of it the client may send.
    pub(super) room: Window,
    /// How long the client may leave a piece lying. A client that opens no window for a stream reads its socket all
    /// the same, so the deadline for writing says nothing about it.
    timer: Option<Timer>,
}

pub(super) type Answering = Pin<Box<dyn Future<Output = Response<Body>>>>;

enum State {
    Answering(Answering),
    Sending(Body),
}

/// What an answer goes out by.
pub(super) struct Way<'a> {
    pub(super) client: &'a Client,
    pub(super) output: &'a mut Output,
    /// How much the client takes of all answers together.
    pub(super) window: &'a mut i64,
    pub(super) frame_max: usize,
}

/// What becomes of a stream.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Turn {
    /// It waits for its backend, its client or its window.
    Waits,
    /// It is another one's turn.
    Pauses,
    /// The answer is out.
    Ends,
    Fails(Reason),
}

/// What a client may leave lying before no more answers are taken from backends, and no more requests are read.
pub(super) const OUTPUT_MAX: usize = 128 * 1024;

/// What a stream sends while others wait for their turn.
const TURN_BYTES: usize = 64 * 1024;

// === impl Stream ===

impl Stream {
    pub(super) fn new(
        id: u32,
        method: &Method,
        answering: Answering,
        (window, room): (i64, Window),
        inlet: Option<Inlet>,
    ) -> Self {
        Self {
            id,
            state: State::Answering(answering),
            is_new: true,
            is_head: method == Method::HEAD,
            piece: Bytes::new(),
            is_last: false,
            window,
            inlet,
            room,
            timer: None,
        }
    }

    /// Something is there to be sent.
    pub(super) fn has_piece(&self) -> bool {
        !self.piece.is_empty()
    }

    /// The head of the answer is out.
    pub(super) const fn has_begun(&self) -> bool {
        matches!(self.state, State::Sending(_))
    }

    /// Does whatever can be done now.
    pub(super) fn advance(&mut self, way: &mut Way<'_>, cx: &mut Context<'_>) -> Turn {
        if self.timer.as_ref().is_some_and(|timer| timer.poll_passed(cx).is_ready()) {
            return Turn::Fails(Reason::Cancel);
        }
        if way.output.len() >= OUTPUT_MAX {
            return Turn::Pauses;
        }
        self.is_new = false;
        if let State::Answering(answering) = &mut self.state {
            let Poll::Ready(response) = answering.as_mut().poll(cx) else { return Turn::Waits };
            if self.begin(response, way) {
                return Turn::Ends;
            }
        }
        let mut left = TURN_BYTES;
        while left > 0 {
            if !self.send_piece(way, &mut left) {
                self.waits_to_send(way.client, cx);
                return if left == 0 { Turn::Pauses } else { Turn::Waits };
            }
            if self.is_last {
                return Turn::Ends;
            }
            match self.poll_piece(way, cx) {
                Poll::Ready(None) => {}
                Poll::Ready(Some(turn)) => return turn,
                Poll::Pending => return Turn::Waits,
            }
        }
        self.waits_to_send(way.client, cx);
        Turn::Pauses
    }

    /// Sends the head of the answer; true when that is all.
    fn begin(&mut self, response: Response<Body>, way: &mut Way<'_>) -> bool {
        let Response { status, fields, body } = response;
        let has_none = matches!(status, StatusCode::NO_CONTENT | StatusCode::NOT_MODIFIED);
        let is_empty = body.is_end_stream();
        let is_all = is_empty || has_none || self.is_head;
        let length = body.size_hint().exact().filter(|_| !is_empty && !has_none);
        let date = way.client.worker.date.get();
        let put = |out: &mut Vec<u8>| put_head(out, (status, &fields), length, &date);
        way.output.put_block((self.id, is_all), way.frame_max, put);
        self.state = State::Sending(body);
        is_all
    }

    /// Sends of the piece what windows and `left` allow; true when nothing is left of it.
    fn send_piece(&mut self, way: &mut Way<'_>, left: &mut usize) -> bool {
        while !self.piece.is_empty() {
            let window = usize::try_from(self.window.min(*way.window)).unwrap_or_default();
            let length = self.piece.len().min(window).min(way.frame_max).min(*left);
            if length == 0 {
                return false;
            }
            let data = self.piece.split_to(length);
            let sent = i64::try_from(length).unwrap_or(i64::MAX);
            self.window -= sent;
            *way.window -= sent;
            *left -= length;
            way.output.put_data(self.id, self.is_last && self.piece.is_empty(), data);
        }
        if let Some(timer) = &self.timer {
            timer.set(None);
        }
        true
    }

    /// Takes the next piece of the body, or what comes in its place.
    fn poll_piece(&mut self, way: &mut Way<'_>, cx: &mut Context<'_>) -> Poll<Option<Turn>> {
        let State::Sending(body) = &mut self.state else { return Poll::Pending };
        let frame = std::task::ready!(Pin::new(&mut *body).poll_frame(cx));
        Poll::Ready(match frame.map(|frame| frame.map(Frame::into_data)) {
            Some(Ok(Ok(data))) => {
                self.is_last = body.is_end_stream();
                if data.is_empty() && self.is_last {
                    way.output.put_data(self.id, true, Bytes::new());
                }
                self.piece = data;
                None
            }
            Some(Ok(Err(frame))) => {
                let trailers = frame.into_trailers().unwrap_or_default();
                let put = |out: &mut Vec<u8>| put_trailers(out, &trailers);
                way.output.put_block((self.id, true), way.frame_max, put);
                Some(Turn::Ends)
            }
            Some(Err(_)) => Some(Turn::Fails(Reason::InternalError)),
            None => {
                way.output.put_data(self.id, true, Bytes::new());
                Some(Turn::Ends)
            }
        })
    }

    fn waits_to_send(&mut self, client: &Client, cx: &Context<'_>) {
        if self.piece.is_empty() {
            return;
        }
        let timer = self.timer.get_or_insert_with(|| client.worker.timers.timer());
        if !timer.is_set() {
            timer.set(Some(Instant::now() + client.worker.shared.settings.patience.stall));
        }
        // It was set in the future: only the task is noted here.
        let _ = timer.poll_passed(cx);
    }
}

/// The head of an answer without what concerns a connection, and with a date.
fn put_head(out: &mut Vec<u8>, (status, fields): (StatusCode, &Fields), length: Option<u64>, date: &[u8]) {
    let (mut has_date, mut has_length) = (false, false);
    hpack::put_status(out, status);
    for (name, value) in fields.iter() {
        has_date |= name == b"date";
        has_length |= name == b"content-length";
        if !is_hop_by_hop(name) && name != b"te" {
            hpack::put(out, name, value);
        }
    }
    if let Some(length) = length.filter(|_| !has_length) {
        hpack::put(out, b"content-length", itoa::Buffer::new().format(length).as_bytes());
    }
    if !has_date {
        hpack::put(out, b"date", date);
    }
}

fn put_trailers(out: &mut Vec<u8>, trailers: &HeaderMap) {
    for (name, value) in trailers {
        hpack::put(out, name.as_str().as_bytes(), value.as_bytes());
    }
}
