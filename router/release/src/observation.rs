//! What the platform sees at one moment.

use crate::{Counts, GateReport, Revision, Route};
use jiff::Timestamp;
use serde::{Deserialize, Serialize};

/// Everything that a decision may rest on beside the spec and the status.
#[derive(Clone, Debug, PartialEq)]
pub struct Observation {
    /// The revision that the user asks for.
    pub template: Revision,
    /// The number of replicas that the user asks for.
    pub replicas: u32,
    /// The replicas that readers had before the release; none before the first rollout.
    pub stable: Option<Fleet>,
    /// The replicas of the candidate, if there are any. While they are being adopted they are seen either here or,
    /// as soon as the workload owns them, as stable; never in neither place.
    pub candidate: Option<Fleet>,
    /// What the routers do.
    pub routing: Routing,
    /// The counts that arrived since the last decision, if it was time for some.
    pub sample: Option<Sample>,
    /// What the gates have answered; those to other questions than the present one do not matter.
    pub gates: Vec<GateReport>,
}

/// The replicas of one revision.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fleet {
    /// Whose replicas they are.
    pub revision: Revision,
    /// How many were asked for.
    pub replicas: u32,
    /// How many are ready.
    pub ready: u32,
    /// How often they have been restarted, all together.
    pub restarts: u32,
    /// Why they are not all ready, in the platform's own words; empty where nothing is known.
    pub message: String,
}

/// What the routers do.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Routing {
    /// The route as it is written down for the routers; none where it never was.
    pub written: Option<Route>,
    /// How many routers there are.
    pub routers: u32,
    /// The routers that have not confirmed what is written.
    pub pending: Vec<String>,
    /// Requests to stable that have not ended.
    pub stable_in_flight: u64,
    /// Requests to the candidate that have not ended.
    pub canary_in_flight: u64,
    /// A router took the candidate out by itself.
    pub tripped: Option<Trip>,
}

/// Why a router took the candidate out by itself.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Trip {
    /// Which router.
    pub router: String,
    /// How many of the candidate's last requests failed.
    pub failed: u64,
    /// Of how many.
    pub of: u64,
}

/// One reading of the counters.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Sample {
    /// What came in a window of time.
    Window(Window),
    /// The counters could not be read; the text says why.
    Unavailable(String),
}

/// What came between two readings of the same counters.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Window {
    /// The first reading.
    pub from: Timestamp,
    /// The second reading.
    pub to: Timestamp,
    /// The difference.
    pub counts: Counts,
}

// === impl Routing ===

impl Routing {
    /// Whether every router is known to do what `route` says.
    pub fn acknowledges(&self, route: &Route) -> bool {
        self.written.as_ref() == Some(route) && self.routers > 0 && self.pending.is_empty()
    }
}
