use crate::{
    downstream::client::{Client, PROGRESS_MIN},
    exchange::Body,
    message::{Fields, Response},
};
use bytes::{Buf, Bytes};
use hyper::{
    StatusCode,
    body::{Body as _, Frame},
};
use std::{
    io::{self, IoSlice, Write},
    pin::Pin,
    task::{Context, Poll, ready},
};
use tokio::{io::AsyncWrite, net::TcpStream};

/// What is to be written next.
#[derive(Default)]
pub(super) struct Output {
    /// Head, framing, and bodies that are small enough to be copied.
    head: Vec<u8>,
    /// How much of it was written.
    written: usize,
    /// Follows the head.
    chunk: Bytes,
    /// Follows the chunk.
    tail: &'static [u8],
    /// Bytes since the client's deadline was set.
    progress: usize,
}

/// An answer on its way.
pub(super) struct Sending {
    body: Body,
    framing: Framing,
    state: State,
    closes: bool,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Framing {
    None,
    /// So many bytes are still to come.
    Length(u64),
    Chunked,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum State {
    More,
    End,
    Broken,
}

/// How far an answer is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Sent {
    /// All that is there; more will follow.
    Some,
    All,
    /// All that there will be, and the connection ends.
    Last,
}

/// Up to this size a copy costs less than another slice.
const COPY_MAX: usize = 2 * 1024;

// === impl Sending ===

impl Sending {
    /// Whether the rest may go from socket to socket.
    pub(super) fn is_direct(&self) -> bool {
        self.state == State::More && matches!(self.framing, Framing::Length(_)) && self.body.is_direct()
    }

    /// Whether nothing more comes.
    pub(super) fn is_over(&self) -> bool {
        self.state != State::More
    }

    /// Lets `take` have the next bytes of the body; see [`Body::poll_take`].
    pub(super) fn poll_take(
        &mut self,
        cx: &mut Context<'_>,
        take: impl FnMut(&TcpStream, u64) -> io::Result<usize>,
    ) -> Poll<()> {
        let taken = ready!(self.body.poll_take(cx, take));
        match (taken, &mut self.framing) {
            (Ok(count), Framing::Length(left)) => {
                *left = left.saturating_sub(count as u64);
                if *left == 0 {
                    self.state = State::End;
                }
            }
            _ => self.state = State::Broken,
        }
        Poll::Ready(())
    }
}

// === impl Output ===

impl Output {
    /// Prepares the head, and what of the body is there already.
    pub(super) fn begin(
        &mut self,
        response: Response<Body>,
        date: [u8; 29],
        cx: &mut Context<'_>,
    ) -> Sending {
        let Response { status, fields, body } = response;
        let framing = match (status, body.size_hint().exact()) {
            (StatusCode::NO_CONTENT | StatusCode::NOT_MODIFIED, _) => Framing::None,
            (_, Some(length)) => Framing::Length(length),
            (_, None) => Framing::Chunked,
        };
        self.head.clear();
        self.written = 0;
        self.put_head((status, &fields), framing, date);
        let closes = fields.get("connection") == Some(b"close");
        let state =
            if matches!(framing, Framing::None | Framing::Length(0)) { State::End } else { State::More };
        let mut sending = Sending { body, framing, state, closes };
        if state == State::More && !sending.is_direct() {
            // A body that is complete goes out with its head.
            let _ = self.poll_more(&mut sending, cx);
        }
        sending
    }

    fn put_head(&mut self, (status, fields): (StatusCode, &Fields), framing: Framing, date: [u8; 29]) {
        let reason = status.canonical_reason().unwrap_or("<none>");
        for part in ["HTTP/1.1 ", status.as_str(), " ", reason, "\r\n"] {
            self.head.extend_from_slice(part.as_bytes());
        }
        let mut has_date = false;
        for (name, value) in fields.iter() {
            has_date |= name == b"date";
            let is_length = name == b"content-length";
            // A 304 tells the length that a 200 would have had (RFC 9110 §8.6).
            if !(is_length || name == b"transfer-encoding")
                || (status == StatusCode::NOT_MODIFIED && is_length)
            {
                self.put(name, value);
            }
        }
        match framing {
            Framing::None => {}
            Framing::Length(length) => {
                self.put(b"content-length", itoa::Buffer::new().format(length).as_bytes());
            }
            Framing::Chunked => self.put(b"transfer-encoding", b"chunked"),
        }
        if !has_date {
            self.put(b"date", &date);
        }
        self.head.extend_from_slice(b"\r\n");
    }

