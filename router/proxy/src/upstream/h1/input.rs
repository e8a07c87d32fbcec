use crate::{fill::poll_little, room::Room};
use bytes::{Buf, Bytes, BytesMut};
use std::{
    io,
    ops::Deref,
    pin::pin,
    task::{Context, Poll, ready},
};
use tokio::{io::AsyncReadExt, net::TcpStream};

/// What was read from a backend and not yet used: in `few` as long as there is no `much`.
#[derive(Default)]
pub(super) struct Input {
    /// Heads and small bodies, in a buffer that stays.
    few: BytesMut,
    much: Much,
}

/// What is too long to be copied out of the room that it was read into. It is never empty.
#[derive(Default)]
enum Much {
    #[default]
    None,
    /// All of the room from some place on; more can be read into it.
    Whole(Room, usize),
    /// Another part of the room is under way.
    Rest(Bytes),
}

/// Up to this size it is copied out of the large buffer that it was read into.
const FEW_MAX: usize = 4 * 1024;

/// Up to this size a copy of a piece costs less than to share the buffer.
const COPY_MAX: usize = 512;

// === impl Input ===

impl Input {
    /// Uses `count` bytes, or all where there are less.
    pub(super) fn advance(&mut self, count: usize) {
        let count = count.min(self.len());
        match &mut self.much {
            Much::None => self.few.advance(count),
            Much::Whole(_, at) => *at += count,
            Much::Rest(bytes) => bytes.advance(count),
        }
        if self.is_empty() {
            // An empty rest would still hold the room.
            self.much = Much::None;
        }
    }

    /// The next `count` bytes, or all where there are less.
    pub(super) fn take(&mut self, count: usize) -> Bytes {
        let count = count.min(self.len());
        if count <= COPY_MAX {
            let taken = Bytes::copy_from_slice(self.get(..count).unwrap_or_default());
            self.advance(count);
            return taken;
        }
        let mut whole = match std::mem::take(&mut self.much) {
            Much::None => return self.few.split_to(count).freeze(),
            Much::Whole(room, at) => room.into_bytes().slice(at..),
            Much::Rest(bytes) => bytes,
        };
        let rest = whole.split_off(count);
        if !rest.is_empty() {
            self.much = Much::Rest(rest);
        }
        whole
    }

    /// Reads as much as there is, up to what a room holds; 0 is the end.
    pub(super) fn poll_fill(
        &mut self,
        stream: &mut TcpStream,
        cx: &mut Context<'_>,
    ) -> Poll<io::Result<usize>> {
        if let Much::Whole(room, _) = &mut self.much
            && room.capacity() - room.len() >= FEW_MAX
        {
            return pin!(stream.read_buf(&mut **room)).poll(cx);
        }
        let mut room = Room::new();
        room.extend_from_slice(self);
        let count = ready!(pin!(stream.read_buf(&mut *room)).poll(cx))?;
        self.few.clear();
        self.much = Much::None;
        if room.len() <= FEW_MAX {
            self.few.extend_from_slice(&room);
        } else {
            self.much = Much::Whole(room, 0);
        }
        Poll::Ready(Ok(count))
    }

    /// Reads no more than a head needs; 0 is the end.
    pub(super) fn poll_little(
        &mut self,
        stream: &mut TcpStream,
        cx: &mut Context<'_>,
    ) -> Poll<io::Result<usize>> {
        match self.much {
            Much::None => poll_little(stream, &mut self.few, cx),
            Much::Whole(..) | Much::Rest(_) => self.poll_fill(stream, cx),
        }
    }

    /// Gives back memory, when there is nothing in it.
    pub(super) fn lighten(&mut self) {
        if self.is_empty() {
            *self = Self::default();
        }
    }

    pub(super) fn into_inner(self) -> BytesMut {
        match self.much {
            Much::None => self.few,
            Much::Whole(..) | Much::Rest(_) => BytesMut::from(&*self),
        }
    }

    #[cfg(test)]
    pub(super) fn extend(&mut self, bytes: &[u8]) {
        self.few.extend_from_slice(bytes);
    }
}

impl Deref for Input {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        match &self.much {
            Much::None => &self.few,
            Much::Whole(room, at) => room.get(*at..).unwrap_or_default(),
            Much::Rest(bytes) => bytes,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::future::poll_fn;
    use tokio::{io::AsyncWriteExt, net::TcpListener};

    /// Both ends of a connection.
    async fn pair() -> (TcpStream, TcpStream) {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let backend = TcpStream::connect(listener.local_addr().unwrap()).await.unwrap();
        (backend, listener.accept().await.unwrap().0)
    }

    /// Reads to the end, `take` bytes at a time as long as there are more than `rest`, and puts it together.
    async fn read(stream: &mut TcpStream, take: usize, rest: usize, is_little: bool) -> Vec<u8> {
        let (mut input, mut all) = (Input::default(), Vec::new());
        loop {
            let read =
                poll_fn(
                    |cx| {
                        if is_little { input.poll_little(stream, cx) } else { input.poll_fill(stream, cx) }
                    },
                );
            if read.await.unwrap() == 0 {
                all.extend_from_slice(&input);
                return all;
            }
            while input.len() > rest {
                all.extend_from_slice(&input.take(take.min(input.len() - rest)));
                if let Some(&byte) = input.first().filter(|_| input.len() > rest) {
                    input.advance(1);
                    all.push(byte);
                }
            }
        }
    }

    #[tokio::test]
    async fn what_was_read_comes_in_order_however_it_is_taken() {
        let sent: Vec<u8> =
            (0..300_000_u32).map(|at| at.wrapping_mul(2_654_435_761).to_le_bytes()[3]).collect();
        for (take, rest) in [(1, 0), (100, 0), (100, 3), (COPY_MAX + 1, 20), (5_000, 600), (100_000, 4_200)] {
            for (piece, is_little) in [(700, false), (5_000, false), (100_000, false), (5_000, true)] {
                let (mut backend, mut stream) = pair().await;
                let write = async {
                    for piece in sent.chunks(piece) {
                        backend.write_all(piece).await.unwrap();
                        tokio::task::yield_now().await;
                    }
                    drop(backend);
                };
                let (got, ()) = tokio::join!(read(&mut stream, take, rest, is_little), write);
                assert!(got == sent, "{take} at a time, {rest} left over, written {piece} at a time");
            }
        }
    }

    #[tokio::test]
    async fn an_idle_connection_keeps_nothing_of_what_it_read() {
        let (mut backend, mut stream) = pair().await;
        backend.write_all(&[1; 10_000]).await.unwrap();
        let mut input = Input::default();
        while input.len() < 10_000 {
            poll_fn(|cx| input.poll_fill(&mut stream, cx)).await.unwrap();
        }
        input.lighten();
        assert_eq!(input.len(), 10_000, "it is not used yet");
        drop(input.take(10_000));
        input.lighten();
        assert!(input.few.capacity() == 0 && matches!(input.much, Much::None));
    }
}
