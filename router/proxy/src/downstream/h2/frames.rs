//! Follows the frames of a client (RFC 9113 §4.1) without changing them: which deadline holds, and who floods.

use std::time::{Duration, Instant};

/// What a client sends, as far as it was handed on.
#[derive(Debug)]
pub(super) struct Frames {
    state: State,
    /// A header block began and has not ended.
    is_within_block: bool,
    /// Frames that cost work and bring nothing: how many more are put up with.
    spare: u32,
    /// When time earned some last.
    earned_at: Instant,
    /// Streams that the client reset.
    resets: usize,
}

#[derive(Debug)]
enum State {
    /// So many bytes of the connection preface are to come.
    Preface(usize),
    /// Within the nine bytes that a frame begins with: so many are there.
    Header([u8; HEADER_BYTES], usize),
    /// So many bytes of a frame are to come.
    Payload(Kind, usize),
}

/// What matters of the type of a frame.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    Data,
    /// A part of a header block; more of it follows unless it is the last.
    Block {
        is_last: bool,
    },
    Other,
}

/// What the bytes that were looked at brought.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Progress {
    /// A frame or a whole header block ended.
    pub(super) has_ended: bool,
    /// A request or a part of a body came: the connection is in use.
    pub(super) is_useful: bool,
}

/// What is waited for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Within {
    /// The next frame.
    Nothing,
    /// The rest of a frame of a body.
    Data,
    /// The rest of another frame, or of a header block.
    Frame,
}

/// The client makes work instead of requests.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(super) enum Flood {
    #[error("too many frames that carry nothing")]
    Frames,
    #[error("too many requests were taken back")]
    Resets,
}

const PREFACE_BYTES: usize = 24;
const HEADER_BYTES: usize = 9;

/// Pings, settings, priorities, window updates and empty frames that a connection may begin with, and save up.
const SPARE_START: u32 = 1_000;
const SPARE_MAX: u32 = 10_000;

/// What each request, each frame of a body, each KiB of an answer and each second earns.
const SPARE_PER_REQUEST: u32 = 16;
const SPARE_PER_DATA: u32 = 1;
const SPARE_PER_KIB: u32 = 1;
const SPARE_PER_SECOND: u32 = 50;

/// Requests that a client may take back beyond the number of those that were answered.
const RESETS_SPARE: usize = 100;

// === impl Frames ===

impl Frames {
    pub(super) fn new() -> Self {
        let (state, earned_at) = (State::Preface(PREFACE_BYTES), Instant::now());
        Self { state, is_within_block: false, spare: SPARE_START, earned_at, resets: 0 }
    }

    /// Looks at bytes that are handed on. `answered`: requests that were answered so far.
    pub(super) fn follow(&mut self, mut bytes: &[u8], answered: usize) -> Result<Progress, Flood> {
        let mut progress = Progress::default();
        while !bytes.is_empty() {
            let taken = match &mut self.state {
                State::Preface(left) => {
                    let taken = bytes.len().min(*left);
                    *left -= taken;
                    if *left == 0 {
                        self.state = State::BETWEEN;
                    }
                    taken
                }
                State::Header(header, length) => {
                    let free = header.get_mut(*length..).unwrap_or_default();
                    let taken = bytes.len().min(free.len());
                    free.iter_mut().zip(bytes).for_each(|(slot, &byte)| *slot = byte);
                    *length += taken;
                    if *length == HEADER_BYTES {
                        let header = *header;
                        self.begin(header, answered)?;
                    }
                    taken
                }
                State::Payload(_, left) => {
                    let taken = bytes.len().min(*left);
                    *left -= taken;
                    taken
                }
            };
            bytes = bytes.get(taken..).unwrap_or_default();
            if let State::Payload(kind, 0) = self.state {
                self.end(kind, &mut progress);
            }
        }
        Ok(progress)
    }

    /// So many bytes were sent to the client, which acknowledges them.
    pub(super) fn sent(&mut self, bytes: usize) {
        self.earn(u32::try_from(bytes / 1024).unwrap_or(SPARE_MAX).saturating_mul(SPARE_PER_KIB));
    }

    pub(super) const fn within(&self) -> Within {
        match &self.state {
            State::Preface(PREFACE_BYTES) => Within::Nothing,
            State::Header(_, 0) if !self.is_within_block => Within::Nothing,
            State::Payload(Kind::Data, _) => Within::Data,
            _ => Within::Frame,
        }
    }

