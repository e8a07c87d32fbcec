//! The name of a pod template.
//!
//! Kubernetes has a name for it too, the `pod-template-hash`, but only once a ReplicaSet exists; the template of a
//! paused Deployment has none. So a revision is named after the template's JSON as the API server shows it, whole and
//! without the label that Kubernetes adds, and the ReplicaSet of the same name says which `pod-template-hash` its pods
//! have. Were a newer API server to show more fields, a release under way would begin anew, and nothing else.

use release::Revision;
use serde_json::Value;
use sha2::{Digest as _, Sha256};
use std::fmt::Write as _;

/// The label that tells pods of one revision from those of another.
pub(super) const HASH_LABEL: &str = "pod-template-hash";

/// The revision of a pod template of a Deployment or of a ReplicaSet.
pub(super) fn revision_of(template: &Value) -> Revision {
    let mut digest = Sha256::new();
    feed(&mut digest, &without_hash(template));
    let digits = digest.finalize().iter().take(5).fold(String::new(), |mut digits, byte| {
        // Writing to a string does not fail.
        let _ = write!(digits, "{byte:02x}");
        digits
    });
    Revision::new(digits)
}

/// The template as the user wrote it.
pub(super) fn without_hash(template: &Value) -> Value {
    let mut template = template.clone();
    if let Some(metadata) = template.get_mut("metadata").and_then(Value::as_object_mut) {
        metadata.remove("creationTimestamp");
        if let Some(labels) = metadata.get_mut("labels").and_then(Value::as_object_mut) {
            labels.remove(HASH_LABEL);
        }
    }
    template
}

/// The images of a template's containers.
pub(super) fn images_of(template: &Value) -> Vec<String> {
    let containers = template.pointer("/spec/containers").and_then(Value::as_array);
    let image = |container: &Value| container.get("image").and_then(Value::as_str).map(str::to_owned);
    containers.into_iter().flatten().filter_map(image).collect()
}

/// The same digest for the same content, in whatever order the fields come.
fn feed(digest: &mut Sha256, value: &Value) {
    match value {
        Value::Object(fields) => {
            let mut fields: Vec<_> = fields.iter().filter(|(_, value)| !value.is_null()).collect();
            fields.sort_unstable_by_key(|(name, _)| *name);
            digest.update(format!("{{{}", fields.len()));
            for (name, value) in fields {
                digest.update(format!("{}:{name}", name.len()));
                feed(digest, value);
            }
        }
        Value::Array(items) => {
            digest.update(format!("[{}", items.len()));
            items.iter().for_each(|item| feed(digest, item));
        }
        scalar => {
            let text = scalar.to_string();
            digest.update(format!("{}:{text}", text.len()));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn template(image: &str) -> Value {
        json!({
            "metadata": {"labels": {"app": "blog"}},
            "spec": {"containers": [{"name": "web", "image": image, "args": []}]},
        })
    }

    #[test]
    fn the_template_of_a_replica_set_has_the_revision_of_its_deployments_template() {
        let mut of_set = template("blog:v1");
        of_set["metadata"]["labels"][HASH_LABEL] = json!("6d4cf56db6");
        of_set["metadata"]["creationTimestamp"] = Value::Null;
        assert_eq!(revision_of(&of_set), revision_of(&template("blog:v1")));
        assert_eq!(without_hash(&of_set), template("blog:v1"));
    }

    #[test]
    fn the_revision_changes_with_any_part_of_the_content() {
        let first = revision_of(&template("blog:v1"));
        assert_eq!(first.as_str(), "6ae3458c0c");
        assert_ne!(revision_of(&template("blog:v2")), first);
        let mut annotated = template("blog:v1");
        annotated["metadata"]["annotations"] =
            json!({"kubectl.kubernetes.io/restartedAt": "2026-01-01T00:00:00Z"});
        assert_ne!(revision_of(&annotated), first);
        let mut more = template("blog:v1");
        more["spec"]["containers"][0]["args"] = json!(["serve"]);
        assert_ne!(revision_of(&more), first);
    }

    #[test]
    fn the_images_are_those_of_the_containers() {
        assert_eq!(images_of(&template("blog:v1")), ["blog:v1"]);
        assert!(images_of(&json!({})).is_empty());
    }
}
