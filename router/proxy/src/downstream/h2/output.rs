use super::frame::{CONTINUATION, DATA, END_HEADERS, END_STREAM, HEAD_BYTES, HEADERS, Head};
use bytes::{Buf, Bytes};
use std::{
    collections::VecDeque,
    io::{self, IoSlice},
    pin::Pin,
    task::{Context, Poll, ready},
};
use tokio::io::AsyncWrite;

/// What is to be written to a client, in order. Pieces of bodies are not copied, and all goes out in few writes.
#[derive(Default)]
pub(super) struct Output {
    /// Everything but the pieces.
    small: Vec<u8>,
    /// How much of it was written.
    written: usize,
    /// Each comes before the byte of `small` that is at this place.
    pieces: VecDeque<(usize, Bytes)>,
    /// Bytes that are not written.
    length: usize,
    /// The client is to be told that its table for our headers is empty, as it always is.
    tells_table: bool,
}

/// Up to this size a copy costs less than another slice.
const COPY_MAX: usize = 2 * 1024;

/// Slices of one write: those of 64 KiB and a head, and of some answers more.
const SLICES_MAX: usize = 32;

/// More is not kept of a buffer when nothing is to be written.
const KEPT_MAX: usize = 4 * 1024;

// === impl Output ===

impl Output {
    pub(super) const fn len(&self) -> usize {
        self.length
    }

    pub(super) fn put(&mut self, kind: u8, flags: u8, stream: u32, payload: &[u8]) {
        let head = Head { length: payload.len(), kind, flags, stream };
        self.put_small(&head.encode());
        self.put_small(payload);
    }

    pub(super) fn put_data(&mut self, stream: u32, is_last: bool, payload: Bytes) {
        let flags = if is_last { END_STREAM } else { 0 };
        if payload.len() <= COPY_MAX {
            return self.put(DATA, flags, stream, &payload);
        }
        self.put_small(&Head { length: payload.len(), kind: DATA, flags, stream }.encode());
        self.length += payload.len();
        self.pieces.push_back((self.small.len(), payload));
    }

    /// A header block, written by `encode`, in as many frames as it takes.
    pub(super) fn put_block(
        &mut self,
        (stream, is_last): (u32, bool),
        frame_max: usize,
        encode: impl FnOnce(&mut Vec<u8>),
    ) {
        let flags = if is_last { END_STREAM } else { 0 };
        let begin = self.small.len();
        self.small.extend_from_slice(&[0; HEAD_BYTES]);
        if std::mem::take(&mut self.tells_table) {
            self.small.push(0x20);
        }
        encode(&mut self.small);
        let length = self.small.len() - begin - HEAD_BYTES;
        if length <= frame_max {
            let head = Head { length, kind: HEADERS, flags: flags | END_HEADERS, stream };
            if let Some(place) = self.small.get_mut(begin..begin + HEAD_BYTES) {
                place.copy_from_slice(&head.encode());
            }
            self.length += HEAD_BYTES + length;
            return;
        }
        let block = self.small.split_off(begin + HEAD_BYTES);
        self.small.truncate(begin);
        let mut kind = HEADERS;
        let mut parts = block.chunks(frame_max).peekable();
        while let Some(part) = parts.next() {
            let ends = if parts.peek().is_none() { END_HEADERS } else { 0 };
            let flags = if kind == HEADERS { flags | ends } else { ends };
            self.put(kind, flags, stream, part);
            kind = CONTINUATION;
        }
    }

    /// The client changed the size of its table (RFC 7541 §4.2).
    pub(super) const fn must_tell_table(&mut self) {
        self.tells_table = true;
    }

    /// Writes as much as the client takes: the number of bytes, or zero when there are none.
    pub(super) fn poll_write(
        &mut self,
        stream: &mut (impl AsyncWrite + Unpin),
        cx: &mut Context<'_>,
    ) -> Poll<io::Result<usize>> {
        if self.length == 0 {
            return Poll::Ready(Ok(0));
        }
        let mut slices = [IoSlice::new(&[]); SLICES_MAX];
        let count = self.fill(&mut slices);
        let slices = slices.get(..count).unwrap_or_default();
        let written = match slices {
            [slice] => ready!(Pin::new(stream).poll_write(cx, slice))?,
            slices => ready!(Pin::new(stream).poll_write_vectored(cx, slices))?,
        };
        if written == 0 {
            return Poll::Ready(Err(io::ErrorKind::WriteZero.into()));
        }
        self.advance(written);
        Poll::Ready(Ok(written))
    }

