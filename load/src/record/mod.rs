//! What happened, counted once and shown in many ways.

mod latency;
mod recorder;

use std::{collections::BTreeMap, time::Duration};

use serde::Serialize;

pub use self::{
    latency::{Latencies, Percentiles},
    recorder::{Counts, Recorder},
};
use crate::{
    schedule::Position,
    session::{CountedAs, Verdict},
};

/// Something to be counted.
#[derive(Debug)]
pub enum Event {
    /// A request ended.
    Ended(Box<Ended>),
    /// An arrival found as many requests under way as are allowed, and was not sent.
    Dropped {
        /// Index of the stage.
        stage: usize,
    },
    /// A page did not offer what the step with this id needs.
    Skipped(usize),
    /// A redirect to another authority was not followed.
    RedirectRefused,
}

/// A request that ended, well or not.
#[derive(Debug)]
pub struct Ended {
    /// Time since the run began, when it should have started.
    pub intended: Duration,
    /// How much later it was sent: the driver's own delay.
    pub lag: Duration,
    /// From the intended start to the last byte.
    pub latency: Duration,
    /// Index of the stage.
    pub stage: usize,
    /// Step or redirect.
    pub counted_as: CountedAs,
    /// Method and path.
    pub request: String,
    /// Version of the answer, where there was an answer.
    pub version: Version,
    /// What it was.
    pub verdict: Verdict,
    /// Whether it was sent a second time.
    pub retried: bool,
    /// `x-request-id` of the answer or, without one, of the request.
    pub request_id: String,
}

/// Who answered.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Version {
    /// The version header's value.
    Named(String),
    /// An answer without the header.
    Unnamed,
    /// No answer.
    NoAnswer,
    /// Further versions than the report keeps apart.
    Other,
}

/// Counts and latencies of one group of requests.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Figures {
    /// Requests that ended, well or not. One that was sent twice counts once.
    pub requests: u64,
    /// Those that failed: no whole answer, 5xx, unexpected status.
    pub failures: u64,
    /// Failures because of an unexpected status (mostly 4xx); part of `failures`.
    pub unexpected: u64,
    /// Requests that were sent a second time by the retry rule.
    pub retried: u64,
    /// Arrivals that were not sent, as too many requests were under way. Not part of `requests`.
    pub dropped: u64,
    /// Milliseconds from the intended start to the last byte, of all requests that ended.
    #[serde(rename = "latencyMs")]
    pub latency: Option<Percentiles>,
}

/// Cumulative figures and those of the last second.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize)]
pub struct Both {
    /// Since the run began.
    pub total: Figures,
    /// Since the second before.
    pub last: Figures,
}

/// One second of a run: a line of `--progress jsonl` and a point of the plots.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Second {
    /// Time since the run began.
    pub elapsed_seconds: f64,
    /// Length of "last", in seconds; shorter at the end of a run.
    pub last_seconds: f64,
    /// Where in its plan the run is.
    pub stage: Position,
    /// Requests under way.
    pub in_flight: usize,
    /// All requests.
    #[serde(flatten)]
    pub all: Both,
    /// By version.
    pub versions: BTreeMap<String, Both>,
    /// Failures by reason since the run began.
    pub failures: BTreeMap<String, u64>,
}

/// A failed request.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Sample {
    /// When it should have started.
    pub time: jiff::Timestamp,
    /// Method and path.
    pub request: String,
    /// Why it failed.
    pub reason: String,
    /// Who answered.
    pub version: String,
    /// `x-request-id`.
    pub request_id: String,
    /// Milliseconds from the intended start.
    pub latency_ms: f64,
}

impl Version {
    /// How it is shown.
    pub fn label(&self) -> &str {
        match self {
            Self::Named(name) => name,
            Self::Unnamed => "(no version)",
            Self::NoAnswer => "(no answer)",
            Self::Other => "(other versions)",
        }
    }
}
