//! The deadlines of a worker, looked at together.
//!
//! A request sets and clears several deadlines and hardly ever meets one. A timer of its own for each would cost more
//! than the rest of the bookkeeping; here setting one is a store.

use slab::Slab;
use std::{
    cell::{Cell, RefCell},
    rc::Rc,
    task::{Context, Poll, Waker},
    time::{Duration, Instant},
};
use tokio::{sync::Notify, time};

/// All deadlines of one worker.
pub(crate) struct Timers {
    entries: RefCell<Slab<Entry>>,
    /// When they are looked at next.
    next_look: Cell<Instant>,
    sooner: Notify,
}

/// One deadline at a time; may be set again. Ends when dropped.
pub(crate) struct Timer {
    timers: Rc<Timers>,
    key: usize,
}

#[derive(Default)]
struct Entry {
    deadline: Option<Instant>,
    waker: Option<Waker>,
}

/// The longest time between two looks.
const LOOK_MAX: Duration = Duration::from_millis(500);

/// The shortest: how late a deadline may be.
const LOOK_MIN: Duration = Duration::from_millis(5);

// === impl Timers ===

impl Timers {
    pub(crate) fn new() -> Self {
        Self { entries: RefCell::default(), next_look: Cell::new(Instant::now()), sooner: Notify::new() }
    }

    /// A timer without a deadline.
    pub(crate) fn timer(self: &Rc<Self>) -> Timer {
        let key = self.entries.borrow_mut().insert(Entry::default());
        Timer { timers: Rc::clone(self), key }
    }

    /// Wakes whoever waits for a deadline, so that it looks at what else has changed.
    pub(crate) fn wake_all(&self) {
        let wakers: Vec<_> =
            self.entries.borrow().iter().filter_map(|(_, entry)| entry.waker.clone()).collect();
        wakers.iter().for_each(Waker::wake_by_ref);
    }

    /// Looks at the deadlines for as long as the worker lives.
    pub(crate) async fn run(&self) {
        loop {
            let now = Instant::now();
            let next = self.look(now).clamp(now + LOOK_MIN, now + LOOK_MAX);
            self.next_look.set(next);
            tokio::select! {
                () = time::sleep_until(next.into()) => {}
                () = self.sooner.notified() => {}
            }
        }
    }

    /// Wakes whoever has met a deadline; when the next one is.
    fn look(&self, now: Instant) -> Instant {
        let mut next = now + LOOK_MAX;
        for (_, entry) in self.entries.borrow().iter() {
            match entry.deadline {
                Some(deadline) if deadline <= now => {
                    if let Some(waker) = &entry.waker {
                        waker.wake_by_ref();
                    }
                }
                Some(deadline) => next = next.min(deadline),
                None => {}
            }
        }
        next
    }
}

// === impl Timer ===

impl Timer {
    /// From now on this is the deadline.
    pub(crate) fn set(&self, deadline: Option<Instant>) {
        if let Some(entry) = self.timers.entries.borrow_mut().get_mut(self.key) {
            entry.deadline = deadline;
        }
        if deadline.is_some_and(|deadline| deadline < self.timers.next_look.get()) {
            self.timers.sooner.notify_one();
        }
    }

    /// Whether there is a deadline.
    pub(crate) fn is_set(&self) -> bool {
        self.timers.entries.borrow().get(self.key).is_some_and(|entry| entry.deadline.is_some())
    }

    /// Ready when the deadline has passed. The task is woken then, and by [`Timers::wake_all`].
    pub(crate) fn poll_passed(&self, cx: &Context<'_>) -> Poll<()> {
        let mut entries = self.timers.entries.borrow_mut();
        let Some(entry) = entries.get_mut(self.key) else { return Poll::Pending };
        if !entry.waker.as_ref().is_some_and(|waker| waker.will_wake(cx.waker())) {
            entry.waker = Some(cx.waker().clone());
        }
        // The clock is only asked when a look could have found the deadline.
        match entry.deadline {
            Some(deadline) if deadline < self.timers.next_look.get() && deadline <= Instant::now() => {
                Poll::Ready(())
            }
            _ => Poll::Pending,
        }
    }
}

impl Drop for Timer {
    fn drop(&mut self) {
        self.timers.entries.borrow_mut().remove(self.key);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::future::poll_fn;

    #[tokio::test(flavor = "local")]
    async fn deadlines_are_met_in_time_and_may_be_moved() {
        let timers = Rc::new(Timers::new());
        let (moved, met) = (timers.timer(), timers.timer());
        let looking = tokio::task::spawn_local({
            let timers = Rc::clone(&timers);
            async move { timers.run().await }
        });
        tokio::task::yield_now().await;
        let start = Instant::now();
        moved.set(Some(start + Duration::from_millis(10)));
        met.set(Some(start + Duration::from_millis(30)));
        moved.set(None);
        poll_fn(|cx| {
            assert!(moved.poll_passed(cx).is_pending());
            met.poll_passed(cx)
        })
        .await;
        assert!(start.elapsed() >= Duration::from_millis(30));
        looking.abort();
    }
}
