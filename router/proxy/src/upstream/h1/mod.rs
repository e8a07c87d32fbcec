//! HTTP/1.1 towards backends.
//!
//! A connection has no task of its own: the request that uses it drives it, so no message is passed and nobody is
//! woken on the way. The head of the request is one buffer that can be sent again to another endpoint. Responses
//! are read more strictly than hyper's client does it: what could be read in two ways is an error of the backend.

mod body;
mod head;
mod input;

use body::{Chunks, Decoder};
pub(crate) use head::ResponseHead;
use input::Input;

use super::{RequestBody, Trouble, body::passed_on};
use crate::{room, socket::poll_io};
use bytes::{Buf, Bytes, BytesMut};
use hyper::body::Frame;
use std::{
    io,
    net::SocketAddr,
    pin::Pin,
    task::{Context, Poll, ready},
    time::Instant,
};
use tokio::{
    io::{AsyncWrite, Interest},
    net::TcpStream,
};

/// A connection, and what is under way on it.
pub(crate) struct Connection {
    stream: TcpStream,
    /// The head of the request.
    head: Vec<u8>,
    /// What was read and not yet used.
    input: Input,
    /// What is to be written before anything else of the body.
    output: Bytes,
    body: RequestBody,
    /// Bytes of the head that were written.
    written: usize,
    /// Interim answers that came so far.
    interim: usize,
    decoder: Decoder,
    /// Trailers that are for this connection only.
    named: Vec<String>,
    sending: Sending,
    pace: Pace,
    reads: Reads,
    fate: Fate,
    /// Set by the pool.
    pub(crate) idle_since: Option<Instant>,
}

/// How far the request is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Sending {
    Head,
    /// The client waits to be asked for the body, and so do we (RFC 9110 §10.1.1).
    Waiting,
    Body,
    Done,
    /// The backend reads no more; it may have answered nevertheless.
    Broken,
}

/// When the body of a request is sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Pace {
    AtOnce,
    /// The client expects `100 Continue`, and the backend has the word.
    WhenAsked,
}

/// How much of a response is read together with its head.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Reads {
    /// As much as there is.
    All,
    /// Little: the rest of a large body may go to the client without coming by here.
    Little,
}

/// What becomes of the connection after the response.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Fate {
    Keep,
    Close,
}

/// Interim answers before the answer itself; who sends more of them never comes to the point.
const INTERIM_MAX: usize = 32;

// === impl Connection ===

impl Connection {
    /// Connects. The caller limits the time.
    pub(crate) async fn connect(address: SocketAddr) -> io::Result<Self> {
        let stream = TcpStream::connect(address).await?;
        stream.set_nodelay(true)?;
        Ok(Self {
            stream,
            head: Vec::new(),
            input: Input::default(),
            output: Bytes::new(),
            body: RequestBody::Empty,
            written: 0,
            interim: 0,
            decoder: Decoder::Done,
            named: Vec::new(),
            sending: Sending::Done,
            pace: Pace::AtOnce,
            reads: Reads::All,
            fate: Fate::Keep,
            idle_since: None,
        })
    }

    /// Whether an idle connection is still open and silent. Bytes that nobody asked for would be taken for the next
    /// answer.
    pub(crate) fn is_quiet(&mut self) -> bool {
        let mut byte = [0];
        let read = self.stream.try_read(&mut byte);
        self.input.is_empty() && read.is_err_and(|error| error.kind() == io::ErrorKind::WouldBlock)
    }

    /// Like [`Self::is_quiet`], but asks the system even when it has not told yet: for requests that can't be repeated.
    pub(crate) fn is_certainly_quiet(&self) -> bool {
        let mut byte = [std::mem::MaybeUninit::uninit()];
        let peeked = socket2::SockRef::from(&self.stream).peek(&mut byte);
        peeked.is_err_and(|error| error.kind() == io::ErrorKind::WouldBlock)
    }

    /// Gives back memory while idle.
    pub(crate) fn lighten(&mut self) {
        self.input.lighten();
        self.head = Vec::new();
    }

