//! From evidence to a verdict on one step.

use crate::{Analysis, Cause, CauseReason, Counts, HoldReason, RATIO_NULL, Release, Spec, Tally};
use split::Weight;

/// Errors in one tick from which a candidate may fail at once.
pub const FAIL_FAST_ERRORS: u64 = 20;
/// Error share in one tick from which a candidate may fail at once.
pub const FAIL_FAST_SHARE: f64 = 0.20;
/// Requests below which the error share of one tick says nothing about a line.
pub const LINE_REQUESTS: u64 = 20;
/// Two ticks at their limit reach 1/α = 100 exactly; the logarithms must not miss it by rounding.
const ROUNDING: f64 = 1e-9;
/// The error share that is never assumed to be exceeded: beyond it the first requests would show it.
const WORST_UNSEEN: f64 = 0.5;

/// What the evidence says about the candidate at its present weight.
#[derive(Clone, Debug, PartialEq)]
pub enum Judgement {
    /// It suffices for the next weight.
    Advance,
    /// It does not suffice; the reason and its numbers.
    Hold(HoldReason, String),
    /// With all requests on the candidate there is nothing to compare it with, and it is over the line: stable must
    /// get a share again.
    StepBack(String),
    /// The candidate is worse.
    Fail(Cause),
}

/// The error share that must be ruled out before the candidate's share of requests may rise to `next`.
///
/// It is chosen so that a candidate which slipped through could fail at most `risk` of all requests there. Where
/// stable itself fails more than that, it is what would just not be worse in a way that matters, ρ₀ times stable's.
pub fn tolerated(analysis: &Analysis, next: Weight, stable: Tally) -> f64 {
    (analysis.risk.fraction() / next.fraction()).max(stable.error_share() * RATIO_NULL).min(WORST_UNSEEN)
}

/// How many requests rule an error share of `tolerated` out when `errors` of them failed.
///
/// It is the smallest n with P(at most `errors` failures in n) ≤ α at that share (Clopper, Pearson, 1934); with no
/// error that is n ≥ ln(1/α) / −ln(1 − tolerated).
#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "at most ln(1e6) / 2e-4, far below 2^52"
)]
pub fn required_requests(alpha: f64, tolerated: f64, errors: u64) -> u64 {
    let none = (alpha.ln() / (1.0 - tolerated).ln()).ceil() as u64;
    let (mut low, mut high) = (none.saturating_sub(1), none);
    while log_at_most(errors, high, tolerated) > alpha.ln() {
        low = high;
        high = high.saturating_mul(2).max(1);
    }
    while high - low > 1 {
        let middle = low + (high - low) / 2;
        if log_at_most(errors, middle, tolerated) > alpha.ln() { low = middle } else { high = middle }
    }
    high
}

