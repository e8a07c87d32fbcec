//! One replica: its port and name stay, its process may be started again.

use super::probe::Health;
use super::process::Process;
use crate::canary::ReplicaView;
use crate::local::config::RestartBackoff;
use crate::local::state::ReplicaRecord;
use jiff::Timestamp;
use release::Duration;
use rustix::process::Signal;
use std::net::SocketAddr;
use tokio::task::JoinHandle;
use tokio::time::{self, Instant};

/// One replica.
#[derive(Debug)]
pub(super) struct Replica {
    pub(super) name: String,
    pub(super) record: ReplicaRecord,
    pub(super) running: Option<Running>,
    /// Whether the routes file lists it.
    pub(super) listed: bool,
    /// The first generation of the routes file that no longer lists it, and when that was written.
    pub(super) left: Option<(u64, Instant)>,
    pub(super) backoff: Backoff,
}

/// Its process.
#[derive(Debug)]
pub(super) struct Running {
    pub(super) process: Process,
    pub(super) health: Option<Health>,
    pub(super) started_at: Instant,
    /// The length of its log before it printed anything.
    pub(super) printed_before: u64,
    started: Timestamp,
    probing: JoinHandle<()>,
    asked_to_end: Option<Instant>,
    killed: bool,
}

/// When it may be started.
#[derive(Debug, Default)]
pub(super) struct Backoff {
    failures: u32,
    wait: Duration,
    until: Option<Instant>,
}

// === impl Replica ===

impl Replica {
    pub(super) fn new(name: String, record: ReplicaRecord) -> Self {
        Self { name, record, running: None, listed: false, left: None, backoff: Backoff::default() }
    }

    /// It is to end; it leaves the routers first.
    pub(super) fn end(&mut self) {
        self.record.ending = true;
    }

    pub(super) fn is_ready(&self) -> bool {
        self.running.as_ref().is_some_and(|running| running.health == Some(Health::Ready))
    }

    /// The least worth is ended first: what does not run, then what is not ready, then what restarted most.
    pub(super) fn worth(&self) -> (bool, bool, std::cmp::Reverse<u32>) {
        (self.running.is_some(), self.is_ready(), std::cmp::Reverse(self.record.restarts))
    }

    pub(super) fn note_listed(&mut self, generation: u64, listed: bool) {
        if listed {
            self.left = None;
        } else if self.listed {
            self.left.get_or_insert_with(|| (generation, Instant::now()));
        }
        // Once listed, it only counts as gone when the routers have said so.
        self.listed |= listed;
    }

    /// Its process ended by itself.
    pub(super) fn ended(
        &mut self,
        how: &str,
        last_line: Option<String>,
        lived: time::Duration,
        backoff: &RestartBackoff,
    ) {
        self.record.restarts = self.record.restarts.saturating_add(1);
        self.backoff.fail(Some(lived), backoff);
        let times = match self.record.restarts {
            1 => "once".to_owned(),
            times => format!("{times} times"),
        };
        let line = last_line.map(|line| format!(": {line}")).unwrap_or_default();
        self.record.last_exit = Some(format!("{how}, {times} so far{line}"));
    }

    /// It could not be started.
    pub(super) fn failed_to_start(&mut self, why: &str, backoff: &RestartBackoff) {
        self.backoff.fail(None, backoff);
        self.record.last_exit = Some(why.to_owned());
    }

    /// Why it is not ready; how its last process ended is part of it until the present one is ready.
    pub(super) fn trouble(&self) -> String {
        let now = match &self.running {
            Some(Running { health: Some(Health::NotReady(why)), .. }) => why.clone(),
            Some(_) => "not probed yet".to_owned(),
            None if self.backoff.wait.is_zero() => "not started yet".to_owned(),
            None => format!("restarting after {}", self.backoff.wait),
        };
        match &self.record.last_exit {
            Some(exit) => format!("{exit} ({now})"),
            None => now,
        }
    }

    pub(super) fn view(&self, address: SocketAddr) -> ReplicaView {
        let message = match (self.is_ready(), self.record.ending) {
            (_, true) => "ending".to_owned(),
            (true, false) => String::new(),
            (false, false) => self.trouble(),
        };
        ReplicaView {
            name: self.name.clone(),
            revision: self.record.revision.clone(),
            address: Some(address),
            pid: self.running.as_ref().map(|running| running.process.pid),
            ready: self.is_ready() && !self.record.ending,
            restarts: self.record.restarts,
            started: self.running.as_ref().map(|running| running.started),
            message,
        }
    }
}

// === impl Running ===

impl Running {
    pub(super) fn new(
        process: Process,
        probing: JoinHandle<()>,
        health: Option<Health>,
        (started, printed_before): (Timestamp, u64),
    ) -> Self {
        let started_at = Instant::now();
        Self {
            process,
            health,
            started_at,
            printed_before,
            started,
            probing,
            asked_to_end: None,
            killed: false,
        }
    }

    /// SIGTERM once the routers have let go of it, SIGKILL when the grace period has passed.
    pub(super) fn end(&mut self, unlisted: bool, now: Instant, grace: time::Duration) {
        match self.asked_to_end {
            None if unlisted => {
                self.asked_to_end = Some(now);
                self.process.signal(Signal::TERM);
            }
            Some(asked) if now.duration_since(asked) >= grace && !self.killed => {
                let pid = self.process.pid;
                tracing::warn!(pid, "Process {pid} did not end within {grace:?} of SIGTERM: it gets SIGKILL");
                self.killed = true;
                self.process.signal(Signal::KILL);
            }
            _ => {}
        }
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        self.probing.abort();
    }
}

// === impl Backoff ===

impl Backoff {
    pub(super) fn is_over(&self, now: Instant) -> bool {
        self.until.is_none_or(|until| now >= until)
    }

    /// Doubles from the initial wait to the limit, and begins anew after a run of twice the limit, as in Kubernetes.
    fn fail(&mut self, lived: Option<time::Duration>, settings: &RestartBackoff) {
        if lived.is_some_and(|lived| lived >= settings.limit.get() * 2) {
            self.failures = 0;
        }
        let factor = 2u32.saturating_pow(self.failures);
        let wait = settings.initial.get().saturating_mul(factor).min(settings.limit.get());
        self.failures = self.failures.saturating_add(1);
        self.wait = Duration::from_millis(u64::try_from(wait.as_millis()).unwrap_or(u64::MAX));
        self.until = Some(Instant::now() + wait);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_backoff_doubles_up_to_its_limit_and_begins_anew_after_a_long_run() {
        let settings = RestartBackoff { initial: Duration::from_secs(1), limit: Duration::from_secs(5) };
        let mut backoff = Backoff::default();
        let mut waits = Vec::new();
        for lived in [0, 0, 0, 0, 9, 10] {
            backoff.fail(Some(time::Duration::from_secs(lived)), &settings);
            waits.push(backoff.wait.get().as_secs());
        }
        assert_eq!(waits, [1, 2, 4, 5, 5, 1]);
    }
}
