//! What the platform is asked to do, and what is told to people.

use crate::{Revision, Route};
use serde::{Deserialize, Serialize};

/// One thing for the platform to do. Every action states the wanted end, so doing it twice is doing it once.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Action {
    /// Write this route for the routers.
    Route(Route),
    /// Have this many replicas of the candidate; the first time this creates them.
    ScaleCandidate(Revision, u32),
    /// Have this many replicas of stable.
    ScaleStable(u32),
    /// End the candidate's replicas.
    RemoveCandidate(Revision),
    /// Make the candidate's replicas the workload's own, and end the old ones.
    Adopt(Revision),
    /// Make this revision the one that the user's workload asks for.
    RestoreTemplate(Revision),
}

/// Something that happened once.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Event {
    /// The kind.
    pub reason: EventReason,
    /// The sentence.
    pub message: String,
}

/// The kinds of events; on Kubernetes, the reasons.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub enum EventReason {
    /// The workload's first rollout has finished: releases are judged from now on.
    Initialized,
    /// A new template was seen.
    ReleaseStarted,
    /// A step's replicas are ready.
    CandidateReady,
    /// Every router confirmed a weight.
    WeightAcknowledged,
    /// The evidence sufficed for the next step.
    StepPassed,
    /// All steps passed.
    Promoting,
    /// The candidate is stable now.
    Promoted,
    /// The candidate is being taken out.
    RollingBack,
    /// The release ended without the candidate.
    Failed,
    /// The release ended because the template changed.
    Superseded,
    /// Stable gets a share again, so that there is something to compare with.
    SteppedBack,
    /// The weight was lowered to what the ready replicas can carry.
    WeightLowered,
    /// Replicas of a candidate were found that no release knows.
    StrayCandidate,
    /// Somebody else had changed what only the promoter changes; it was put back.
    DriftRepaired,
}
