//! Reads the counters at the right moments.

use super::{Baseline, Source};
use jiff::Timestamp;
use release::{Duration, Sample};
use tokio::sync::{mpsc, watch};
use tokio::time;

/// The pause before another try at a baseline; a Prometheus server shows what it scraped seconds ago.
const RETRY: std::time::Duration = std::time::Duration::from_secs(1);

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

/// Readings one after the other, as one order wants them.
#[derive(Debug)]
pub struct Counting {
    order: Order,
    baseline: Baseline,
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

// === impl Counting ===

impl Counting {
    /// Begins without a baseline.
    pub fn new(order: Order) -> Self {
        Self { order, baseline: Baseline::default() }
    }

    /// What is counted.
    pub fn order(&self) -> Order {
        self.order
    }

    /// Reads `source`: what came since the reading before, once there was one.
    pub async fn read(&mut self, source: &Source) -> Option<Sample> {
        let since = self.order.since?;
        let reading = source.read(self.order.latency_bound).await;
        if self.baseline.at() == Some(reading.at) {
            return None;
        }
        if self.baseline.at().is_some_and(|at| at < since) {
            self.baseline.reset();
        }
        self.baseline.advance(reading)
    }

    /// The time from a reading to the next one; none where there is nothing to count.
    pub fn pause(&self) -> Option<std::time::Duration> {
        self.order.since.map(|since| match self.baseline.at() {
            // The first reading must lie after the weight came into force, and soon after it.
            Some(at) if at < since => RETRY,
            _ => self.order.interval.get(),
        })
    }
}

// === impl Sampler ===

impl Sampler {
    /// Reads until nobody orders or listens any more.
    pub async fn run(mut self) {
        let mut counting = Counting::new(*self.orders.borrow_and_update());
        loop {
            if let Some(sample) = counting.read(&self.source).await
                && self.samples.send(sample).await.is_err()
            {
                return;
            }
            let pause = async {
                match counting.pause() {
                    Some(pause) => time::sleep(pause).await,
                    None => std::future::pending().await,
                }
            };
            tokio::select! {
                changed = self.orders.changed() => {
                    if changed.is_err() {
                        return;
                    }
                    counting = Counting::new(*self.orders.borrow_and_update());
                }
                () = pause => {}
            }
        }
    }
}
