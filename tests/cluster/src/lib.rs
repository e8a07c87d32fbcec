//! Sentences that are shown on a real Kubernetes.
//!
//! A test program lists [`Group`]s. A group gets a cluster of its own, started on this machine by the scripts beside
//! this package, and tells its rows one after the other: a sentence, and what shows it. Where no cluster can run, every
//! row is skipped visibly, with the reason. [`run`] prints the table.
//!
//! ```text
//! run ── group ── Cluster (up … down) ── row ── kubectl, HTTP through the NodePort
//!     └─ group ── Cluster             └─ row
//! ```

pub mod blog;
pub mod cluster;
pub mod http;
pub mod images;
pub mod load;
pub mod rows;

mod scripts;
mod table;

pub use cluster::{Cluster, eventually};
pub use rows::{Group, Rows, Skip, run};
