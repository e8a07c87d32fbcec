//! The e-process: evidence that the candidate fails more often than stable.

use crate::Counts;
use serde::{Deserialize, Serialize};

/// A candidate whose error rate is up to this many times stable's is not worse in a way that matters (ρ₀).
pub const RATIO_NULL: f64 = 1.5;

/// The error-rate ratios that the evidence bets on (ρ_j): ρ₀ times 1.5, 2, 3, 5, 10 and 30.
pub const RATIOS: [f64; 6] = [2.25, 3.0, 4.5, 7.5, 15.0, 45.0];

/// The most that one tick may multiply the evidence by, so that one burst alone never decides.
pub const TICK_LIMIT: f64 = 10.0;

/// Evidence against "the candidate's error rate is at most ρ₀ times stable's", gathered tick by tick.
///
/// Given that an error happened, and the requests of both tracks, it is the candidate's with probability
/// ρ·m_c / (ρ·m_c + m_s), whatever the error rate itself is: a shared outage carries no evidence. Each tick
/// multiplies the bet on ρ_j by the likelihood ratio of ρ_j against ρ₀, at most [`TICK_LIMIT`]; the e-value is the
/// mean of the bets. Under the hypothesis it is a non-negative supermartingale that starts at 1, so by Ville's
/// inequality it ever reaches 1/α with probability at most α, however often one looks.
///
/// Sources: Lindon, Malek, "Anytime-Valid Inference for Multinomial Count Data" (arXiv 2011.03567); Lindon, Sanden,
/// Shirikian, "Rapid Regression Detection in Software Deployments through Sequential Testing" (arXiv 2205.14762).
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase")]
pub struct Evidence {
    /// The natural logarithm of the bet on each of [`RATIOS`].
    pub log_bets: [f64; RATIOS.len()],
    /// Ticks that went in.
    pub ticks: u64,
}

// === impl Evidence ===

impl Evidence {
    /// The evidence after one more tick.
    #[must_use]
    pub fn after(mut self, tick: Counts) -> Self {
        self.ticks += 1;
        for (log_bet, ratio) in self.log_bets.iter_mut().zip(RATIOS) {
            *log_bet += log_likelihood_ratio(tick, ratio).min(TICK_LIMIT.ln());
        }
        self
    }

    /// The natural logarithm of the e-value.
    #[expect(clippy::cast_precision_loss, reason = "there are six ratios")]
    pub fn log_e(&self) -> f64 {
        let largest = self.log_bets.iter().copied().fold(f64::NEG_INFINITY, f64::max);
        let sum: f64 = self.log_bets.iter().map(|bet| (bet - largest).exp()).sum();
        largest + (sum / RATIOS.len() as f64).ln()
    }

    /// The e-value: how many times the money of one who bet against the candidate has multiplied.
    pub fn e(&self) -> f64 {
        self.log_e().exp()
    }
}

/// ln of P(these errors fall on the tracks as they did | ratio) over the same with [`RATIO_NULL`].
#[expect(clippy::cast_precision_loss, reason = "counts stay far below 2^52")]
fn log_likelihood_ratio(tick: Counts, ratio: f64) -> f64 {
    let (canary, stable) = (tick.canary.requests as f64, tick.stable.requests as f64);
    if canary == 0.0 || stable == 0.0 {
        return 0.0;
    }
    let ours = |ratio: f64| (ratio * canary / (ratio * canary + stable)).ln();
    let theirs = |ratio: f64| (stable / (ratio * canary + stable)).ln();
    tick.canary.errors as f64 * (ours(ratio) - ours(RATIO_NULL))
        + tick.stable.errors as f64 * (theirs(ratio) - theirs(RATIO_NULL))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Tally;

    fn after(ticks: &[[u64; 4]]) -> f64 {
        let tick = |[m_c, k_c, m_s, k_s]: [u64; 4]| Counts {
            canary: Tally::new(m_c, k_c),
            stable: Tally::new(m_s, k_s),
        };
        ticks.iter().fold(Evidence::default(), |evidence, counts| evidence.after(tick(*counts))).e()
    }

    /// The values were computed with exact fractions in Python: for each tick and each ρ_j
    /// `min(10, (p(ρ_j)/p(ρ_0))**k_c * ((1-p(ρ_j))/(1-p(ρ_0)))**k_s)` with `p(ρ) = ρ*m_c/(ρ*m_c+m_s)` from
    /// `fractions.Fraction`, the products over the ticks, and their mean over j.
    #[test]
    fn the_e_value_is_the_one_computed_with_exact_fractions() {
        for (ticks, expected) in [
            (&[[100, 3, 900, 2]][..], 6.947_232_887_808_88),
            (&[[50, 10, 950, 5]], 10.0),
            (&[[50, 10, 950, 5], [50, 10, 950, 5]], 100.0),
            (&[[10, 1, 90, 0], [200, 4, 800, 4], [500, 5, 500, 5]], 0.533_887_412_367_102_7),
            (&[[100, 0, 900, 9]], 0.159_993_374_007_725_72),
        ] {
            let e = after(ticks);
            assert!((e / expected - 1.0).abs() < 1e-12, "{ticks:?}: {e} instead of {expected}");
        }
    }

    #[test]
    fn ticks_without_errors_or_without_a_comparison_say_nothing() {
        for tick in [[0, 0, 0, 0], [1_000, 0, 9_000, 0], [1_000, 50, 0, 0], [0, 0, 1_000, 50]] {
            assert!((after(&[tick]) - 1.0).abs() < 1e-12, "{tick:?}");
        }
    }

    #[test]
    fn one_burst_is_worth_no_more_than_one_tick() {
        assert!((after(&[[500, 500, 500, 0]]) - TICK_LIMIT).abs() < 1e-9);
    }
}