    fn begin(&mut self, header: [u8; HEADER_BYTES], answered: usize) -> Result<(), Flood> {
        let [high, middle, low, kind, flags, ..] = header;
        let length = usize::from(high) << 16 | usize::from(middle) << 8 | usize::from(low);
        let kind = match kind {
            DATA => {
                if length > 0 || flags & END_STREAM > 0 {
                    self.earn(SPARE_PER_DATA);
                } else {
                    self.spend()?;
                }
                Kind::Data
            }
            HEADERS => {
                self.earn(SPARE_PER_REQUEST);
                Kind::Block { is_last: flags & END_HEADERS > 0 }
            }
            CONTINUATION => {
                self.spend()?;
                Kind::Block { is_last: flags & END_HEADERS > 0 }
            }
            RST_STREAM => {
                self.resets += 1;
                if self.resets > RESETS_SPARE + answered {
                    return Err(Flood::Resets);
                }
                Kind::Other
            }
            _ => {
                self.spend()?;
                Kind::Other
            }
        };
        if let Kind::Block { is_last } = kind {
            self.is_within_block = !is_last;
        }
        self.state = State::Payload(kind, length);
        Ok(())
    }

    fn end(&mut self, kind: Kind, progress: &mut Progress) {
        self.state = State::BETWEEN;
        progress.has_ended |= kind != Kind::Block { is_last: false };
        progress.is_useful |= kind != Kind::Other;
    }

    fn earn(&mut self, frames: u32) {
        self.spare = self.spare.saturating_add(frames).min(SPARE_MAX);
    }

    fn spend(&mut self) -> Result<(), Flood> {
        if self.spare == 0 {
            let seconds = u32::try_from(self.earned_at.elapsed().as_secs()).unwrap_or(SPARE_MAX);
            self.earned_at += Duration::from_secs(seconds.into());
            self.earn(seconds.saturating_mul(SPARE_PER_SECOND));
        }
        self.spare = self.spare.checked_sub(1).ok_or(Flood::Frames)?;
        Ok(())
    }
}

// === impl State ===

impl State {
    const BETWEEN: Self = Self::Header([0; HEADER_BYTES], 0);
}

/// Types and flags of frames (RFC 9113 §6).
const DATA: u8 = 0;
const HEADERS: u8 = 1;
const RST_STREAM: u8 = 3;
const CONTINUATION: u8 = 9;
const END_STREAM: u8 = 1;
const END_HEADERS: u8 = 4;

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn frame(kind: u8, flags: u8, payload: &[u8]) -> Vec<u8> {
        let length = u32::try_from(payload.len()).unwrap().to_be_bytes();
        [&length[1..], &[kind, flags, 0, 0, 0, 1], payload].concat()
    }

    fn begun() -> Frames {
        let mut frames = Frames::new();
        frames.follow(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", 0).unwrap();
        frames
    }

    #[test]
    fn a_header_block_ends_with_its_last_frame() {
        let mut frames = begun();
        assert_eq!(frames.within(), Within::Nothing);
        let progress = frames.follow(&frame(HEADERS, 0, b"x"), 0).unwrap();
        assert_eq!((progress.has_ended, frames.within()), (false, Within::Frame));
        let progress = frames.follow(&frame(CONTINUATION, END_HEADERS, b"x"), 0).unwrap();
        assert_eq!((progress.has_ended, progress.is_useful, frames.within()), (true, true, Within::Nothing));
        frames.follow(&frame(DATA, 0, b"long")[..10], 0).unwrap();
        assert_eq!(frames.within(), Within::Data);
    }

    #[test]
    fn frames_that_carry_nothing_are_put_up_with_for_a_while_and_more_beside_requests() {
        const PING: u8 = 6;
        let count = |frames: &mut Frames| {
            (0..).take_while(|_| frames.follow(&frame(PING, 0, &[0; 8]), 0).is_ok()).count()
        };
        assert_eq!(count(&mut begun()), 1_000);
        let mut busy = begun();
        busy.follow(&frame(HEADERS, END_HEADERS, b"x"), 0).unwrap();
        busy.sent(10 * 1024);
        assert_eq!(count(&mut busy), 1_026);
        for (kind, flags) in [(DATA, 0), (CONTINUATION, 0), (2, 0), (4, 0), (8, 0), (99, 0)] {
            let mut frames = begun();
            let end = (0..2_000).find_map(|_| frames.follow(&frame(kind, flags, b""), 0).err());
            assert_eq!(end, Some(Flood::Frames), "type {kind}");
        }
    }

    #[test]
    fn as_many_requests_may_be_taken_back_as_were_answered_and_a_hundred_more() {
        let mut frames = begun();
        let end = (0..1_000).find(|_| frames.follow(&frame(RST_STREAM, 0, &[0; 4]), 50).is_err());
        assert_eq!(end, Some(150));
    }

    proptest! {
        #[test]
        fn any_bytes_are_followed_alike_however_they_are_cut(
            bytes in proptest::collection::vec(any::<u8>(), 0..400),
            piece in 1_usize..50,
        ) {
            let (mut whole, mut cut) = (begun(), begun());
            let at_once = whole.follow(&bytes, 0).map(|_| whole.within());
            let in_pieces: Result<Vec<_>, _> = bytes.chunks(piece).map(|piece| cut.follow(piece, 0)).collect();
            prop_assert_eq!(at_once, in_pieces.map(|_| cut.within()));
        }
    }
}
