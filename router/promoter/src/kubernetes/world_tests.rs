use super::super::fixtures::{candidate, deployment, pod, pods, revision, set, world};
use super::*;
use serde_json::{Value, json};

#[test]
fn stable_is_what_readers_have_and_not_what_the_template_asks_for() {
    let sets = [set("v1", Some("own"), "blog:v1", 3), set("v0", Some("own"), "blog:v0", 0)];
    let world = world(deployment("own", "blog:v2", 3), &[], &sets, &pods("v1", 3));
    let stable = world.stable(Some(&revision("blog:v1"))).unwrap();
    assert_eq!(stable.hash(), "v1");
    assert_eq!(world.fleet(stable.revision.clone(), 3).ready, 3);
    assert_eq!(world.template(), revision("blog:v2"));
}

#[test]
fn a_template_that_waits_for_an_adoption_is_what_the_user_asks_for() {
    let mut deployment = deployment("own", "blog:v2", 3);
    deployment["metadata"]["annotations"][NEXT] =
        json!(super::super::fixtures::template("blog:v3").to_string());
    let world = world(deployment, &[], &[], &[]);
    assert_eq!((world.template(), world.next_template()), (revision("blog:v2"), revision("blog:v3")));
}

#[test]
fn before_anything_is_remembered_a_rollout_shows_as_one() {
    let sets = [set("v1", Some("own"), "blog:v1", 1), set("v2", Some("own"), "blog:v2", 3)];
    let world = world(deployment("own", "blog:v2", 3), &[], &sets, &[]);
    assert_eq!(world.stable(None).unwrap().hash(), "v1");
}

#[test]
fn a_remembered_revision_without_replicas_is_not_stable_any_more() {
    let sets = [set("v1", Some("own"), "blog:v1", 0), set("v2", Some("own"), "blog:v2", 3)];
    let world = world(deployment("own", "blog:v2", 3), &[], &sets, &[]);
    assert_eq!(world.stable(Some(&revision("blog:v1"))).unwrap().hash(), "v2");
}

#[test]
fn the_candidate_is_seen_through_every_moment_of_its_adoption() {
    let old = set("v1", Some("own"), "blog:v1", 3);
    let user = || deployment("own", "blog:v2", 3);
    let mut ending = candidate("second", "blog:v2", 3);
    ending["metadata"]["deletionTimestamp"] = json!("2026-01-01T00:00:00Z");
    let ready = pods("v2", 3);
    let owned_by = |owner| [old.clone(), set("v2", owner, "blog:v2", 3)];
    let seen = |candidates: &[Value], owner| {
        let world = world(user(), candidates, &owned_by(owner), &ready);
        world.candidate_fleet(Some("second")).map(|fleet| (fleet.revision, fleet.replicas, fleet.ready))
    };
    let whole = Some((revision("blog:v2"), 3, 3));
    assert_eq!(seen(&[candidate("second", "blog:v2", 3)], Some("second")), whole);
    assert_eq!(seen(&[ending.clone()], Some("second")), whole, "before it is orphaned");
    assert_eq!(seen(&[ending.clone()], None), whole, "orphaned");
    assert_eq!(seen(&[ending], Some("own")), whole, "adopted, and the old owner not gone yet");
    assert_eq!(seen(&[], None), whole, "the old owner is gone, and nobody has adopted it yet");
    assert_eq!(seen(&[], Some("own")), None, "it is the Deployment's own");
}

#[test]
fn a_deployment_that_others_made_for_the_same_pods_is_no_candidate() {
    let sets = [set("v1", Some("own"), "blog:v1", 3), set("theirs", Some("theirs"), "blog:v9", 1)];
    let world = world(deployment("own", "blog:v1", 3), &[], &sets, &pods("theirs", 1));
    assert_eq!(world.candidate_fleet(Some("second")), None);
}

#[test]
fn the_users_number_of_replicas_is_remembered_until_the_user_changes_it() {
    let mut scaled = deployment("own", "blog:v1", 2);
    scaled["metadata"]["annotations"] = json!({WANTED: "3", SET: "2"});
    assert_eq!(world(scaled.clone(), &[], &[], &[]).wanted_replicas(), 3);
    scaled["spec"]["replicas"] = json!(5);
    assert_eq!(world(scaled, &[], &[], &[]).wanted_replicas(), 5);
    assert_eq!(world(deployment("own", "blog:v1", 4), &[], &[], &[]).wanted_replicas(), 4);
}

#[test]
fn only_empty_sets_of_the_same_template_are_rivals_and_only_full_ones_strays() {
    let sets = [
        set("v1", Some("own"), "blog:v1", 3),
        set("old-v2", Some("own"), "blog:v2", 0),
        set("stray", Some("own"), "blog:v3", 1),
        set("v2", Some("second"), "blog:v2", 3),
    ];
    let world = world(deployment("own", "blog:v2", 3), &[candidate("second", "blog:v2", 3)], &sets, &[]);
    let rivals: Vec<_> = world.rivals(&revision("blog:v2")).map(Set::hash).collect();
    let strays: Vec<_> = world.strays(&revision("blog:v1")).map(Set::hash).collect();
    assert_eq!((rivals, strays), (vec!["old-v2"], vec!["stray"]));
}

#[test]
fn a_fleet_that_is_not_ready_says_why_in_kubernetes_words() {
    let mut failing = pod("v2", 0, "False");
    failing["status"]["containerStatuses"][0]["state"] =
        json!({"waiting": {"reason": "ImagePullBackOff", "message": "Back-off pulling image"}});
    let sets = [set("v2", Some("second"), "blog:v2", 1)];
    let world =
        world(deployment("own", "blog:v2", 3), &[candidate("second", "blog:v2", 1)], &sets, &[failing]);
    let fleet = world.candidate_fleet(None).unwrap();
    assert_eq!((fleet.ready, fleet.restarts), (0, 2));
    assert_eq!(fleet.message, "ImagePullBackOff: Back-off pulling image");
}

#[test]
fn pods_that_a_quota_forbids_say_so() {
    let mut starved = set("v2", Some("second"), "blog:v2", 1);
    starved["status"] = json!({"conditions": [
        {"type": "ReplicaFailure", "status": "True", "message": "exceeded quota: pods"},
    ]});
    let world = world(deployment("own", "blog:v2", 3), &[candidate("second", "blog:v2", 1)], &[starved], &[]);
    assert_eq!(world.candidate_fleet(None).unwrap().message, "exceeded quota: pods");
}
