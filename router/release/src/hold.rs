//! Why a release does not go on right now, in words that a person can act on.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use std::fmt;

/// A wait: its name, its reason with numbers, since when, and until when.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase")]
pub struct Hold {
    /// The name.
    pub reason: HoldReason,
    /// The reason with its numbers.
    pub message: String,
    /// Since when the release is where it is.
    pub since: Timestamp,
    /// Until when this may last.
    pub deadline: Timestamp,
    /// What happens at the deadline.
    pub then: OnDeadline,
    /// Requests of the candidate seen so far, where the wait is for requests.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub seen: Option<u64>,
    /// Requests of the candidate needed, where the wait is for requests.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub needed: Option<u64>,
    /// When the requests will have come at the rate seen so far.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub eta: Option<Timestamp>,
}

/// The names of the waits.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub enum HoldReason {
    /// The first rollout of the workload has not finished.
    Initializing,
    /// The candidate has fewer ready replicas than the next weight needs.
    NotReady,
    /// Stable has too few ready replicas to take the traffic back.
    StableNotReady,
    /// A router has not confirmed the weight.
    AwaitingAcknowledgement,
    /// Requests that chose the track before the weight changed have not ended.
    Draining,
    /// The step's own pause is running.
    StepPause,
    /// A person paused the release, or the step waits for a person.
    Paused,
    /// A person set the weight by hand.
    ManualWeight,
    /// No release window is open.
    OutsideWindow,
    /// A gate has not said yes.
    AwaitingGate,
    /// The candidate got no request.
    NoTraffic,
    /// The candidate got too few requests to tell.
    InsufficientSamples,
    /// The candidate looks worse, but the evidence does not suffice for a verdict.
    Suspicious,
    /// Both versions are over the line: the cause lies elsewhere.
    SharedDegradation,
    /// The counts could not be read.
    SourceUnavailable,
    /// The workload is taking the verified replicas over.
    Adopting,
    /// The candidate's replicas are ending.
    Removing,
    /// The template that readers have is being put back.
    RestoringTemplate,
}

/// What happens when a wait reaches its deadline.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub enum OnDeadline {
    /// The wait goes on and is shown as overdue: a person decides.
    #[default]
    Hold,
    /// The release fails and readers get stable.
    Abort,
    /// The release goes on all the same.
    Proceed,
}

// === impl Hold ===

impl Hold {
    /// Whether the deadline has passed.
    pub fn overdue(&self, now: Timestamp) -> bool {
        now >= self.deadline
    }
}

impl fmt::Display for HoldReason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(self, f)
    }
}
