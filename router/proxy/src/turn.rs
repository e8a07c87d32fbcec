//! What the tasks of a worker write in one turn of its loop goes out together.

use std::{cell::Cell, future::poll_fn, task::Poll};

thread_local! {
    static LOOKS: Cell<u64> = const { Cell::new(0) };
}

/// The runtime of this thread has looked at its sockets, and a turn begins.
pub(crate) fn begin() {
    LOOKS.set(LOOKS.get().wrapping_add(1));
}

/// Differs from what it was before the sockets were looked at last.
pub(crate) fn number() -> u64 {
    LOOKS.get()
}

/// Lets every task that is ready go first.
///
/// A send wakes whoever waits for it, which costs as much as the rest of the send when that one sleeps on another core.
/// Where many are ready at once, all of them compute before the first one sends: the other side is woken once.
pub(crate) async fn end() {
    let mut has_waited = false;
    poll_fn(|cx| {
        if std::mem::replace(&mut has_waited, true) {
            return Poll::Ready(());
        }
        cx.waker().wake_by_ref();
        Poll::Pending
    })
    .await;
}
