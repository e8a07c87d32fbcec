//! The objects that share requests out, as they should be: one HTTPRoute and a Service for each track.

use super::candidate::CANARY;
use super::object::name_of;
use super::revision::HASH_LABEL;
use super::service::Found;
use super::settings::{ParentRef, RouteSettings};
use super::world::REVISION;
use k8s_openapi::NamespaceResourceScope;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{ObjectMeta, OwnerReference};
use kube::Resource;
use kube::core::TypeMeta;
use release::Revision;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};
use split::{Track, Weight};
use std::borrow::Cow;

/// The annotation by which the router knows the Service of the canary track.
const CANARY_SERVICE: &str = "huidu.dev/canary";
/// The annotations by which the router knows how a request chooses its track.
const STICKY: &str = "huidu.dev/sticky";
const OVERRIDE: &str = "huidu.dev/override";
const BACKENDS: &str = "huidu.dev/backends";
/// The `pod-template-hash` of no pod: for a track without replicas.
pub(super) const NOBODY: &str = "none";

/// An HTTPRoute as far as it matters here. Source: <https://gateway-api.sigs.k8s.io/api-types/httproute/>.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct HttpRoute {
    #[serde(flatten)]
    pub(super) types: Option<TypeMeta>,
    pub(super) metadata: ObjectMeta,
    #[serde(default)]
    pub(super) spec: Value,
    #[serde(default)]
    pub(super) status: RouteStatus,
}

/// What those that an HTTPRoute belongs to say of it.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub(super) struct RouteStatus {
    #[serde(default)]
    pub(super) parents: Vec<ParentStatus>,
}

/// What one of them says.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct ParentStatus {
    pub(super) parent_ref: ParentName,
    #[serde(default)]
    pub(super) conditions: Vec<ParentCondition>,
}

/// Its name; other fields may be there.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct ParentName {
    pub(super) name: String,
}

/// A condition such as `Accepted`.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct ParentCondition {
    #[serde(rename = "type")]
    pub(super) kind: String,
    pub(super) status: String,
    #[serde(default)]
    pub(super) observed_generation: i64,
    #[serde(default)]
    pub(super) message: String,
}

/// What the objects of one Canary have in common.
#[derive(Clone, Debug)]
pub(super) struct Shape {
    /// The Canary's name.
    pub(super) name: String,
    pub(super) namespace: String,
    pub(super) owner: OwnerReference,
    pub(super) settings: RouteSettings,
    /// The user's Service, after which those of the tracks are made.
    pub(super) found: Found,
}

// === impl HttpRoute ===

impl Resource for HttpRoute {
    type DynamicType = ();
    type Scope = NamespaceResourceScope;

    fn kind(_: &()) -> Cow<'_, str> {
        "HTTPRoute".into()
    }

    fn group(_: &()) -> Cow<'_, str> {
        "gateway.networking.k8s.io".into()
    }

    fn version(_: &()) -> Cow<'_, str> {
        "v1".into()
    }

    fn plural(_: &()) -> Cow<'_, str> {
        "httproutes".into()
    }

    fn meta(&self) -> &ObjectMeta {
        &self.metadata
    }

    fn meta_mut(&mut self) -> &mut ObjectMeta {
        &mut self.metadata
    }
}

impl HttpRoute {
    /// The candidate's share that it says.
    pub(super) fn weight(&self, canary_service: &str) -> Weight {
        let backends = self.spec.pointer("/rules/0/backendRefs").and_then(Value::as_array);
        let (mut canary, mut all) = (0, 0);
        for backend in backends.into_iter().flatten() {
            let weight = backend.get("weight").map_or(1, |weight| weight.as_u64().unwrap_or(0));
            all += weight;
            if backend.get("name").and_then(Value::as_str) == Some(canary_service) {
                canary += weight;
            }
        }
        let share = (canary * u64::from(Weight::BASIS_POINTS)).checked_div(all).unwrap_or(0);
        Weight::from_basis_points_saturating(u16::try_from(share).unwrap_or(0))
    }
}

// === impl Shape ===

impl Shape {
    /// What the Service of a track is called.
    pub(super) fn service_of(&self, track: Track) -> String {
        format!("{}-{}", self.name, track.as_str())
    }

    /// What Huidu's router calls the route.
    pub(super) fn route_name(&self) -> String {
        format!("{}/{}", self.namespace, self.name)
    }

    /// The Service of a track that sends to the pods of one ReplicaSet.
    pub(super) fn service(&self, track: Track, revision: Option<&Revision>, hash: &str) -> Value {
        let mut selector = self.found.selector.clone();
        selector.insert(HASH_LABEL.to_owned(), hash.to_owned());
        let mut port = json!({
            "name": "http",
            "protocol": "TCP",
            "port": self.found.port,
            "targetPort": self.found.target,
        });
        if let Some(protocol) = &self.found.app_protocol {
            port["appProtocol"] = json!(protocol);
        }
        let annotations: Map<String, Value> =
            revision.map(|revision| (REVISION.to_owned(), json!(revision.as_str()))).into_iter().collect();
        json!({
            "apiVersion": "v1",
            "kind": "Service",
            "metadata": self.metadata(&self.service_of(track), &annotations),
            "spec": {"selector": selector, "ports": [port]},
        })
    }

