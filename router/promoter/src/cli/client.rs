//! Where the canaries are: with a promoter on this machine, or in a cluster. Everything else is the same for both.

mod cluster;
mod machine;
mod restart;

use super::args::Target;
use super::{Failure, choose};
use crate::canary::{Canary, Metadata};
use cluster::Cluster;
use machine::Machine;
use release::Verb;
use serde_json::Value;
use std::path::Path;
use std::{env, io};
use tokio::time;

pub(super) use cluster::Changes;

/// Where a promoter on this machine listens, if nothing else is said.
const DEFAULT_SERVER: &str = "http://127.0.0.1:8090";
/// The pause between two questions.
const PERIOD: time::Duration = time::Duration::from_millis(500);

/// A canary.
#[derive(Clone, Debug)]
pub(super) struct Found {
    /// What is known of it.
    pub(super) canary: Canary,
    /// The object as it is kept, for `-o json` and `-o yaml`.
    pub(super) object: Value,
}

/// Whom to ask.
pub(super) enum Client {
    Machine(Machine),
    Cluster(Cluster),
}

/// A canary again and again, each time with what has changed since.
pub(super) enum Feed<'a> {
    Asked(&'a Client, Option<String>),
    Watched(Box<Changes>),
}

// === impl Found ===

impl Found {
    fn of(canary: Canary) -> Result<Self, Failure> {
        let object = serde_json::to_value(&canary).map_err(io::Error::from)?;
        Ok(Self { canary, object })
    }
}

// === impl Client ===

impl Client {
    /// Follows the command line; where it says nothing, the kubeconfig, and where there is none, this machine.
    pub(super) async fn new(target: &Target) -> Result<Self, Failure> {
        let patience = target.request_timeout.get();
        Ok(match &target.server {
            Some(server) => Self::Machine(Machine::new(server, patience)),
            None if target.names_a_cluster() || has_cluster() => {
                Self::Cluster(Cluster::connect(target).await?)
            }
            None => Self::Machine(Machine::new(DEFAULT_SERVER, patience)),
        })
    }

    /// All canaries.
    pub(super) async fn list(&self) -> Result<Vec<Found>, Failure> {
        match self {
            Self::Machine(machine) => machine.list().await,
            Self::Cluster(cluster) => cluster.list().await,
        }
    }

    /// The canary of this name, or the only one.
    pub(super) async fn find(&self, name: Option<&str>) -> Result<Found, Failure> {
        choose(self.list().await?, name)
    }

    /// Says a verb; the canary after it.
    pub(super) async fn say(&self, canary: &Metadata, verb: Verb) -> Result<Found, Failure> {
        match self {
            Self::Machine(machine) => machine.say(&canary.name, verb).await,
            Self::Cluster(cluster) => cluster.say(canary, verb).await,
        }
    }

    /// Makes new replicas of the same template, as a release; the canary when the promoter has seen it.
    pub(super) async fn restart(&self, found: &Found) -> Result<Found, Failure> {
        restart::check(&found.canary.status.release)?;
        match self {
            Self::Machine(_) => Err(restart::by_file()),
            Self::Cluster(cluster) => cluster.restart(found).await,
        }
    }

    /// The canary of this name, or the only one, as it changes.
    pub(super) async fn follow(&self, name: Option<String>) -> Result<Feed<'_>, Failure> {
        Ok(match self {
            Self::Machine(_) => Feed::Asked(self, name),
            Self::Cluster(cluster) => {
                Feed::Watched(Box::new(cluster.changes(self.find(name.as_deref()).await?)))
            }
        })
    }

    /// Whether the promoter had seen what is asked of the workload now. On one machine a question makes it look.
    pub(super) async fn is_current(&self, found: &Found) -> Result<bool, Failure> {
        match self {
            Self::Machine(_) => Ok(true),
            Self::Cluster(cluster) => cluster.is_current(found).await,
        }
    }
}

// === impl Feed ===

impl Feed<'_> {
    /// The canary as it is now, at once where it has changed, and otherwise after a moment.
    pub(super) async fn next(&mut self) -> Result<Found, Failure> {
        match self {
            Self::Asked(client, name) => client.find(name.as_deref()).await,
            Self::Watched(changes) => changes.next(PERIOD).await,
        }
    }

    /// The pause before the next question, where one is asked.
    pub(super) async fn pause(&self) {
        if matches!(self, Self::Asked(..)) {
            time::sleep(PERIOD).await;
        }
    }
}

/// Whether something says which cluster is meant: a kubeconfig as kubectl looks for it, or a pod's own account.
fn has_cluster() -> bool {
    let said = |name: &str| env::var_os(name).is_some_and(|value| !value.is_empty());
    let at_home = env::home_dir().is_some_and(|home| home.join(Path::new(".kube/config")).exists());
    said("KUBECONFIG") || at_home || said("KUBERNETES_SERVICE_HOST")
}
