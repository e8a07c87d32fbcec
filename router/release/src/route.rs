//! Which revision gets which share of the requests.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use split::Weight;
use std::fmt;

/// One version of the workload, named after the hash of its template.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(transparent)]
pub struct Revision(String);

/// Where the requests go: `weight` of them to the candidate, the rest to stable.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Route {
    /// The revision that readers had before the release.
    pub stable: Revision,
    /// The revision that is tried, if there is one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub canary: Option<Revision>,
    /// The candidate's share.
    pub weight: Weight,
}

/// The weight that was decided last, and what the routers are known to have made of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase")]
pub struct RouteRecord {
    /// The candidate's share as decided.
    #[cfg_attr(feature = "schema", schemars(with = "crate::schema::Percent"))]
    pub weight: Weight,
    /// The largest share that some router may still use while the decided one is not acknowledged.
    #[cfg_attr(feature = "schema", schemars(with = "crate::schema::Percent"))]
    pub largest_in_use: Weight,
    /// When every router was first known to use `weight`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub acknowledged: Option<Timestamp>,
}

// === impl Revision ===

impl Revision {
    /// A revision of this name.
    pub fn new(name: impl Into<String>) -> Self {
        Self(name.into())
    }

    /// The name.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for Revision {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

// === impl RouteRecord ===

impl RouteRecord {
    /// All requests to stable, and no router that could do otherwise.
    pub const STABLE: Self = Self { weight: Weight::ZERO, largest_in_use: Weight::ZERO, acknowledged: None };

    /// The record after deciding `weight`; unchanged where it is the one decided already.
    #[must_use]
    pub fn decided(self, weight: Weight) -> Self {
        if weight == self.weight {
            return self;
        }
        let in_use =
            if self.acknowledged.is_some() { self.weight } else { self.largest_in_use.max(self.weight) };
        Self { weight, largest_in_use: in_use.max(weight), acknowledged: None }
    }

    /// The record after every router said that it uses the decided weight.
    #[must_use]
    pub fn acknowledged(self, now: Timestamp) -> Self {
        Self { largest_in_use: self.weight, acknowledged: Some(self.acknowledged.unwrap_or(now)), ..self }
    }
}
