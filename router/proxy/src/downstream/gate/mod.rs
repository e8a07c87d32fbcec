//! Stands between the socket and hyper and lets through only what every party reads alike.
//!
//! hyper is lenient where RFC 9112 allows it: it takes bare line feeds, ignores `Content-Length` beside
//! `Transfer-Encoding`, and so on. A backend may read the same bytes differently, and that difference is request
//! smuggling. So each head is checked before hyper sees it, whole; the gate follows the framing to know where the
//! next head begins, and checks the framing of chunks on the way.

mod chunked;
#[cfg(test)]
pub(super) mod fuzz;
mod head;
mod target;

use crate::message::Outline;
use chunked::Chunked;
pub(crate) use head::{EXPECTATION, HEAD_BYTES_MAX, LINES_MAX, MALFORMED_LINE, TARGET_BYTES_MAX, length};
use head::{Framing, Head};
use hyper::StatusCode;
pub(crate) use target::{check_path, is_authority};

/// Follows one connection.
#[derive(Debug)]
pub(super) struct Gate {
    state: State,
    /// Bytes of an incomplete head that hold no further end of a line.
    seen: usize,
    /// Heads that were handed on.
    admitted: usize,
    /// Of the head that was looked at last.
    pub(super) outline: Outline,
}

#[derive(Debug)]
enum State {
    /// At the beginning of a head, or within one that is not complete.
    Head,
    /// A head was admitted; so many bytes of it were not handed on yet.
    Admitted(usize, After),
    /// So many bytes of a body are to come.
    Body(u64),
    Chunked(Chunked),
    /// An upgrade was asked for: what follows belongs to the new protocol, or is the next request after a refusal.
    Waiting,
    /// Nothing more is read.
    Refused,
}

#[derive(Clone, Copy, Debug)]
enum After {
    Head,
    Body(u64),
    Chunked,
    Waiting,
    Refused,
}

/// What to do with the bytes at hand.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Verdict {
    /// So many of them, at least one, may go on.
    Pass(usize),
    /// So many of them, at least one, are meaningless and go nowhere.
    Skip(usize),
    /// More are needed first.
    More,
    /// Nothing goes on until the upgrade is decided.
    Hold,
    /// The request is answered with this, and the connection ends. hyper gets [`REFUSED`] in its place, so that the
    /// answer comes after those to earlier requests.
    Refuse(Refusal),
    /// The body of a request that is under way is broken; the connection ends.
    Break,
}

/// What hyper is given for a request that was refused. No client can send it: its method is refused.
pub(super) const REFUSED: &[u8] = b"HUIDU-REFUSED / HTTP/1.1\r\nHost: refused\r\nConnection: close\r\n\r\n";

/// The method of [`REFUSED`].
pub(crate) const REFUSED_METHOD: &str = "HUIDU-REFUSED";

/// Why a request is not looked at any further.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Refusal {
    pub(crate) status: StatusCode,
    /// A sentence for whoever sent it.
    pub(crate) why: &'static str,
}

/// Where a connection is, as far as deadlines are concerned.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Stage {
    /// A head is expected or incomplete.
    Head,
    /// The rest of a body is expected.
    Body,
    /// The rest of a frame of HTTP/2 is expected, whatever else is under way.
    Frame,
    /// Another protocol is spoken, or nothing more is read.
    Other,
}

// === impl Gate ===

impl Gate {
    pub(super) fn new() -> Self {
        Self { state: State::Head, seen: 0, admitted: 0, outline: Outline::default() }
    }

    /// Looks at all bytes that were read and not yet handed on; at most `max` can be handed on now.
    pub(super) fn admit(&mut self, bytes: &[u8], max: usize) -> Verdict {
        if bytes.is_empty() {
            return Verdict::More;
        }
        match &mut self.state {
            State::Head => self.admit_head(bytes, max),
            &mut State::Admitted(left, after) => self.hand_on(left, after, max),
            State::Body(left) => {
                let available = bytes.len().min(max);
                let passed = usize::try_from(*left).map_or(available, |left| left.min(available));
                *left -= passed as u64;
                if *left == 0 {
                    self.state = State::Head;
                }
                Verdict::Pass(passed)
            }
            State::Chunked(chunked) => {
                let available = bytes.get(..max).unwrap_or(bytes);
                match chunked.advance(available) {
                    Some(passed) => {
                        if chunked.is_done() {
                            self.state = State::Head;
                        }
                        Verdict::Pass(passed)
                    }
                    None => {
                        self.state = State::Refused;
                        Verdict::Break
                    }
                }
            }
            State::Waiting => Verdict::Hold,
            State::Refused => Verdict::More,
        }
    }

    /// So many requests were answered without a change of protocol: if that was the last one, what follows is the
    /// next request.
    pub(super) fn answered(&mut self, count: usize) -> bool {
        let is_over = matches!(self.state, State::Waiting) && count >= self.admitted;
        if is_over {
            self.state = State::Head;
        }
        is_over
    }

    pub(super) const fn is_refused(&self) -> bool {
        matches!(self.state, State::Refused)
    }

    pub(super) const fn stage(&self) -> Stage {
        match self.state {
            State::Head | State::Admitted(..) => Stage::Head,
            State::Body(_) | State::Chunked(_) => Stage::Body,
            State::Waiting | State::Refused => Stage::Other,
        }
    }

