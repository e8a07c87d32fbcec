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
use jiff::Timestamp;
use release::{
    CauseReason, EventReason, GateAnswer, GateReport, OnDeadline, Outcome, Phase, Question, Spec, Trip, Verb,
    apply,
};
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

const WORDS: [Verb; 5] =
    [Verb::Promote { full: false }, Verb::Promote { full: true }, Verb::Abort, Verb::Pause, Verb::Resume];

/// What a word is answered with at this moment.
fn refusal(world: &World, verb: Verb) -> String {
    let answer = apply(verb, &world.status, &world.wanted(), world.now);
    answer.err().map(|refused| refused.to_string()).unwrap_or_default()
}

#[test]
fn a_word_for_a_release_that_has_not_begun_is_refused_and_never_lost_on_what_was_before() {
    let mut world = world();
    world.release("v2");
    for verb in WORDS {
        let told = refusal(&world, verb);
        assert!(told.contains("the release of v2 has not begun yet: say it again when status"), "{told}");
    }
    assert!(refusal(&world, Verb::Undo).contains("has not begun yet"), "v1 is there still");
    world.turn(Crash::Never);
    world.say(Verb::Promote { full: true });
    world.until(60, World::at_rest);
    assert_eq!(world.stable.revision, "v2");
    // Back by the promoter's own hand, the template is still to be written.
    world.say(Verb::Undo);
    assert!(refusal(&world, Verb::Promote { full: true }).contains("the release of v1 has not begun yet"));
    world.say(Verb::Undo);
}

#[test]
fn a_word_for_the_release_after_this_one_says_what_it_comes_after() {
    let mut world = world();
    world.release("v2");
    world.until(20, |world| world.weight_in_use() == Weight::FULL);
    while !matches!(world.status.phase, Phase::Promoting { task: release::Promotion::Adopting, .. }) {
        assert_ne!(world.phase(), "Stable", "it went by unseen");
        world.turn(Crash::Never);
        world.pass();
    }
    // Stable's own template is another one than what is becoming stable.
    world.release("v1");
    let told = refusal(&world, Verb::Promote { full: false });
    assert!(told.contains("the release of v1 has not begun yet, since v2 is becoming stable"), "{told}");
    world.release("v3");
    world.until(60, |world| world.status.release().is_some_and(|it| it.candidate.as_str() == "v3"));
    world.until(20, |world| !world.weight_in_use().is_zero());
    world.in_flight = (0, 1);
    world.release("v4");
    world.until(5, |world| world.phase() == "RollingBack");
    let told = refusal(&world, Verb::Abort);
    assert!(told.contains("the release of v4 has not begun yet, since v3 is being taken out"), "{told}");
    world.say(Verb::Undo);
    assert_eq!(world.status.restore, world.status.stable, "undo is about the template itself");
}

/// Open from 00:10 to 00:11 and from 12:00 to 12:10; the world begins at 00:00.
fn with_windows() -> World {
    let windows =
        r#"[{"schedule": "10 0 * * *", "duration": "1m"}, {"schedule": "0 12 * * *", "duration": "10m"}]"#;
    World::new(Spec { windows: serde_json::from_str(windows).unwrap(), ..World::quick() })
}

fn at(text: &str) -> Timestamp {
    text.parse().unwrap()
}

#[test]
fn outside_of_its_windows_a_release_does_not_begin_and_says_until_when() {
    let mut world = with_windows();
    world.release("v2");
    world.turns(30);
    let hold = world.status.hold.clone().unwrap();
    assert_eq!((world.phase(), world.hold().as_str()), ("Progressing", "OutsideWindow"));
    assert_eq!((hold.deadline, hold.then), (at("1970-01-01T00:10:00Z"), OnDeadline::Proceed));
    assert!(hold.message.contains("`10 0 * * *` in UTC for 1m"), "{}", hold.message);
    assert!(world.candidate.is_none(), "not one replica was started");
    world.now = at("1970-01-01T00:10:00Z");
    world.until(60, World::at_rest);
    assert_eq!(world.stable.revision, "v2");
}

#[test]
fn a_window_that_closes_keeps_the_weight_judges_on_and_never_keeps_a_bad_candidate() {
    for (errors, ending) in [(5, "v2"), (500, "v1")] {
        let mut world = with_windows();
        world.requests = 20;
        world.release("v2");
        world.now = at("1970-01-01T00:10:00Z");
        world.until(300, |world| world.hold() == "OutsideWindow");
        let weight = world.weight_in_use();
        assert!(!weight.is_zero(), "it had begun");
        world.turns(100);
        assert_eq!((world.hold().as_str(), world.weight_in_use()), ("OutsideWindow", weight));
        world.requests = 1_000;
        world.errors.1 = errors;
        if errors > 5 {
            world.until(20, World::at_rest);
            assert!(world.now < at("1970-01-01T12:00:00Z"));
        }
        world.now = at("1970-01-01T12:00:00Z");
        world.until(300, World::at_rest);
        assert_eq!(world.stable.revision, ending);
    }
}

#[test]
fn a_person_may_go_on_outside_of_every_window() {
    let mut world = with_windows();
    world.release("v2");
    world.until(5, |world| world.hold() == "OutsideWindow");
    world.say(Verb::Promote { full: false });
    world.until(60, |world| world.hold() == "OutsideWindow" && !world.weight_in_use().is_zero());
    world.say(Verb::Promote { full: true });
    world.until(60, World::at_rest);
    assert_eq!(world.stable.revision, "v2");
    assert!(world.now < at("1970-01-01T00:10:00Z"));
}

