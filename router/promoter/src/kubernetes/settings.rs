//! What a Canary says beside how its releases go: where requests come from, and who says that a weight is in force.

use crate::limits::{Backends, Timeouts};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// The HTTPRoute that shares the requests out. Everything may be left out.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub(super) struct RouteSettings {
    /// What the HTTPRoute belongs to, as in the Gateway API. By default the Service `router` of the namespace, by which
    /// readers enter Huidu's router.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(super) parent_refs: Vec<ParentRef>,
    /// The hosts of the HTTPRoute; by default every host.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(super) hostnames: Vec<String>,
    /// By what a client stays on its track; by default nothing. Only Huidu's router knows it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) sticky: Option<Sticky>,
    /// Where a request says `always` or `never` to choose its track itself. Only Huidu's router knows it.
    #[serde(rename = "override", skip_serializing_if = "Option::is_none")]
    pub(super) overrides: Option<Overrides>,
    /// How long an answer may take.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) timeouts: Option<Timeouts>,
    /// What holds for each pod of both versions. Only Huidu's router knows it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) backends: Option<Backends>,
    /// Who says that a weight is in force. `Routers` (the default): each pod of Huidu's router, asked for the
    /// generation, the endpoints and the requests in flight. `ParentStatus`: the HTTPRoute's
    /// `status.parents[].conditions[].observedGeneration`, for other implementations of the Gateway API.
    pub(super) acknowledgement: Acknowledgement,
    /// The pods of Huidu's router.
    pub(super) routers: RouterPods,
}

/// What an HTTPRoute belongs to.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(super) struct ParentRef {
    /// The API group; default `gateway.networking.k8s.io`, and empty for a Service.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) group: Option<String>,
    /// The kind; default `Gateway`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) kind: Option<String>,
    /// The namespace; default that of the Canary.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) namespace: Option<String>,
    /// The name.
    pub(super) name: String,
    /// The listener; default all.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) section_name: Option<String>,
    /// The port; default all.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) port: Option<u16>,
}

/// By what a client is known; exactly one of the three.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(super) struct Sticky {
    /// The value of this header.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) header: Option<String>,
    /// The value of this cookie.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) cookie: Option<String>,
    /// The address that the connection comes from.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) address: Option<bool>,
}

/// Where a request says `always` or `never`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Overrides {
    /// This header.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) header: Option<String>,
    /// This cookie.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) cookie: Option<String>,
}

/// Who says that a weight is in force.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub(super) enum Acknowledgement {
    /// Each pod of Huidu's router.
    #[default]
    Routers,
    /// The status of the HTTPRoute.
    ParentStatus,
}

/// Where the pods of Huidu's router are found.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub(super) struct RouterPods {
    /// The headless Service of their admin ports; every router, ready or not, must be one of its endpoints. Default
    /// `router-admin`, with a port named `admin`.
    pub(super) service: String,
    /// Its namespace; default that of the Canary.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) namespace: Option<String>,
}

// === impl RouteSettings ===

impl RouteSettings {
    /// Whether nothing was said.
    pub(super) fn is_default(&self) -> bool {
        *self == Self::default()
    }

    /// What the HTTPRoute belongs to.
    pub(super) fn parents(&self) -> Vec<ParentRef> {
        if self.parent_refs.is_empty() { vec![ParentRef::router()] } else { self.parent_refs.clone() }
    }
}

// === impl ParentRef ===

impl ParentRef {
    /// The Service by which readers enter Huidu's router.
    fn router() -> Self {
        Self {
            group: Some(String::new()),
            kind: Some("Service".to_owned()),
            namespace: None,
            name: "router".to_owned(),
            section_name: None,
            port: None,
        }
    }
}

// === impl RouterPods ===

impl Default for RouterPods {
    fn default() -> Self {
        Self { service: "router-admin".to_owned(), namespace: None }
    }
}
