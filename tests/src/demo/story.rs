//! Everything that was seen during the demo, as it is told at the end.

use super::show::Show;
use crate::{Machine, Readers, Second, Tally, Version};
use anyhow::{Result, bail};
use jiff::Timestamp;
use promoter::canary::Canary;
use release::{Revision, Tick};
use split::Weight;
use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;
use tokio::time::Instant;

/// What was seen.
pub(super) struct Story {
    readers: Readers,
    show: Show,
    began: Timestamp,
    /// The version that the present act is about.
    version: &'static str,
    /// Each change of the weight: when, and to what.
    weights: Vec<(Timestamp, Weight)>,
    ticks: Vec<Tick>,
    /// The process numbers that each revision ever had ready.
    pids: BTreeMap<Revision, BTreeSet<u32>>,
}

// === impl Story ===

impl Story {
    pub(super) fn new(readers: Readers, show: Show) -> Self {
        let (weights, ticks, pids) = (Vec::new(), Vec::new(), BTreeMap::new());
        Self { readers, show, began: Timestamp::now(), version: "", weights, ticks, pids }
    }

    /// Looks on until `met` says that the act is over.
    pub(super) async fn watch(
        &mut self,
        machine: &mut Machine,
        limit: Duration,
        met: impl Fn(&Canary) -> bool,
    ) -> Result<Canary> {
        let end = Instant::now() + limit;
        while Instant::now() < end {
            machine.check()?;
            self.readers.check()?;
            if let Ok(canary) = machine.canary().await {
                self.note(&canary);
                if met(&canary) {
                    return Ok(canary);
                }
            }
            tokio::time::sleep(Duration::from_millis(150)).await;
        }
        bail!("the act did not end within {limit:?}; the logs are in {}", machine.folder().display())
    }

    fn note(&mut self, canary: &Canary) {
        let now = Timestamp::now();
        let status = &canary.status;
        let weight = status.release.route.weight;
        if self.weights.last().is_none_or(|(_, last)| *last != weight) {
            self.weights.push((now, weight));
        }
        let last = self.ticks.last().map(|tick| tick.at);
        self.ticks
            .extend(status.release.ticks.iter().filter(|tick| last.is_none_or(|at| tick.at > at)).cloned());
        for replica in status.replicas.iter().filter(|replica| replica.ready) {
            self.pids.entry(replica.revision.clone()).or_default().extend(replica.pid);
        }
        let seconds = self.readers.seconds();
        self.show.live(canary, seconds.last(), self.version);
    }

    /// Begins to tell of this version.
    pub(super) fn turn_to(&mut self, version: &Version) {
        self.version = version.name;
    }

    pub(super) fn pids_of(&self, revision: &Revision) -> BTreeSet<u32> {
        self.pids.get(revision).cloned().unwrap_or_default()
    }

    pub(super) fn say(&self, text: &str) {
        self.show.say(text);
    }

    /// What readers saw since the beginning.
    pub(super) fn total(&self) -> Tally {
        self.readers.total()
    }

    pub(super) async fn end_readers(&mut self) -> Result<()> {
        self.readers.end().await.map(|_| ())
    }

    pub(super) fn seconds(&self) -> Vec<Second> {
        self.readers.seconds()
    }

    pub(super) fn weights(&self) -> &[(Timestamp, Weight)] {
        &self.weights
    }

    pub(super) fn ticks(&self) -> &[Tick] {
        &self.ticks
    }

    pub(super) fn began(&self) -> Timestamp {
        self.began
    }
}
