//! A workload without a cluster: processes are its replicas, a file tells the routers, a file remembers.
//!
//! ```text
//!  config file ──► Local ──► state file ──► processes (labelled; found again in /proc)
//!                    │  └──► routes file ──► routers ──► GET /routes ──┐
//!                    └◄────────── acknowledged, in flight ─────────────┘
//! ```

mod config;
mod config_file;
mod files;
mod platform;
mod processes;
mod routers;
mod routes_file;
mod run;
mod state;
mod template;

pub use config::{
    Config, Deployment, EvidenceSource, Overrides, Ports, Probe, RestartBackoff, Routers, Sticky,
};
pub use run::{LocalArgs, StartError};
pub use state::StateError;
pub use template::Template;
