//! Large buffers for what backends send.
//!
//! Each goes back to its thread when the last piece of it was used, and the one that came back last is taken first: it
//! is still in the caches of the processor, which makes both copies of a large body cheaper.

use bytes::Bytes;
use std::{
    cell::RefCell,
    ops::{Deref, DerefMut},
};

/// A buffer on loan.
pub(crate) struct Room(Vec<u8>);

/// 64 KiB, which many systems send at once, together with their head.
pub(crate) const BYTES: usize = 72 * 1024;

/// Rooms that a thread keeps.
const KEPT_MAX: usize = 32;

thread_local! {
    static ROOMS: RefCell<Vec<Vec<u8>>> = const { RefCell::new(Vec::new()) };
}

// === impl Room ===

impl Room {
    /// An empty one.
    pub(crate) fn new() -> Self {
        Self(ROOMS.with_borrow_mut(Vec::pop).unwrap_or_else(|| Vec::with_capacity(BYTES)))
    }

    /// What was read, without a copy.
    pub(crate) fn into_bytes(self) -> Bytes {
        Bytes::from_owner(self)
    }
}

impl Deref for Room {
    type Target = Vec<u8>;

    fn deref(&self) -> &Vec<u8> {
        &self.0
    }
}

impl DerefMut for Room {
    fn deref_mut(&mut self) -> &mut Vec<u8> {
        &mut self.0
    }
}

impl AsRef<[u8]> for Room {
    fn as_ref(&self) -> &[u8] {
        &self.0
    }
}

impl Drop for Room {
    fn drop(&mut self) {
        let mut bytes = std::mem::take(&mut self.0);
        bytes.clear();
        // A thread that ends keeps nothing.
        let _ = ROOMS.try_with(|rooms| {
            let mut rooms = rooms.borrow_mut();
            if rooms.len() < KEPT_MAX {
                rooms.push(bytes);
            }
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_room_comes_back_when_its_last_piece_is_dropped() {
        let mut room = Room::new();
        room.extend_from_slice(b"abcdef");
        let place = room.as_ptr();
        let mut whole = room.into_bytes();
        let begin = whole.split_to(3);
        drop(whole);
        assert_ne!(Room::new().as_ptr(), place, "a piece of it is in use");
        drop(begin);
        let again = Room::new();
        assert_eq!((again.as_ptr(), again.len()), (place, 0));
    }
}
