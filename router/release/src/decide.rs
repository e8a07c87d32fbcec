//! The engine: from what is wanted, remembered and seen to what is done next.

mod counting;
mod desired;
mod holds;
mod permit;
mod promote;
mod roll_back;
mod steps;

pub(crate) use holds::later;

use crate::{
    Action, Cause, CauseReason, Event, EventReason, Judgement, Observation, Phase, Release, Rollback, Spec,
    Status,
};
use jiff::Timestamp;

/// What follows from one look. The status must be stored before the actions are carried out.
#[derive(Clone, Debug, PartialEq)]
pub struct Decision {
    /// The status from now on.
    pub status: Status,
    /// What to do, in this order; empty where everything is as it should be.
    pub actions: Vec<Action>,
    /// What has happened.
    pub events: Vec<Event>,
}

/// Decides what follows from `seen` at `now`.
///
/// At most one stage is left per call, so that each is stored before the next begins. Calling it again with the same
/// arguments gives the same answer, and losing a decision before its status is stored loses nothing.
pub fn decide(spec: &Spec, status: &Status, seen: &Observation, now: Timestamp) -> Decision {
    let mut turn = Turn {
        spec,
        seen,
        now,
        status: Status { hold: None, ..status.clone() },
        in_force: false,
        judged: None,
        held: status,
        events: Vec::new(),
    };
    turn.note_acknowledgement();
    turn.leave_or_hold();
    let actions = turn.actions();
    Decision { status: turn.status, actions, events: turn.events }
}

/// One call of [`decide`] on its way.
struct Turn<'a> {
    spec: &'a Spec,
    seen: &'a Observation,
    now: Timestamp,
    status: Status,
    /// Whether every router does what was decided before this call.
    in_force: bool,
    /// What the sample says, if there was one that counts.
    judged: Option<Judgement>,
    /// The status as it was.
    held: &'a Status,
    events: Vec<Event>,
}

// === impl Turn ===

impl Turn<'_> {
    /// The transition table. Each line either enters another stage or holds.
    fn leave_or_hold(&mut self) {
        if self.status.restore.as_ref() == Some(&self.seen.template) {
            self.status.restore = None;
        }
        match self.status.phase.clone() {
            Phase::Initializing => self.initialize(),
            Phase::Stable => self.begin(),
            Phase::Progressing { release, stage } => match self.objection(&release) {
                Some(cause) => self.roll_back(cause),
                None => self.progress(stage),
            },
            Phase::Promoting { release, task } => self.promote(&release, task),
            Phase::RollingBack { release, task, cause } => self.retreat(&release, task, &cause),
            Phase::Failed { release, .. } => self.remain_failed(&release),
        }
    }

    /// `Initializing` → `Stable` once the first rollout has finished.
    fn initialize(&mut self) {
        let finished = self.seen.stable.as_ref().filter(|fleet| {
            fleet.ready > 0 && fleet.ready >= self.seen.replicas && fleet.revision == self.seen.template
        });
        let Some(fleet) = finished else { return self.hold_initializing() };
        self.tell(
            EventReason::Initialized,
            format!("{} is stable with {} ready replicas", fleet.revision, fleet.ready),
        );
        self.status.stable = Some(fleet.revision.clone());
        self.status.enter(Phase::Stable, self.now);
    }

    /// `Stable` → `Progressing` when the user asks for another revision.
    fn begin(&mut self) {
        if let Some(fleet) = &self.seen.stable {
            self.status.stable = Some(fleet.revision.clone());
        }
        if let Some(stray) = &self.seen.candidate {
            let message = format!("no release knows {}: its replicas are removed", stray.revision);
            self.tell(EventReason::StrayCandidate, message);
            return self.hold_removing();
        }
        let wanted = self.seen.template.clone();
        match &self.status.stable {
            _ if self.status.restore.is_some() => self.hold_restoring(),
            Some(stable) if *stable != wanted => {
                self.tell(EventReason::ReleaseStarted, format!("{wanted} is tried beside {stable}"));
                let release = Release::new(wanted, self.now);
                self.status.enter(Phase::Progressing { release, stage: crate::Stage::Scaling }, self.now);
            }
            _ => {}
        }
    }

    /// `Failed` → `Stable` when the user no longer asks for the failed revision.
    fn remain_failed(&mut self, release: &Release) {
        if self.seen.template != release.candidate {
            self.status.enter(Phase::Stable, self.now);
        } else if self.status.restore.is_some() {
            self.hold_restoring();
        }
    }

    /// What ends a candidate's way up, whatever stage it is at.
    fn objection(&mut self, release: &Release) -> Option<Cause> {
        self.count();
        if let Some(cause) = self.other_template(release) {
            return Some(cause);
        }
        if let Some(trip) = &self.seen.routing.tripped {
            let message = format!("{}: {} of the last {} requests failed", trip.router, trip.failed, trip.of);
            return Some(Cause::new(CauseReason::Tripped, message));
        }
        match &self.judged {
            Some(Judgement::Fail(cause)) => Some(cause.clone()),
            _ => self.crash_loop(release),
        }
    }

    fn other_template(&self, release: &Release) -> Option<Cause> {
        let wanted = &self.seen.template;
        if *wanted == release.candidate {
            None
        } else if self.status.stable.as_ref() == Some(wanted) {
            Some(Cause::new(
                CauseReason::TemplateRestored,
                format!("the template is {wanted} again, as stable is"),
            ))
        } else {
            Some(Cause::new(CauseReason::Superseded, format!("the template is {wanted} now")))
        }
    }

    fn crash_loop(&self, release: &Release) -> Option<Cause> {
        let before = release.restarts_at_first_ready?;
        let fleet = self.candidate()?;
        let restarts = fleet.restarts.saturating_sub(before);
        (restarts > self.spec.max_restarts).then(|| {
            let limit = self.spec.max_restarts;
            let message =
                format!("{restarts} restarts after it had been ready, more than {limit}; {}", fleet.message);
            Cause::new(CauseReason::CrashLooping, message.trim_end_matches("; ").to_owned())
        })
    }

    /// Any phase → `RollingBack`.
    fn roll_back(&mut self, cause: Cause) {
        let Some(release) = self.status.release().cloned() else { return };
        self.tell(EventReason::RollingBack, format!("{}: {}", release.candidate, cause.message));
        let phase = Phase::RollingBack { release, task: Rollback::Shifting, cause };
        self.status.enter(phase, self.now);
    }

    fn tell(&mut self, reason: EventReason, message: impl Into<String>) {
        self.events.push(Event { reason, message: message.into() });
    }
}