    fn admit_head(&mut self, bytes: &[u8], max: usize) -> Verdict {
        // A head that comes byte by byte is not looked at anew for each of them.
        if self.has_no_new_line(bytes) {
            return Verdict::More;
        }
        match head::check(bytes, &mut self.outline) {
            Ok(Head::Incomplete) => {
                self.seen = bytes.len();
                Verdict::More
            }
            Ok(Head::EmptyLine(length)) => Verdict::Skip(length),
            Ok(Head::Complete { length, framing, wants_upgrade }) => {
                let after = match framing {
                    _ if wants_upgrade => After::Waiting,
                    Framing::None => After::Head,
                    Framing::Length(length) => After::Body(length),
                    Framing::Chunked => After::Chunked,
                };
                self.hand_on(length, after, max)
            }
            Err(refusal) => {
                self.state = State::Admitted(REFUSED.len(), After::Refused);
                Verdict::Refuse(refusal)
            }
        }
    }

    fn has_no_new_line(&self, bytes: &[u8]) -> bool {
        let new = bytes.get(self.seen..).unwrap_or_default();
        self.seen > 0 && bytes.len() <= HEAD_BYTES_MAX && memchr::memchr(b'\n', new).is_none()
    }

    fn hand_on(&mut self, length: usize, after: After, max: usize) -> Verdict {
        let passed = length.min(max);
        self.seen = 0;
        self.admitted += usize::from(passed == length);
        self.state = match after {
            _ if passed < length => State::Admitted(length - passed, after),
            After::Head | After::Body(0) => State::Head,
            After::Body(length) => State::Body(length),
            After::Chunked => State::Chunked(Chunked::new()),
            After::Waiting => State::Waiting,
            After::Refused => State::Refused,
        };
        Verdict::Pass(passed)
    }
}

// === impl Refusal ===

impl Refusal {
    pub(crate) const fn bad(why: &'static str) -> Self {
        Self { status: StatusCode::BAD_REQUEST, why }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// Feeds `bytes` in pieces; what came through, and how it ended.
    fn run(bytes: &[u8], piece: usize) -> (Vec<u8>, Verdict) {
        let mut gate = Gate::new();
        let (mut buffer, mut passed) = (Vec::new(), Vec::new());
        for piece in bytes.chunks(piece.max(1)) {
            buffer.extend_from_slice(piece);
            loop {
                match gate.admit(&buffer, 7) {
                    Verdict::Pass(count) => passed.extend(buffer.drain(..count)),
                    Verdict::Skip(count) => drop(buffer.drain(..count)),
                    Verdict::More => break,
                    end => return (passed, end),
                }
            }
        }
        (passed, Verdict::More)
    }

    const STREAM: &[u8] = b"GET /1 HTTP/1.1\r\nHost: a\r\n\r\n\
        POST /2 HTTP/1.1\r\nHost: a\r\nContent-Length: 12\r\n\r\nGET / HTTP/1\
        POST /3 HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n5;x=y\r\nabcde\r\n0\r\nX: y\r\n\r\n\
        GET /4 HTTP/1.1\r\nHost: a\r\n\r\n";

    #[test]
    fn a_good_stream_passes_unchanged_however_it_is_cut() {
        for piece in 1..STREAM.len() {
            assert_eq!(run(STREAM, piece), (STREAM.to_vec(), Verdict::More), "pieces of {piece}");
        }
    }

    #[test]
    fn nothing_passes_after_a_refusal() {
        let bytes = b"GET / HTTP/1.1\r\nHost: a\r\n\r\nGET / HTTP/1.1\r\nHost : a\r\n\r\nGET / HTTP/1.1\r\nHost: a\r\n\r\n";
        let (passed, end) = run(bytes, bytes.len());
        assert_eq!(passed, b"GET / HTTP/1.1\r\nHost: a\r\n\r\n");
        assert!(matches!(end, Verdict::Refuse(_)));
    }

    #[test]
    fn what_follows_an_upgrade_waits() {
        let head = b"GET / HTTP/1.1\r\nHost: a\r\nConnection: upgrade\r\nUpgrade: websocket\r\n\r\n";
        let mut gate = Gate::new();
        assert_eq!(gate.admit(head, 1_000), Verdict::Pass(head.len()));
        assert_eq!(gate.admit(b"early", 1_000), Verdict::Hold);
        assert!(!gate.answered(0));
        assert_eq!(gate.admit(b"early", 1_000), Verdict::Hold);
        assert!(gate.answered(1));
        assert_eq!(gate.admit(b"GET / HTTP/1.1\r\n", 1_000), Verdict::More);
    }

    proptest! {
        #[test]
        fn any_bytes_are_judged_alike_however_they_are_cut(
            junk in proptest::collection::vec(any::<u8>(), 0..40),
            at in 0..STREAM.len(),
            piece in 1_usize..50,
        ) {
            let mut bytes = STREAM.to_vec();
            bytes.splice(at..(at + junk.len() / 2).min(STREAM.len()), junk);
            let (cut, whole) = (run(&bytes, piece), run(&bytes, bytes.len()));
            prop_assert_eq!(cut.1, whole.1);
            // Of a broken body more or less may have passed before it broke.
            let common = if cut.1 == Verdict::Break { cut.0.len().min(whole.0.len()) } else { usize::MAX };
            prop_assert_eq!(cut.0.iter().take(common).collect::<Vec<_>>(), whole.0.iter().take(common).collect::<Vec<_>>());
        }
    }
}
