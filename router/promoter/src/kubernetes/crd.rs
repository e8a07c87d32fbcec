//! The custom resource, generated from the types that read it.

use super::settings::RouteSettings;
use super::status::CanaryStatus;
use k8s_openapi::apimachinery::pkg::util::intstr::IntOrString;
use kube::{CustomResource, CustomResourceExt as _};
use release::Spec;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

/// Which Deployment, and how its releases go. Everything but `deployment` may be left out.
#[derive(CustomResource, Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[kube(
    group = "huidu.dev",
    version = "v1alpha1",
    kind = "Canary",
    plural = "canaries",
    shortname = "cn",
    category = "huidu",
    namespaced,
    status = "CanaryStatus",
    doc = "Judged, gradual releases of a plain Deployment: `spec: {deployment: NAME}` is enough.",
    printcolumn = r#"{"name": "Deployment", "type": "string", "jsonPath": ".spec.deployment", "priority": 1}"#,
    printcolumn = r#"{"name": "Phase", "type": "string", "jsonPath": ".status.phase"}"#,
    printcolumn = r#"{"name": "Step", "type": "integer", "jsonPath": ".status.release.step"}"#,
    printcolumn = r#"{"name": "Weight", "type": "string", "jsonPath": ".status.route.weight"}"#,
    printcolumn = r#"{"name": "Why", "type": "string", "jsonPath": ".status.conditions[?(@.type==\"Ready\")].reason"}"#,
    printcolumn = r#"{"name": "Until", "type": "string", "jsonPath": ".status.hold.deadline"}"#,
    printcolumn = r#"{"name": "Age", "type": "date", "jsonPath": ".metadata.creationTimestamp"}"#
)]
#[serde(rename_all = "camelCase")]
pub(crate) struct CanarySpec {
    /// The name of the Deployment, in the same namespace. It cannot be changed.
    pub(super) deployment: String,
    /// The Service by which readers come to the Deployment; by default the only one that selects its pods. The Services
    /// of both tracks are made after it, and it is kept to stable's pods. Not used in mode `replicas`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) service: Option<String>,
    /// The port of the Service, by name or number; by default its only one, or the one named `http`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "i32")]
    pub(super) port: Option<IntOrString>,
    /// The HTTPRoute that shares the requests out. Not used in mode `replicas`.
    #[serde(default, skip_serializing_if = "RouteSettings::is_default")]
    pub(super) route: RouteSettings,
    /// Releases a Deployment of strategy `Recreate` too: two versions will run at the same time.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub(super) allow_recreate: bool,
    /// How its releases go.
    #[serde(flatten)]
    pub(super) release: Spec,
}

/// The resource, as in `kubectl get`.
pub(super) const CANARIES: &str = "canaries.huidu.dev";

/// The definition of the custom resource as YAML, to be applied before the promoter starts.
///
/// # Errors
/// None in practice: the types are fixed.
pub fn crd_yaml() -> Result<String, String> {
    let definition = serde_json::to_value(Canary::crd()).map_err(|error| error.to_string())?;
    let yaml = serde_saphyr::to_string(&refined(definition)).map_err(|error| error.to_string())?;
    Ok(format!("# Written by `promoter crd`; a test keeps it so.\n{yaml}"))
}

/// What can be refused at admission, beside what the types say.
fn refined(mut definition: Value) -> Value {
    let Some(schema) = definition.pointer_mut("/spec/versions/0/schema/openAPIV3Schema") else {
        return definition;
    };
    plain(schema);
    schema["x-kubernetes-validations"] = json!([{
        "rule": "self.metadata.name.size() <= 52",
        "message": "the name must have at most 52 characters: the Services NAME-stable and NAME-canary are made from it",
    }]);
    schema["required"] = json!(["spec"]);
    let spec = &mut schema["properties"]["spec"];
    spec["required"] = json!(["deployment"]);
    let fields = &mut spec["properties"];
    merge(
        &mut fields["deployment"],
        json!({
            "minLength": 1,
            "maxLength": 253,
            "pattern": r"^[a-z0-9]([-a-z0-9.]*[a-z0-9])?$",
            "x-kubernetes-validations": [
                {"rule": "self == oldSelf", "message": "deployment cannot change: delete this Canary and create another one"},
            ],
        }),
    );
    let weight = "(type(step.weight) == string ? double(step.weight.replace('%', '')) : double(step.weight))";
    merge(
        &mut fields["steps"],
        json!({
            "minItems": 1,
            "maxItems": 50,
            "x-kubernetes-validations": [
                {
                    "rule": format!("self.all(step, {weight} > 0.0)"),
                    "message": "0 % tries nothing: write weights above 0",
                },
                {
                    "rule": format!("self.map(step, {weight}).isSorted()"),
                    "message": "weights must rise from step to step",
                },
            ],
        }),
    );
    fields["steps"]["items"]["required"] = json!(["weight"]);
    fields["steps"]["items"]["properties"]["replicas"]["minimum"] = json!(1);
    fields["port"] = json!({
        "description": fields["port"]["description"],
        "x-kubernetes-int-or-string": true,
    });
    refine_route(&mut fields["route"]["properties"]);
    spec["x-kubernetes-validations"] = json!([{
        "rule": "(has(self.mode) ? self.mode : 'httpRoute') == (has(oldSelf.mode) ? oldSelf.mode : 'httpRoute')",
        "message": "mode cannot change: delete this Canary and create another one",
    }]);
    let fields = &mut spec["properties"];
    let analysis = &mut fields["analysis"]["properties"];
    merge(&mut analysis["alpha"], json!({"minimum": 0.000_001, "maximum": 0.5}));
    fields["deadlines"]["properties"]["onHold"]["enum"] = json!(["Hold", "Abort"]);
    refine_others(fields);
    definition
}

