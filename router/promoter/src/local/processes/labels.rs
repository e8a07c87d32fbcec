//! What exists is derived from the processes themselves, as a cluster is derived from the labels of its pods.
//!
//! Each process carries its labels in its environment, which `/proc/<pid>/environ` shows. So a crash between the start
//! of a process and the next write of the state loses nothing. Linux only.

use jiff::Timestamp;
use release::Revision;
use std::fs;
use std::path::Path;

const OWNER: &str = "HUIDU_OWNER";
const REVISION: &str = "HUIDU_REVISION";
const REPLICA: &str = "HUIDU_REPLICA";
const PORT: &str = "HUIDU_PORT";
const STARTED: &str = "HUIDU_STARTED";

/// What a process carries.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::local) struct Labels {
    /// The state file of the promoter that it belongs to.
    pub(in crate::local) owner: String,
    pub(in crate::local) revision: Revision,
    /// The name of the replica.
    pub(in crate::local) replica: String,
    pub(in crate::local) port: u16,
    /// When the process was started.
    pub(in crate::local) started: Timestamp,
}

/// A process that carries labels.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::local) struct Found {
    pub(in crate::local) pid: u32,
    /// The leader of its process group; the replica itself leads, its children follow.
    pub(in crate::local) group: u32,
    pub(in crate::local) labels: Labels,
}

// === impl Labels ===

impl Labels {
    /// As environment variables.
    pub(in crate::local) fn environment(&self) -> [(&'static str, String); 5] {
        [
            (OWNER, self.owner.clone()),
            (REVISION, self.revision.to_string()),
            (REPLICA, self.replica.clone()),
            (PORT, self.port.to_string()),
            (STARTED, self.started.to_string()),
        ]
    }

    /// The labels of a process; none where it has none, has ended or belongs to another user.
    pub(in crate::local) fn of(pid: u32) -> Option<Self> {
        let environment = fs::read(format!("/proc/{pid}/environ")).ok()?;
        let value = |name: &str| {
            environment.split(|byte| *byte == 0).find_map(|entry| {
                let entry = std::str::from_utf8(entry).ok()?;
                Some(entry.strip_prefix(name)?.strip_prefix('=')?.to_owned())
            })
        };
        Some(Self {
            owner: value(OWNER)?,
            revision: Revision::new(value(REVISION)?),
            replica: value(REPLICA)?,
            port: value(PORT)?.parse().ok()?,
            started: value(STARTED)?.parse().ok()?,
        })
    }
}

/// All processes of `owner` but this one.
pub(in crate::local) fn discover(owner: &Path) -> Vec<Found> {
    let owner = owner.to_string_lossy();
    let Ok(entries) = fs::read_dir("/proc") else { return Vec::new() };
    let pids = entries.filter_map(|entry| entry.ok()?.file_name().to_str()?.parse::<u32>().ok());
    pids.filter(|pid| *pid != std::process::id())
        .filter_map(|pid| {
            let labels = Labels::of(pid).filter(|labels| labels.owner == owner)?;
            Some(Found { pid, group: group_of(pid)?, labels })
        })
        .collect()
}

/// The process group: the third field after the name in parentheses, which may itself contain anything.
///
/// Source: proc_pid_stat(5).
fn group_of(pid: u32) -> Option<u32> {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    let (_, fields) = stat.rsplit_once(')')?;
    fields.split_whitespace().nth(2)?.parse().ok()
}
