use super::{choose, failure::Failure, run::Exchange};
use crate::routes::Pending;
use std::{
    pin::pin,
    time::{Duration, Instant},
};
use tokio::time;

/// How often whoever waits looks on its own: nobody tells it that an endpoint joined, recovered or is ejected no more.
const LOOK_INTERVAL: Duration = Duration::from_millis(250);

impl Exchange {
    /// Waits in the backend's queue, where it has one, until an endpoint has room.
    pub(super) async fn wait_for_room(&self) -> Result<Pending, Failure> {
        let record = &self.record;
        let Some((backend, limit)) = record.backend().and_then(|backend| Some((backend, backend.queue?)))
        else {
            return Err(Failure::Overloaded);
        };
        let max = usize::try_from(limit.max_requests.get()).unwrap_or(usize::MAX);
        let place = backend.state.queue.join(max).ok_or(Failure::Overloaded)?;
        let deadline = self.deadline.min(Instant::now() + limit.timeout.get());
        let name = &record.route().spec.name;
        let mut freed = pin!(place.freed());
        loop {
            // The routes may have changed since it began to wait, and endpoints that left must not be asked.
            match choose::again(&self.worker, name, &backend.name) {
                Err(Failure::Overloaded) if Instant::now() < deadline => {}
                picked => return picked,
            }
            let next_look = deadline.min(Instant::now() + LOOK_INTERVAL);
            // It keeps its place in the queue when it has only looked on its own.
            if time::timeout_at(next_look.into(), freed.as_mut()).await.is_ok() {
                freed.set(place.freed());
            }
        }
    }
}