/// As the Gateway API limits them, and one way only to know a client.
fn refine_route(fields: &mut Value) {
    merge(&mut fields["parentRefs"], json!({"maxItems": 32}));
    fields["parentRefs"]["items"]["required"] = json!(["name"]);
    merge(&mut fields["hostnames"], json!({"maxItems": 16}));
    let text = json!({"minLength": 1, "maxLength": 256});
    let backends = &mut fields["backends"]["properties"];
    backends["queue"]["required"] = json!(["maxRequests"]);
    backends["health"]["required"] = json!(["path"]);
    merge(&mut backends["health"]["properties"]["path"], json!({"pattern": "^/", "maxLength": 1024}));
    for (field, names) in [("sticky", ["header", "cookie"]), ("override", ["header", "cookie"])] {
        for name in names {
            merge(&mut fields[field]["properties"][name], text.clone());
        }
    }
    merge(
        &mut fields["sticky"],
        json!({"x-kubernetes-validations": [{
            "rule": "(has(self.header) ? 1 : 0) + (has(self.cookie) ? 1 : 0) + (has(self.address) && self.address ? 1 : 0) == 1",
            "message": "write one of header, cookie and address: true",
        }]}),
    );
}

/// Windows, gates and notifications.
fn refine_others(fields: &mut Value) {
    let header = json!(["name", "secret"]);
    for (list, required) in [
        ("windows", json!(["schedule", "duration"])),
        ("gates", json!(["name", "url"])),
        ("notifications", json!(["url"])),
    ] {
        fields[list]["maxItems"] = json!(10);
        fields[list]["items"]["required"] = required;
        if list != "windows" {
            fields[list]["items"]["properties"]["header"]["required"] = header.clone();
        }
    }
    let unique = json!({"x-kubernetes-list-type": "map", "x-kubernetes-list-map-keys": ["name"]});
    merge(&mut fields["gates"], unique);
    fields["windows"]["items"]["properties"]["schedule"]["pattern"] = json!(r"^\s*(\S+\s+){4}\S+\s*$");
}

fn merge(schema: &mut Value, more: Value) {
    if let (Some(schema), Value::Object(more)) = (schema.as_object_mut(), more) {
        schema.extend(more);
    }
}

/// Takes away what Kubernetes does not know or would act upon: defaults stay this program's own, so that a newer
/// version may have better ones, and fields that nobody knows are for the API server to prune or to warn about.
fn plain(schema: &mut Value) {
    let Some(fields) = schema.as_object_mut() else { return };
    fields.remove("default");
    if fields.get("additionalProperties") == Some(&Value::Bool(false)) {
        fields.remove("additionalProperties");
    }
    if fields.get("format").and_then(Value::as_str).is_some_and(|format| format.starts_with("uint")) {
        fields.remove("format");
    }
    if let Some(properties) = fields.get_mut("properties").and_then(Value::as_object_mut) {
        properties.values_mut().for_each(plain);
        // Every field of a spec may be left out, and a status is this program's own business.
        fields.remove("required");
    }
    fields.get_mut("items").into_iter().for_each(plain);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_definition_that_is_checked_in_is_the_generated_one() {
        let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../../k8s/crd.yaml");
        let checked_in = std::fs::read_to_string(path).unwrap_or_default();
        let generated = crd_yaml().unwrap();
        assert!(
            checked_in == generated,
            "k8s/crd.yaml is old: cargo run -p promoter --bin promoter -- crd >k8s/crd.yaml"
        );
    }

    #[test]
    fn every_field_is_described() {
        fn undescribed(path: &str, schema: &Value, found: &mut Vec<String>) {
            let properties = schema.get("properties").and_then(Value::as_object);
            for (name, field) in properties.into_iter().flatten() {
                let path = format!("{path}.{name}");
                if field.get("description").is_none() && path != ".metadata" {
                    found.push(path.clone());
                }
                undescribed(&path, field, found);
                undescribed(&format!("{path}[]"), field.get("items").unwrap_or(&Value::Null), found);
            }
        }
        let definition = refined(serde_json::to_value(Canary::crd()).unwrap());
        let mut found = Vec::new();
        undescribed("", &definition["spec"]["versions"][0]["schema"]["openAPIV3Schema"], &mut found);
        found.retain(|path| ![".apiVersion", ".kind"].contains(&path.as_str()));
        assert!(found.is_empty(), "no description for kubectl explain: {found:?}");
    }

    #[test]
    fn the_smallest_useful_object_names_a_deployment() {
        let spec: CanarySpec = serde_json::from_value(json!({"deployment": "django-blog"})).unwrap();
        assert_eq!(spec.deployment, "django-blog");
        assert_eq!(spec.release, Spec::default());
        assert_eq!(
            serde_json::to_value(&spec.route).unwrap(),
            serde_json::to_value(RouteSettings::default()).unwrap()
        );
    }
}
