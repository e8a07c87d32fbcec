//! A workload on Kubernetes: a plain Deployment, and an object of the kind `Canary` beside it.
//!
//! ```text
//!  watches ──► reconcile ──► World (read anew) ──► decide ──► status of the Canary ──► actions
//!                                                              (optimistic lock)      │
//!   Deployment «name»            paused for as long as the Canary exists   ◄──────────┤
//!   Deployment «name»-…          the candidate; orphaned in the end, so that its      │
//!                                ReplicaSet and its pods become the Deployment's own ◄┘
//! ```
//!
//! Watches say *when* to look; what is decided rests on what the API server holds at that moment, never on a cache. A
//! status is written only over the version that it was derived from, so that no word of a person is lost, and before
//! anything that follows from it is done. Only the holder of the Lease writes.

mod candidate;
mod cluster;
mod conditions;
mod controller;
mod crd;
mod deletion;
mod leader;
mod object;
mod platform;
mod refusal;
mod revision;
mod run;
mod status;
mod verb;
mod world;

pub use crd::crd_yaml;
pub use run::{KubernetesArgs, KubernetesError};
