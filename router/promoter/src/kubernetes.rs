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

mod acknowledgement;
mod candidate;
mod cluster;
mod conditions;
mod controller;
mod counting;
mod crd;
mod deletion;
#[cfg(test)]
mod fixtures;
mod gateway;
mod leader;
mod object;
mod objects;
mod outward;
mod platform;
mod prepare;
mod refusal;
mod revision;
mod run;
mod service;
mod settings;
mod status;
mod telling;
mod traffic;
mod verb;
mod view;
mod world;

pub use crd::crd_yaml;
pub(crate) use object::CanaryObject;
pub use run::{KubernetesArgs, KubernetesError};
pub(crate) use status::Answer;
pub(crate) use verb::{VERB, words};
pub(crate) use view::{answer, followed, view};
