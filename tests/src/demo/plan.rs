//! The versions of the demo and how they are released.

use crate::Version;

/// The `canary` part of the promoter's file: short ticks and deadlines, so that four releases fit into three minutes.
pub(super) const SPEC: &str = r#"{steps: [{weight: 5%}, {weight: 20%}, {weight: 50%}, {weight: 100%}],
  analysis: {interval: 1s, latencyBound: 500ms},
  deadlines: {progress: 12s, acknowledge: 10s, drain: 5s, hold: 1m}}"#;

/// What readers have at first.
pub(super) const FIRST: Version = Version { name: "v1", accent: "#0f766e", flags: &[] };
/// Healthy, and visibly another colour.
pub(super) const HEALTHY: Version = Version { name: "v2", accent: "#b45309", flags: &[] };
/// A third of its pages fail, and some of the others are slow.
pub(super) const FAILING: Version = Version {
    name: "v3",
    accent: "#be123c",
    flags: &["--fault-error-rate", "0.3", "--fault-slow-rate", "0.2", "--fault-slow", "800ms"],
};
/// It ends as soon as it starts.
pub(super) const CRASHING: Version =
    Version { name: "v4", accent: "#be123c", flags: &["--fault-crash-at-start"] };
/// Healthy; what goes wrong during its release is around it.
pub(super) const THROUGH_TROUBLE: Version = Version { name: "v5", accent: "#6d28d9", flags: &[] };
