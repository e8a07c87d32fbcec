//! Whole releases, one sentence each.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::cast_possible_truncation,
    clippy::cast_precision_loss,
    reason = "a test may"
)]

mod common;

use common::{Crash, World};
use release::{CauseReason, EventReason, Outcome, Phase, Trip, Verb};
use split::Weight;

fn world() -> World {
    World::new(World::quick())
}

fn cause(world: &World) -> CauseReason {
    world.status.history.last().unwrap().cause.as_ref().unwrap().reason
}

#[test]
fn a_good_candidate_becomes_stable_step_by_step() {
    let mut world = world();
    world.release("v2");
    world.until(60, World::at_rest);
    assert_eq!((world.phase(), world.stable.revision.as_str()), ("Stable", "v2"));
    assert_eq!(world.status.history.last().unwrap().outcome, Outcome::Promoted);
    let told: Vec<_> = world.events.iter().filter(|reason| **reason == EventReason::StepPassed).collect();
    assert_eq!(told.len(), 2, "5 % to 50 %, 50 % to 100 %");
}

#[test]
fn a_bad_candidate_is_taken_back_and_stays_so_until_someone_acts() {
    let mut world = world();
    world.errors = (5, 500);
    world.release("v2");
    world.until(60, World::at_rest);
    assert_eq!((world.phase(), world.stable.revision.as_str()), ("Failed", "v1"));
    world.turns(100);
    assert_eq!(world.phase(), "Failed");
    world.errors = (5, 5);
    world.say(Verb::Retry);
    world.until(60, World::at_rest);
    assert_eq!((world.phase(), world.stable.revision.as_str()), ("Stable", "v2"));
}

#[test]
fn a_candidate_that_never_gets_ready_gets_no_request_and_fails_at_its_deadline() {
    let mut world = world();
    world.release("crashes");
    world.turns(59);
    assert_eq!(world.hold(), "NotReady");
    assert_eq!(world.weight_in_use(), Weight::ZERO);
    world.until(5, World::at_rest);
    assert_eq!(cause(&world), CauseReason::ProgressDeadlineExceeded);
}

#[test]
fn a_candidate_whose_replicas_keep_dying_fails() {
    let mut world = world();
    world.release("v2");
    world.until(20, |world| world.hold() == "InsufficientSamples" || !world.weight_in_use().is_zero());
    world.say(Verb::Pause);
    for _ in 0..4 {
        let pods = world.candidate.as_mut().unwrap();
        (pods.ready, pods.restarts) = (0, pods.restarts + 1);
        world.turns(3);
    }
    world.until(20, World::at_rest);
    assert_eq!(cause(&world), CauseReason::CrashLooping);
}

#[test]
fn without_traffic_it_holds_by_name_and_goes_on_when_traffic_returns() {
    let mut world = world();
    world.requests = 0;
    world.release("v2");
    world.turns(30);
    assert_eq!((world.phase(), world.hold().as_str()), ("Progressing", "NoTraffic"));
    world.requests = 1_000;
    world.until(60, World::at_rest);
    assert_eq!(world.stable.revision, "v2");
}

#[test]
fn counts_that_cannot_be_read_are_neither_a_failure_nor_a_pass() {
    let mut world = world();
    world.source = Err("connection refused".to_owned());
    world.release("v2");
    world.turns(300);
    assert_eq!((world.phase(), world.hold().as_str()), ("Progressing", "SourceUnavailable"));
    assert!(world.status.hold.as_ref().unwrap().message.contains("connection refused"));
    world.source = Ok(());
    world.until(60, World::at_rest);
    assert_eq!(world.stable.revision, "v2");
}

