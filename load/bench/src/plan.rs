use crate::{peer::Peer, scenario::Scenario};
use clap::Args;
use std::path::PathBuf;

/// What is measured, and for how long.
#[derive(Debug, Args)]
pub struct Plan {
    /// Rounds; in each one every peer has its turn.
    #[arg(long, default_value_t = 5)]
    pub rounds: usize,

    /// Seconds of each measurement, after the warm-up.
    #[arg(long, default_value_t = 2.0)]
    pub seconds: f64,

    /// What to measure; all of it where nothing is named.
    #[arg(long, value_enum, value_delimiter = ',')]
    pub scenarios: Vec<Scenario>,

    /// Whom to measure; everybody where nobody is named.
    #[arg(long, value_delimiter = ',')]
    pub peers: Vec<String>,

    #[command(flatten)]
    pub places: Places,
}

/// Where things are.
#[derive(Debug, Args)]
pub struct Places {
    /// The folder with the configurations of the peers.
    #[arg(long, default_value = "load/bench")]
    pub bench: PathBuf,

    /// The folder of programs and reports.
    #[arg(long, default_value = "target/bench")]
    pub build: PathBuf,
}

// === impl Plan ===

impl Plan {
    pub fn peers(&self) -> Vec<Peer> {
        self.places.peers(&self.peers)
    }

    pub fn scenarios(&self) -> Vec<Scenario> {
        if self.scenarios.is_empty() { Scenario::ALL.to_vec() } else { self.scenarios.clone() }
    }
}

// === impl Places ===

impl Places {
    /// The peers of these names, or all of them.
    pub fn peers(&self, names: &[String]) -> Vec<Peer> {
        // nginx looks for relative paths elsewhere.
        let absolute = |path: &PathBuf| path.canonicalize().unwrap_or_else(|_| path.clone());
        let mut peers = crate::peer::all(&absolute(&self.bench), &absolute(&self.build));
        peers.retain(|peer| names.is_empty() || names.iter().any(|name| name == peer.name));
        peers
    }
}
