//! Where a release is: all that must survive a crash of the promoter.

use crate::{Counts, Evidence, Hold, Revision, RouteRecord, Spec, Step};
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use split::Weight;

/// Where the workload is. Together with what the platform holds it determines everything that follows.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase")]
pub struct Status {
    /// The revision that readers have when no release is under way.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub stable: Option<Revision>,
    /// Where it is, and what belongs to that.
    #[serde(flatten)]
    pub phase: Phase,
    /// Since when it is there.
    pub since: Timestamp,
    /// The weight that was decided last.
    pub route: RouteRecord,
    /// What it waits for, if anything.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub hold: Option<Hold>,
    /// The revision that the user's template is being set back to.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub restore: Option<Revision>,
    /// The last judgements, the newest last; at most [`Status::MAX_TICKS`].
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub ticks: Vec<Tick>,
    /// The last releases, the newest last; at most [`Status::MAX_HISTORY`].
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub history: Vec<Record>,
}

/// The phases of a workload.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "phase", rename_all_fields = "camelCase")]
pub enum Phase {
    /// The first rollout has not finished; nothing is held or judged yet.
    Initializing,
    /// No release is under way: all requests go to stable.
    Stable,
    /// A candidate is on its way up.
    Progressing {
        /// The release.
        release: Release,
        /// What the step is at.
        stage: Stage,
    },
    /// All steps passed; the candidate is becoming stable.
    Promoting {
        /// The release.
        release: Release,
        /// What the promotion is at.
        task: Promotion,
    },
    /// The candidate is being taken out.
    RollingBack {
        /// The release.
        release: Release,
        /// What the way back is at.
        task: Rollback,
        /// Why.
        cause: Cause,
    },
    /// The candidate is gone; the user's template still asks for it.
    Failed {
        /// The release.
        release: Release,
        /// Why.
        cause: Cause,
    },
}

/// What a step is at.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub enum Stage {
    /// The candidate gets the replicas that the step's weight needs.
    Scaling,
    /// The routers get the weight.
    Shifting,
    /// Evidence is gathered.
    Judging,
}

/// What a promotion is at.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub enum Promotion {
    /// Requests that chose stable end.
    Draining,
    /// The routers get the candidate's replicas as the new stable ones.
    Repointing,
    /// The workload takes the candidate's replicas over.
    Adopting,
}

/// What the way back is at.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub enum Rollback {
    /// The routers get weight 0.
    Shifting,
    /// Requests that chose the candidate end.
    Draining,
    /// The candidate's replicas end.
    Removing,
}

/// One candidate's way.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase")]
pub struct Release {
    /// The revision that is tried.
    pub candidate: Revision,
    /// When the release began.
    pub started: Timestamp,
    /// Whether it was let begin: no window and no gate keeps it from its first step any more.
    #[serde(default = "admitted")]
    pub admitted: bool,
    /// The step, counted from 0.
    pub step: usize,
    /// What speaks against the candidate.
    pub evidence: Evidence,
    /// Everything that was counted in this release.
    pub total: Counts,
    /// What was counted since the step's weight was acknowledged.
    pub at_step: Counts,
    /// The weight that was allowed last.
    #[cfg_attr(feature = "schema", schemars(with = "crate::schema::Percent"))]
    pub granted: Weight,
    /// The end of the last window that was counted.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub counted_until: Option<Timestamp>,
    /// The candidate's restarts when it was ready for the first time.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub restarts_at_first_ready: Option<u32>,
    /// Since when a person keeps it from going on.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub paused: Option<Timestamp>,
    /// The weight that a person set by hand.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "schema", schemars(with = "Option<crate::schema::Percent>"))]
    pub manual_weight: Option<Weight>,
    /// What a person allowed to be skipped.
    #[serde(default)]
    pub skip: Skip,
}

/// What a person allowed to be skipped.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub enum Skip {
    /// Nothing.
    #[default]
    Nothing,
    /// The waiting of the present step.
    Step,
    /// All waiting, up to the promotion.
    All,
}

/// Why a release ended without its candidate.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Cause {
    /// The kind.
    pub reason: CauseReason,
    /// The sentence with the numbers.
    pub message: String,
}

/// The kinds of causes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub enum CauseReason {
    /// The e-value reached 1/α.
    ErrorRate,
    /// One tick was so bad that waiting for more would be wrong.
    FailFast,
    /// A router took the candidate out by itself.
    Tripped,
    /// The replicas did not get ready in time.
    ProgressDeadlineExceeded,
    /// The candidate's replicas kept being restarted.
    CrashLooping,
    /// The candidate's replicas vanished while they were being taken over.
    CandidateLost,
    /// A wait lasted too long and the spec says to abort then.
    HoldDeadlineExceeded,
    /// A person said so.
    Aborted,
    /// The user asked for another revision.
    Superseded,
    /// The user asked for stable's revision again.
    TemplateRestored,
}