    /// Begins a request whose head is what `put` writes.
    pub(crate) fn begin(
        &mut self,
        body: RequestBody,
        (pace, reads): (Pace, Reads),
        put: impl FnOnce(&mut Vec<u8>),
    ) {
        self.head.clear();
        put(&mut self.head);
        (self.pace, self.reads) = (pace, reads);
        (self.written, self.interim) = (0, 0);
        self.output = Bytes::new();
        self.sending = Sending::Head;
        self.body = body;
    }

    /// The body is to be sent now, whether the backend asked for it or not.
    pub(crate) fn stop_waiting(&mut self) {
        if self.sending == Sending::Waiting {
            self.sending = Sending::Body;
        }
    }

    /// Gives the body of the request back as long as nothing was written.
    pub(crate) fn take_unsent(&mut self) -> Option<RequestBody> {
        (self.written == 0).then(|| std::mem::replace(&mut self.body, RequestBody::Empty))
    }

    /// Sends the request and reads the head of the response, whichever is possible.
    pub(crate) fn poll_head(&mut self, cx: &mut Context<'_>) -> Poll<Result<ResponseHead, Trouble>> {
        self.poll_send(cx)?;
        loop {
            if !self.input.is_empty()
                && let Some((response, length)) = ResponseHead::parse(&self.input)?
            {
                self.input.advance(length);
                let is_interim = response.status.is_informational();
                // 100 Continue and hints are between us and the backend; an upgrade is a final answer.
                if is_interim && response.status != hyper::StatusCode::SWITCHING_PROTOCOLS {
                    self.interim += 1;
                    if self.interim > INTERIM_MAX {
                        return Poll::Ready(Err(Trouble::Malformed));
                    }
                    if response.status == hyper::StatusCode::CONTINUE {
                        self.stop_waiting();
                        self.poll_send(cx)?;
                    }
                    continue;
                }
                if response.closes {
                    self.fate = Fate::Close;
                }
                return Poll::Ready(Ok(response));
            }
            let filled = match self.reads {
                Reads::All => self.input.poll_fill(&mut self.stream, cx),
                Reads::Little => self.input.poll_little(&mut self.stream, cx),
            };
            ready!(some(filled))?;
        }
    }

    /// Says how the body of the response is framed; `head.status` and the method decide together.
    pub(crate) fn expect_body(&mut self, head: &ResponseHead, method: &hyper::Method) {
        self.decoder = Decoder::new(head, method);
        self.named.clone_from(&head.named);
        self.body.is_answered();
        // An answer to a head that is not written to its end: what would follow is no part of it.
        if self.sending == Sending::Head {
            self.sending = Sending::Broken;
        }
        if matches!(self.decoder, Decoder::UntilClose) {
            self.fate = Fate::Close;
        }
    }

    /// The whole body, if it was read together with the head.
    pub(crate) fn take_whole_body(&mut self) -> Option<Bytes> {
        match self.decoder {
            Decoder::Done => Some(Bytes::new()),
            Decoder::Length(length) => {
                let length = usize::try_from(length).ok().filter(|&length| length <= self.input.len())?;
                self.decoder = Decoder::Done;
                Some(self.input.take(length))
            }
            Decoder::Chunked(_) | Decoder::UntilClose => None,
        }
    }

    /// The whole body, read to its end. `None`: its length was not stated, or it is too long for that.
    pub(crate) fn poll_whole_body(&mut self, cx: &mut Context<'_>) -> Poll<Result<Option<Bytes>, Trouble>> {
        self.poll_send(cx)?;
        loop {
            if let Some(whole) = self.take_whole_body() {
                return Poll::Ready(Ok(Some(whole)));
            }
            if !matches!(self.decoder, Decoder::Length(length) if length <= room::BYTES as u64) {
                return Poll::Ready(Ok(None));
            }
            ready!(some(self.input.poll_fill(&mut self.stream, cx)))?;
        }
    }

