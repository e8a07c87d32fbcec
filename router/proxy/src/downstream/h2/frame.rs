//! The frames of RFC 9113 §4 and §6, and what is wrong with them.

use super::budget::Flood;

/// The nine bytes that a frame begins with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Head {
    pub(super) length: usize,
    pub(super) kind: u8,
    pub(super) flags: u8,
    pub(super) stream: u32,
}

pub(super) const HEAD_BYTES: usize = 9;

/// Types of frames.
pub(super) const DATA: u8 = 0;
pub(super) const HEADERS: u8 = 1;
pub(super) const PRIORITY: u8 = 2;
pub(super) const RST_STREAM: u8 = 3;
pub(super) const SETTINGS: u8 = 4;
pub(super) const PUSH_PROMISE: u8 = 5;
pub(super) const PING: u8 = 6;
pub(super) const GOAWAY: u8 = 7;
pub(super) const WINDOW_UPDATE: u8 = 8;
pub(super) const CONTINUATION: u8 = 9;

/// Flags.
pub(super) const END_STREAM: u8 = 1;
pub(super) const ACK: u8 = 1;
pub(super) const END_HEADERS: u8 = 4;
pub(super) const PADDED: u8 = 8;
pub(super) const PRIORITISED: u8 = 0x20;

/// Settings (RFC 9113 §6.5.2).
pub(super) const HEADER_TABLE_SIZE: u16 = 1;
pub(super) const ENABLE_PUSH: u16 = 2;
pub(super) const MAX_CONCURRENT_STREAMS: u16 = 3;
pub(super) const INITIAL_WINDOW_SIZE: u16 = 4;
pub(super) const MAX_FRAME_SIZE: u16 = 5;
pub(super) const MAX_HEADER_LIST_SIZE: u16 = 6;

/// Why a stream or a connection ends (RFC 9113 §7).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Reason {
    NoError = 0,
    ProtocolError = 1,
    InternalError = 2,
    FlowControlError = 3,
    StreamClosed = 5,
    FrameSizeError = 6,
    RefusedStream = 7,
    Cancel = 8,
    CompressionError = 9,
    EnhanceYourCalm = 11,
}

/// What a client did wrong ends its stream or its connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Fault {
    Stream(u32, Reason),
    Connection(Reason),
}

// === impl Head ===

impl Head {
    /// The head that `bytes` begin with, once it is all there.
    pub(super) fn parse(bytes: &[u8]) -> Option<Self> {
        let &[high, middle, low, kind, flags, first, second, third, fourth] = bytes.first_chunk()?;
        let length = usize::from(high) << 16 | usize::from(middle) << 8 | usize::from(low);
        let stream = u32::from_be_bytes([first & 0x7F, second, third, fourth]);
        Some(Self { length, kind, flags, stream })
    }

    pub(super) const fn encode(self) -> [u8; HEAD_BYTES] {
        let [.., high, middle, low] = self.length.to_be_bytes();
        let [first, second, third, fourth] = self.stream.to_be_bytes();
        [high, middle, low, self.kind, self.flags, first, second, third, fourth]
    }

    pub(super) const fn has(self, flag: u8) -> bool {
        self.flags & flag > 0
    }

    /// The payload without padding and priority.
    pub(super) fn content(self, payload: &[u8]) -> Result<&[u8], Fault> {
        let malformed = Fault::Connection(Reason::ProtocolError);
        let short = Fault::Connection(Reason::FrameSizeError);
        let (padding, payload) = match payload.split_first() {
            _ if !self.has(PADDED) => (0, payload),
            Some((&padding, rest)) => (usize::from(padding), rest),
            None => return Err(short),
        };
        let is_prioritised = self.kind == HEADERS && self.has(PRIORITISED);
        if is_prioritised && self.depends_on_itself(payload) {
            return Err(malformed);
        }
        let content = payload.get(if is_prioritised { 5 } else { 0 }..).ok_or(short)?;
        let length = content.len().checked_sub(padding).ok_or(malformed)?;
        content.get(..length).ok_or(malformed)
    }

    /// Whether a priority says so, which makes no sense (RFC 7540 §5.3.1; RFC 9113 has no priorities any more).
    pub(super) fn depends_on_itself(self, priority: &[u8]) -> bool {
        priority.first_chunk().is_some_and(|&number| u32::from_be_bytes(number) & 0x7FFF_FFFF == self.stream)
    }
}

impl From<Flood> for Fault {
    fn from(_: Flood) -> Self {
        Self::Connection(Reason::EnhanceYourCalm)
    }
}

/// The number that a payload consists of.
pub(super) fn number(payload: &[u8]) -> Result<u32, Fault> {
    let bytes = payload.try_into().map_err(|_| Fault::Connection(Reason::FrameSizeError))?;
    Ok(u32::from_be_bytes(bytes))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn a_head_is_read_as_it_is_written(
            length in 0_usize..1 << 24,
            kind: u8,
            flags: u8,
            stream in 0_u32..1 << 31,
        ) {
            let head = Head { length, kind, flags, stream };
            prop_assert_eq!(Head::parse(&head.encode()), Some(head));
        }
    }

    #[test]
    fn padding_and_priority_are_no_content() {
        let head = |kind, flags| Head { length: 0, kind, flags, stream: 1 };
        assert_eq!(head(DATA, PADDED).content(b"\x02ab\0\0"), Ok(&b"ab"[..]));
        assert_eq!(head(DATA, PRIORITISED).content(b"ab"), Ok(&b"ab"[..]));
        assert_eq!(head(HEADERS, PADDED | PRIORITISED).content(b"\x01\0\0\0\0\0ab\0"), Ok(&b"ab"[..]));
        let of_itself = head(HEADERS, PRIORITISED).content(b"\x80\0\0\x01\0ab");
        assert_eq!(of_itself, Err(Fault::Connection(Reason::ProtocolError)));
        assert_eq!(head(DATA, PADDED).content(b"\x05ab"), Err(Fault::Connection(Reason::ProtocolError)));
        assert_eq!(head(HEADERS, PRIORITISED).content(b"a"), Err(Fault::Connection(Reason::FrameSizeError)));
    }
}
