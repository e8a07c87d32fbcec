use std::sync::{
    Arc,
    atomic::{AtomicUsize, Ordering::Relaxed},
};
use tokio::sync::Notify;

/// Requests that wait until an endpoint of their backend has room.
#[derive(Debug, Default)]
pub struct Queue {
    waiting: AtomicUsize,
    freed: Notify,
}

/// A place in a queue; given up when dropped.
#[derive(Debug)]
pub struct Place(Arc<Queue>);

// === impl Queue ===

impl Queue {
    /// A place, unless `max` requests wait already.
    #[must_use]
    pub fn join(self: &Arc<Self>, max: usize) -> Option<Place> {
        let joined = self.waiting.fetch_update(Relaxed, Relaxed, |count| (count < max).then_some(count + 1));
        joined.is_ok().then(|| Place(Arc::clone(self)))
    }

    /// A request has ended: one that waits may look again.
    pub fn frees(&self) {
        if self.waiting.load(Relaxed) > 0 {
            self.freed.notify_one();
        }
    }

    /// Requests that wait.
    #[must_use]
    pub fn len(&self) -> usize {
        self.waiting.load(Relaxed)
    }

    /// Whether nobody waits.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

// === impl Place ===

impl Place {
    /// Returns when there may be room. Somebody else may have taken it meanwhile.
    pub fn freed(&self) -> impl Future<Output = ()> {
        self.0.freed.notified()
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        self.0.waiting.fetch_sub(1, Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_queue_has_an_end_and_one_is_woken_for_each_that_leaves() {
        let queue = Arc::new(Queue::default());
        let (first, second) = (queue.join(2).unwrap(), queue.join(2).unwrap());
        assert!(queue.join(2).is_none() && queue.len() == 2);
        queue.frees();
        first.freed().await;
        drop(first);
        assert!(queue.join(2).is_some());
        queue.frees();
        second.freed().await;
        drop(second);
        assert!(queue.is_empty());
    }
}