    /// The next piece of the body of the response, while the rest of the request is sent.
    pub(crate) fn poll_frame(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Trouble>>> {
        if let Err(trouble) = self.poll_send(cx) {
            return Poll::Ready(Some(Err(trouble)));
        }
        loop {
            match self.decoder.decode(&mut self.input) {
                Ok(Chunks::Frame(frame)) => return Poll::Ready(passed_on(frame, &self.named).map(Ok)),
                Ok(Chunks::End) => return Poll::Ready(None),
                Ok(Chunks::More) => {}
                Err(trouble) => return Poll::Ready(Some(Err(trouble))),
            }
            match ready!(some(self.input.poll_fill(&mut self.stream, cx))) {
                Ok(()) => {}
                Err(Trouble::Broken) if matches!(self.decoder, Decoder::UntilClose) => {
                    self.decoder = Decoder::Done;
                }
                Err(trouble) => return Poll::Ready(Some(Err(trouble))),
            }
        }
    }

    /// Whether all that is left is a body of stated length, none of which was read.
    pub(crate) fn is_untouched(&self) -> bool {
        self.input.is_empty() && self.sending == Sending::Done && matches!(self.decoder, Decoder::Length(_))
    }

    /// Lets `take` have the next bytes of such a body from the socket, and how many it may take; how many it took.
    pub(crate) fn poll_take(
        &mut self,
        cx: &mut Context<'_>,
        mut take: impl FnMut(&TcpStream, u64) -> io::Result<usize>,
    ) -> Poll<Result<usize, Trouble>> {
        let Decoder::Length(left) = self.decoder else { return Poll::Ready(Ok(0)) };
        let taken = ready!(poll_io(&self.stream, Interest::READABLE, cx, || take(&self.stream, left)));
        Poll::Ready(match taken {
            Ok(0) | Err(_) => Err(Trouble::Broken),
            Ok(count) => {
                let left = left.saturating_sub(count as u64);
                self.decoder = if left == 0 { Decoder::Done } else { Decoder::Length(left) };
                Ok(count)
            }
        })
    }

    /// How many bytes of the body are still to come, where that is stated.
    pub(crate) const fn remaining(&self) -> Option<u64> {
        self.decoder.remaining()
    }

    /// Whether all of the response was read.
    pub(crate) const fn is_answered(&self) -> bool {
        matches!(self.decoder, Decoder::Done)
    }

    /// Whether the connection may carry another request.
    pub(crate) fn is_reusable(&self) -> bool {
        self.fate == Fate::Keep
            && self.sending == Sending::Done
            && self.input.is_empty()
            && self.is_answered()
    }

    /// The socket and what was read from it already: after an upgrade.
    pub(crate) fn into_tunnel(self) -> (TcpStream, BytesMut) {
        (self.stream, self.input.into_inner())
    }

    /// Writes as much as possible. A backend that stops reading is no error yet: its answer may be on the way.
    fn poll_send(&mut self, cx: &mut Context<'_>) -> Result<(), Trouble> {
        loop {
            match self.sending {
                Sending::Waiting | Sending::Done | Sending::Broken => return Ok(()),
                Sending::Head => {
                    let rest = self.head.get(self.written..).unwrap_or_default();
                    match Pin::new(&mut self.stream).poll_write(cx, rest) {
                        Poll::Pending => return Ok(()),
                        Poll::Ready(Ok(count)) => self.written += count,
                        Poll::Ready(Err(_)) => self.sending = Sending::Broken,
                    }
                    if self.sending == Sending::Head && self.written >= self.head.len() {
                        self.sending = match self.pace {
                            _ if self.body.is_empty() => Sending::Done,
                            Pace::AtOnce => Sending::Body,
                            Pace::WhenAsked => Sending::Waiting,
                        };
                    }
                }
                Sending::Body if self.output.is_empty() => match self.body.poll_encoded(cx) {
                    Poll::Pending => return Ok(()),
                    Poll::Ready(Some(Ok(bytes))) => self.output = bytes,
                    Poll::Ready(None) => self.sending = Sending::Done,
                    Poll::Ready(Some(Err(trouble))) => {
                        self.fate = Fate::Close;
                        return Err(trouble);
                    }
                },
                Sending::Body => match Pin::new(&mut self.stream).poll_write(cx, &self.output) {
                    Poll::Pending => return Ok(()),
                    Poll::Ready(Ok(count)) => self.output.advance(count),
                    Poll::Ready(Err(_)) => self.sending = Sending::Broken,
                },
            }
        }
    }
}

/// The end is no answer.
fn some(read: Poll<io::Result<usize>>) -> Poll<Result<(), Trouble>> {
    read.map(|read| match read {
        Ok(1..) => Ok(()),
        Ok(0) | Err(_) => Err(Trouble::Broken),
    })
}
