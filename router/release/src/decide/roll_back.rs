//! A candidate on its way out.

use super::Turn;
use super::holds::later;
use crate::{Cause, CauseReason, EventReason, Mode, Outcome, Phase, Release, Rollback};

// === impl Turn ===

impl Turn<'_> {
    /// | task | goes on to | when |
    /// |---|---|---|
    /// | `Shifting` | `Draining` | every router acknowledged weight 0 (`replicas` mode: at once) |
    /// | `Draining` | `Removing` | no request to the candidate is left, or the drain deadline has passed |
    /// | `Removing` | `Failed`, or `Stable` where the template is another one | the replicas are gone |
    pub(super) fn retreat(&mut self, release: &Release, task: Rollback, cause: &Cause) {
        let in_flight = self.seen.routing.canary_in_flight;
        let over = self.now >= later(self.status.since, self.spec.deadlines.drain);
        match task {
            Rollback::Shifting if self.spec.mode == Mode::Replicas => {
                self.enter_rollback(release, Rollback::Removing, cause);
            }
            Rollback::Shifting if self.in_force && self.status.route.weight.is_zero() => {
                self.enter_rollback(release, Rollback::Draining, cause);
            }
            Rollback::Shifting if self.stable_ready() == 0 => self.hold_stable_not_ready_for_all(),
            Rollback::Shifting => self.hold_unacknowledged(),
            Rollback::Draining if in_flight == 0 || over => {
                self.enter_rollback(release, Rollback::Removing, cause);
            }
            Rollback::Draining => self.hold_draining("the candidate", in_flight),
            Rollback::Removing if self.seen.candidate.is_none() => self.finish_rollback(release, cause),
            Rollback::Removing => self.hold_removing(),
        }
    }

    fn hold_stable_not_ready_for_all(&mut self) {
        self.hold_unacknowledged();
        if let Some(hold) = &mut self.status.hold {
            hold.reason = crate::HoldReason::StableNotReady;
            hold.message = "no replica of stable is ready to take the requests back".to_owned();
        }
    }

    fn enter_rollback(&mut self, release: &Release, task: Rollback, cause: &Cause) {
        let phase = Phase::RollingBack { release: release.clone(), task, cause: cause.clone() };
        self.status.enter(phase, self.now);
    }

    fn finish_rollback(&mut self, release: &Release, cause: &Cause) {
        self.record(release, Outcome::RolledBack, Some(cause.clone()));
        if matches!(cause.reason, CauseReason::Superseded | CauseReason::TemplateRestored) {
            self.tell(EventReason::Superseded, format!("{}: {}", release.candidate, cause.message));
            self.status.enter(Phase::Stable, self.now);
        } else {
            self.tell(EventReason::Failed, format!("{}: {}", release.candidate, cause.message));
            let phase = Phase::Failed { release: release.clone(), cause: cause.clone() };
            self.status.enter(phase, self.now);
        }
    }
}
