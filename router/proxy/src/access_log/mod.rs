//! The access log: a line of JSON for each request that somebody wants to see, on standard output.

mod queue;

use crate::config::AccessLogSpec;
use arc_swap::ArcSwap;
use prometheus::IntCounter;
use queue::Queue;
use rand::{RngExt, rngs::SmallRng};
use std::{cell::RefCell, io, sync::Arc, thread};

/// Takes the lines of all workers; what it takes can be changed while it runs.
#[derive(Debug)]
pub struct AccessLog {
    spec: ArcSwap<AccessLogSpec>,
    queue: Arc<Queue>,
}

/// Which of the requests that begin now has a line.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Wanted {
    Always,
    /// Only if it fails.
    Failed,
}

// === impl AccessLog ===

impl AccessLog {
    /// Writes to standard output from now on. Lines that are lost are counted.
    ///
    /// # Errors
    /// No thread can be had.
    pub fn start(spec: AccessLogSpec, lost: IntCounter) -> io::Result<Self> {
        let queue = Arc::new(Queue::new(lost));
        let write = {
            let queue = Arc::clone(&queue);
            move || queue.write_to(io::stdout())
        };
        thread::Builder::new().name("access-log".to_owned()).spawn(write)?;
        Ok(Self { spec: ArcSwap::from_pointee(spec), queue })
    }

    /// What is logged now.
    #[must_use]
    pub fn spec(&self) -> AccessLogSpec {
        **self.spec.load()
    }

    /// What is logged from the next request on.
    pub fn change(&self, spec: AccessLogSpec) {
        self.spec.store(Arc::new(spec));
        tracing::info!(?spec, "The access log has {} of all requests", spec.sample);
    }

    /// Whether a request that begins now has a line.
    pub(crate) fn wants(&self, rng: &RefCell<SmallRng>) -> Option<Wanted> {
        let AccessLogSpec { sample, failures, .. } = **self.spec.load();
        // Nothing is drawn where everybody or nobody is chosen.
        let is_chosen =
            sample.get() > 0.0 && (sample.get() >= 1.0 || rng.borrow_mut().random_bool(sample.get()));
        if is_chosen {
            return Some(Wanted::Always);
        }
        failures.then_some(Wanted::Failed)
    }

    /// Takes a line with its end; never waits.
    pub(crate) fn push(&self, line: &[u8]) {
        self.queue.push(line);
    }

    /// Waits a moment until all lines are written.
    pub(crate) fn finish(&self) {
        self.queue.finish();
    }
}

impl Drop for AccessLog {
    fn drop(&mut self) {
        self.queue.close();
    }
}
