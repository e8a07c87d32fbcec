//! A Canary of a cluster as people see it: the same object as that of a workload on one machine.

use super::crd::CanarySpec;
use super::object::{CanaryObject, name_of};
use super::status::{Answer, CanaryStatus};
use crate::canary::{self, Canary, Condition, ConditionStatus};
use jiff::Timestamp;
use release::{Phase, Revision, Status};

/// What a person wants to see of it.
pub(crate) fn view(object: &CanaryObject) -> Canary {
    let spec = serde_json::from_value::<CanarySpec>(object.spec.clone()).map(|spec| spec.release);
    let created = object.metadata.creation_timestamp.as_ref().map(|time| time.0);
    let status = status_of(object);
    let conditions = notes(object, status.as_ref());
    let status = status.unwrap_or_else(|| CanaryStatus::new(created.unwrap_or(Timestamp::UNIX_EPOCH)));
    let CanaryStatus { release, template, desired_replicas, replicas, routing, .. } = status;
    let status = canary::CanaryStatus {
        release,
        template: template.unwrap_or_else(|| Revision::new("")),
        desired_replicas,
        changed: Vec::new(),
        replicas,
        routing,
        conditions,
    };
    // A spec that makes no sense is told among the notes.
    let mut canary = Canary::new(name_of(&object.metadata), spec.unwrap_or_default(), status);
    canary.metadata.namespace.clone_from(&object.metadata.namespace);
    canary
}

/// What the promoter answered last.
pub(crate) fn answer(object: &CanaryObject) -> Option<Answer> {
    serde_json::from_value(object.status.as_ref()?.get("answer")?.clone()).ok()
}

/// Which Deployment it follows, and the generation of it that the status tells of; none where the status is older than
/// the spec.
pub(crate) fn followed(object: &CanaryObject) -> Option<(String, i64)> {
    let status = status_of(object).filter(|status| is_current(object, status))?;
    let deployment = object.spec.get("deployment")?.as_str()?.to_owned();
    Some((deployment, status.observed_deployment_generation?))
}

fn status_of(object: &CanaryObject) -> Option<CanaryStatus> {
    serde_json::from_value(object.status.clone()?).ok()
}

fn is_current(object: &CanaryObject, status: &CanaryStatus) -> bool {
    status.observed_generation >= object.metadata.generation
}

/// What else a person should know.
fn notes(object: &CanaryObject, status: Option<&CanaryStatus>) -> Vec<Condition> {
    let no = |kind: &str, reason: &str, message: &str| Condition {
        kind: kind.to_owned(),
        status: ConditionStatus::False,
        reason: reason.to_owned(),
        message: message.to_owned(),
    };
    let ending = object.metadata.deletion_timestamp.is_some();
    let ending =
        ending.then(|| no("Following", "Deleting", "the Deployment is being given back as it was before"));
    let unseen = match status {
        None => Some("no promoter has looked at it yet; is one running that follows this namespace?"),
        Some(status) if !is_current(object, status) => {
            Some("the promoter has not taken the last change of the spec in yet; is it running?")
        }
        Some(_) => None,
    };
    let unseen = unseen.map(|message| no("Following", "NotObserved", message));
    let trouble = status.and_then(|status| {
        let degraded = status.conditions.iter().find(|condition| condition.kind == "Degraded")?;
        let told = told_elsewhere(&status.release, &degraded.reason);
        (degraded.status == "True" && !told).then(|| no("Following", &degraded.reason, &degraded.message))
    });
    [ending, unseen, trouble].into_iter().flatten().collect()
}

/// Whether the reason is that of the hold or of the failure, which are shown anyway.
fn told_elsewhere(status: &Status, reason: &str) -> bool {
    let held = status.hold.as_ref().is_some_and(|hold| hold.reason.to_string() == reason);
    let failed = match &status.phase {
        Phase::Failed { cause, .. } | Phase::RollingBack { cause, .. } => {
            format!("{:?}", cause.reason) == reason
        }
        _ => false,
    };
    held || failed
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::{Value, json};

    fn object(generation: i64, status: &Value) -> CanaryObject {
        serde_json::from_value(json!({
            "apiVersion": "huidu.dev/v1alpha1",
            "kind": "Canary",
            "metadata": {
                "name": "blog", "namespace": "web", "generation": generation,
                "creationTimestamp": "2026-01-01T00:00:00Z",
            },
            "spec": {"deployment": "django-blog", "steps": [{"weight": 25}]},
            "status": status,
        }))
        .unwrap()
    }

    fn status(more: impl FnOnce(&mut CanaryStatus)) -> Value {
        let mut status = CanaryStatus::new(Timestamp::UNIX_EPOCH);
        status.observed_generation = Some(2);
        status.observed_deployment_generation = Some(7);
        more(&mut status);
        serde_json::to_value(status).unwrap()
    }

    #[test]
    fn a_canary_of_a_cluster_is_shown_as_one_of_this_machine() {
        let canary = view(&object(2, &status(|status| status.desired_replicas = 3)));
        assert_eq!(canary.metadata.namespace.as_deref(), Some("web"));
        assert_eq!((canary.spec.steps.len(), canary.status.desired_replicas), (2, 3));
        assert_eq!(canary.status.conditions, []);
    }

    #[test]
    fn one_that_nobody_has_looked_at_says_so() {
        for (generation, status, part) in [
            (1, Value::Null, "no promoter has looked at it yet"),
            (3, status(|_| {}), "has not taken the last change of the spec in yet"),
        ] {
            let object = object(generation, &status);
            let notes = view(&object).status.conditions;
            assert!(notes.len() == 1 && notes[0].message.contains(part), "{notes:?}");
            assert_eq!(followed(&object), None);
        }
        assert_eq!(followed(&object(2, &status(|_| {}))), Some(("django-blog".to_owned(), 7)));
    }

    #[test]
    fn trouble_is_noted_unless_the_hold_says_it_already() {
        let degraded = |reason: &str| super::super::status::Condition {
            kind: "Degraded".to_owned(),
            status: "True".to_owned(),
            reason: reason.to_owned(),
            message: "the API server is away".to_owned(),
            last_transition_time: Timestamp::UNIX_EPOCH,
            observed_generation: None,
        };
        let notes = view(&object(2, &status(|status| status.conditions = vec![degraded("ApiError")])));
        assert_eq!(notes.status.conditions[0].reason, "ApiError");
        let cause = release::Cause::new(release::CauseReason::Aborted, "aborted by hand");
        let failed = status(|status| {
            let release = release::Release::new(Revision::new("b"), Timestamp::UNIX_EPOCH);
            status.release.phase = Phase::Failed { release, cause };
            status.conditions = vec![degraded("Aborted")];
        });
        assert_eq!(view(&object(2, &failed)).status.conditions, []);
    }
}
