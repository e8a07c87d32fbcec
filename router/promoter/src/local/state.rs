//! What must survive a crash of the promoter, in one file.

use super::files::{self, Readers};
use super::template::Template;
use release::{Revision, Route, Status};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::fs::{self, File, OpenOptions, TryLockError};
use std::io::{self, Read as _, Seek as _, Write as _};
use std::path::{Path, PathBuf};

/// The format of the file; another number is another format.
const VERSION: u32 = 1;

/// Everything that is remembered.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(super) struct State {
    pub(super) version: u32,
    /// The workload.
    pub(super) name: String,
    /// Where the release is.
    pub(super) status: Status,
    /// What the workload runs, as a Deployment does.
    pub(super) workload: Scale,
    /// What runs beside it during a release.
    pub(super) candidate: Option<Scale>,
    /// The templates of the revisions that may still be started.
    pub(super) templates: BTreeMap<Revision, Template>,
    /// The template in the file that is not followed.
    pub(super) undone: Option<Undone>,
    /// The route for the routers.
    pub(super) route: Option<Route>,
    /// The number of the routes file.
    pub(super) generation: u64,
    /// The replicas, by port.
    pub(super) replicas: BTreeMap<u16, ReplicaRecord>,
}

/// How many replicas of which revision.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Scale {
    pub(super) revision: Revision,
    pub(super) replicas: u32,
}

/// `undo` cannot change the user's file: the revision in it is ignored until it says another one.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Undone {
    pub(super) ignored: Revision,
    pub(super) followed: Revision,
}

/// What is remembered of one replica, which keeps its port from its first start to its end.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct ReplicaRecord {
    pub(super) revision: Revision,
    pub(super) restarts: u32,
    /// Why its last process ended.
    pub(super) last_exit: Option<String>,
    /// Whether it is to end.
    pub(super) ending: bool,
}

/// The file of a [`State`], held by one promoter at a time.
#[derive(Debug)]
pub(super) struct StateFile {
    path: PathBuf,
    _lock: File,
}

/// Why the state cannot be used.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum StateError {
    /// Another promoter holds it.
    #[error("{}: another promoter{holder} works with this state; end it first, or give this one a stateFile of its own", path.display())]
    Held {
        /// The file.
        path: PathBuf,
        /// ` (process 123)`, where known.
        holder: String,
    },
    /// It cannot be read or written.
    #[error("{}: {source}; the promoter needs to write there", path.display())]
    Io {
        /// The file.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// It is not whole, or not a state file.
    #[error(
        "{}:{line}:{column}: cut short or not a state file ({reason}); nothing was changed and the processes keep \
         running: put a good copy back, or end the processes and delete the file to start anew",
        path.display()
    )]
    Damaged {
        /// The file.
        path: PathBuf,
        /// The line of the damage.
        line: usize,
        /// The column of the damage.
        column: usize,
        /// What the parser says.
        reason: String,
    },
    /// It was written for something else.
    #[error("{}: {problem}; nothing was changed: check stateFile", path.display())]
    Foreign {
        /// The file.
        path: PathBuf,
        /// What does not fit.
        problem: String,
    },
}

// === impl State ===

impl State {
    /// The state of a workload that has never run.
    pub(super) fn new(name: &str, workload: Scale, status: Status) -> Self {
        Self {
            version: VERSION,
            name: name.to_owned(),
            status,
            workload,
            candidate: None,
            templates: BTreeMap::new(),
            undone: None,
            route: None,
            generation: 0,
            replicas: BTreeMap::new(),
        }
    }

    /// Forgets the templates that nothing can ask for any more.
    pub(super) fn prune_templates(&mut self, file: &Revision) {
        let Self { status, workload, candidate, undone, replicas, templates, .. } = self;
        templates.retain(|revision, _| {
            revision == file
                || *revision == workload.revision
                || candidate.as_ref().is_some_and(|scale| scale.revision == *revision)
                || undone.as_ref().is_some_and(|undone| undone.followed == *revision)
                || status.stable.as_ref() == Some(revision)
                || status.restore.as_ref() == Some(revision)
                || status.release().is_some_and(|release| release.candidate == *revision)
                || status
                    .history
                    .iter()
                    .any(|record| record.stable == *revision || record.candidate == *revision)
                || replicas.values().any(|replica| replica.revision == *revision)
        });
    }
}

// === impl StateFile ===

