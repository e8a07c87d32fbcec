//! A candidate on its way up.

use super::Turn;
use crate::{
    Cause, CauseReason, Counts, EventReason, HoldReason, Judgement, OnDeadline, Phase, Promotion, Release,
    Sample, Skip, Stage,
};

// === impl Turn ===

impl Turn<'_> {
    /// | stage | goes on to | when |
    /// |---|---|---|
    /// | `Scaling`, not admitted | `Scaling`, admitted | a window is open and the gates say yes |
    /// | `Scaling` | `Shifting` | the step's replicas are ready on both tracks |
    /// | `Shifting` | `Judging` | every router acknowledged the weight |
    /// | `Judging` | the next step, or `Promoting` | the evidence suffices and nobody holds it |
    /// | any | `Scaling` | replicas are missing |
    pub(super) fn progress(&mut self, stage: Stage) {
        let Some(release) = self.status.release().cloned() else { return };
        let needed = self.needed(&release);
        let ready = self.candidate_ready();
        match stage {
            _ if !release.admitted => self.admit(release),
            Stage::Scaling if ready < needed => self.hold_candidate_not_ready(needed),
            Stage::Scaling if self.stable_ready() < self.stable_needed() => self.hold_stable_not_ready(),
            Stage::Scaling => self.grant(release, needed),
            Stage::Shifting | Stage::Judging if ready < needed => self.lower(needed),
            Stage::Shifting if self.in_force => self.start_judging(release),
            Stage::Shifting => self.hold_unacknowledged(),
            Stage::Judging => self.pass_or_hold(release),
        }
    }

    /// Before its first replica starts, a release needs a window and the gates, or a person who says so.
    fn admit(&mut self, mut release: Release) {
        let by_person = release.skip != Skip::Nothing || release.manual_weight.is_some();
        if !by_person && (self.hold_by_person(&release) || !self.permits(&release, 0)) {
            return;
        }
        release.admitted = true;
        if release.skip == Skip::Step {
            release.skip = Skip::Nothing;
        }
        let needed = self.needed(&release);
        self.status.enter(Phase::Progressing { release, stage: Stage::Scaling }, self.now);
        self.hold_candidate_not_ready(needed);
    }

    /// Readers' safety net must be whole before more of them are put at risk; in `replicas` mode it shrinks on purpose.
    fn stable_needed(&self) -> u32 {
        match self.spec.mode {
            crate::Mode::HttpRoute => self.seen.replicas,
            crate::Mode::Replicas => 0,
        }
    }

    fn grant(&mut self, mut release: Release, needed: u32) {
        let weight = self.target(&release).weight;
        let restarts = self.candidate().map_or(0, |fleet| fleet.restarts);
        release.restarts_at_first_ready.get_or_insert(restarts);
        release.granted = weight;
        self.tell(EventReason::CandidateReady, format!("{needed} replicas are ready for {weight}"));
        self.status.enter(Phase::Progressing { release, stage: Stage::Shifting }, self.now);
    }

    fn lower(&mut self, needed: u32) {
        let Some(release) = self.status.release().cloned() else { return };
        let ready = self.candidate_ready();
        let weight = self.carried(release.granted);
        self.tell(
            EventReason::WeightLowered,
            format!("{ready} of {needed} replicas are ready: they carry {weight}"),
        );
        self.status.enter(Phase::Progressing { release, stage: Stage::Scaling }, self.now);
        self.hold_candidate_not_ready(needed);
    }

    fn start_judging(&mut self, release: Release) {
        let routers = self.seen.routing.routers;
        self.tell(
            EventReason::WeightAcknowledged,
            format!("{routers} routers use {}", self.status.route.weight),
        );
        self.status.enter(Phase::Progressing { release, stage: Stage::Judging }, self.now);
        self.hold_for_evidence();
    }

    fn pass_or_hold(&mut self, release: Release) {
        let skip = release.skip;
        if !self.in_force {
            return self.hold_unacknowledged();
        }
        if skip != Skip::Nothing {
            return self.next_step(release);
        }
        if self.hold_by_person(&release) {
            return;
        }
        match (self.judged.take(), &self.seen.sample) {
            (Some(Judgement::Hold(reason, message)), _) => self.hold_for(reason, message, &release),
            (Some(Judgement::StepBack(message)), _) => self.step_back(release, message),
            (Some(Judgement::Advance), _) if self.hold_for_pause(&release) => {}
            (Some(Judgement::Advance), _) => self.enter_next(release),
            (None, Some(Sample::Unavailable(why))) => {
                let message = format!("the counts cannot be read: {why}");
                self.hold(HoldReason::SourceUnavailable, message, self.spec.deadlines.hold, self.on_hold());
            }
            // The evidence has sufficed before, and nothing has come since.
            (None, None) if self.awaited_permission() => self.enter_next(release),
            // A failure has become a rollback before it gets here.
            (Some(Judgement::Fail(_)) | None, _) => self.keep_holding(&release),
        }
        self.abort_overdue();
    }

    /// Gives stable a share again, or, where the spec knows no smaller weight, waits for a person.
    pub(super) fn step_back(&mut self, mut release: Release, message: String) {
        if release.step == 0 {
            return self.hold_for(HoldReason::Suspicious, message, &release);
        }
        release.step -= 1;
        release.at_step = Counts::default();
        release.skip = Skip::Nothing;
        let weight = self.spec.step(release.step).weight;
        self.tell(EventReason::SteppedBack, format!("{message}; compared again at {weight}"));
        self.status.enter(Phase::Progressing { release, stage: Stage::Scaling }, self.now);
    }

    fn awaited_permission(&self) -> bool {
        let reason = self.held.hold.as_ref().map(|hold| hold.reason);
        matches!(reason, Some(HoldReason::OutsideWindow | HoldReason::AwaitingGate))
    }

    fn enter_next(&mut self, release: Release) {
        if self.permits(&release, release.step + 1) {
            self.next_step(release);
        }
    }

    fn next_step(&mut self, mut release: Release) {
        let last = self.spec.last_step();
        if release.step >= last && release.manual_weight.is_none() {
            self.tell(EventReason::Promoting, format!("{} passed every step", release.candidate));
            return self.status.enter(Phase::Promoting { release, task: Promotion::Draining }, self.now);
        }
        let passed = self.target(&release).weight;
        release.step = match release.skip {
            Skip::All => last,
            Skip::Nothing | Skip::Step if release.manual_weight.is_some() => self.step_above(passed),
            Skip::Nothing | Skip::Step => release.step + 1,
        };
        if release.skip == Skip::Step {
            release.skip = Skip::Nothing;
        }
        release.manual_weight = None;
        release.at_step = Counts::default();
        let next = self.spec.step(release.step).weight;
        self.tell(EventReason::StepPassed, format!("{} goes on from {passed} to {next}", release.candidate));
        self.status.enter(Phase::Progressing { release, stage: Stage::Scaling }, self.now);
    }

    fn step_above(&self, weight: split::Weight) -> usize {
        self.spec.steps.iter().position(|step| step.weight > weight).unwrap_or(self.spec.last_step())
    }

    /// Where the spec says so, a wait that is overdue ends the release.
    pub(super) fn abort_overdue(&mut self) {
        let overdue =
            self.status.hold.as_ref().filter(|hold| hold.then == OnDeadline::Abort && hold.overdue(self.now));
        let Some(hold) = overdue else { return };
        let reason = match hold.reason {
            HoldReason::NotReady => CauseReason::ProgressDeadlineExceeded,
            _ => CauseReason::HoldDeadlineExceeded,
        };
        let cause = Cause::new(reason, format!("{} until its deadline: {}", hold.reason, hold.message));
        self.status.hold = None;
        self.roll_back(cause);
    }
}