#[test]
fn a_hold_past_its_deadline_aborts_only_where_the_spec_says_so() {
    let mut patient = world();
    patient.requests = 0;
    patient.release("v2");
    patient.turns(700);
    assert_eq!(patient.phase(), "Progressing");
    assert!(patient.status.hold.as_ref().unwrap().overdue(patient.now));

    let mut strict = world();
    strict.spec.deadlines.on_hold = release::OnDeadline::Abort;
    strict.requests = 0;
    strict.release("v2");
    strict.until(700, World::at_rest);
    assert_eq!(cause(&strict), CauseReason::HoldDeadlineExceeded);
}

#[test]
fn a_router_that_does_not_confirm_is_named_and_waited_for() {
    let mut world = world();
    world.routers[1].cut_off = 30;
    world.release("v2");
    world.turns(20);
    assert_eq!((world.phase(), world.hold().as_str()), ("Progressing", "AwaitingAcknowledgement"));
    assert!(world.status.hold.as_ref().unwrap().message.contains("1 of 2 routers"));
    world.until(80, World::at_rest);
    assert_eq!(world.stable.revision, "v2");
}

#[test]
fn a_trip_of_a_router_ends_the_release() {
    let mut world = world();
    world.release("v2");
    world.until(20, |world| !world.weight_in_use().is_zero());
    world.tripped = Some(Trip { router: "router-0".to_owned(), failed: 18, of: 20 });
    world.until(20, World::at_rest);
    assert_eq!(cause(&world), CauseReason::Tripped);
}

#[test]
fn a_new_template_in_the_middle_begins_again_against_the_original_stable() {
    let mut world = world();
    world.release("v2");
    world.until(20, |world| world.weight_in_use() >= Weight::from_basis_points_saturating(500));
    world.release("v3");
    world.until(80, World::at_rest);
    assert_eq!(world.stable.revision, "v3");
    let history: Vec<_> =
        world.status.history.iter().map(|record| (record.stable.as_str(), record.outcome)).collect();
    assert_eq!(history, [("v1", Outcome::RolledBack), ("v1", Outcome::Promoted)]);
}

#[test]
fn the_old_template_in_the_middle_ends_the_release_without_a_failure() {
    let mut world = world();
    world.release("v2");
    world.until(20, |world| !world.weight_in_use().is_zero());
    world.release("v1");
    world.until(20, World::at_rest);
    assert_eq!((world.phase(), cause(&world)), ("Stable", CauseReason::TemplateRestored));
}

#[test]
fn an_undone_release_gives_the_template_back() {
    let mut world = world();
    world.release("v2");
    world.until(20, |world| !world.weight_in_use().is_zero());
    world.say(Verb::Undo);
    world.until(20, World::at_rest);
    assert_eq!((world.phase(), world.template.as_str()), ("Stable", "v1"));
}

#[test]
fn undo_after_a_promotion_is_a_judged_release_of_the_revision_before() {
    let mut world = world();
    world.release("v2");
    world.until(60, World::at_rest);
    world.say(Verb::Undo);
    world.until(60, |world| world.at_rest() && world.stable.revision == "v1");
    assert_eq!(world.status.history.len(), 2);
}

#[test]
fn an_abort_is_one_weight_change_away_even_at_all_requests() {
    let mut world = world();
    world.spec.bake = release::Duration::from_secs(60);
    world.release("v2");
    world.until(60, |world| world.weight_in_use() == Weight::FULL);
    assert_eq!(world.stable.ready, 3, "stable's replicas are still there");
    world.say(Verb::Abort);
    world.until(20, World::at_rest);
    assert_eq!((world.phase(), cause(&world)), ("Failed", CauseReason::Aborted));
}

#[test]
fn a_paused_release_stays_at_its_weight_until_it_is_resumed() {
    let mut world = world();
    world.release("v2");
    world.say_when_judging(Verb::Pause);
    world.turns(200);
    assert_eq!((world.hold().as_str(), world.weight_in_use().to_string().as_str()), ("Paused", "5%"));
    world.say(Verb::Resume);
    world.until(60, World::at_rest);
    assert_eq!(world.stable.revision, "v2");
}

