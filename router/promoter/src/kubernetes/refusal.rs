//! What a Canary cannot be followed for, each with its remedy.

use super::crd::CanarySpec;
use super::object::{CanaryObject, name_of};
use super::world::World;
use crate::evidence::{LATENCY_BOUNDS, bucket_of};
use k8s_openapi::api::autoscaling::v2::HorizontalPodAutoscaler;
use serde_json::Value;

/// Why a Canary is not followed.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(super) enum Refusal {
    #[error("spec: {0}")]
    Spec(String),
    #[error(
        "there is no Deployment {0} in this namespace; create it, or delete this Canary and name another one"
    )]
    DeploymentNotFound(String),
    #[error("the Canary {0} follows the Deployment already; delete one of the two")]
    DeploymentTaken(String),
    #[error(
        "the HorizontalPodAutoscaler {0} scales the Deployment, and would count the candidate's pods; delete it, or \
         this Canary"
    )]
    AutoscalerOnDeployment(String),
    #[error(
        "the Deployment's strategy is Recreate, which says that two versions cannot live together; make it \
         RollingUpdate, or write `allowRecreate: true`"
    )]
    RecreateStrategy,
    #[error("no Service selects the pods of the Deployment {0}; create one, or write `mode: replicas`")]
    NoService(String),
    #[error("there is no Service {0} in this namespace; create it, or name another one in spec.service")]
    ServiceNotFound(String),
    #[error("the Services {0} select the Deployment's pods; name the one for readers in spec.service")]
    ServiceAmbiguous(String),
    #[error("the Service {0} does not select the Deployment's pods; name one that does in spec.service")]
    ServiceOfOthers(String),
    #[error(
        "the Service {0} selects by pod-template-hash already, so it would lose its pods with the next release; take \
         that label out of its selector"
    )]
    ServiceSelectsByHash(String),
    #[error("the Service {service} has no port {port}; write one that it has in spec.port")]
    PortNotFound { service: String, port: String },
    #[error(
        "the Service {0} has several ports and none is named http; write the one for readers in spec.port"
    )]
    PortAmbiguous(String),
    #[error(
        "the port {target} that the Service {service} leads to is no containerPort of the Deployment's containers; \
         correct its targetPort"
    )]
    TargetPort { service: String, target: String },
    #[error(
        "there is a {kind} {name} already that this Canary did not make; delete it, or give the Canary another name"
    )]
    NameTaken { kind: &'static str, name: String },
    #[error(
        "the Gateway API is not installed: this cluster has no HTTPRoutes; install its CRDs, or write `mode: replicas`"
    )]
    NoGatewayApi,
}

// === impl Refusal ===

impl Refusal {
    /// The reason of the condition.
    pub(super) fn reason(&self) -> &'static str {
        match self {
            Self::Spec(_) => "SpecRefused",
            Self::DeploymentNotFound(_) => "DeploymentNotFound",
            Self::DeploymentTaken(_) => "DeploymentTaken",
            Self::AutoscalerOnDeployment(_) => "AutoscalerOnDeployment",
            Self::RecreateStrategy => "RecreateStrategy",
            Self::NoService(_) => "NoService",
            Self::ServiceNotFound(_) => "ServiceNotFound",
            Self::ServiceAmbiguous(_) => "ServiceAmbiguous",
            Self::ServiceOfOthers(_) => "ServiceOfOthers",
            Self::ServiceSelectsByHash(_) => "ServiceSelectsByHash",
            Self::PortNotFound { .. } => "PortNotFound",
            Self::PortAmbiguous(_) => "PortAmbiguous",
            Self::TargetPort { .. } => "TargetPort",
            Self::NameTaken { .. } => "NameTaken",
            Self::NoGatewayApi => "NoGatewayApi",
        }
    }
}

/// The spec of a Canary, if it makes sense.
pub(super) fn spec_of(object: &CanaryObject) -> Result<CanarySpec, Refusal> {
    let spec: CanarySpec =
        serde_json::from_value(object.spec.clone()).map_err(|error| Refusal::Spec(error.to_string()))?;
    match spec.release.analysis.latency_bound {
        Some(bound) if bucket_of(bound).is_none() => Err(Refusal::Spec(format!(
            "analysis.latencyBound: {bound} is not the bound of a bucket, so slow requests could not be counted; \
             write one of {}",
            LATENCY_BOUNDS.map(|bound| bound.to_string()).join(", ")
        ))),
        _ => Ok(spec),
    }
}

/// The Canary that follows the same Deployment and was there before.
pub(super) fn taken(object: &CanaryObject, others: &[CanaryObject]) -> Option<Refusal> {
    let deployment =
        |object: &CanaryObject| object.spec.get("deployment").and_then(Value::as_str).map(str::to_owned);
    let age = |object: &CanaryObject| {
        let created = object.metadata.creation_timestamp.as_ref().map(|time| time.0);
        (created, name_of(&object.metadata).to_owned())
    };
    let other =
        others.iter().find(|other| deployment(other) == deployment(object) && age(other) < age(object))?;
    Some(Refusal::DeploymentTaken(name_of(&other.metadata).to_owned()))
}

/// What keeps a release of the Deployment from beginning.
pub(super) fn unfit(
    spec: &CanarySpec,
    world: &World,
    autoscalers: &[HorizontalPodAutoscaler],
) -> Option<Refusal> {
    let name = name_of(&world.deployment.metadata);
    let autoscaler = autoscalers.iter().find(|autoscaler| {
        let target = autoscaler.spec.as_ref().map(|spec| &spec.scale_target_ref);
        target.is_some_and(|target| target.kind == "Deployment" && target.name == name)
    });
    if let Some(autoscaler) = autoscaler {
        return Some(Refusal::AutoscalerOnDeployment(name_of(&autoscaler.metadata).to_owned()));
    }
    let strategy = world.deployment.spec.rest.get("strategy").and_then(|strategy| strategy.get("type"));
    let recreate = strategy.and_then(Value::as_str) == Some("Recreate");
    (recreate && !spec.allow_recreate).then_some(Refusal::RecreateStrategy)
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn canary(name: &str, created: &str, spec: &Value) -> CanaryObject {
        serde_json::from_value(json!({
            "apiVersion": "huidu.dev/v1alpha1",
            "kind": "Canary",
            "metadata": {"name": name, "namespace": "blog", "creationTimestamp": created},
            "spec": spec,
        }))
        .unwrap()
    }

    #[test]
    fn the_older_of_two_canaries_has_the_deployment() {
        let blog = json!({"deployment": "blog"});
        let older = canary("b", "2026-01-01T00:00:00Z", &blog);
        let newer = canary("a", "2026-01-01T00:00:01Z", &blog);
        let other = canary("c", "2025-01-01T00:00:00Z", &json!({"deployment": "shop"}));
        let all = [older.clone(), newer.clone(), other.clone()];
        assert_eq!(taken(&older, &all), None);
        assert_eq!(taken(&newer, &all), Some(Refusal::DeploymentTaken("b".to_owned())));
        assert_eq!(taken(&other, &all), None);
    }

    #[test]
    fn a_spec_that_makes_no_sense_is_refused_with_its_field() {
        let spec =
            json!({"deployment": "blog", "mode": "replicas", "steps": [{"weight": 20}, {"weight": "10%"}]});
        let refusal = spec_of(&canary("a", "2026-01-01T00:00:00Z", &spec)).unwrap_err();
        assert_eq!(refusal.reason(), "SpecRefused");
        assert!(refusal.to_string().contains("steps[1].weight: 10% does not go up from 20%"), "{refusal}");
    }
}