fn with_gates(on_hold: &str) -> World {
    let gates = r#"[{"name": "qa", "url": "http://qa"}, {"name": "ops", "url": "http://ops"}]"#;
    let mut spec = Spec { gates: serde_json::from_str(gates).unwrap(), ..World::quick() };
    spec.deadlines.on_hold = serde_json::from_str(on_hold).unwrap();
    World::new(spec)
}

fn answer(world: &mut World, gate: &str, step: usize, answer: GateAnswer) {
    let question = Question::of(world.status.release().unwrap(), step);
    world.gates.push(GateReport { gate: gate.to_owned(), question, answer });
}

#[test]
fn every_gate_must_say_yes_before_each_step_and_before_the_promotion() {
    let mut world = with_gates(r#""Hold""#);
    world.release("v2");
    for step in 0..=3 {
        world.until(60, |world| world.hold() == "AwaitingGate");
        assert_eq!(world.candidate.is_some(), step > 0, "nothing is started before the gates said yes");
        assert!(world.status.hold.as_ref().unwrap().message.contains("qa is being asked"));
        answer(&mut world, "ops", step, GateAnswer::Yes);
        answer(&mut world, "qa", step, GateAnswer::No("tests run".to_owned()));
        world.turns(3);
        let message = world.status.hold.clone().unwrap().message;
        assert_eq!(message, "qa says no: tests run; promote goes on without");
        world.gates.pop();
        answer(&mut world, "qa", step, GateAnswer::Yes);
        world.turns(1);
        assert!(world.hold() != "AwaitingGate" || step == 3);
    }
    world.until(60, World::at_rest);
    assert_eq!(world.stable.revision, "v2");
}

#[test]
fn the_yes_to_another_candidate_does_not_count() {
    let mut world = with_gates(r#""Hold""#);
    world.release("v2");
    world.until(5, |world| world.hold() == "AwaitingGate");
    answer(&mut world, "ops", 0, GateAnswer::Yes);
    answer(&mut world, "qa", 0, GateAnswer::Yes);
    world.release("v3");
    world.until(20, |world| world.status.release().is_some_and(|release| release.candidate.as_str() == "v3"));
    world.until(5, |world| world.hold() == "AwaitingGate");
    world.turns(10);
    assert_eq!(world.hold(), "AwaitingGate");
}

#[test]
fn a_gate_that_stays_silent_ends_the_release_at_the_deadline_where_the_spec_says_so() {
    let silent = |world: &mut World| {
        world.release("v2");
        world.until(5, |world| world.hold() == "AwaitingGate");
        answer(world, "ops", 0, GateAnswer::None("connection refused".to_owned()));
        world.turns(590);
        assert_eq!(world.hold(), "AwaitingGate");
        world.turns(60);
    };
    let mut world = with_gates(r#""Abort""#);
    silent(&mut world);
    assert_eq!((world.phase(), cause(&world)), ("Failed", CauseReason::HoldDeadlineExceeded));
    let mut world = with_gates(r#""Hold""#);
    silent(&mut world);
    let hold = world.status.hold.clone().unwrap();
    assert!(hold.overdue(world.now) && hold.message.contains("ops gives no answer: connection refused"));
}

fn with_steps(steps: &str) -> World {
    World::new(Spec { steps: serde_json::from_str(steps).unwrap(), ..World::quick() })
}

#[test]
fn a_step_may_pause_for_a_time_or_for_a_person() {
    let mut world = with_steps(
        r#"[{"weight": "5%", "pause": {"duration": "30s"}}, {"weight": "50%", "pause": {}}, {"weight": "100%"}]"#,
    );
    world.release("v2");
    world.until(30, |world| world.hold() == "StepPause");
    let hold = world.status.hold.clone().unwrap();
    assert_eq!(hold.then, OnDeadline::Proceed);
    world.until(60, |world| world.hold() == "Paused");
    assert!(world.now >= hold.deadline, "not before its time");
    let weight = world.weight_in_use();
    world.turns(300);
    assert_eq!((world.hold().as_str(), world.weight_in_use()), ("Paused", weight));
    world.say(Verb::Resume);
    world.until(60, World::at_rest);
    assert_eq!(world.stable.revision, "v2");
}

#[test]
fn a_step_may_have_other_replicas_and_ask_for_more_requests() {
    let mut world =
        with_steps(r#"[{"weight": "5%", "replicas": 3, "minRequests": 500}, {"weight": "100%"}]"#);
    world.release("v2");
    world.until(30, |world| world.hold() == "InsufficientSamples");
    assert_eq!(world.candidate.as_ref().unwrap().wanted, 3, "5 % of 3 would be 1");
    let hold = world.status.hold.clone().unwrap();
    assert_eq!(hold.needed, Some(500));
    world.until(60, |world| world.weight_in_use() == Weight::FULL);
    let total = world.status.release().unwrap().total.canary.requests;
    assert!(total >= 500, "{total} requests");
}

#[test]
fn while_it_bakes_stable_is_one_weight_change_away() {
    let mut spec = World::quick();
    spec.bake = "2m".parse().unwrap();
    let mut world = World::new(spec);
    world.release("v2");
    world.until(60, |world| world.weight_in_use() == Weight::FULL && world.hold() == "StepPause");
    world.turns(60);
    assert_eq!((world.hold().as_str(), world.stable.ready), ("StepPause", 3));
    world.say(Verb::Abort);
    world.until(20, World::at_rest);
    assert_eq!(world.stable.revision, "v1");
    assert_eq!(cause(&world), CauseReason::Aborted);
}
