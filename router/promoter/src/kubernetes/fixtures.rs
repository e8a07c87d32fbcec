//! Parts of a cluster, for tests.

use super::revision::{HASH_LABEL, revision_of};
use super::world::{REVISION, Set, World};
use release::Revision;
use serde_json::{Value, json};

/// A Deployment `blog` of these replicas that asks for `image`.
pub(super) fn deployment(uid: &str, image: &str, replicas: u32) -> Value {
    json!({
        "metadata": {"name": "blog", "uid": uid, "generation": 1},
        "spec": {"replicas": replicas, "selector": {"matchLabels": {"app": "blog"}}, "template": template(image)},
    })
}

pub(super) fn template(image: &str) -> Value {
    json!({"metadata": {"labels": {"app": "blog"}}, "spec": {"containers": [{"name": "web", "image": image}]}})
}

pub(super) fn candidate(uid: &str, image: &str, replicas: u32) -> Value {
    let mut candidate = deployment(uid, image, replicas);
    candidate["metadata"]["annotations"][REVISION] = json!(revision(image).as_str());
    candidate
}

pub(super) fn revision(image: &str) -> Revision {
    revision_of(&template(image))
}

/// A ReplicaSet of `owner`, if it has one.
pub(super) fn set(uid: &str, owner: Option<&str>, image: &str, replicas: u32) -> Value {
    let mut template = template(image);
    template["metadata"]["labels"][HASH_LABEL] = json!(uid);
    let owners: Vec<Value> = owner
        .map(|uid| json!({"apiVersion": "apps/v1", "kind": "Deployment", "name": uid, "uid": uid, "controller": true}))
        .into_iter()
        .collect();
    json!({
        "metadata": {"name": uid, "uid": uid, "labels": {HASH_LABEL: uid}, "ownerReferences": owners},
        "spec": {"replicas": replicas, "template": template},
    })
}

/// A pod of a ReplicaSet, whose address ends with the number.
pub(super) fn pod(set: &str, number: u32, ready: &str) -> Value {
    let subnet = set.bytes().map(u32::from).sum::<u32>() % 250;
    json!({
        "metadata": {
            "name": format!("{set}-{number}"),
            "labels": {HASH_LABEL: set},
            "ownerReferences": [
                {"apiVersion": "apps/v1", "kind": "ReplicaSet", "name": set, "uid": set, "controller": true},
            ],
        },
        "status": {
            "podIP": format!("10.0.{subnet}.{number}"),
            "conditions": [{"type": "Ready", "status": ready}],
            "containerStatuses": [{"name": "web", "image": "", "imageID": "", "ready": ready == "True", "restartCount": 2}],
        },
    })
}

pub(super) fn pods(set: &str, ready: u32) -> Vec<Value> {
    (0..ready).map(|number| pod(set, number, "True")).collect()
}

pub(super) fn world(deployment: Value, candidates: &[Value], sets: &[Value], pods: &[Value]) -> World {
    let read = |value: &Value| serde_json::from_value(value.clone()).unwrap();
    World {
        deployment: serde_json::from_value(deployment).unwrap(),
        candidates: candidates.iter().map(|value| serde_json::from_value(value.clone()).unwrap()).collect(),
        sets: sets.iter().map(|value| Set::new(read(value))).collect(),
        pods: pods.iter().map(|value| serde_json::from_value(value.clone()).unwrap()).collect(),
    }
}
