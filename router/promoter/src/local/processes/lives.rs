//! From replicas to processes that run, and what becomes of them.

use super::labels::{Found, Labels, discover};
use super::probe::{self, Health};
use super::process::{Exit, Process, Watch};
use super::replica::{Replica, Running};
use super::{News, Processes, What, address, logs};
use crate::local::state::ReplicaRecord;
use crate::local::template::Template;
use jiff::Timestamp;
use release::Revision;
use rustix::process::Signal;
use std::collections::BTreeMap;

// === impl Processes ===

impl Processes {
    pub(super) fn start(&mut self, port: u16, templates: &BTreeMap<Revision, Template>) {
        let Some(replica) = self.replicas.get_mut(&port) else { return };
        let revision = replica.record.revision.clone();
        let labels = Labels {
            owner: self.owner.to_string_lossy().into_owned(),
            revision: revision.clone(),
            replica: replica.name.clone(),
            port,
            started: Timestamp::now(),
        };
        let log = logs::path(&self.logs, &replica.name);
        let Some(template) = templates.get(&revision) else {
            return replica.failed_to_start("its template is not known", &self.deployment.restart_backoff);
        };
        let started = logs::open(&log).and_then(|output| {
            let printed_before = output.metadata()?.len();
            Ok((Process::start(template, &labels, &output)?, printed_before))
        });
        match started {
            Ok(((process, watch), printed_before)) => {
                let pid = process.pid;
                tracing::info!(replica = %replica.name, pid, "Started {} as process {pid}", replica.name);
                self.run(port, (process, watch), (labels.started, printed_before));
            }
            Err(error) => {
                let directory = &template.working_directory;
                let why = if directory.is_dir() {
                    format!("cannot start `{}`: {error}", template.program().display())
                } else {
                    format!(
                        "cannot start in `{}`: it is not a folder; check workingDirectory",
                        directory.display()
                    )
                };
                tracing::warn!(replica = %replica.name, "{}: {why}", replica.name);
                replica.failed_to_start(&why, &self.deployment.restart_backoff);
            }
        }
    }

    /// Makes a process that is alive the one of its replica.
    fn run(
        &mut self,
        port: u16,
        (process, watch): (Process, Watch),
        (started, printed_before): (Timestamp, u64),
    ) {
        let Some(replica) = self.replicas.get_mut(&port) else { return };
        let presumed = replica.listed.then_some(Health::Ready);
        let (pid, told) = (process.pid, self.news.0.clone());
        tokio::spawn(async move {
            let what = What::Ended(watch.ended().await);
            // Where nobody listens, the promoter itself is ending.
            let _ = told.send(News { port, pid, what }).await;
        });
        let told = self.news.0.clone();
        let tell = async move |health| {
            let _ = told.send(News { port, pid, what: What::Health(health) }).await;
        };
        let probe = probe::run(address(port), self.probe.subscribe(), presumed.clone(), tell);
        replica.running =
            Some(Running::new(process, tokio::spawn(probe), presumed, (started, printed_before)));
    }

    pub(super) fn take_over(&mut self, found: &Found) {
        let Found { pid, labels, .. } = found;
        match Process::find(*pid, labels) {
            Ok(Some(process)) => {
                let Labels { revision, port, started, .. } = labels;
                let record =
                    ReplicaRecord { revision: revision.clone(), restarts: 0, last_exit: None, ending: false };
                let replica = Replica::new(labels.replica.clone(), record);
                let known = self.replicas.entry(*port).or_insert(replica);
                tracing::info!(replica = %known.name, pid, "Found {} as process {pid}", known.name);
                let printed_before =
                    std::fs::metadata(logs::path(&self.logs, &known.name)).map_or(0, |log| log.len());
                self.run(*port, process, (*started, printed_before));
            }
            Ok(None) => {}
            Err(error) => tracing::warn!(pid, %error, "Could not take hold of process {pid}"),
        }
    }

    /// Ends a process whose replica is gone, as the end of a container ends all that is in it.
    pub(super) fn end_orphan(&self, found: &Found) {
        let leader_lives = self.replicas.values().any(|replica| {
            replica.running.as_ref().is_some_and(|running| running.process.pid == found.group)
        });
        if !leader_lives {
            kill(found);
        }
    }

    pub(super) fn note_exit(&mut self, port: u16, pid: u32, exit: Exit) {
        let Some(replica) = self.replicas.get_mut(&port) else { return };
        let Some(running) = replica.running.take_if(|running| running.process.pid == pid) else { return };
        for left in discover(&self.owner).iter().filter(|found| found.labels.replica == replica.name) {
            kill(left);
        }
        if replica.record.ending {
            tracing::info!(replica = %replica.name, pid, "{} {exit} as asked", replica.name);
            self.replicas.remove(&port);
            return;
        }
        let line = logs::last_line(&logs::path(&self.logs, &replica.name), running.printed_before);
        replica.ended(
            &exit.to_string(),
            line,
            running.started_at.elapsed(),
            &self.deployment.restart_backoff,
        );
        tracing::warn!(replica = %replica.name, pid, "{}: {}", replica.name, replica.trouble());
    }

    pub(super) fn note_health(&mut self, port: u16, pid: u32, health: Health) {
        let Some(replica) = self.replicas.get_mut(&port) else { return };
        let Some(running) = replica.running.as_mut().filter(|running| running.process.pid == pid) else {
            return;
        };
        match &health {
            Health::Ready => tracing::info!(replica = %replica.name, "{} is ready", replica.name),
            Health::NotReady(why) => {
                tracing::info!(replica = %replica.name, "{} is not ready: {why}", replica.name);
            }
        }
        running.health = Some(health);
    }
}

fn kill(found: &Found) {
    if let Ok(Some((process, _))) = Process::find(found.pid, &found.labels) {
        tracing::info!(
            pid = found.pid,
            "Ending process {}, left over by {}",
            found.pid,
            found.labels.replica
        );
        process.signal(Signal::KILL);
    }
}