    fn fill<'a>(&'a self, slices: &mut [IoSlice<'a>; SLICES_MAX]) -> usize {
        let (mut at, mut count) = (self.written, 0);
        let mut add = |slice: &'a [u8]| {
            if let Some(place) = slices.get_mut(count).filter(|_| !slice.is_empty()) {
                *place = IoSlice::new(slice);
                count += 1;
            }
        };
        for (place, piece) in self.pieces.iter().take(SLICES_MAX / 2) {
            add(self.small.get(at..*place).unwrap_or_default());
            add(piece);
            at = *place;
        }
        if self.pieces.len() < SLICES_MAX / 2 {
            add(self.small.get(at..).unwrap_or_default());
        }
        count
    }

    fn advance(&mut self, mut count: usize) {
        self.length -= count;
        while count > 0 {
            let Some((place, piece)) = self.pieces.front_mut() else {
                self.written += count;
                break;
            };
            let small = count.min(*place - self.written);
            self.written += small;
            count -= small;
            let taken = count.min(piece.len());
            piece.advance(taken);
            count -= taken;
            if piece.is_empty() {
                self.pieces.pop_front();
            }
        }
        if self.length == 0 {
            self.written = 0;
            self.small.clear();
            self.small.shrink_to(KEPT_MAX);
        } else if self.written >= KEPT_MAX.max(self.small.len() / 2) {
            // A client that is always a little behind must not make it grow.
            self.small.drain(..self.written);
            for (place, _) in &mut self.pieces {
                *place -= self.written;
            }
            self.written = 0;
        }
    }

    /// Nothing is under way: memory is given back.
    pub(super) fn lighten(&mut self) {
        if self.length == 0 {
            *self = Self { tells_table: self.tells_table, ..Self::default() };
        }
    }

    fn put_small(&mut self, bytes: &[u8]) {
        self.length += bytes.len();
        self.small.extend_from_slice(bytes);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::task::Waker;

    /// Takes at most so many bytes at a time.
    struct Slow(usize, Vec<u8>);

    impl AsyncWrite for Slow {
        fn poll_write(
            mut self: Pin<&mut Self>,
            _: &mut Context<'_>,
            bytes: &[u8],
        ) -> Poll<io::Result<usize>> {
            let count = bytes.len().min(self.0);
            self.1.extend_from_slice(&bytes[..count]);
            Poll::Ready(Ok(count))
        }

        fn poll_write_vectored(
            self: Pin<&mut Self>,
            cx: &mut Context<'_>,
            slices: &[IoSlice<'_>],
        ) -> Poll<io::Result<usize>> {
            let all: Vec<u8> = slices.iter().flat_map(|slice| slice.to_vec()).collect();
            self.poll_write(cx, &all)
        }

        fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
            Poll::Ready(Ok(()))
        }

        fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
            Poll::Ready(Ok(()))
        }
    }

    proptest! {
        #[test]
        fn all_is_written_in_order_however_little_is_taken(
            lengths in proptest::collection::vec(0_usize..4_000, 1..40),
            takes in 1_usize..9_000,
        ) {
            let (mut output, mut expected) = (Output::default(), Vec::new());
            let mut slow = Slow(takes, Vec::new());
            let mut cx = Context::from_waker(Waker::noop());
            for (index, length) in lengths.into_iter().enumerate() {
                let byte = u8::try_from(index).unwrap();
                let head = Head { length, kind: DATA, flags: 0, stream: 1 };
                expected.extend_from_slice(&head.encode());
                expected.extend(std::iter::repeat_n(byte, length));
                output.put_data(1, false, vec![byte; length].into());
                prop_assert!(output.poll_write(&mut slow, &mut cx).is_ready());
                prop_assert_eq!(output.len() + slow.1.len(), expected.len());
            }
            while let Poll::Ready(Ok(1..)) = output.poll_write(&mut slow, &mut cx) {}
            prop_assert_eq!(slow.1, expected);
            prop_assert!(output.len() == 0 && output.pieces.is_empty());
        }
    }

    #[test]
    fn a_client_that_is_always_a_little_behind_does_not_make_it_grow() {
        let (mut output, mut slow) = (Output::default(), Slow(500, Vec::new()));
        let mut cx = Context::from_waker(Waker::noop());
        output.put_data(1, false, vec![0; 300].into());
        for _ in 0..1_000 {
            output.put_data(1, false, vec![0; 500 - HEAD_BYTES].into());
            assert!(output.poll_write(&mut slow, &mut cx).is_ready());
            assert!(output.len() > 0 && output.small.len() < 3 * KEPT_MAX, "{}", output.small.len());
        }
    }

    #[test]
    fn a_block_that_is_too_long_for_a_frame_is_continued() {
        let mut output = Output::default();
        output.put_block((1, true), 4, |out| out.extend_from_slice(b"0123456789"));
        let frame = |kind, flags, length| Head { length, kind, flags, stream: 1 }.encode();
        let expected = [
            &frame(HEADERS, END_STREAM, 4)[..],
            b"0123",
            &frame(CONTINUATION, 0, 4),
            b"4567",
            &frame(CONTINUATION, END_HEADERS, 2),
            b"89",
        ];
        assert_eq!(output.small, expected.concat());
        assert_eq!(output.len(), output.small.len());
    }
}
