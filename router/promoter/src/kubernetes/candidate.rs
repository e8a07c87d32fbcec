//! The second Deployment: the user's own, with another name, that the Canary owns.

use super::object::{CanaryObject, Deployment, name_of, uid_of};
use super::world::REVISION;
use jiff::Timestamp;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{ObjectMeta, OwnerReference};
use kube::Resource as _;
use kube::core::TypeMeta;
use release::Revision;
use std::collections::BTreeMap;

/// The label of everything that a Canary makes.
pub(super) const CANARY: &str = "huidu.dev/canary";

/// Pod names are cut at 63 characters; the Deployment's part leaves room for what tells them apart.
const PREFIX_LIMIT: usize = 38;

/// What a candidate is called: a name of its own for every release, since Kubernetes avoids the `pod-template-hash` of
/// an earlier ReplicaSet of the same name.
pub(super) fn name(deployment: &str, started: Timestamp) -> String {
    const DIGITS: &[u8; 36] = b"0123456789abcdefghijklmnopqrstuvwxyz";
    let mut rest = started.as_millisecond().unsigned_abs();
    let mut digits = Vec::new();
    while rest > 0 {
        digits.push(DIGITS[usize::try_from(rest % 36).unwrap_or(0)]);
        rest /= 36;
    }
    let digits: String = digits.into_iter().rev().map(char::from).collect();
    let prefix: String = deployment.chars().take(PREFIX_LIMIT).collect();
    format!("{}-{digits}", prefix.trim_end_matches(['-', '.']))
}

/// The candidate of a template. It starts at once: it is not paused.
pub(super) fn of(
    owner: &CanaryObject,
    deployment: &Deployment,
    named: &str,
    revision: &Revision,
) -> Deployment {
    let mut spec = deployment.spec.clone();
    spec.paused = false;
    let labels = BTreeMap::from([(CANARY.to_owned(), name_of(&owner.metadata).to_owned())]);
    let annotations = BTreeMap::from([(REVISION.to_owned(), revision.as_str().to_owned())]);
    Deployment {
        types: Some(TypeMeta { api_version: "apps/v1".to_owned(), kind: "Deployment".to_owned() }),
        metadata: ObjectMeta {
            name: Some(named.to_owned()),
            namespace: deployment.metadata.namespace.clone(),
            labels: Some(labels),
            annotations: Some(annotations),
            owner_references: Some(vec![owner_reference(owner)]),
            ..ObjectMeta::default()
        },
        spec,
        status: Default::default(),
    }
}

/// Says that an object goes with the Canary.
pub(super) fn owner_reference(owner: &CanaryObject) -> OwnerReference {
    OwnerReference {
        api_version: CanaryObject::api_version(&()).into_owned(),
        kind: CanaryObject::kind(&()).into_owned(),
        name: name_of(&owner.metadata).to_owned(),
        uid: uid_of(&owner.metadata).to_owned(),
        controller: Some(true),
        block_owner_deletion: Some(true),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_release_has_a_candidate_of_another_name() {
        let at = |text: &str| text.parse::<Timestamp>().unwrap();
        assert_eq!(name("django-blog", at("2026-01-01T00:00:00Z")), "django-blog-mjuohs00");
        assert_eq!(name("django-blog", at("2026-01-01T00:00:00.001Z")), "django-blog-mjuohs01");
    }

    #[test]
    fn a_long_name_leaves_room_for_what_tells_pods_apart() {
        let name = name(&"very-long-name-".repeat(10), "2026-01-01T00:00:00Z".parse().unwrap());
        assert!(name.len() <= 47, "{name}");
        assert!(name.ends_with("-mjuohs00") && !name.contains("--"), "{name}");
    }
}
