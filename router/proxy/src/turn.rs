//! What the tasks of a worker write in one turn of its loop goes out together.

use std::{future::poll_fn, task::Poll};

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
