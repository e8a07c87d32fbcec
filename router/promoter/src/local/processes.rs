//! The replicas: processes that are started, probed, restarted and ended.
//!
//! They outlive the promoter and are found again by their [`labels::Labels`].

mod labels;
mod lives;
mod logs;
mod probe;
mod process;
mod replica;

pub(super) use labels::discover;

use super::config::{Deployment, Probe};
use super::state::ReplicaRecord;
use super::template::Template;
use crate::canary::ReplicaView;
use probe::Health;
use process::Exit;
use release::{Fleet, Revision};
use replica::Replica;
use std::collections::{BTreeMap, BTreeSet};
use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::path::PathBuf;
use std::time::Duration;
use tokio::sync::{mpsc, watch};
use tokio::time::Instant;

/// Events that wait to be taken in; more make their senders wait.
const QUEUE: usize = 256;

/// All replicas of one workload.
#[derive(Debug)]
pub(super) struct Processes {
    name: String,
    owner: PathBuf,
    logs: PathBuf,
    deployment: Deployment,
    replicas: BTreeMap<u16, Replica>,
    /// Why a replica could not even be planned.
    shortage: Option<String>,
    probe: watch::Sender<Probe>,
    news: (mpsc::Sender<News>, mpsc::Receiver<News>),
}

/// What a task has seen of a process.
#[derive(Debug)]
struct News {
    port: u16,
    pid: u32,
    what: What,
}

#[derive(Debug)]
enum What {
    Ended(Exit),
    Health(Health),
}

/// What a set of processes belongs to.
#[derive(Clone, Debug)]
pub(super) struct Ownership {
    /// The workload.
    pub(super) name: String,
    /// The state file, by which processes are marked.
    pub(super) owner: PathBuf,
    /// The folder of their output.
    pub(super) logs: PathBuf,
}

// === impl Processes ===

impl Processes {
    /// Takes hold of the replicas that are remembered and the processes that are there.
    ///
    /// Those that readers were sent to (`listed`) count as ready until a probe says otherwise.
    pub(super) fn restore(
        ownership: Ownership,
        deployment: &Deployment,
        records: &BTreeMap<u16, ReplicaRecord>,
        listed: &BTreeSet<SocketAddr>,
    ) -> Self {
        let Ownership { name, owner, logs } = ownership;
        let mut processes = Self {
            name,
            owner,
            logs,
            deployment: deployment.clone(),
            replicas: BTreeMap::new(),
            shortage: None,
            probe: watch::Sender::new(deployment.readiness_probe.clone()),
            news: mpsc::channel(QUEUE),
        };
        for (port, record) in records {
            let mut replica = Replica::new(processes.replica_name(&record.revision, *port), record.clone());
            replica.listed = listed.contains(&address(*port));
            processes.replicas.insert(*port, replica);
        }
        let found = discover(&processes.owner);
        for process in found.iter().filter(|found| found.pid == found.group) {
            processes.take_over(process);
        }
        for process in found.iter().filter(|found| found.pid != found.group) {
            processes.end_orphan(process);
        }
        processes
    }

    /// Follows a changed deployment.
    pub(super) fn configure(&mut self, deployment: &Deployment) {
        self.deployment = deployment.clone();
        self.probe.send_replace(deployment.readiness_probe.clone());
    }

    /// Waits until a process ends or its health changes, and takes that in. Dropping the future loses nothing.
    pub(super) async fn changed(&mut self) {
        match self.news.1.recv().await {
            Some(News { port, pid, what: What::Ended(exit) }) => self.note_exit(port, pid, exit),
            Some(News { port, pid, what: What::Health(health) }) => self.note_health(port, pid, health),
            // A sender is kept here, so this does not happen.
            None => {}
        }
    }

    /// Makes room for what is wanted and marks what is not. Nothing is started or signalled yet, so that it can be
    /// remembered first.
    pub(super) fn plan(&mut self, wanted: &[(Revision, u32)]) {
        self.shortage = None;
        let is_wanted =
            |replica: &Replica| wanted.iter().any(|(revision, _)| *revision == replica.record.revision);
        for replica in self.replicas.values_mut().filter(|replica| !is_wanted(replica)) {
            replica.end();
        }
        for (revision, count) in wanted {
            let mut ports =
                self.living(revision).map(|(port, replica)| (replica.worth(), *port)).collect::<Vec<_>>();
            ports.sort_unstable();
            let count = usize::try_from(*count).unwrap_or(usize::MAX);
            for (_, port) in ports.iter().take(ports.len().saturating_sub(count)) {
                if let Some(replica) = self.replicas.get_mut(port) {
                    replica.end();
                }
            }
            for _ in ports.len()..count {
                let Some(port) = self.free_port() else {
                    let range = self.deployment.ports;
                    self.shortage = Some(format!(
                        "no port from {} to {} is free; widen deployment.ports",
                        range.from, range.to
                    ));
                    break;
                };
                let record =
                    ReplicaRecord { revision: revision.clone(), restarts: 0, last_exit: None, ending: false };
                self.replicas.insert(port, Replica::new(self.replica_name(revision, port), record));
            }
        }
    }

