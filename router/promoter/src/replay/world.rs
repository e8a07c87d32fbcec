//! A platform in which everything is ready at once, and only the counts are real.

use super::{Ending, RecordedTick};
use crate::platform::{Platform, turn};
use jiff::{SignedDuration, Timestamp};
use release::{
    Action, Event, Fleet, Observation, Phase, Revision, Route, Routing, Sample, Spec, Status, Window,
};
use split::Weight;
use std::convert::Infallible;

/// Enough for every step to have a whole number of them.
const REPLICAS: u32 = 100;

/// The world of a recording.
pub(super) struct World {
    spec: Spec,
    status: Status,
    now: Timestamp,
    template: Revision,
    workload: (Revision, u32),
    candidate: Option<(Revision, u32)>,
    route: Option<Route>,
    sample: Option<Sample>,
}

// === impl World ===

impl World {
    pub(super) fn new(spec: Spec) -> Self {
        let (now, stable) = (Timestamp::UNIX_EPOCH, Revision::new("stable"));
        Self {
            spec,
            status: Status::new(now),
            now,
            template: stable.clone(),
            workload: (stable, REPLICAS),
            candidate: None,
            route: None,
            sample: None,
        }
    }

    /// Lets the first rollout finish and the release begin.
    pub(super) async fn begin(&mut self) {
        // This platform cannot fail.
        let Ok(()) = turn(self).await;
        self.template = Revision::new("candidate");
        let Ok(()) = turn(self).await;
    }

    /// Lets the time up to this tick pass, and its counts arrive.
    pub(super) fn pass(&mut self, tick: RecordedTick) {
        let from = self.now;
        let elapsed = self.spec.analysis.interval.get() * u32::try_from(tick.tick).unwrap_or(u32::MAX);
        let elapsed = SignedDuration::try_from(elapsed).unwrap_or(SignedDuration::MAX);
        // The first tick may be number 0, and still takes an interval.
        let at = Timestamp::UNIX_EPOCH.checked_add(elapsed).unwrap_or(Timestamp::MAX);
        self.now = at.max(from);
        self.sample = Some(Sample::Window(Window { from, to: self.now, counts: tick.counts }));
    }

    pub(super) fn state(&self) -> &Status {
        &self.status
    }

    pub(super) fn weight(&self) -> Weight {
        self.status.route.weight
    }

    /// The last verdict and the e-value after it.
    pub(super) fn verdict(&self) -> (String, f64) {
        let tick = self.status.ticks.last();
        tick.map_or_else(
            || ("not counted".to_owned(), 1.0),
            |tick| (format!("{}: {}", tick.verdict, tick.message), tick.e_value),
        )
    }

    pub(super) fn ending(&self) -> Option<Ending> {
        match &self.status.phase {
            Phase::Failed { .. } => Some(Ending::TakenBack),
            Phase::Stable => Some(Ending::Promoted),
            _ => None,
        }
    }
}

impl Platform for World {
    type Error = Infallible;

    fn spec(&self) -> &Spec {
        &self.spec
    }

    fn status(&self) -> &Status {
        &self.status
    }

    fn now(&self) -> Timestamp {
        self.now
    }

    async fn observe(&mut self) -> Result<Observation, Infallible> {
        let fleet = |(revision, replicas): &(Revision, u32)| Fleet {
            revision: revision.clone(),
            replicas: *replicas,
            ready: *replicas,
            restarts: 0,
            message: String::new(),
        };
        Ok(Observation {
            template: self.template.clone(),
            replicas: REPLICAS,
            stable: Some(fleet(&self.workload)),
            candidate: self.candidate.as_ref().map(fleet),
            routing: Routing { written: self.route.clone(), routers: 1, ..Routing::default() },
            sample: self.sample.take(),
            gates: Vec::new(),
        })
    }

    async fn store(&mut self, status: Status) -> Result<(), Infallible> {
        self.status = status;
        Ok(())
    }

    async fn carry_out(&mut self, action: Action) -> Result<(), Infallible> {
        match action {
            Action::Route(route) => self.route = Some(route),
            Action::ScaleCandidate(revision, replicas) => self.candidate = Some((revision, replicas)),
            Action::ScaleStable(replicas) => self.workload.1 = replicas,
            Action::RemoveCandidate(_) => self.candidate = None,
            Action::Adopt(revision) => {
                self.workload = (revision, REPLICAS);
                self.candidate = None;
            }
            Action::RestoreTemplate(revision) => self.template = revision,
        }
        Ok(())
    }

    fn tell(&mut self, _: &Event) {}

    fn measure(&mut self, _: std::time::Duration) {}
}
