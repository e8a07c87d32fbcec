//! A candidate that passed every step becomes stable.

use super::Turn;
use super::holds::later;
use crate::{
    Cause, CauseReason, EventReason, HoldReason, Judgement, OnDeadline, Outcome, Phase, Promotion, Record,
    Release, Stage,
};

// === impl Turn ===

impl Turn<'_> {
    /// | task | goes on to | when |
    /// |---|---|---|
    /// | `Draining` | `Repointing` | no request to stable is left, or the drain deadline has passed |
    /// | `Repointing` | `Adopting` | every router sends to the candidate's replicas as stable |
    /// | `Adopting` | `Stable` | the workload owns them |
    ///
    /// Up to `Draining` the release can still be taken back; after it, only vanished replicas turn it round.
    pub(super) fn promote(&mut self, release: &Release, task: Promotion) {
        if task == Promotion::Draining {
            return match (self.objection(release), self.judged.take()) {
                (Some(cause), _) => self.roll_back(cause),
                (None, Some(Judgement::StepBack(message))) => self.step_back(release.clone(), message),
                (None, _) => self.drain_stable(release),
            };
        }
        if self.adopted(release) {
            return self.finish_promotion(release);
        }
        if self.candidate_ready() == 0 && self.stable_ready() > 0 {
            let message = "its replicas vanished while they were being taken over";
            return self.roll_back(Cause::new(CauseReason::CandidateLost, message));
        }
        match task {
            Promotion::Repointing if self.in_force => self.enter_promotion(release, Promotion::Adopting),
            Promotion::Repointing => self.hold_unacknowledged(),
            Promotion::Adopting | Promotion::Draining => self.hold_adopting(),
        }
    }

    fn drain_stable(&mut self, release: &Release) {
        let in_flight = self.seen.routing.stable_in_flight;
        let over = self.now >= later(self.status.since, self.spec.deadlines.drain);
        if self.candidate_ready() < self.seen.replicas {
            let phase = Phase::Progressing { release: release.clone(), stage: Stage::Scaling };
            self.status.enter(phase, self.now);
            self.hold_candidate_not_ready(self.seen.replicas);
        } else if !self.in_force {
            self.hold_unacknowledged();
        } else if in_flight == 0 || over {
            self.enter_promotion(release, Promotion::Repointing);
        } else {
            self.hold_draining("stable", in_flight);
        }
    }

    fn adopted(&self, release: &Release) -> bool {
        let owned = self.seen.stable.as_ref().is_some_and(|fleet| fleet.revision == release.candidate);
        owned && self.seen.candidate.is_none()
    }

    fn enter_promotion(&mut self, release: &Release, task: Promotion) {
        self.status.enter(Phase::Promoting { release: release.clone(), task }, self.now);
    }

    fn finish_promotion(&mut self, release: &Release) {
        self.tell(EventReason::Promoted, format!("{} is stable now", release.candidate));
        self.record(release, Outcome::Promoted, None);
        self.status.stable = Some(release.candidate.clone());
        self.status.enter(Phase::Stable, self.now);
    }

    fn hold_adopting(&mut self) {
        let (ready, all) = (self.candidate_ready(), self.seen.replicas);
        let message = format!("{ready} of {all} verified replicas are ready to become the workload's own");
        self.hold(HoldReason::Adopting, message, self.spec.deadlines.progress, OnDeadline::Hold);
    }

    pub(super) fn record(&mut self, release: &Release, outcome: Outcome, cause: Option<Cause>) {
        let Some(stable) = self.status.stable.clone() else { return };
        self.status.note_end(Record {
            candidate: release.candidate.clone(),
            stable,
            started: release.started,
            ended: self.now,
            outcome,
            cause,
            total: release.total,
        });
    }
}
