//! When the counters of which Canary are read. What was read last is kept in memory: a promoter that begins anew takes
//! a new baseline, and what came in between is no evidence.

use super::object::uid_of;
use super::status::CanaryStatus;
use crate::evidence::{Counting, Order, Source};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use release::{Sample, Spec};
use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;
use tokio::time::Instant;

/// The readings of all Canaries.
#[derive(Debug, Default)]
pub(super) struct Ledger(Mutex<HashMap<String, Page>>);

/// The readings of one Canary.
#[derive(Debug)]
pub(super) struct Page {
    counting: Counting,
    read: Option<Instant>,
    /// What was read and not judged yet.
    sample: Option<Sample>,
}

/// What is to be counted now.
pub(super) fn order(spec: &Spec, status: &CanaryStatus) -> Order {
    let route = status.release.route;
    Order {
        since: route.acknowledged.filter(|_| !route.weight.is_zero()),
        interval: spec.analysis.interval,
        latency_bound: spec.analysis.latency_bound,
    }
}

// === impl Ledger ===

impl Ledger {
    /// Takes the readings of a Canary out, to go on with them.
    pub(super) fn take(&self, canary: &ObjectMeta, order: Order) -> Page {
        let page = self.pages().remove(uid_of(canary));
        page.unwrap_or_else(|| Page { counting: Counting::new(order), read: None, sample: None })
    }

    /// Puts them back.
    pub(super) fn put(&self, canary: &ObjectMeta, page: Page) {
        self.pages().insert(uid_of(canary).to_owned(), page);
    }

    /// Forgets a Canary that is gone.
    pub(super) fn forget(&self, canary: &ObjectMeta) {
        self.pages().remove(uid_of(canary));
    }

    fn pages(&self) -> std::sync::MutexGuard<'_, HashMap<String, Page>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

// === impl Page ===

impl Page {
    /// Reads, if it is time to, or if something else is to be counted now.
    pub(super) async fn turn(&mut self, order: Order, source: &Source) {
        if self.counting.order() != order {
            *self = Self { counting: Counting::new(order), read: None, sample: None };
        }
        if self.due().is_some_and(|due| due.is_zero()) {
            self.sample = self.counting.read(source).await.or(self.sample.take());
            self.read = Some(Instant::now());
        }
    }

    /// What was counted, once.
    pub(super) fn sample(&mut self) -> Option<Sample> {
        self.sample.take()
    }

    /// How long it is until the next reading; none where there is nothing to count.
    pub(super) fn due(&self) -> Option<Duration> {
        let pause = self.counting.pause()?;
        Some(self.read.map_or(Duration::ZERO, |read| pause.saturating_sub(read.elapsed())))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use jiff::Timestamp;

    const HOUR: release::Duration = release::Duration::from_secs(3600);
    const MOMENT: release::Duration = release::Duration::from_millis(1);

    fn order(since: Option<i64>, interval: release::Duration) -> Order {
        let since = since.map(|second| Timestamp::from_second(second).unwrap());
        Order { since, interval, latency_bound: None }
    }

    fn missing() -> Source {
        Source::Missing("no router is there".to_owned())
    }

    #[tokio::test]
    async fn nothing_is_read_before_a_weight_is_in_force_and_then_at_every_interval() {
        let (ledger, canary) = (Ledger::default(), ObjectMeta::default());
        let mut page = ledger.take(&canary, order(None, HOUR));
        page.turn(order(None, HOUR), &missing()).await;
        assert_eq!((page.sample(), page.due()), (None, None));
        page.turn(order(Some(1), HOUR), &missing()).await;
        assert_eq!(page.sample(), Some(Sample::Unavailable("no router is there".to_owned())));
        assert!(page.due().is_some_and(|due| !due.is_zero()));
        ledger.put(&canary, page);
        let mut page = ledger.take(&canary, order(Some(1), HOUR));
        page.turn(order(Some(1), HOUR), &missing()).await;
        assert_eq!(page.sample(), None, "it is not time yet");
    }

    #[tokio::test]
    async fn an_interval_later_it_is_read_again() {
        let mut page = Ledger::default().take(&ObjectMeta::default(), order(Some(1), MOMENT));
        page.turn(order(Some(1), MOMENT), &missing()).await;
        assert!(page.sample().is_some());
        tokio::time::sleep(MOMENT.get()).await;
        page.turn(order(Some(1), MOMENT), &missing()).await;
        assert!(page.sample().is_some());
    }

    #[tokio::test]
    async fn what_was_read_at_another_weight_is_forgotten() {
        let mut page = Ledger::default().take(&ObjectMeta::default(), order(Some(1), HOUR));
        page.turn(order(Some(1), HOUR), &missing()).await;
        page.turn(order(None, HOUR), &missing()).await;
        assert_eq!(page.sample(), None);
    }
}
