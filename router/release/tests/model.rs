//! Random schedules: whatever goes wrong, at whatever moment, the rules hold and the end is the same.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::cast_possible_truncation,
    clippy::cast_precision_loss,
    reason = "a test may"
)]

mod common;

use common::{Crash, STABLE, World};
use rand::rngs::SmallRng;
use rand::{RngExt, SeedableRng};
use release::{Action, Decision, EventReason, Mode, Phase, Skip, Spec, Verb, apply};
use split::Weight;

const SCHEDULES: u64 = 100_000;

/// What a schedule may do to a release.
#[derive(Clone, Copy, PartialEq)]
enum Trouble {
    /// Crashes, routers that are cut off, replicas that die: the end must be that of an undisturbed run.
    Faults,
    /// These, and people: verbs, new templates, another size.
    FaultsAndPeople,
}

#[test]
fn faults_alone_never_change_the_end() {
    run(Trouble::Faults, SCHEDULES / 2);
}

#[test]
fn people_and_faults_never_break_a_rule() {
    run(Trouble::FaultsAndPeople, SCHEDULES / 2);
}

fn run(trouble: Trouble, schedules: u64) {
    let settled = World::new(World::quick());
    let by_replicas = World::new(World::by_replicas(World::quick()));
    for seed in 0..schedules {
        let base = if seed % 8 == 7 { &by_replicas } else { &settled };
        let outcome = std::panic::catch_unwind(|| schedule(base, trouble, seed));
        assert!(outcome.is_ok(), "the schedule with seed {seed} broke a rule; see the panic above");
    }
}

fn schedule(base: &World, trouble: Trouble, seed: u64) {
    let mut rng = SmallRng::seed_from_u64(seed);
    let mut world = base.clone();
    let bad = rng.random_bool(0.4);
    world.errors = (5, if bad { 400 } else { 5 });
    world.spec.max_restarts = 1_000;
    world.release("v2");
    for _ in 0..rng.random_range(5..40) {
        disturb(&mut world, trouble, &mut rng);
        for _ in 0..rng.random_range(1..4) {
            checked_turn(&mut world, crash(&mut rng));
        }
        world.pass();
    }
    calm_down(&mut world);
    let ended = if bad { ("Failed", STABLE) } else { ("Stable", "v2") };
    if trouble == Trouble::Faults {
        assert_eq!((world.phase(), world.stable.revision.as_str()), ended, "bad: {bad}");
        assert_eq!((world.stable.wanted, world.stable.ready), (3, 3));
    }
}

/// Without further trouble, everything comes to rest.
fn calm_down(world: &mut World) {
    world.source = Ok(());
    for router in &mut world.routers {
        router.cut_off = 0;
    }
    if let Ok(status) = apply(Verb::Resume, &world.status, &world.wanted(), world.now) {
        world.status = status;
    }
    for _ in 0..200 {
        for _ in 0..3 {
            checked_turn(world, Crash::Never);
        }
        if world.at_rest() && world.stable.ready == world.stable.wanted {
            return;
        }
        world.pass();
    }
    panic!("no rest: {:?} {:?}", world.status.phase, world.status.hold);
}

fn crash(rng: &mut SmallRng) -> Crash {
    match rng.random_range(0..20) {
        0 => Crash::BeforeStoring,
        1 => Crash::AfterStoring,
        2 => Crash::After(1),
        _ => Crash::Never,
    }
}

fn disturb(world: &mut World, trouble: Trouble, rng: &mut SmallRng) {
    match rng.random_range(0..if trouble == Trouble::Faults { 24 } else { 40 }) {
        0 | 1 => world.routers[rng.random_range(0..2)].cut_off = rng.random_range(1..6),
        2 => {
            if let Some(pods) = world.candidate.as_mut() {
                (pods.ready, pods.restarts) = (pods.ready.saturating_sub(1), pods.restarts + 1);
            }
        }
        3 => world.stable.ready = world.stable.ready.saturating_sub(1),
        4 => world.in_flight = (rng.random_range(0..3), rng.random_range(0..3)),
        5 => world.source = Err("timeout".to_owned()),
        6..24 => world.source = Ok(()),
        24 => world.release(["v1", "v2", "v3"][rng.random_range(0..3)]),
        25 => world.replicas = rng.random_range(1..6),
        _ => speak(world, rng),
    }
}

