use super::{choose, failure::Failure, run::Exchange};
use crate::routes::Pending;
use std::time::Instant;
use tokio::time;

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
        loop {
            // The routes may have changed since it began to wait, and endpoints that left must not be asked.
            let picked = choose::again(&self.worker, name, &backend.name);
            match picked {
                Err(Failure::Overloaded) => {}
                picked => return picked,
            }
            time::timeout_at(deadline.into(), place.freed()).await.map_err(|_| Failure::Overloaded)?;
        }
    }
}
