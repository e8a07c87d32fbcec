//! From evidence to a verdict on one step.

use crate::{Analysis, Cause, CauseReason, Counts, HoldReason, Release, Tally};
use split::Weight;

/// Errors in one tick from which a candidate may fail at once.
const FAIL_FAST_ERRORS: u64 = 20;
/// Error share in one tick from which a candidate may fail at once.
const FAIL_FAST_SHARE: f64 = 0.20;
/// Requests below which the error share of one tick says nothing about a line.
const LINE_REQUESTS: u64 = 20;
/// The error share that is never assumed to be exceeded: beyond it the first requests would show it.
const WORST_UNSEEN: f64 = 0.5;

/// What the evidence says about the candidate at its present weight.
#[derive(Clone, Debug, PartialEq)]
pub enum Judgement {
    /// It suffices for the next weight.
    Advance,
    /// It does not suffice; the reason and its numbers.
    Hold(HoldReason, String),
    /// The candidate is worse.
    Fail(Cause),
}

/// How many requests a candidate must have had before the share of requests that it gets may rise to `next`.
///
/// After n requests, an error share of p or more would have shown itself with probability 1 − (1 − p)ⁿ; p is chosen
/// so that a candidate which slipped through could fail at most `risk` of all requests at the next weight. So
/// n ≥ ln(1/α) / −ln(1 − p) with p = risk / next, at most 50 %.
#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "it is at most ln(1e6) / 1e-4 / 1e-4"
)]
pub fn required_requests(analysis: &Analysis, next: Weight) -> u64 {
    let unseen = (analysis.risk.fraction() / next.fraction()).min(WORST_UNSEEN);
    (analysis.threshold().ln() / -(1.0 - unseen).ln()).ceil() as u64
}

/// Judges a release after `tick`; `needed` is the number of requests that its step asks for.
///
/// Called between ticks with none, it answers from what was counted before.
pub fn judge(analysis: &Analysis, release: &Release, tick: Option<Counts>, needed: u64) -> Judgement {
    if let Some(cause) = failure(analysis, release, tick.unwrap_or_default()) {
        return Judgement::Fail(cause);
    }
    let seen = release.at_step.canary;
    let line = analysis.max_error_rate.fraction();
    if let Some(tick) = tick
        && over_line(tick.stable, line)
        && (over_line(tick.canary, line) || over_line(seen, line))
    {
        let message = format!(
            "both versions are over {}: stable {}, candidate {}; the cause lies elsewhere",
            analysis.max_error_rate,
            told(tick.stable),
            told(tick.canary)
        );
        return Judgement::Hold(HoldReason::SharedDegradation, message);
    }
    if seen.requests < needed {
        let message = format!("{} of {needed} requests seen at this weight", seen.requests);
        let nothing = tick.is_some_and(|tick| tick.canary.requests == 0);
        let reason = if nothing { HoldReason::NoTraffic } else { HoldReason::InsufficientSamples };
        return Judgement::Hold(reason, message);
    }
    let e = release.evidence.e();
    if e >= analysis.threshold().sqrt() || over_line(seen, line) {
        let message = format!(
            "candidate {}, stable {}: e-value {e:.2} of {:.0}, neither clearly worse nor clearly good",
            told(seen),
            told(release.at_step.stable),
            analysis.threshold()
        );
        return Judgement::Hold(HoldReason::Suspicious, message);
    }
    Judgement::Advance
}

/// Requests and errors in words.
pub(crate) fn told(tally: Tally) -> String {
    format!("{} of {} failed ({:.2} %)", tally.errors, tally.requests, tally.error_share() * 100.0)
}

fn failure(analysis: &Analysis, release: &Release, tick: Counts) -> Option<Cause> {
    let e = release.evidence.e();
    if e >= analysis.threshold() {
        let Counts { canary, stable } = release.total;
        let message = format!(
            "candidate {}, stable {}: e-value {e:.0} reached {:.0}",
            told(canary),
            told(stable),
            analysis.threshold()
        );
        return Some(Cause::new(CauseReason::ErrorRate, message));
    }
    // Where stable gets nothing, what it did earlier in the release is the only comparison there is.
    let alone = tick.stable.requests == 0;
    let stable = if alone { release.total.stable } else { tick.stable };
    let share = tick.canary.error_share();
    if tick.canary.errors >= FAIL_FAST_ERRORS
        && share >= FAIL_FAST_SHARE
        && stable.requests > 0
        && stable.error_share() < share / 2.0
    {
        let message = format!("in one tick, candidate {}, stable {}", told(tick.canary), told(stable));
        return Some(Cause::new(CauseReason::FailFast, message));
    }
    let seen = release.at_step.canary;
    if alone
        && stable.requests > 0
        && seen.errors >= FAIL_FAST_ERRORS
        && over_line(seen, analysis.max_error_rate.fraction())
        && stable.error_share() < seen.error_share() / 2.0
    {
        let message = format!(
            "with all requests on it, candidate {}, over {}; stable had {}",
            told(seen),
            analysis.max_error_rate,
            told(stable)
        );
        return Some(Cause::new(CauseReason::OverLine, message));
    }
    None
}

fn over_line(tally: Tally, line: f64) -> bool {
    tally.requests >= LINE_REQUESTS && tally.error_share() >= line
}
