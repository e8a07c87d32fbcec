#![doc = include_str!("../README.md")]

mod action;
mod counts;
mod decide;
mod evidence;
mod gate;
mod hold;
mod observation;
mod prometheus;
mod route;
#[cfg(feature = "schema")]
mod schema;
mod simulate;
mod spec;
mod status;
mod verb;
mod verdict;
mod window;

pub use action::{Action, Event, EventReason};
pub use counts::{Counts, Tally};
pub use decide::{Decision, decide};
pub use duration::{Duration, InvalidDuration};
pub use evidence::{Evidence, RATIO_NULL, RATIOS, TICK_LIMIT};
pub use gate::{Gate, GateAnswer, GateReport, InvalidUrl, Notification, Question, SecretHeader, Url};
pub use hold::{Hold, HoldReason, OnDeadline};
pub use observation::{Fleet, Observation, Routing, Sample, Trip, Window};
pub use prometheus::{Prometheus, Queries};
pub use route::{Revision, Route, RouteRecord};
pub use simulate::{End, Simulated, Traffic, simulate};
pub use spec::{Analysis, Deadlines, InvalidSpec, Mode, Pause, Spec, Step};
pub use status::{
    Cause, CauseReason, Outcome, Phase, Promotion, Record, Release, Rollback, Skip, Stage, Status, Tick,
};
pub use verb::{Refused, Verb, apply};
pub use verdict::{
    FAIL_FAST_ERRORS, FAIL_FAST_SHARE, Judgement, LINE_REQUESTS, judge, requests_needed, required_requests,
    tolerated,
};
pub use window::{InvalidWindow, ReleaseWindow};