/// The requests that the candidate must have had at its present weight before the next one.
pub fn requests_needed(spec: &Spec, release: &Release) -> u64 {
    let step = release.target(spec);
    let next = if step.weight < Weight::FULL { spec.step(release.step + 1).weight } else { Weight::FULL };
    step.min_requests.unwrap_or_else(|| {
        let tolerated = tolerated(&spec.analysis, next, release.total.stable);
        required_requests(spec.analysis.alpha, tolerated, release.at_step.canary.errors)
    })
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
        && tick.stable.requests == 0
        && seen.errors >= FAIL_FAST_ERRORS
        && over_line(seen, line)
    {
        let message =
            format!("with all requests on it, candidate {}: over {}", told(seen), analysis.max_error_rate);
        return Judgement::StepBack(message);
    }
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
    // Half of the way to a failure, in the logarithm: more readers are not put at risk until it went one way.
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
    if release.evidence.log_e() >= analysis.threshold().ln() - ROUNDING {
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
    let stable = if tick.stable.requests == 0 { release.total.stable } else { tick.stable };
    let share = tick.canary.error_share();
    let bad = tick.canary.errors >= FAIL_FAST_ERRORS && share >= FAIL_FAST_SHARE;
    (bad && stable.error_share() < share / 2.0).then(|| {
        let message = format!("in one tick, candidate {}, stable {}", told(tick.canary), told(stable));
        Cause::new(CauseReason::FailFast, message)
    })
}

/// ln P(at most `errors` of `trials` fail | share `p`).
#[expect(clippy::cast_precision_loss, reason = "counts stay far below 2^52")]
fn log_at_most(errors: u64, trials: u64, p: f64) -> f64 {
    let (odds, trials) = (p.ln() - (1.0 - p).ln(), trials as f64);
    let mut term = trials * (1.0 - p).ln();
    let mut sum = term;
    for error in 0..errors {
        let error = error as f64;
        term += ((trials - error) / (error + 1.0)).ln() + odds;
        sum = sum.max(term) + (-(sum - term).abs()).exp().ln_1p();
    }
    sum
}

fn over_line(tally: Tally, line: f64) -> bool {
    tally.requests >= LINE_REQUESTS && tally.error_share() >= line
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Revision;
    use jiff::Timestamp;

    fn after(ticks: &[[u64; 4]], needed: u64) -> Judgement {
        let mut release = Release::new(Revision::new("v2"), Timestamp::UNIX_EPOCH);
        let mut judgement = judge(&Analysis::default(), &release, None, needed);
        for [m_c, k_c, m_s, k_s] in ticks {
            let tick = Counts { canary: Tally::new(*m_c, *k_c), stable: Tally::new(*m_s, *k_s) };
            release.evidence = release.evidence.after(tick);
            release.total += tick;
            release.at_step += tick;
            judgement = judge(&Analysis::default(), &release, Some(tick), needed);
        }
        judgement
    }

    fn held(judgement: &Judgement) -> Option<HoldReason> {
        if let Judgement::Hold(reason, _) = judgement { Some(*reason) } else { None }
    }

    fn failed(judgement: &Judgement) -> Option<CauseReason> {
        if let Judgement::Fail(cause) = judgement { Some(cause.reason) } else { None }
    }

    /// The values are the smallest n with `sum(comb(n,i) * p**i * (1-p)**(n-i) for i in range(k+1)) <= alpha`,
    /// searched with exact fractions in Python.
    #[test]
    fn the_requests_needed_are_those_of_the_exact_binomial_bound() {
        for (alpha, tolerated, errors, needed) in [
            (0.01, 0.02, 0, 228),
            (0.01, 0.02, 3, 499),
            (0.01, 0.1, 2, 81),
            (0.05, 0.4, 1, 10),
            (0.01, 0.5, 0, 7),
        ] {
            assert_eq!(required_requests(alpha, tolerated, errors), needed, "{errors} errors at {tolerated}");
        }
    }

    #[test]
    fn the_more_readers_come_next_the_less_may_go_unseen() {
        let analysis = Analysis::default();
        let weight = Weight::from_basis_points_saturating;
        let good = Tally::new(1_000, 1);
        assert!((tolerated(&analysis, weight(500), good) - 0.4).abs() < 1e-12);
        assert!((tolerated(&analysis, weight(10_000), good) - 0.02).abs() < 1e-12);
        assert!((tolerated(&analysis, weight(10_000), Tally::new(1_000, 20)) - 0.03).abs() < 1e-12);
        assert!((tolerated(&analysis, weight(1), good) - 0.5).abs() < 1e-12);
    }

    #[test]
    fn one_failed_request_of_three_is_no_failure() {
        assert_eq!(held(&after(&[[3, 1, 297, 1]], 10)), Some(HoldReason::InsufficientSamples));
    }

    #[test]
    fn no_request_has_a_name_of_its_own() {
        assert_eq!(held(&after(&[[0, 0, 0, 0]], 10)), Some(HoldReason::NoTraffic));
    }

    #[test]
    fn enough_good_requests_advance() {
        assert_eq!(after(&[[10, 0, 990, 5]], 10), Judgement::Advance);
    }

    #[test]
    fn an_e_value_of_a_hundred_fails() {
        let judgement = after(&[[50, 10, 950, 5], [50, 10, 950, 5]], 10);
        assert_eq!(failed(&judgement), Some(CauseReason::ErrorRate));
        let Judgement::Fail(cause) = judgement else { unreachable!() };
        assert_eq!(
            cause.message,
            "candidate 20 of 100 failed (20.00 %), stable 10 of 1900 failed (0.53 %): e-value 100 reached 100"
        );
    }

    #[test]
    fn twenty_errors_and_a_fifth_in_one_tick_fail_fast() {
        assert_eq!(failed(&after(&[[100, 20, 900, 5]], 10)), Some(CauseReason::FailFast));
        assert_eq!(failed(&after(&[[100, 19, 900, 5]], 10)), None, "fewer than twenty errors");
        assert_eq!(failed(&after(&[[101, 20, 900, 5]], 10)), None, "less than a fifth");
        assert_eq!(failed(&after(&[[100, 20, 900, 90]], 10)), None, "stable is as bad");
    }

    #[test]
    fn both_over_the_line_is_a_shared_degradation() {
        assert_eq!(held(&after(&[[100, 8, 900, 72]], 10)), Some(HoldReason::SharedDegradation));
    }

    #[test]
    fn a_candidate_over_the_line_with_nothing_to_compare_it_with_steps_back() {
        let judgement = after(&[[400, 28, 0, 0]], 10);
        assert!(matches!(judgement, Judgement::StepBack(_)), "{judgement:?}");
    }

    #[test]
    fn leaning_evidence_holds_even_where_the_requests_suffice() {
        assert_eq!(held(&after(&[[100, 4, 900, 2], [100, 2, 900, 1]], 10)), Some(HoldReason::Suspicious));
    }
}
