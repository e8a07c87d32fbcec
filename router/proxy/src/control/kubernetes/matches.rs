use crate::config::MatchSpec;
use serde_json::{Map, Value, json};
use std::collections::HashSet;

/// The matches of a rule; none means every path.
pub(super) fn matches(values: &[Value]) -> Result<Vec<MatchSpec>, String> {
    if values.is_empty() {
        return Ok(vec![MatchSpec::default()]);
    }
    let parse = |(index, value): (usize, &Value)| {
        serde_path_to_error::deserialize(completed(value))
            .map_err(|error| format!("matches[{index}].{}: {}", error.path(), error.inner()))
    };
    values.iter().enumerate().map(parse).collect()
}

/// With what the Gateway API takes for granted written out.
fn completed(value: &Value) -> Value {
    let mut value = value.clone();
    if let Some(path) = value.get_mut("path").and_then(Value::as_object_mut) {
        or_insert(path, "type", json!("PathPrefix"));
        or_insert(path, "value", json!("/"));
    }
    for list in ["headers", "queryParams"] {
        // Of equivalent names only the first entry counts.
        let mut seen = HashSet::new();
        let is_first = |entry: &Value| {
            let name = entry.get("name").and_then(Value::as_str).unwrap_or_default();
            seen.insert(if list == "headers" { name.to_ascii_lowercase() } else { name.to_owned() })
        };
        if let Some(entries) = value.get_mut(list).and_then(Value::as_array_mut) {
            entries.retain(is_first);
        }
    }
    value
}

fn or_insert(object: &mut Map<String, Value>, key: &str, value: Value) {
    object.entry(key).or_insert(value);
}
