use super::{
    budget::Budget,
    frame::{self, Fault, GOAWAY, HEAD_BYTES, PING, RST_STREAM, Reason, SETTINGS, WINDOW_UPDATE},
    heartbeat::{Beat, Heartbeat},
    hpack::Decoder,
    output::Output,
    receive::Block,
    streams::Streams,
    window::Window,
};
use crate::{
    downstream::{
        client::{Client, PROGRESS_MIN},
        connection::{Ended, GOODBYE_TIME_MAX, PREFACE},
        gate::Stage,
        linger::drain,
        transport::Transport,
    },
    fill::poll_little,
    lifecycle::Phase,
};
use bytes::{Buf, BytesMut};
use std::{
    io,
    pin::Pin,
    rc::Rc,
    task::{Context, Poll},
};
use tokio::{io::AsyncWriteExt, time};

/// A connection of a client, and all that is under way on it.
pub(super) struct Connection<S> {
    pub(super) client: Rc<Client>,
    stream: S,
    /// What was read and not used.
    input: BytesMut,
    /// Bytes of a body since its deadline was set, and bytes written since theirs.
    read: usize,
    written: usize,
    pub(super) output: Output,
    pub(super) streams: Streams,
    pub(super) decoder: Decoder,
    pub(super) budget: Budget,
    /// What the client may send of all bodies together.
    pub(super) window: Window,
    pub(super) peer: Peer,
    /// A header block that goes on.
    pub(super) block: Option<Block>,
    /// How far the connection's beginning is.
    pub(super) opening: Opening,
    pub(super) going: Going,
    heartbeat: Heartbeat,
}

/// What the client said about itself.
pub(super) struct Peer {
    /// What it takes of each answer before it says more.
    pub(super) stream_window: i64,
    /// What it takes of all answers now.
    pub(super) window: i64,
    pub(super) frame_max: usize,
}

#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Opening {
    /// The words that every connection begins with are missing.
    Preface,
    /// The first frame must be settings.
    Settings,
    Done,
}

#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Going {
    Stays,
    /// The client is told to go; requests that it has sent meanwhile are still served.
    Told,
    /// No more requests are served than have come.
    Last,
    Failed(Reason),
}

/// Read at once where a body comes.
const READ_BODY: usize = 32 * 1024;

/// What our own pings say: whether the client is there, and whether it has read that it is to go.
const PING_ALIVE: [u8; 8] = *b"huidu/?\0";
pub(super) const PING_GOING: [u8; 8] = *b"huidu/.\0";

// === impl Connection ===

impl<S: Transport> Connection<S> {
    pub(super) fn new(client: Rc<Client>, stream: S, input: BytesMut) -> Self {
        let mut output = Output::default();
        output.put(SETTINGS, 0, 0, &super::settings());
        let more = super::CONNECTION_WINDOW - super::WINDOW_DEFAULT;
        output.put(WINDOW_UPDATE, 0, 0, &more.to_be_bytes());
        let heartbeat = Heartbeat::new(client.worker.timers.timer());
        Self {
            client,
            stream,
            input,
            read: 0,
            written: 0,
            output,
            streams: Streams::default(),
            decoder: Decoder::new(super::HEADER_TABLE_BYTES),
            budget: Budget::new(),
            window: Window::new(super::CONNECTION_WINDOW),
            peer: Peer {
                stream_window: super::WINDOW_DEFAULT.into(),
                window: super::WINDOW_DEFAULT.into(),
                frame_max: super::FRAME_BYTES_MAX as usize,
            },
            block: None,
            opening: Opening::Preface,
            going: Going::Stays,
            heartbeat,
        }
    }

