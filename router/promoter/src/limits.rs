//! What the routers keep to, in the same words on one machine and in a Canary.

use release::Duration;
use schemars::JsonSchema;
use serde::{Deserialize, Deserializer, Serialize, de};
use std::num::NonZeroU32;

/// How long an answer may take ([GEP-1742](https://gateway-api.sigs.k8s.io/geps/gep-1742/)); `0s` is no limit.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Timeouts {
    /// All attempts together; default 30s.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub request: Option<Duration>,
    /// One attempt; default 15s, or what `request` says where only that is stated.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub backend_request: Option<Duration>,
}

/// What holds for each replica of both versions. Only Huidu's router knows it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct Backends {
    /// Requests at a time at one replica, 1 or more; above it the answer is 503 with `Retry-After`. Default 1024.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub max_requests: Option<NonZeroU32>,
    /// Requests that may wait until a replica has room; by default none.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub queue: Option<Queue>,
    /// A replica that joins others begins with a tenth of its share and has all of it after this time; by default at
    /// once.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub slow_start: Option<Duration>,
    /// How each replica is asked whether it is well; by default not at all, as the readiness probe asks already.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub health: Option<Health>,
}

/// Requests that wait for room.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Queue {
    /// How many; more are answered with 503.
    pub max_requests: NonZeroU32,
    /// How long; then they are answered with 503. Default 1s.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub timeout: Option<Duration>,
}

/// A GET to each replica; 200 to 399 in time is well.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Health {
    /// What is asked for; it begins with `/`.
    #[serde(deserialize_with = "path")]
    pub path: String,
    /// How often; default 5s, at least 100ms.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub interval: Option<Duration>,
    /// How long an answer may take; default 1s.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub timeout: Option<Duration>,
    /// Failures in a row after which it gets no requests; default 3.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub unhealthy_after: Option<NonZeroU32>,
    /// Successes in a row after which it gets requests again; default 2.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub healthy_after: Option<NonZeroU32>,
}

fn path<'de, D: Deserializer<'de>>(deserializer: D) -> Result<String, D::Error> {
    let path = String::deserialize(deserializer)?;
    match path.starts_with('/') {
        true => Ok(path),
        false => Err(de::Error::custom(format!("`{path}` is no path: begin it with `/`, as in /healthz"))),
    }
}
