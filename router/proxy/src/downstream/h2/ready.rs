use futures_util::task::AtomicWaker;
use std::{
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering::AcqRel},
    },
    task::{Wake, Waker},
};

/// Which streams of a connection have something to do. All of them are driven by the connection's task, so that what
/// they have to say goes out together.
#[derive(Default)]
pub(super) struct Ready {
    shared: Arc<Shared>,
    /// One for each place that a stream ever had; used again by the next stream at the place.
    wakers: Vec<Waker>,
}

#[derive(Default)]
struct Shared {
    /// A bit for each place.
    places: [AtomicU64; 2],
    connection: AtomicWaker,
}

const _: () = assert!(super::STREAMS_MAX <= 128, "each stream needs a place");

struct Place {
    shared: Arc<Shared>,
    index: usize,
}

// === impl Ready ===

impl Ready {
    /// The connection is woken by this from now on.
    pub(super) fn register(&self, waker: &Waker) {
        self.shared.connection.register(waker);
    }

    /// Wakes the stream at this place.
    pub(super) fn waker(&mut self, index: usize) -> Waker {
        while self.wakers.len() <= index {
            let place = Place { shared: Arc::clone(&self.shared), index: self.wakers.len() };
            self.wakers.push(Arc::new(place).into());
        }
        self.wakers.get(index).cloned().unwrap_or_else(|| Waker::noop().clone())
    }

    /// The stream at this place has something to do, and the connection is at it.
    pub(super) fn mark(&self, index: usize) {
        self.shared.mark(index);
    }

    /// The places of all streams that have something to do; they are not marked any more.
    pub(super) fn take(&self) -> u128 {
        let [low, high] = self.shared.places.each_ref().map(|bits| bits.swap(0, AcqRel));
        u128::from(high) << 64 | u128::from(low)
    }

    /// No stream is left.
    pub(super) fn lighten(&mut self) {
        self.wakers = Vec::new();
    }
}

// === impl Shared ===

impl Shared {
    fn mark(&self, index: usize) {
        if let Some(bits) = self.places.get(index / 64) {
            bits.fetch_or(1 << (index % 64), AcqRel);
        }
    }
}

impl Wake for Place {
    fn wake(self: Arc<Self>) {
        self.wake_by_ref();
    }

    fn wake_by_ref(self: &Arc<Self>) {
        self.shared.mark(self.index);
        self.shared.connection.wake();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_stream_that_is_woken_is_found_once() {
        let mut ready = Ready::default();
        let [low, high] = [3, 100].map(|index| ready.waker(index));
        low.wake_by_ref();
        high.wake();
        ready.mark(3);
        assert_eq!(ready.take(), 1 << 3 | 1 << 100);
        assert_eq!(ready.take(), 0);
    }
}
