//! The object that people and programs see: what was asked, where it is and what runs.

use jiff::Timestamp;
use release::{Revision, Spec, Status};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::net::SocketAddr;

/// The group and version of the object.
pub const API_VERSION: &str = "huidu.dev/v1alpha1";
/// The kind of the object.
pub const KIND: &str = "Canary";

/// One workload and its releases.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Canary {
    /// Always [`API_VERSION`].
    pub api_version: String,
    /// Always [`KIND`].
    pub kind: String,
    /// What it is called.
    pub metadata: Metadata,
    /// How its releases go.
    pub spec: Spec,
    /// Where it is.
    pub status: CanaryStatus,
}

/// Several of them.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct CanaryList {
    /// Always [`API_VERSION`].
    pub api_version: String,
    /// Always `CanaryList`.
    pub kind: String,
    /// The objects.
    pub items: Vec<Canary>,
}

/// What an object is called.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Metadata {
    /// The name of the workload.
    pub name: String,
    /// Its namespace, where it is in a cluster.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub namespace: Option<String>,
}

/// Where a workload is.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct CanaryStatus {
    /// What the engine remembers: phase, weight, evidence, hold, history.
    #[serde(flatten)]
    pub release: Status,
    /// The revision that the user asks for.
    pub template: Revision,
    /// How many replicas the user asks for.
    pub desired_replicas: u32,
    /// The fields in which the candidate's template differs from stable's.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub changed: Vec<String>,
    /// The replicas of all revisions.
    pub replicas: Vec<ReplicaView>,
    /// What the routers do.
    pub routing: RoutingView,
    /// What else a person should know.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub conditions: Vec<Condition>,
}

/// One replica: a process, or a pod.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct ReplicaView {
    /// Its name.
    pub name: String,
    /// What it runs.
    pub revision: Revision,
    /// Where it listens.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub address: Option<SocketAddr>,
    /// Its process, where it is one and runs.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pid: Option<u32>,
    /// Whether readers may be sent to it.
    pub ready: bool,
    /// How often it has been restarted.
    pub restarts: u32,
    /// Since when its present process runs.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub started: Option<Timestamp>,
    /// Why it is not ready; empty where it is.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub message: String,
}

/// What the routers do.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct RoutingView {
    /// The number of what was written for them last.
    pub generation: u64,
    /// How many routers there are.
    pub routers: u32,
    /// Those that have not confirmed it, each with its reason.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub pending: Vec<String>,
    /// Requests to stable that have not ended.
    pub stable_in_flight: u64,
    /// Requests to the candidate that have not ended.
    pub canary_in_flight: u64,
}

/// Something that is so, and why; as in Kubernetes.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Condition {
    /// What the condition is about, such as `ConfigurationAccepted`.
    #[serde(rename = "type")]
    pub kind: String,
    /// Whether it is so.
    pub status: ConditionStatus,
    /// Why, in one word.
    pub reason: String,
    /// Why, in a sentence.
    pub message: String,
}

/// Whether a condition is so.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum ConditionStatus {
    /// It is.
    True,
    /// It is not.
    False,
}

// === impl Canary ===

impl Canary {
    /// The object of a workload.
    pub fn new(name: &str, spec: Spec, status: CanaryStatus) -> Self {
        let metadata = Metadata { name: name.to_owned(), namespace: None };
        Self { api_version: API_VERSION.to_owned(), kind: KIND.to_owned(), metadata, spec, status }
    }
}

// === impl CanaryList ===

impl CanaryList {
    /// A list of these.
    pub fn new(items: Vec<Canary>) -> Self {
        Self { api_version: API_VERSION.to_owned(), kind: format!("{KIND}List"), items }
    }
}
