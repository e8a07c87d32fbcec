//! Reads the counters at the right moments.

use super::{Baseline, Source};
use jiff::Timestamp;
use release::{Duration, Sample};
use tokio::sync::{mpsc, watch};
use tokio::time;

/// What is to be counted, if anything.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Order {
    /// Only what came after this moment counts; none: there is nothing to count.
    pub since: Option<Timestamp>,
    /// The time between two readings.
    pub interval: Duration,
    /// Requests slower than this are errors.
    pub latency_bound: Option<Duration>,
}

/// A task that reads a source as ordered.
#[derive(Debug)]
pub struct Sampler {
    /// Where the counters are.
    pub source: Source,
    /// What is to be counted; a change begins a new baseline at once.
    pub orders: watch::Receiver<Order>,
    /// Where the samples go.
    pub samples: mpsc::Sender<Sample>,
}

// === impl Sampler ===

impl Sampler {
    /// Reads until nobody orders or listens any more.
    pub async fn run(mut self) {
        let mut baseline = Baseline::default();
        loop {
            let order = *self.orders.borrow_and_update();
            if let Some(since) = order.since
                && self.take_sample(&mut baseline, order, since).await.is_none()
            {
                return;
            }
            let wait = order.since.map(|since| match baseline.at() {
                // The first reading must lie after the weight came into force, and soon after it.
                Some(at) if at < since => RETRY,
                _ => order.interval.get(),
            });
            let pause = async {
                match wait {
                    Some(wait) => time::sleep(wait).await,
                    None => std::future::pending().await,
                }
            };
            tokio::select! {
                changed = self.orders.changed() => {
                    if changed.is_err() {
                        return;
                    }
                    baseline.reset();
                }
                () = pause => {}
            }
        }
    }

    /// None where nobody listens any more.
    async fn take_sample(&self, baseline: &mut Baseline, order: Order, since: Timestamp) -> Option<()> {
        let reading = self.source.read(order.latency_bound).await;
        if baseline.at() == Some(reading.at) {
            return Some(());
        }
        if baseline.at().is_some_and(|at| at < since) {
            baseline.reset();
        }
        match baseline.advance(reading) {
            Some(sample) => self.samples.send(sample).await.ok(),
            None => Some(()),
        }
    }
}

/// The pause before another try at a baseline; a Prometheus server shows what it scraped seconds ago.
const RETRY: std::time::Duration = std::time::Duration::from_secs(1);