/// One judgement.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase")]
pub struct Tick {
    /// When the counters were read.
    pub at: Timestamp,
    /// The candidate.
    pub candidate: Revision,
    /// The step, counted from 0.
    pub step: usize,
    /// The weight in force.
    #[cfg_attr(feature = "schema", schemars(with = "crate::schema::Percent"))]
    pub weight: Weight,
    /// What was counted since the tick before.
    pub counts: Counts,
    /// The e-value after it.
    pub e_value: f64,
    /// The verdict or the name of the hold.
    pub verdict: String,
    /// The verdict's sentence with its numbers.
    pub message: String,
}

/// A release that has ended.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase")]
pub struct Record {
    /// The revision that was tried.
    pub candidate: Revision,
    /// The revision that readers had before.
    pub stable: Revision,
    /// When it began.
    pub started: Timestamp,
    /// When it ended.
    pub ended: Timestamp,
    /// How it ended.
    pub outcome: Outcome,
    /// Why, where the candidate was taken back.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cause: Option<Cause>,
    /// Everything that was counted.
    pub total: Counts,
}

/// How a release ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub enum Outcome {
    /// The candidate became stable.
    Promoted,
    /// The candidate was taken back.
    RolledBack,
}

// === impl Status ===

impl Status {
    /// How many judgements are kept.
    pub const MAX_TICKS: usize = 20;
    /// How many ended releases are kept; Kubernetes keeps ten revisions by default.
    pub const MAX_HISTORY: usize = 10;

    /// The status of a workload that was never looked at.
    pub fn new(now: Timestamp) -> Self {
        Self {
            stable: None,
            phase: Phase::Initializing,
            since: now,
            route: RouteRecord::STABLE,
            hold: None,
            restore: None,
            ticks: Vec::new(),
            history: Vec::new(),
        }
    }

    /// The release under way or failed, if there is one.
    pub fn release(&self) -> Option<&Release> {
        match &self.phase {
            Phase::Initializing | Phase::Stable => None,
            Phase::Progressing { release, .. }
            | Phase::Promoting { release, .. }
            | Phase::RollingBack { release, .. }
            | Phase::Failed { release, .. } => Some(release),
        }
    }

    /// The release under way or failed, to change it.
    pub(crate) fn release_mut(&mut self) -> Option<&mut Release> {
        match &mut self.phase {
            Phase::Initializing | Phase::Stable => None,
            Phase::Progressing { release, .. }
            | Phase::Promoting { release, .. }
            | Phase::RollingBack { release, .. }
            | Phase::Failed { release, .. } => Some(release),
        }
    }

    /// Goes to `phase` at `now`.
    pub(crate) fn enter(&mut self, phase: Phase, now: Timestamp) {
        self.phase = phase;
        self.since = now;
    }

    pub(crate) fn note_tick(&mut self, tick: Tick) {
        self.ticks.push(tick);
        let surplus = self.ticks.len().saturating_sub(Self::MAX_TICKS);
        self.ticks.drain(..surplus);
    }

    pub(crate) fn note_end(&mut self, record: Record) {
        self.history.push(record);
        let surplus = self.history.len().saturating_sub(Self::MAX_HISTORY);
        self.history.drain(..surplus);
    }
}

// === impl Phase ===

impl Phase {
    /// The name of the phase.
    pub fn name(&self) -> &'static str {
        match self {
            Self::Initializing => "Initializing",
            Self::Stable => "Stable",
            Self::Progressing { .. } => "Progressing",
            Self::Promoting { .. } => "Promoting",
            Self::RollingBack { .. } => "RollingBack",
            Self::Failed { .. } => "Failed",
        }
    }
}

// === impl Release ===

impl Release {
    /// A release that begins now, as soon as it is let.
    pub fn new(candidate: Revision, now: Timestamp) -> Self {
        Self {
            candidate,
            started: now,
            admitted: false,
            step: 0,
            evidence: Evidence::default(),
            total: Counts::default(),
            at_step: Counts::default(),
            granted: Weight::ZERO,
            counted_until: None,
            restarts_at_first_ready: None,
            paused: None,
            manual_weight: None,
            skip: Skip::Nothing,
        }
    }

    /// The step that the release is at, or the weight that a person set instead of it.
    pub fn target(&self, spec: &Spec) -> Step {
        self.manual_weight.map_or_else(|| spec.step(self.step), Step::of)
    }
}

// === impl Cause ===

impl Cause {
    /// A cause with its sentence.
    pub fn new(reason: CauseReason, message: impl Into<String>) -> Self {
        Self { reason, message: message.into() }
    }
}

/// A status that says nothing is older than windows and gates.
fn admitted() -> bool {
    true
}
