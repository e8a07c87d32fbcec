use super::{cluster::Cluster, objects::BackendRef};
use crate::config::{AppProtocol, BackendFilters, FilterSpec, HeaderEdits, RequestMirror};
use serde::{Deserialize, de::DeserializeOwned};
use serde_json::{Map, Value, json};

/// The filters of a rule in our own words, or why the rule can't be carried out as it was meant. Mirrors that lead
/// nowhere are left out and told, as in the Gateway API.
pub(super) fn filters(
    values: &[Value],
    namespace: &str,
    cluster: &Cluster<'_>,
) -> Result<(Vec<FilterSpec>, Vec<String>), String> {
    let (mut filters, mut problems) = (Vec::new(), Vec::new());
    for (index, value) in values.iter().enumerate() {
        let at = |why: String| format!("filters[{index}]: {why}");
        let (key, content) = content(value).map_err(at)?;
        let filter = match key {
            "requestMirror" => match mirror(content, namespace, cluster).map_err(at)? {
                Ok(mirror) => FilterSpec::RequestMirror(mirror),
                Err(problem) => {
                    problems.push(at(problem));
                    continue;
                }
            },
            _ => parse(json!({ key: with_path(content) })).map_err(at)?,
        };
        filters.push(filter);
    }
    Ok((filters, problems))
}

/// The filters of one backend: changes of headers, and nothing else.
pub(super) fn backend_filters(values: &[Value]) -> Result<BackendFilters, String> {
    let mut filters = BackendFilters::default();
    for (index, value) in values.iter().enumerate() {
        let at = |why: String| format!("filters[{index}]: {why}");
        let (key, content) = content(value).map_err(at)?;
        let edits: &mut HeaderEdits = match key {
            "requestHeaderModifier" => &mut filters.request_header_modifier,
            "responseHeaderModifier" => &mut filters.response_header_modifier,
            other => {
                return Err(at(format!("{other} is not supported for one backend; put it into the rule")));
            }
        };
        *edits = parse(content.clone()).map_err(at)?;
    }
    Ok(filters)
}

/// The field that holds what a filter does.
fn content(value: &Value) -> Result<(&'static str, &Value), String> {
    let kind = value.get("type").and_then(Value::as_str).unwrap_or_default();
    let key = match kind {
        "RequestHeaderModifier" => "requestHeaderModifier",
        "ResponseHeaderModifier" => "responseHeaderModifier",
        "URLRewrite" => "urlRewrite",
        "RequestRedirect" => "requestRedirect",
        "RequestMirror" => "requestMirror",
        "CORS" => "cors",
        other => return Err(format!("type {other:?} is not supported; the rule answers 500")),
    };
    value.get(key).map(|content| (key, content)).ok_or_else(|| format!("{key} is missing"))
}

/// The Gateway API names the kind of a change of a path twice; here it is the key alone.
fn with_path(content: &Value) -> Value {
    let mut content = content.clone();
    if let Some(path) = content.get_mut("path").and_then(Value::as_object_mut) {
        path.remove("type");
    }
    content
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct RawMirror {
    backend_ref: BackendRef,
    percent: Option<Value>,
    fraction: Option<Value>,
}

fn mirror(
    content: &Value,
    namespace: &str,
    cluster: &Cluster<'_>,
) -> Result<Result<RequestMirror, String>, String> {
    let RawMirror { backend_ref, percent, fraction } = parse(content.clone())?;
    let endpoints = match cluster.resolve(namespace, &backend_ref) {
        Ok(resolved) if resolved.app_protocol == AppProtocol::Http1 => Ok(resolved.endpoints),
        Ok(_) => Err(format!("Service {} speaks HTTP/2, and copies are HTTP/1.1", backend_ref.name)),
        Err(problem) => Err(problem),
    };
    let endpoints = match endpoints {
        Ok(endpoints) => endpoints,
        Err(problem) => return Ok(Err(format!("no copies are made: {problem}"))),
    };
    let share = [("percent", percent), ("fraction", fraction)];
    let share = share.into_iter().filter_map(|(key, value)| Some((key.to_owned(), value?)));
    let mut fields: Map<String, Value> = share.collect();
    fields.insert("endpoints".to_owned(), json!(endpoints));
    parse(Value::Object(fields)).map(Ok)
}

fn parse<T: DeserializeOwned>(value: Value) -> Result<T, String> {
    serde_path_to_error::deserialize(value).map_err(|error| match error.path().to_string().as_str() {
        "." => error.inner().to_string(),
        path => format!("{path}: {}", error.inner()),
    })
}
