use crate::{downstream::client::Client, timers::Timer, worker::Worker};
use hyper::rt;
use std::{
    future::poll_fn,
    pin::pin,
    rc::Rc,
    task::{Context, Poll},
    time::{Duration, Instant},
};
use tokio::task;

/// One request and its answer on an HTTP/2 connection: how long the client may leave a piece of the answer lying.
///
/// A client that opens no window for a stream reads its socket all the same, so the deadline for writing says nothing
/// about it.
pub(crate) struct Stream {
    timer: Timer,
    stall: Duration,
}

/// Runs the streams of one connection on this thread.
#[derive(Clone)]
pub(super) struct Executor(Rc<Worker>);

tokio::task_local! {
    static CURRENT: Rc<Stream>;
}

// === impl Stream ===

impl Stream {
    /// The stream that the running task serves.
    pub(in crate::downstream) fn current() -> Option<Rc<Self>> {
        CURRENT.try_with(Rc::clone).ok()
    }

    /// A piece of the answer, at most 64 KiB, was handed on.
    pub(crate) fn gave(&self) {
        self.timer.set(Some(Instant::now() + self.stall));
    }

    /// The client has taken it.
    pub(crate) fn took(&self) {
        self.timer.set(None);
    }

    fn poll_stalled(&self, cx: &Context<'_>) -> Poll<()> {
        self.timer.poll_passed(cx)
    }
}

// === impl Executor ===

impl Executor {
    pub(super) fn new(client: &Client) -> Self {
        Self(Rc::clone(&client.worker))
    }
}

impl<F: Future<Output = ()> + 'static> rt::Executor<F> for Executor {
    fn execute(&self, future: F) {
        let Self(worker) = self;
        let (timer, stall) = (worker.timers.timer(), worker.shared.settings.patience.stall);
        let stream = Rc::new(Stream { timer, stall });
        task::spawn_local(CURRENT.scope(Rc::clone(&stream), async move {
            let mut future = pin!(future);
            // Dropping it resets the stream.
            poll_fn(|cx| match future.as_mut().poll(cx) {
                Poll::Ready(()) => Poll::Ready(()),
                Poll::Pending => stream.poll_stalled(cx),
            })
            .await;
        }));
    }
}
