use crate::config::{Duration, HealthSpec, OverrideSpec, QueueSpec, RequestsMax, StickySpec};
use serde::{Deserialize, de::DeserializeOwned};
use std::collections::BTreeMap;

/// What the writer of an HTTPRoute says beyond the Gateway API.
#[derive(Debug, Default)]
pub(super) struct Annotations<'a> {
    /// The Service of the canary track.
    pub(super) canary: Option<&'a str>,
    pub(super) sticky: Option<StickySpec>,
    pub(super) overrides: Option<OverrideSpec>,
    pub(super) backends: Backends,
    /// Annotations that can't be used; the route does without them.
    pub(super) problems: Vec<String>,
}

/// What holds for every backend, with the fields that a backend has in the routes file.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub(super) struct Backends {
    pub(super) max_requests: RequestsMax,
    pub(super) queue: Option<QueueSpec>,
    pub(super) slow_start: Option<Duration>,
    pub(super) health: Option<HealthSpec>,
}

const CANARY: &str = "huidu.dev/canary";
const STICKY: &str = "huidu.dev/sticky";
const OVERRIDE: &str = "huidu.dev/override";
const BACKENDS: &str = "huidu.dev/backends";

// === impl Annotations ===

impl<'a> Annotations<'a> {
    pub(super) fn read(all: &'a BTreeMap<String, String>) -> Self {
        let mut problems = Vec::new();
        let sticky = parse(all, STICKY, &mut problems);
        let overrides = parse(all, OVERRIDE, &mut problems);
        let backends = parse(all, BACKENDS, &mut problems).unwrap_or_default();
        Self { canary: all.get(CANARY).map(String::as_str), sticky, overrides, backends, problems }
    }
}

/// JSON, or any other YAML, with the fields of the routes file.
fn parse<T: DeserializeOwned>(
    all: &BTreeMap<String, String>,
    name: &str,
    problems: &mut Vec<String>,
) -> Option<T> {
    let parsed = serde_saphyr::from_str(all.get(name)?);
    let note = |error: serde_saphyr::Error| problems.push(format!("annotation {name}: {error}"));
    parsed.map_err(note).ok()
}
