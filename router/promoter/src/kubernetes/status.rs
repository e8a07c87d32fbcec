//! What the status of a Canary holds: all that must survive a crash, and what people want to see.

use crate::canary::{ReplicaView, RoutingView};
use jiff::Timestamp;
use release::{Revision, Status};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Where the releases of the Deployment are.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub(crate) struct CanaryStatus {
    /// The generation of the spec that this status follows.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) observed_generation: Option<i64>,
    /// What the engine remembers.
    #[serde(flatten)]
    pub(super) release: Status,
    /// What a person said last by the annotation `huidu.dev/verb`, until the annotation is gone.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) said: Option<String>,
    /// What the promoter answered to the last word of a person.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) answer: Option<Answer>,
    /// The generation of the Deployment that this status follows.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) observed_deployment_generation: Option<i64>,
    /// The revision that the Deployment's template asks for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) template: Option<Revision>,
    /// The replicas that the user asks for.
    #[serde(default)]
    pub(super) desired_replicas: u32,
    /// The revisions that have a ReplicaSet.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(super) revisions: Vec<RevisionView>,
    /// The pods of all revisions.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(super) replicas: Vec<ReplicaView>,
    /// What the routers do.
    #[serde(default)]
    pub(super) routing: RoutingView,
    /// Where the counts come from.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) counting: Option<CountingView>,
    /// `Ready`: no release is under way and all is well. `Progressing`: a release is on its way. `Degraded`: a person
    /// should look.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(super) conditions: Vec<Condition>,
}

/// Where the counts come from.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub(crate) struct CountingView {
    /// Who counts.
    pub(crate) by: String,
    /// What a Prometheus server is asked.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(crate) queries: Vec<String>,
}

/// What came of a word of a person.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Answer {
    /// The word, as the annotation `huidu.dev/verb` had it.
    pub(crate) said: String,
    /// When it was answered.
    pub(crate) at: Timestamp,
    /// Why nothing was done, with what to do instead; left out where the word was followed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) refused: Option<String>,
}

/// A revision as `kubectl` shows it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub(super) struct RevisionView {
    /// The name of the revision.
    pub(super) name: Revision,
    /// The label `pod-template-hash` of its pods.
    pub(super) pod_template_hash: String,
    /// The images of its containers.
    pub(super) images: Vec<String>,
}

/// Something that is so, or is not, and why.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub(super) struct Condition {
    /// What the condition is about: `Ready`, `Progressing` or `Degraded`.
    #[serde(rename = "type")]
    pub(super) kind: String,
    /// `True` or `False`.
    pub(super) status: String,
    /// Why, in one word.
    pub(super) reason: String,
    /// Why, in a sentence with numbers.
    pub(super) message: String,
    /// Since when `status` is what it is.
    pub(super) last_transition_time: Timestamp,
    /// The generation of the spec that it was derived from.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) observed_generation: Option<i64>,
}

// === impl CanaryStatus ===

impl CanaryStatus {
    /// The status of a Canary that was never looked at.
    pub(super) fn new(now: Timestamp) -> Self {
        Self {
            observed_generation: None,
            release: Status::new(now),
            said: None,
            answer: None,
            observed_deployment_generation: None,
            template: None,
            desired_replicas: 0,
            revisions: Vec::new(),
            replicas: Vec::new(),
            routing: RoutingView::default(),
            counting: None,
            conditions: Vec::new(),
        }
    }
}