    /// Marks everything, without waiting for the routers: they end as well, or are told by somebody else.
    pub(super) fn end_all(&mut self) {
        for replica in self.replicas.values_mut() {
            replica.end();
            replica.listed = false;
        }
    }

    /// Starts what is due and ends what has left the routers: `gone_from_routers` is asked with the generation of the
    /// routes file that was the first not to list a replica, and how long ago that was written.
    pub(super) fn act(
        &mut self,
        templates: &BTreeMap<Revision, Template>,
        gone_from_routers: impl Fn(u64, Duration) -> bool,
    ) {
        let now = Instant::now();
        let grace = self.deployment.termination_grace_period.get();
        self.replicas.retain(|_, replica| !(replica.record.ending && replica.running.is_none()));
        let mut due = Vec::new();
        for (port, replica) in &mut self.replicas {
            let left = replica.left.is_some_and(|(generation, at)| gone_from_routers(generation, now - at));
            let unlisted = left || !replica.listed;
            match &mut replica.running {
                Some(running) if replica.record.ending => running.end(unlisted, now, grace),
                None if replica.backoff.is_over(now) => due.push(*port),
                _ => {}
            }
        }
        for port in due {
            self.start(port, templates);
        }
    }

    /// The replicas of a revision that readers may be sent to.
    pub(super) fn endpoints(&self, revision: &Revision) -> Vec<SocketAddr> {
        self.living(revision)
            .filter(|(_, replica)| replica.is_ready())
            .map(|(port, _)| address(*port))
            .collect()
    }

    /// Remembers that the routes file with this generation lists exactly these.
    pub(super) fn note_listed(&mut self, generation: u64, listed: &BTreeSet<SocketAddr>) {
        for (port, replica) in &mut self.replicas {
            replica.note_listed(generation, listed.contains(&address(*port)));
        }
    }

    /// The replicas of one revision, as many as were asked for.
    pub(super) fn fleet(&self, revision: &Revision, replicas: u32) -> Fleet {
        let living = || self.living(revision).map(|(_, replica)| replica);
        let mut trouble: Vec<_> = living().filter(|replica| !replica.is_ready()).collect();
        trouble.sort_by_key(|replica| std::cmp::Reverse(replica.record.restarts));
        let mut message = match trouble.as_slice() {
            [] => String::new(),
            [one] => format!("{}: {}", one.name, one.trouble()),
            [first, others @ ..] => {
                format!("{}: {} (and {} more)", first.name, first.trouble(), others.len())
            }
        };
        if let Some(shortage) = &self.shortage {
            message = shortage.clone();
        }
        Fleet {
            revision: revision.clone(),
            replicas,
            ready: u32::try_from(living().filter(|replica| replica.is_ready()).count()).unwrap_or(u32::MAX),
            restarts: living().map(|replica| replica.record.restarts).sum(),
            message,
        }
    }

    /// Whether anything of a revision is there, be it on its way out.
    pub(super) fn has(&self, revision: &Revision) -> bool {
        self.replicas.values().any(|replica| replica.record.revision == *revision)
    }

    /// Whether anything is there.
    pub(super) fn is_empty(&self) -> bool {
        self.replicas.is_empty()
    }

    /// Whether anything is on its way out.
    pub(super) fn is_ending(&self) -> bool {
        self.replicas.values().any(|replica| replica.record.ending)
    }

    /// What is to be remembered.
    pub(super) fn records(&self) -> BTreeMap<u16, ReplicaRecord> {
        self.replicas.iter().map(|(port, replica)| (*port, replica.record.clone())).collect()
    }

    /// What people see.
    pub(super) fn views(&self) -> Vec<ReplicaView> {
        self.replicas.iter().map(|(port, replica)| replica.view(address(*port))).collect()
    }

    fn living<'a>(&'a self, revision: &'a Revision) -> impl Iterator<Item = (&'a u16, &'a Replica)> {
        let living = |replica: &Replica| replica.record.revision == *revision && !replica.record.ending;
        self.replicas.iter().filter(move |(_, replica)| living(replica))
    }

    fn replica_name(&self, revision: &Revision, port: u16) -> String {
        format!("{}-{revision}-{port}", self.name)
    }

    /// A port that neither a replica of ours nor anybody else has.
    fn free_port(&self) -> Option<u16> {
        self.deployment.ports.range().find(|port| {
            !self.replicas.contains_key(port) && TcpListener::bind((Ipv4Addr::LOCALHOST, *port)).is_ok()
        })
    }
}

fn address(port: u16) -> SocketAddr {
    SocketAddr::from((Ipv4Addr::LOCALHOST, port))
}