    /// Ready when the connection has ended.
    pub(super) fn poll(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Ended>> {
        self.streams.ready.register(cx.waker());
        // Requests in flight go on, and the client opens another connection for the next one.
        if (self.client.worker.phase.get() >= Phase::Draining || self.client.is_last()) && self.client.leave()
        {
            self.tell_to_go();
        }
        if !self.input.is_empty() && self.opening == Opening::Preface {
            self.follow(0);
        }
        loop {
            if let Poll::Ready(ended) = self.poll_exchange(cx) {
                return Poll::Ready(ended.map_err(Ended::Broken));
            }
            if let Poll::Ready(beat) = self.heartbeat.poll_beat(self.streams.is_empty(), cx) {
                if beat == Beat::Gone {
                    return Poll::Ready(Err(Ended::Slow));
                }
                self.beat(beat);
                continue;
            }
            match self.client.poll_expired(cx) {
                Poll::Pending => return Poll::Pending,
                Poll::Ready(()) if self.client.is_idle() && self.client.leave() => self.tell_to_go(),
                Poll::Ready(()) => return Poll::Ready(Err(Ended::Slow)),
            }
        }
    }

    /// The last bytes are out: takes in what the client is still sending, so that it can read them.
    pub(super) async fn part(mut self) {
        let shut = time::timeout(GOODBYE_TIME_MAX, self.stream.shutdown()).await;
        // Whoever is gone already needs no farewell, and who makes work only is worth none.
        let is_worth = !matches!(self.going, Going::Stays | Going::Failed(Reason::EnhanceYourCalm));
        if is_worth && shut.is_ok_and(|shut| shut.is_ok()) {
            drain(&mut self.stream).await;
        }
    }

    /// Why the connection was ended from this side.
    pub(super) const fn failure(&self) -> Option<Reason> {
        if let Going::Failed(reason) = self.going { Some(reason) } else { None }
    }

    /// Reads, answers and writes as long as there is something to do; ready at the end.
    fn poll_exchange(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        loop {
            let is_paused = self.advance();
            let is_blocked = self.poll_flush(cx)?.is_pending();
            let has_ended = match self.going {
                Going::Failed(_) => true,
                Going::Last => self.streams.is_empty(),
                Going::Stays | Going::Told => false,
            };
            if has_ended {
                return if is_blocked { Poll::Pending } else { Poll::Ready(Ok(())) };
            }
            if is_blocked && self.output.len() >= super::stream::OUTPUT_MAX {
                return Poll::Pending;
            }
            match self.poll_read(cx)? {
                Poll::Ready(0) => return Poll::Ready(Ok(())),
                Poll::Ready(count) => self.follow(count),
                Poll::Pending if is_paused && !is_blocked => {}
                Poll::Pending => return Poll::Pending,
            }
        }
    }

    fn poll_read(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<usize>> {
        let is_body = self.within() == Some(Stage::Body);
        let polled = if is_body {
            self.input.reserve(READ_BODY);
            self.stream.poll_fill(&mut self.input, cx)
        } else {
            poll_little(&mut self.stream, &mut self.input, cx)
        };
        if polled.is_pending() {
            if self.input.is_empty() && self.streams.is_empty() {
                // An idle connection keeps no buffer.
                self.input = BytesMut::new();
            }
            match self.within() {
                None => self.client.waits_for(Stage::Head, true),
                Some(stage) => self.client.waits_for(stage, false),
            }
        }
        polled
    }

    /// What is waited for; nothing but another frame if `None`.
    fn within(&self) -> Option<Stage> {
        match self.input.get(3) {
            _ if self.block.is_some() => Some(Stage::Frame),
            Some(&frame::DATA) if self.input.len() >= HEAD_BYTES && self.opening == Opening::Done => {
                Some(Stage::Body)
            }
            _ if self.input.is_empty() => None,
            _ => Some(Stage::Frame),
        }
    }

    /// Looks at what was read, of which `count` bytes are new, and keeps the deadlines of reading.
    fn follow(&mut self, count: usize) {
        self.heartbeat.hears();
        let mut input = std::mem::take(&mut self.input);
        let (mut is_useful, mut has_ended) = (false, false);
        if self.opening == Opening::Preface && input.len() >= PREFACE.len() {
            self.opening = Opening::Settings;
            has_ended = true;
            if !input.starts_with(PREFACE) {
                return self.fail(Reason::ProtocolError);
            }
            input.advance(PREFACE.len());
        }
        while self.opening != Opening::Preface
            && let Some(head) = frame::Head::parse(&input)
        {
            let end = HEAD_BYTES + head.length;
            if head.length > super::FRAME_BYTES_MAX as usize {
                return self.fail(Reason::FrameSizeError);
            }
            let Some(payload) = input.get(HEAD_BYTES..end) else { break };
            match self.receive(head, payload) {
                Ok(()) => {}
                Err(Fault::Stream(stream, reason)) => self.reset(stream, reason),
                Err(Fault::Connection(reason)) => self.fail(reason),
            }
            if self.failure().is_some() {
                return;
            }
            // A header block counts when it is whole, however many frames it comes in.
            let is_whole = self.block.is_none();
            has_ended |= is_whole;
            // What belongs to no request that is under way leaves an idle connection idle.
            is_useful |= is_whole
                && !self.streams.is_empty()
                && matches!(head.kind, frame::DATA | frame::HEADERS | frame::CONTINUATION);
            input.advance(end);
        }
        self.input = input;
        self.read += count;
        if is_useful || self.read >= PROGRESS_MIN && self.within() == Some(Stage::Body) {
            self.read = 0;
            self.client.has_read();
        } else if has_ended {
            self.client.has_read_frame();
        }
    }

    /// Writes all that is there, as far as the client takes it.
    fn poll_flush(&mut self, cx: &mut Context<'_>) -> io::Result<Poll<()>> {
        loop {
            match self.output.poll_write(&mut self.stream, cx) {
                Poll::Ready(Ok(0)) => break,
                Poll::Ready(Ok(count)) => {
                    self.budget.sent(count);
                    self.written += count;
                    if self.written >= PROGRESS_MIN {
                        self.written = 0;
                        self.client.has_written();
                    }
                }
                Poll::Ready(Err(error)) => return Err(error),
                Poll::Pending => {
                    self.client.waits_to_write();
                    return Ok(Poll::Pending);
                }
            }
        }
        // TLS takes more than the client does, and tells only here.
        let flushed = Pin::new(&mut self.stream).poll_flush(cx);
        if flushed.is_pending() {
            self.client.waits_to_write();
            return Ok(Poll::Pending);
        }
        self.written = 0;
        self.client.has_written();
        match flushed {
            Poll::Ready(Err(error)) => Err(error),
            _ => Ok(Poll::Ready(())),
        }
    }

    fn beat(&mut self, beat: Beat) {
        if beat == Beat::Asks {
            self.output.put(PING, 0, 0, &PING_ALIVE);
        }
        if self.streams.is_empty() {
            self.output.lighten();
            self.streams.ready.lighten();
        }
    }
}

// === impl Connection: how it ends ===

impl<S> Connection<S> {
    /// The client opens another connection for what comes next. What it has sent already is found by the ping, whose
    /// answer comes after it (RFC 9113 §6.8).
    fn tell_to_go(&mut self) {
        if self.going == Going::Stays {
            self.going = Going::Told;
            self.put_goaway(i32::MAX.unsigned_abs(), Reason::NoError);
            self.output.put(PING, 0, 0, &PING_GOING);
        }
    }

    /// The client has read that it is to go.
    pub(super) fn is_told(&mut self) {
        if self.going == Going::Told {
            self.going = Going::Last;
            self.put_goaway(self.streams.last, Reason::NoError);
        }
    }

    /// Ends everything.
    pub(super) fn fail(&mut self, reason: Reason) {
        self.going = Going::Failed(reason);
        self.put_goaway(self.streams.last, reason);
        self.streams.clear();
    }

    fn put_goaway(&mut self, last: u32, reason: Reason) {
        let payload = [last.to_be_bytes(), (reason as u32).to_be_bytes()];
        self.output.put(GOAWAY, 0, 0, payload.as_flattened());
    }

    pub(super) fn put_reset(&mut self, stream: u32, reason: Reason) {
        self.output.put(RST_STREAM, 0, stream, &(reason as u32).to_be_bytes());
    }
}