/// Says a verb, twice: the second time must change nothing.
fn speak(world: &mut World, rng: &mut SmallRng) {
    let weight = Weight::from_basis_points_saturating(rng.random_range(1..=10_000));
    let verbs = [
        Verb::Promote { full: false },
        Verb::Promote { full: true },
        Verb::Abort,
        Verb::Pause,
        Verb::Resume,
        Verb::Retry,
        Verb::Undo,
        Verb::SetWeight { weight },
    ];
    let verb = verbs[rng.random_range(0..verbs.len())];
    if let Ok(once) = apply(verb, &world.status, &world.wanted(), world.now) {
        assert_eq!(
            apply(verb, &once, &world.wanted(), world.now).unwrap_or_else(|_| once.clone()),
            once,
            "{verb:?} is not idempotent"
        );
        world.status = once;
    }
}

fn checked_turn(world: &mut World, crash: Crash) {
    let before = world.clone();
    let decision = world.turn(crash);
    let again = release::decide(&before.spec, &before.status, &before.observe(), before.now);
    assert_eq!(again.status.phase, decision.status.phase, "the same look gives the same answer");
    check_weights(&before, &decision);
    check_order(&before, &decision);
    check_steps(&before, &decision);
}

/// No track gets a share that its ready replicas cannot carry.
fn check_weights(before: &World, decision: &Decision) {
    let seen = before.observe();
    let ready = seen.candidate.as_ref().map_or(0, |fleet| fleet.ready);
    let weight = decision.status.route.weight;
    if matches!(decision.status.phase, Phase::Progressing { .. } | Phase::Promoting { .. }) {
        let carried = weight.is_zero() || share_of(weight, before.replicas) <= ready;
        let nobody_else = before.stable.ready == 0 && ready > 0;
        assert!(carried || nobody_else, "{weight} on {ready} ready replicas");
    }
    for action in &decision.actions {
        let Action::Route(route) = action else { continue };
        let raised = before.written.as_ref().is_some_and(|written| route.weight < written.weight);
        if raised && route.stable.as_str() == before.stable.revision {
            assert!(
                before.stable.ready > 0 || ready == 0,
                "requests go back to a stable without replicas: {:?}, {:?}",
                before.status.phase,
                decision.status.phase
            );
        }
    }
}

/// Replicas go only when no router can still send to them.
fn check_order(before: &World, decision: &Decision) {
    if before.spec.mode == Mode::Replicas {
        return;
    }
    let in_use = before.weight_in_use();
    for action in &decision.actions {
        match action {
            Action::RemoveCandidate(_) => assert!(in_use.is_zero(), "removed with {in_use} in use"),
            Action::ScaleCandidate(_, wanted) => {
                let fewer = before.candidate.as_ref().is_some_and(|pods| *wanted < pods.wanted);
                assert!(!fewer || in_use.is_zero() || share_of(in_use, before.replicas) <= *wanted);
            }
            Action::Adopt(revision) => {
                let pods = before.candidate.as_ref().expect("a candidate to adopt");
                assert!(
                    pods.ready >= before.replicas && pods.wanted == before.replicas,
                    "adopted below full size"
                );
                let repointed = |router: &common::Router| {
                    router
                        .applied
                        .as_ref()
                        .is_some_and(|route| route.stable == *revision && route.canary.is_none())
                };
                assert!(before.routers.iter().all(repointed), "adopted before the routers were repointed");
            }
            Action::Route(_) | Action::ScaleStable(_) | Action::RestoreTemplate(_) => {}
        }
    }
}

/// Steps are taken one at a time, unless a person said otherwise.
fn check_steps(before: &World, decision: &Decision) {
    let (Some(was), Some(is)) = (before.status.release(), decision.status.release()) else { return };
    let by_hand = was.skip == Skip::All || was.manual_weight.is_some();
    if was.candidate == is.candidate && was.started == is.started && !by_hand {
        assert!(is.step <= was.step + 1, "from step {} to {}", was.step, is.step);
        let passed = decision.events.iter().any(|event| event.reason == EventReason::StepPassed);
        assert!(is.step <= was.step || passed, "a step went by untold");
    }
    let promoting = matches!(decision.status.phase, Phase::Promoting { .. });
    let was_promoting = matches!(before.status.phase, Phase::Promoting { .. });
    if promoting && !was_promoting {
        assert_eq!(was.step, last(&before.spec), "promoted from step {}", was.step);
    }
}

fn last(spec: &Spec) -> usize {
    spec.steps.len() - 1
}

fn share_of(weight: Weight, all: u32) -> u32 {
    (u32::from(weight.basis_points()) * all).div_ceil(10_000).max(1)
}
