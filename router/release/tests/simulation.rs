//! Thousands of releases on a simulated clock: what is taken back, what is not, and how soon.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::cast_possible_truncation,
    clippy::cast_precision_loss,
    reason = "a test may"
)]

use rand::rngs::SmallRng;
use rand::{RngExt, SeedableRng};
use release::{CauseReason, End, Simulated, Spec, Step, Traffic, simulate};
use split::Weight;
use std::time::Duration;

const RELEASES: u64 = 2_000;
const HOUR: Duration = Duration::from_secs(3_600);

/// Runs seeded releases with the default spec, each for at most three hours.
fn releases(spec: &Spec, traffic: impl Fn(Duration) -> Traffic + Copy) -> Vec<Simulated> {
    (0..RELEASES)
        .map(|seed| {
            let mut rng = SmallRng::seed_from_u64(seed);
            simulate(spec, traffic, 3 * HOUR, || rng.random())
        })
        .collect()
}

fn rolled_back(ends: &[Simulated]) -> usize {
    ends.iter().filter(|release| matches!(release.end, End::RolledBack(_))).count()
}

fn promoted(ends: &[Simulated]) -> usize {
    ends.iter().filter(|release| release.end == End::Promoted).count()
}

fn share(part: usize, all: &[Simulated]) -> f64 {
    part as f64 / all.len() as f64
}

fn equal(rps: f64, errors: f64) -> Traffic {
    Traffic { rps, stable_errors: errors, canary_errors: errors }
}

fn median_seconds(ends: &[Simulated]) -> f64 {
    let mut took: Vec<_> = ends.iter().map(|release| release.took.as_secs_f64()).collect();
    took.sort_by(f64::total_cmp);
    took[took.len() / 2]
}

#[test]
fn equal_versions_with_little_traffic_are_almost_never_taken_back() {
    let ends = releases(&Spec::default(), |_| equal(5.0, 0.005));
    println!(
        "5 rps, 0.5 %: back {}, promoted {}, median {} s",
        rolled_back(&ends),
        promoted(&ends),
        median_seconds(&ends)
    );
    assert!(share(rolled_back(&ends), &ends) <= 0.01);
    assert!(share(promoted(&ends), &ends) >= 0.95);
}

#[test]
fn a_shared_outage_takes_nothing_back() {
    let outage = |at: Duration| {
        let during = (60..240).contains(&at.as_secs());
        equal(50.0, if during { 0.05 } else { 0.005 })
    };
    let ends = releases(&Spec::default(), outage);
    println!(
        "outage: back {}, promoted {}, median {} s",
        rolled_back(&ends),
        promoted(&ends),
        median_seconds(&ends)
    );
    assert!(share(rolled_back(&ends), &ends) <= 0.01);
    assert!(share(promoted(&ends), &ends) >= 0.95);
}

#[test]
fn a_noisy_application_is_not_taken_back_for_being_noisy() {
    for rps in [5.0, 50.0, 500.0] {
        let ends = releases(&Spec::default(), |_| equal(rps, 0.015));
        println!(
            "noisy {rps} rps: back {}, promoted {}, median {} s",
            rolled_back(&ends),
            promoted(&ends),
            median_seconds(&ends)
        );
        assert!(share(rolled_back(&ends), &ends) <= 0.01, "{rps} rps");
    }
}

#[test]
fn six_times_the_errors_are_caught_within_two_minutes() {
    let ends =
        releases(&Spec::default(), |_| Traffic { rps: 50.0, stable_errors: 0.005, canary_errors: 0.03 });
    println!(
        "0.5→3 %: back {}, promoted {}, median {} s",
        rolled_back(&ends),
        promoted(&ends),
        median_seconds(&ends)
    );
    assert!(share(rolled_back(&ends), &ends) >= 0.99);
    assert!(median_seconds(&ends) < 120.0);
}

#[test]
fn half_of_all_requests_failing_ends_within_two_ticks() {
    let spec = Spec {
        steps: vec![Step::of(Weight::from_basis_points_saturating(2_000)), Step::of(Weight::FULL)],
        ..Spec::default()
    };
    let ends = releases(&spec, |_| Traffic { rps: 50.0, stable_errors: 0.005, canary_errors: 0.5 });
    assert_eq!(rolled_back(&ends), ends.len());
    assert!(ends.iter().all(|release| release.ticks <= 2));
    assert!(ends.iter().all(
        |release| matches!(&release.end, End::RolledBack(cause) if cause.reason == CauseReason::FailFast)
    ));
}