impl StateFile {
    /// Takes hold of the file, whether it exists or not.
    pub(super) fn hold(path: &Path) -> Result<Self, StateError> {
        let io = |source| StateError::Io { path: path.to_owned(), source };
        if let Some(folder) = path.parent() {
            fs::create_dir_all(folder).map_err(io)?;
        }
        // The state file itself is replaced at each write, so the lock needs a file that stays.
        let mut lock = OpenOptions::new()
            .read(true)
            .write(true)
            .create(true)
            .truncate(false)
            .open(path.with_added_extension("lock"))
            .map_err(io)?;
        match lock.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => {
                let mut pid = String::new();
                // Who holds it is only a help: the error stands without it.
                let _ = lock.read_to_string(&mut pid);
                let holder = if pid.is_empty() { pid } else { format!(" (process {})", pid.trim()) };
                return Err(StateError::Held { path: path.to_owned(), holder });
            }
            Err(TryLockError::Error(source)) => return Err(io(source)),
        }
        lock.set_len(0).and_then(|()| lock.rewind()).map_err(io)?;
        writeln!(lock, "{}", std::process::id()).map_err(io)?;
        let folder = path.parent().unwrap_or(Path::new("."));
        let folder = folder.canonicalize().map_err(io)?;
        Ok(Self { path: folder.join(path.file_name().unwrap_or_default()), _lock: lock })
    }

    /// The file's path without links, by which the processes are marked.
    pub(super) fn owner(&self) -> &Path {
        &self.path
    }

    /// Reads what is remembered; none where nothing was ever written.
    pub(super) fn load(&self, name: &str) -> Result<Option<State>, StateError> {
        let path = || self.path.clone();
        let text = match fs::read(&self.path) {
            Ok(text) => text,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(source) => return Err(StateError::Io { path: path(), source }),
        };
        let damaged = |error: serde_json::Error| StateError::Damaged {
            path: path(),
            line: error.line(),
            column: error.column(),
            reason: error.to_string().split(" at line ").next().unwrap_or_default().to_owned(),
        };
        #[derive(Deserialize)]
        struct Head {
            version: u32,
            name: String,
        }
        let head: Head = serde_json::from_slice(&text).map_err(damaged)?;
        let foreign = |problem| Err(StateError::Foreign { path: path(), problem });
        if head.version != VERSION {
            return foreign(format!(
                "it has format {}, and this promoter knows format {VERSION}",
                head.version
            ));
        }
        if head.name != name {
            return foreign(format!("it belongs to `{}`, not to `{name}`", head.name));
        }
        serde_json::from_slice(&text).map(Some).map_err(damaged)
    }

    /// Writes what is remembered; when it returns, it is on the disk.
    pub(super) fn save(&self, state: &State) -> Result<(), StateError> {
        let io = |source| StateError::Io { path: self.path.clone(), source };
        let mut text = serde_json::to_vec_pretty(state).map_err(|error| io(error.into()))?;
        text.push(b'\n');
        files::replace(&self.path, &text, Readers::Owner).map_err(io)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use jiff::Timestamp;

    fn state() -> State {
        let workload = Scale { revision: Revision::new("a"), replicas: 3 };
        let mut state = State::new("blog", workload, Status::new(Timestamp::UNIX_EPOCH));
        let record =
            ReplicaRecord { revision: Revision::new("a"), restarts: 2, last_exit: None, ending: false };
        state.replicas.insert(18_100, record);
        state
    }

    #[test]
    fn what_is_saved_is_loaded() {
        let folder = tempfile::tempdir().unwrap();
        let file = StateFile::hold(&folder.path().join("run/state.json")).unwrap();
        assert_eq!(file.load("blog").unwrap(), None);
        file.save(&state()).unwrap();
        assert_eq!(file.load("blog").unwrap(), Some(state()));
    }

    #[test]
    fn a_file_that_was_cut_short_is_refused_at_every_length_and_left_as_it_is() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("state.json");
        let file = StateFile::hold(&path).unwrap();
        file.save(&state()).unwrap();
        let whole = fs::read(&path).unwrap();
        for length in 0..whole.len() - 2 {
            fs::write(&path, &whole[..length]).unwrap();
            let error = file.load("blog").unwrap_err().to_string();
            assert!(error.contains("state.json:") && error.contains("cut short"), "{length}: {error}");
            assert!(error.contains("put a good copy back"), "{error}");
            assert_eq!(fs::read(&path).unwrap().len(), length);
        }
    }

    #[test]
    fn a_foreign_file_is_refused_by_what_does_not_fit() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("state.json");
        let file = StateFile::hold(&path).unwrap();
        file.save(&state()).unwrap();
        assert!(file.load("shop").unwrap_err().to_string().contains("it belongs to `blog`, not to `shop`"));
        fs::write(&path, r#"{"version": 2, "name": "blog"}"#).unwrap();
        assert!(file.load("blog").unwrap_err().to_string().contains("it has format 2"));
    }

    #[test]
    fn a_second_promoter_on_the_same_state_is_told_who_has_it() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("state.json");
        let first = StateFile::hold(&path).unwrap();
        let error = StateFile::hold(&path).unwrap_err().to_string();
        assert!(error.contains(&format!("another promoter (process {})", std::process::id())), "{error}");
        drop(first);
        StateFile::hold(&path).unwrap();
    }
}