#[test]
fn a_weight_set_by_hand_is_kept_until_it_is_resumed_and_failures_still_count() {
    let mut world = world();
    world.release("v2");
    world.say_when_judging(Verb::SetWeight { weight: Weight::from_basis_points_saturating(3_000) });
    world.turns(100);
    assert_eq!((world.hold().as_str(), world.weight_in_use().to_string().as_str()), ("ManualWeight", "30%"));
    world.errors.1 = 300;
    world.until(20, World::at_rest);
    assert_eq!(world.phase(), "Failed");
}

#[test]
fn full_promotion_skips_the_judgement_and_nothing_else() {
    let mut world = world();
    world.requests = 0;
    world.release("v2");
    world.turns(2);
    world.say(Verb::Promote { full: true });
    world.until(30, World::at_rest);
    assert_eq!(world.stable.revision, "v2");
}

#[test]
fn an_outage_of_everything_at_full_weight_gives_stable_a_share_to_compare_with() {
    let mut world = world();
    world.spec.bake = release::Duration::from_secs(60);
    world.release("v2");
    world.until(60, |world| world.weight_in_use() == Weight::FULL);
    world.errors = (80, 80);
    world.until(10, |world| world.events.contains(&EventReason::SteppedBack));
    world.turns(30);
    assert_eq!((world.phase(), world.hold().as_str()), ("Progressing", "SharedDegradation"));
    world.errors = (5, 5);
    world.until(120, World::at_rest);
    assert_eq!(world.stable.revision, "v2");
}

#[test]
fn the_size_may_change_in_the_middle() {
    for size in [1, 10] {
        let mut world = world();
        world.release("v2");
        world.until(20, |world| world.weight_in_use() >= Weight::from_basis_points_saturating(5_000));
        world.replicas = size;
        world.until(60, World::at_rest);
        assert_eq!((world.stable.revision.as_str(), world.stable.wanted), ("v2", size));
    }
}

#[test]
fn by_replicas_the_pods_are_traded_one_for_one() {
    let mut world = World::new(World::by_replicas(World::quick()));
    world.release("v2");
    let mut shares = Vec::new();
    for _ in 0..60 {
        world.turns(1);
        shares.push((world.stable.wanted, world.candidate.as_ref().map_or(0, |pods| pods.wanted)));
    }
    shares.dedup();
    assert_eq!(shares, [(3, 1), (2, 1), (2, 2), (1, 2), (1, 3), (0, 3), (3, 0)]);
    assert_eq!(world.stable.revision, "v2");
}

#[test]
fn by_replicas_a_bad_candidate_goes_at_once() {
    let mut world = World::new(World::by_replicas(World::quick()));
    world.errors = (5, 500);
    world.release("v2");
    world.until(60, World::at_rest);
    world.turns(2);
    assert_eq!((world.phase(), world.stable.wanted, world.stable.ready), ("Failed", 3, 3));
}

#[test]
fn a_first_rollout_that_has_not_finished_is_not_touched() {
    let mut world = world();
    world.status = release::Status::new(world.now);
    world.stable.starts = false;
    world.turns(3);
    let decision = world.turn(Crash::Never);
    assert_eq!((world.phase(), decision.actions.len()), ("Initializing", 0));
    assert_eq!(world.hold(), "Initializing");
}

#[test]
fn every_status_survives_being_stored_as_json() {
    let mut world = world();
    world.release("v2");
    for _ in 0..200 {
        world.turn(Crash::Never);
        let json = serde_json::to_string(&world.status).unwrap();
        let read: release::Status = serde_json::from_str(&json).unwrap();
        assert_eq!(read, world.status);
        if world.at_rest() {
            break;
        }
        world.pass();
    }
    assert!(matches!(world.status.phase, Phase::Stable));
}

impl World {
    fn say_when_judging(&mut self, verb: Verb) {
        self.until(20, |world| {
            matches!(world.status.phase, Phase::Progressing { stage: release::Stage::Judging, .. })
        });
        self.say(verb);
    }
}
