//! Kubernetes' objects as far as they matter here. Pod templates are kept as they come: a copy of a template must not
//! lose a field that this program has never heard of.

use super::crd;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{LabelSelector, ObjectMeta};
use kube::Resource;
use kube::core::TypeMeta;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

/// A Canary whose spec and status are still to be checked: one that makes no sense must not hide the others.
#[derive(Clone, Debug, Serialize, Deserialize, Resource)]
#[resource(inherit = crd::Canary)]
pub(crate) struct CanaryObject {
    #[serde(flatten)]
    pub(crate) types: Option<TypeMeta>,
    pub(crate) metadata: ObjectMeta,
    #[serde(default)]
    pub(crate) spec: Value,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) status: Option<Value>,
}

#[derive(Clone, Debug, Serialize, Deserialize, Resource)]
#[resource(inherit = k8s_openapi::api::apps::v1::Deployment)]
pub(super) struct Deployment {
    #[serde(flatten)]
    pub(super) types: Option<TypeMeta>,
    pub(super) metadata: ObjectMeta,
    pub(super) spec: DeploymentSpec,
    #[serde(default)]
    pub(super) status: DeploymentStatus,
}

#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct DeploymentSpec {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) replicas: Option<u32>,
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub(super) paused: bool,
    pub(super) selector: LabelSelector,
    pub(super) template: Value,
    #[serde(flatten)]
    pub(super) rest: Map<String, Value>,
}

#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct DeploymentStatus {
    #[serde(default)]
    pub(super) observed_generation: i64,
    #[serde(default)]
    pub(super) replicas: u32,
    #[serde(default)]
    pub(super) updated_replicas: u32,
    #[serde(default)]
    pub(super) conditions: Vec<ObjectCondition>,
    #[serde(flatten)]
    pub(super) rest: Map<String, Value>,
}

#[derive(Clone, Debug, Serialize, Deserialize, Resource)]
#[resource(inherit = k8s_openapi::api::apps::v1::ReplicaSet)]
pub(super) struct ReplicaSet {
    pub(super) metadata: ObjectMeta,
    pub(super) spec: ReplicaSetSpec,
    #[serde(default)]
    pub(super) status: ReplicaSetStatus,
}

#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct ReplicaSetSpec {
    #[serde(default)]
    pub(super) replicas: u32,
    #[serde(default)]
    pub(super) template: Value,
}

#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub(super) struct ReplicaSetStatus {
    #[serde(default)]
    pub(super) replicas: u32,
    #[serde(default)]
    pub(super) conditions: Vec<ObjectCondition>,
}

/// A condition of any object.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct ObjectCondition {
    #[serde(rename = "type")]
    pub(super) kind: String,
    pub(super) status: String,
    #[serde(default)]
    pub(super) message: String,
    #[serde(flatten)]
    pub(super) rest: Map<String, Value>,
}

/// The name of an object; every object that the API server shows has one.
pub(super) fn name_of(metadata: &ObjectMeta) -> &str {
    metadata.name.as_deref().unwrap_or_default()
}

/// The identity of an object, which no later object of the same name shares.
pub(super) fn uid_of(metadata: &ObjectMeta) -> &str {
    metadata.uid.as_deref().unwrap_or_default()
}

/// The uid of the controller that an object belongs to.
pub(super) fn controller_of(metadata: &ObjectMeta) -> Option<&str> {
    let owners = metadata.owner_references.iter().flatten();
    owners.filter(|owner| owner.controller == Some(true)).map(|owner| owner.uid.as_str()).next()
}

// === impl Deployment ===

impl Deployment {
    /// An annotation's value.
    pub(super) fn annotation(&self, name: &str) -> Option<&str> {
        self.metadata.annotations.as_ref()?.get(name).map(String::as_str)
    }

    /// Whether it is on its way out.
    pub(super) fn is_ending(&self) -> bool {
        self.metadata.deletion_timestamp.is_some()
    }

    /// Whether the last rollout has finished and left nothing else behind.
    pub(super) fn is_settled(&self) -> bool {
        let wanted = self.spec.replicas.unwrap_or(1);
        self.status.observed_generation >= self.metadata.generation.unwrap_or_default()
            && self.status.updated_replicas == wanted
            && self.status.replicas == wanted
    }
}
