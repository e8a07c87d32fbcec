//! The waits, each with its sentence and its deadline.

use super::Turn;
use crate::{Duration, Hold, HoldReason, Judgement, OnDeadline, Release, judge};
use jiff::{SignedDuration, Timestamp};

// === impl Turn ===

impl Turn<'_> {
    /// Waits, from when the stage began until `span` later.
    pub(super) fn hold(
        &mut self,
        reason: HoldReason,
        message: impl Into<String>,
        span: Duration,
        then: OnDeadline,
    ) {
        let since = self.status.since;
        let (seen, needed, eta) = (None, None, None);
        let deadline = later(since, span);
        self.status.hold =
            Some(Hold { reason, message: message.into(), since, deadline, then, seen, needed, eta });
    }

    /// Waits until an instant that is known.
    pub(super) fn hold_until(&mut self, reason: HoldReason, message: String, deadline: Timestamp) {
        self.hold(reason, message, Duration::ZERO, self.on_hold());
        if let Some(hold) = &mut self.status.hold {
            hold.deadline = deadline;
        }
    }

    pub(super) fn on_hold(&self) -> OnDeadline {
        self.spec.deadlines.on_hold
    }

    pub(super) fn hold_initializing(&mut self) {
        let wanted = self.seen.replicas;
        let message = match &self.seen.stable {
            None => "no replica of the workload exists yet".to_owned(),
            Some(fleet) if fleet.revision != self.seen.template => {
                format!("a rollout from {} to {} is under way", fleet.revision, self.seen.template)
            }
            Some(fleet) => {
                with_detail(format!("{} of {wanted} replicas are ready", fleet.ready), &fleet.message)
            }
        };
        self.hold(HoldReason::Initializing, message, self.spec.deadlines.progress, OnDeadline::Hold);
    }

    pub(super) fn hold_candidate_not_ready(&mut self, needed: u32) {
        let ready = self.candidate_ready();
        let detail = self.candidate().map_or("", |fleet| fleet.message.as_str());
        let message = with_detail(format!("{ready} of {needed} replicas of the candidate are ready"), detail);
        self.hold(HoldReason::NotReady, message, self.spec.deadlines.progress, OnDeadline::Abort);
        self.abort_overdue();
    }

    pub(super) fn hold_stable_not_ready(&mut self) {
        let detail = self.seen.stable.as_ref().map_or("", |fleet| fleet.message.as_str());
        let message = with_detail(
            format!("{} of {} replicas of stable are ready", self.stable_ready(), self.seen.replicas),
            detail,
        );
        self.hold(HoldReason::StableNotReady, message, self.spec.deadlines.hold, self.on_hold());
        self.abort_overdue();
    }

    pub(super) fn hold_unacknowledged(&mut self) {
        let routing = &self.seen.routing;
        let message = match (&routing.pending[..], routing.routers) {
            _ if self.spec.mode == crate::Mode::Replicas => {
                "stable does not have its new size yet".to_owned()
            }
            (_, 0) => "no router is there to confirm the weight".to_owned(),
            ([], _) => "the weight is being written for the routers".to_owned(),
            (pending, routers) => {
                format!(
                    "{} of {routers} routers have not confirmed the weight: {}",
                    pending.len(),
                    pending.join(", ")
                )
            }
        };
        // A router that lags uses an older, smaller weight: waiting on is safe, and a person is told.
        self.hold(
            HoldReason::AwaitingAcknowledgement,
            message,
            self.spec.deadlines.acknowledge,
            OnDeadline::Hold,
        );
    }

    pub(super) fn hold_draining(&mut self, track: &str, in_flight: u64) {
        let message = format!("{in_flight} requests to {track} have not ended");
        self.hold(HoldReason::Draining, message, self.spec.deadlines.drain, OnDeadline::Proceed);
    }

    pub(super) fn hold_removing(&mut self) {
        let message = self.seen.candidate.as_ref().map_or_else(
            || "the candidate's replicas are ending".to_owned(),
            |fleet| format!("{} replicas of {} are ending", fleet.replicas, fleet.revision),
        );
        self.hold(HoldReason::Removing, message, self.spec.deadlines.progress, OnDeadline::Hold);
    }

    pub(super) fn hold_restoring(&mut self) {
        let message = format!("the template is being set back from {}", self.seen.template);
        self.hold(HoldReason::RestoringTemplate, message, self.spec.deadlines.acknowledge, OnDeadline::Hold);
    }

    /// Waits for a person, if one said so.
    pub(super) fn hold_by_person(&mut self, release: &Release) -> bool {
        let (reason, message) = match (release.manual_weight, release.paused) {
            (Some(weight), _) => {
                (HoldReason::ManualWeight, format!("the weight was set to {weight} by hand"))
            }
            (None, Some(since)) => (HoldReason::Paused, format!("paused by hand since {since:.0}")),
            (None, None) => return false,
        };
        self.hold(reason, format!("{message}; resume goes on"), self.spec.deadlines.hold, self.on_hold());
        self.abort_overdue();
        true
    }

    /// Waits for the step's own pause or for the bake, if it has not passed.
    pub(super) fn hold_for_pause(&mut self, release: &Release) -> bool {
        let step = self.target(release);
        let last = release.step >= self.spec.last_step();
        match step.pause {
            Some(pause) if pause.duration.is_none() => {
                let message = "the step waits for a person; promote goes on";
                self.hold(HoldReason::Paused, message, self.spec.deadlines.hold, self.on_hold());
                return true;
            }
            _ => {}
        }
        let pause = step.pause.and_then(|pause| pause.duration).unwrap_or_default();
        let span = if last { pause.max(self.spec.bake) } else { pause };
        if self.now >= later(self.status.since, span) {
            return false;
        }
        self.hold(HoldReason::StepPause, format!("at {} for {span}", step.weight), span, OnDeadline::Proceed);
        true
    }

    /// Waits for evidence before the first sample has come.
    pub(super) fn hold_for_evidence(&mut self) {
        let Some(release) = self.status.release().cloned() else { return };
        let needed = self.requests_needed(&release);
        match judge(&self.spec.analysis, &release, None, needed) {
            Judgement::Hold(reason, message) => self.hold_for(reason, message, &release),
            Judgement::Advance | Judgement::StepBack(_) | Judgement::Fail(_) => {
                let message = "the counters are read at the next tick";
                self.hold(HoldReason::InsufficientSamples, message, self.spec.deadlines.hold, self.on_hold());
            }
        }
    }

    /// Between two samples what was said after the last one stays said.
    pub(super) fn keep_holding(&mut self, release: &Release) {
        match &self.held.hold {
            Some(hold) if matches!(hold.reason, HoldReason::StepPause | HoldReason::Paused) => {
                if !self.hold_for_pause(release) {
                    self.hold_for_evidence();
                }
            }
            Some(hold) if is_judged(hold.reason) => self.status.hold = Some(hold.clone()),
            _ => self.hold_for_evidence(),
        }
    }

    /// Waits for requests or for a clearer picture.
    pub(super) fn hold_for(&mut self, reason: HoldReason, message: String, release: &Release) {
        let (seen, needed) = (release.at_step.canary.requests, self.requests_needed(release));
        self.hold(reason, message, self.spec.deadlines.hold, self.on_hold());
        let eta = eta(self.status.since, self.now, seen, needed);
        if let Some(hold) = &mut self.status.hold {
            (hold.seen, hold.needed, hold.eta) = (Some(seen), Some(needed), eta);
        }
    }
}

fn is_judged(reason: HoldReason) -> bool {
    matches!(
        reason,
        HoldReason::NoTraffic
            | HoldReason::InsufficientSamples
            | HoldReason::Suspicious
            | HoldReason::SharedDegradation
            | HoldReason::SourceUnavailable
    )
}

fn with_detail(sentence: String, detail: &str) -> String {
    if detail.is_empty() { sentence } else { format!("{sentence}: {detail}") }
}

/// The instant `span` after `since`.
pub(crate) fn later(since: Timestamp, span: Duration) -> Timestamp {
    let span = SignedDuration::try_from(span.get()).unwrap_or(SignedDuration::MAX);
    since.checked_add(span).unwrap_or(Timestamp::MAX)
}

/// When `needed` requests will have come, at the rate of `seen` since `since`.
fn eta(since: Timestamp, now: Timestamp, seen: u64, needed: u64) -> Option<Timestamp> {
    if seen == 0 || seen >= needed {
        return None;
    }
    let elapsed = u64::try_from(now.duration_since(since).as_millis()).ok()?;
    let left = elapsed.checked_mul(needed - seen)? / seen;
    Some(later(now, Duration::from_millis(left)))
}