    /// The HTTPRoute that gives the candidate this share.
    pub(super) fn http_route(&self, weight: Weight) -> Value {
        let canary = self.service_of(Track::Canary);
        let mut annotations = Map::from_iter([(CANARY_SERVICE.to_owned(), json!(canary))]);
        let RouteSettings { sticky, overrides, backends, timeouts, hostnames, .. } = &self.settings;
        for (name, text) in [(STICKY, text(sticky)), (OVERRIDE, text(overrides)), (BACKENDS, text(backends))]
        {
            annotations.extend(text.map(|text| (name.to_owned(), text)));
        }
        let part = u32::from(weight.basis_points());
        let whole = u32::from(Weight::BASIS_POINTS);
        let backend = |name: String, weight: u32| json!({"group": "", "kind": "Service", "name": name, "port": self.found.port, "weight": weight});
        let mut spec = json!({
            "parentRefs": self.settings.parents().iter().map(explicit).collect::<Vec<_>>(),
            "rules": [{
                "matches": [{"path": {"type": "PathPrefix", "value": "/"}}],
                "backendRefs": [backend(self.service_of(Track::Stable), whole - part), backend(canary, part)],
            }],
        });
        if !hostnames.is_empty() {
            spec["hostnames"] = json!(hostnames);
        }
        if let Some(timeouts) = timeouts {
            spec["rules"][0]["timeouts"] = json!(timeouts);
        }
        json!({
            "apiVersion": HttpRoute::api_version(&()),
            "kind": HttpRoute::kind(&()),
            "metadata": self.metadata(&self.name, &annotations),
            "spec": spec,
        })
    }

    /// Whether an object was made by this Canary.
    pub(super) fn made(&self, metadata: &ObjectMeta) -> bool {
        metadata.owner_references.iter().flatten().any(|owner| owner.uid == self.owner.uid)
    }

    fn metadata(&self, name: &str, annotations: &Map<String, Value>) -> Value {
        json!({
            "name": name,
            "namespace": self.namespace,
            "labels": {CANARY: self.name},
            "annotations": annotations,
            "ownerReferences": [self.owner],
        })
    }
}

/// The router reads JSON in annotations; what cannot be written as JSON does not exist.
fn text<T: Serialize>(setting: &Option<T>) -> Option<Value> {
    setting.as_ref().and_then(|setting| serde_json::to_string(setting).ok()).map(Value::String)
}

/// A reference with what the API server would fill in, so that it compares with what it shows.
fn explicit(parent: &ParentRef) -> Value {
    let mut parent = parent.clone();
    parent.group.get_or_insert_with(|| HttpRoute::group(&()).into_owned());
    parent.kind.get_or_insert_with(|| "Gateway".to_owned());
    serde_json::to_value(parent).unwrap_or_default()
}

/// Whether an object has everything that is wanted of it; what the API server fills in does not matter.
pub(super) fn is_as_wanted(live: &impl Serialize, wanted: &Value) -> bool {
    let Ok(live) = serde_json::to_value(live) else { return false };
    let ours = |object: &Value| -> Vec<(String, Value)> {
        let annotations = object.pointer("/metadata/annotations").and_then(Value::as_object);
        let annotations = annotations.into_iter().flatten();
        annotations
            .filter(|(name, _)| name.starts_with("huidu.dev/"))
            .map(|(name, value)| (name.clone(), value.clone()))
            .collect()
    };
    let same = |field: &str| live.pointer(field) == wanted.pointer(field);
    covers(&live["spec"], &wanted["spec"])
        && covers(&live["metadata"]["labels"], &wanted["metadata"]["labels"])
        && ours(&live) == ours(wanted)
        && same("/spec/selector")
        && same("/spec/hostnames")
        && same("/spec/rules/0/timeouts")
}

fn covers(live: &Value, wanted: &Value) -> bool {
    match (live, wanted) {
        (Value::Object(live), Value::Object(wanted)) => {
            wanted.iter().all(|(name, wanted)| live.get(name).is_some_and(|live| covers(live, wanted)))
        }
        (Value::Array(live), Value::Array(wanted)) => {
            live.len() == wanted.len() && live.iter().zip(wanted).all(|(live, wanted)| covers(live, wanted))
        }
        _ => live == wanted,
    }
}

/// Who else has written the spec of an object, if somebody has.
pub(super) fn other_writer(metadata: &ObjectMeta, own: &str) -> Option<String> {
    let entries = metadata.managed_fields.iter().flatten();
    let mut others = entries.filter(|entry| {
        let spec = entry.fields_v1.as_ref().is_some_and(|fields| fields.0.get("f:spec").is_some());
        spec && entry.subresource.as_deref().unwrap_or_default().is_empty()
            && entry.manager.as_deref() != Some(own)
    });
    others.next().map(|entry| entry.manager.clone().unwrap_or_else(|| name_of(metadata).to_owned()))
}

#[cfg(test)]
#[path = "gateway_tests.rs"]
mod tests;
