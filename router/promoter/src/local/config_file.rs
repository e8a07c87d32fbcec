//! The configuration file, read again whenever it changes.

use super::config::{Config, EvidenceSource};
use crate::evidence::PrometheusSource;
use crate::yaml::FileError;
use std::fs;
use std::os::unix::fs::MetadataExt as _;
use std::path::PathBuf;
use std::time::SystemTime;

/// A configuration file and what was last seen of it.
#[derive(Debug)]
pub(super) struct ConfigFile {
    path: PathBuf,
    /// Takes the place of the evidence in the file.
    prometheus: Option<String>,
    seen: Option<Seen>,
}

/// Changes whenever the content does; the inode, when an editor puts a new file in the place of the old one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Seen {
    modified: SystemTime,
    length: u64,
    inode: u64,
}

// === impl ConfigFile ===

impl ConfigFile {
    pub(super) fn new(path: PathBuf, prometheus: Option<String>) -> Self {
        Self { path, prometheus, seen: None }
    }

    /// Reads the file.
    pub(super) fn load(&mut self) -> Result<Config, FileError> {
        // Looked at before it is read: a change in between is seen next time.
        self.seen = self.look();
        let mut config = Config::load(&self.path)?;
        if let Some(address) = &self.prometheus {
            config.evidence = EvidenceSource::Prometheus(PrometheusSource::at(address));
        }
        Ok(config)
    }

    /// Reads the file again if it is another one than last time.
    pub(super) fn changed(&mut self) -> Option<Result<Config, String>> {
        let now = self.look();
        // An editor may take the file away for a moment before it puts the new one there.
        (now.is_some() && now != self.seen).then(|| self.load().map_err(|error| error.to_string()))
    }

    fn look(&self) -> Option<Seen> {
        let file = fs::metadata(&self.path).ok()?;
        Some(Seen { modified: file.modified().ok()?, length: file.len(), inode: file.ino() })
    }
}