    fn put(&mut self, name: &[u8], value: &[u8]) {
        for part in [name, b": ", value, b"\r\n"] {
            self.head.extend_from_slice(part);
        }
    }

    /// Writes all that is at hand.
    pub(super) fn poll_send<S: AsyncWrite + Unpin>(
        &mut self,
        sending: &mut Sending,
        stream: &mut S,
        (client, cx): (&Client, &mut Context<'_>),
    ) -> Poll<io::Result<Sent>> {
        loop {
            let head = self.head.get(self.written..).unwrap_or_default();
            let written = match (head, &*self.chunk, self.tail) {
                ([], [], []) => break,
                ([], [], tail) => Pin::new(&mut *stream).poll_write(cx, tail),
                (head, [], []) => Pin::new(&mut *stream).poll_write(cx, head),
                ([], chunk, []) => Pin::new(&mut *stream).poll_write(cx, chunk),
                (head, chunk, tail) => {
                    let slices = [IoSlice::new(head), IoSlice::new(chunk), IoSlice::new(tail)];
                    Pin::new(&mut *stream).poll_write_vectored(cx, &slices)
                }
            };
            if written.is_pending() {
                client.waits_to_write();
            }
            match ready!(written)? {
                0 => return Poll::Ready(Err(io::ErrorKind::WriteZero.into())),
                count => self.advance(count, client),
            }
        }
        // TLS takes more than the client does, and tells only here.
        let flushed = Pin::new(stream).poll_flush(cx);
        if flushed.is_pending() {
            client.waits_to_write();
        }
        ready!(flushed)?;
        self.progress = 0;
        client.has_written();
        Poll::Ready(Ok(match sending.state {
            State::More => Sent::Some,
            State::End if !sending.closes => Sent::All,
            State::End | State::Broken => Sent::Last,
        }))
    }

    fn advance(&mut self, count: usize, client: &Client) {
        let head = count.min(self.head.len() - self.written);
        let chunk = (count - head).min(self.chunk.len());
        self.written += head;
        self.chunk.advance(chunk);
        if self.chunk.is_empty() {
            // An empty piece would still hold the buffer that it was read into.
            self.chunk = Bytes::new();
        }
        self.tail = self.tail.get(count - head - chunk..).unwrap_or_default();
        self.has_written(count, client);
    }

    /// The client took so many bytes.
    pub(super) fn has_written(&mut self, count: usize, client: &Client) {
        self.progress += count;
        if self.progress >= PROGRESS_MIN {
            self.progress = 0;
            client.has_written();
        }
    }

    /// Takes the next piece of the body; what was there before has been written, or is the head.
    pub(super) fn poll_more(&mut self, sending: &mut Sending, cx: &mut Context<'_>) -> Poll<()> {
        if self.written > 0 {
            self.head.clear();
            self.written = 0;
        }
        let frame = ready!(Pin::new(&mut sending.body).poll_frame(cx));
        match frame.map(|frame| frame.map(Frame::into_data)) {
            Some(Ok(Ok(data))) => self.put_data(sending, data),
            // Nobody asked for trailers, or the request would not be here.
            Some(Ok(Err(_))) => {}
            Some(Err(_)) => sending.state = State::Broken,
            None => self.end(sending),
        }
        Poll::Ready(())
    }

    fn put_data(&mut self, sending: &mut Sending, data: Bytes) {
        let length = data.len() as u64;
        match &mut sending.framing {
            Framing::Chunked if length > 0 => {
                // Writing to memory does not fail.
                let _ = write!(self.head, "{length:x}\r\n");
                self.tail = b"\r\n";
            }
            Framing::Length(left) => match left.checked_sub(length) {
                Some(rest) => {
                    *left = rest;
                    if rest == 0 {
                        sending.state = State::End;
                    }
                }
                None => {
                    sending.state = State::Broken;
                    return;
                }
            },
            Framing::None | Framing::Chunked => {}
        }
        if data.len() <= COPY_MAX {
            self.head.extend_from_slice(&data);
            self.head.extend_from_slice(std::mem::take(&mut self.tail));
        } else {
            self.chunk = data;
        }
    }

    fn end(&mut self, sending: &mut Sending) {
        sending.state = match sending.framing {
            Framing::Length(1..) => State::Broken,
            Framing::Length(0) | Framing::None => State::End,
            Framing::Chunked => {
                self.head.extend_from_slice(b"0\r\n\r\n");
                State::End
            }
        };
    }
}
