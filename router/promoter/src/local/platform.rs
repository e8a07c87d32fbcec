//! The engine's platform: state, processes and routers of this machine.

use super::config::Config;
use super::processes::Processes;
use super::routers::{self, Attention, Reports, Wanted};
use super::routes_file::{Endpoints, RoutesFile};
use super::state::{Scale, State, StateError, StateFile, Undone};
use crate::api::{Rejection, Wish};
use crate::canary::{Canary, CanaryStatus, Condition, ConditionStatus, Metadata, RoutingView};
use crate::evidence::Order;
use crate::gates::Gates;
use crate::metrics::Metrics;
use crate::notify::{self, Notifier};
use crate::platform::{Platform, turn};
use crate::secrets::Secrets;
use jiff::Timestamp;
use release::{
    Action, Event, EventReason, Fleet, HoldReason, Observation, Phase, Revision, Routing, Sample, Spec,
    Status, apply,
};
use std::io;
use tokio::sync::watch;

/// A workload on this machine.
#[derive(Debug)]
pub(super) struct Local {
    pub(super) config: Config,
    /// Why the file is not followed as it is now, if so.
    pub(super) config_problem: Option<String>,
    pub(super) file: StateFile,
    pub(super) state: State,
    /// What is on the disk.
    pub(super) saved: Option<State>,
    pub(super) processes: Processes,
    pub(super) routes: RoutesFile,
    pub(super) reports: watch::Receiver<Reports>,
    pub(super) attention: watch::Sender<Attention>,
    pub(super) orders: watch::Sender<Order>,
    /// What arrived since the last look.
    pub(super) sample: Option<Sample>,
    pub(super) metrics: Metrics,
    pub(super) gates: Gates,
    pub(super) notifier: Notifier,
    pub(super) secrets: Secrets,
    /// Why the last turn could not be finished, if so.
    pub(super) trouble: Option<String>,
    /// What was put back last, until the routers are told something new.
    pub(super) drift: Option<String>,
}

/// Why something could not be done now.
#[derive(Debug, thiserror::Error)]
pub(super) enum LocalError {
    #[error(transparent)]
    State(#[from] StateError),
    #[error("{path}: the routes file cannot be written: {source}")]
    Routes { path: String, source: io::Error },
}

// === impl Local ===

impl Local {
    /// One round: bring what runs closer to what is wanted, then decide.
    pub(super) async fn round(&mut self) {
        let done = match self.converge() {
            Ok(()) => turn(self).await,
            Err(error) => Err(error),
        };
        self.note(done);
        self.direct();
    }

    /// Does what somebody wants.
    pub(super) async fn grant(&mut self, wish: Wish) -> Result<Box<Canary>, Rejection> {
        if let Wish::Say(verb) = wish {
            // Who has just saved the file means the release that begins with it.
            self.round().await;
            let status = apply(verb, &self.state.status, &self.template(), Timestamp::now())
                .map_err(Rejection::Refused)?;
            self.remember(status).map_err(|error| Rejection::Failed(error.to_string()))?;
            tracing::info!(?verb, "A person said {verb:?}");
        }
        self.round().await;
        Ok(Box::new(self.view()))
    }

    /// Follows a changed file, or keeps the last good one.
    pub(super) fn configure(&mut self, next: Result<Config, String>) {
        let next = next.and_then(|next| match self.config.fixed_field_changed(&next) {
            Some(field) => {
                Err(format!("{field}: cannot change while the promoter runs; restart it to follow the file"))
            }
            None => Ok(next),
        });
        match next {
            Ok(next) => {
                if next != self.config {
                    tracing::info!("The configuration changed: its new content is followed");
                }
                self.config_problem = None;
                self.processes.configure(&next.deployment);
                self.config = next;
            }
            Err(problem) => {
                self.metrics.count_config_error();
                tracing::error!("The configuration is refused, the last good one stays in force: {problem}");
                self.config_problem = Some(problem);
            }
        }
    }

    /// The object that people and programs see.
    pub(super) fn view(&self) -> Canary {
        let Routing { routers, pending, stable_in_flight, canary_in_flight, .. } = self.routing();
        let generation = self.state.generation;
        let template_of = |revision: &Revision| self.state.templates.get(revision);
        let candidate = self.state.status.release().map(|release| &release.candidate);
        let changed = candidate.and_then(|candidate| {
            let stable = template_of(self.state.status.stable.as_ref()?)?;
            Some(stable.difference(template_of(candidate)?))
        });
        let status = CanaryStatus {
            release: self.state.status.clone(),
            template: self.template(),
            desired_replicas: self.config.deployment.replicas,
            changed: changed.unwrap_or_default(),
            replicas: self.processes.views(),
            routing: RoutingView { generation, routers, pending, stable_in_flight, canary_in_flight },
            conditions: self.conditions(),
        };
        Canary::new(&self.config.name, self.config.canary.clone(), status)
    }

    /// Remembers everything, if it is not on the disk yet.
    pub(super) fn save(&mut self) -> Result<(), StateError> {
        self.state.replicas = self.processes.records();
        self.state.prune_templates(&self.config.deployment.template.revision());
        if self.saved.as_ref() != Some(&self.state) {
            self.file.save(&self.state)?;
            self.saved = Some(self.state.clone());
        }
        Ok(())
    }

    /// Plans, remembers, tells the routers, and only then starts and ends processes.
    fn converge(&mut self) -> Result<(), LocalError> {
        self.follow_template();
        let wanted = |scale: &Scale| (scale.revision.clone(), scale.replicas);
        let wanted: Vec<_> =
            std::iter::once(&self.state.workload).chain(&self.state.candidate).map(wanted).collect();
        self.processes.plan(&wanted);
        self.save()?;
        self.tell_routers()?;
        let reports = self.reports.borrow().clone();
        let acknowledged = routers::acknowledged(&reports, &self.config.routers.admins);
        let patience = self.config.canary.deadlines.drain.get();
        self.processes
            .act(&self.state.templates, |generation, since| acknowledged >= generation || since >= patience);
        Ok(())
    }

    /// Keeps the template of the file, and before the first rollout has finished follows it at once.
    fn follow_template(&mut self) {
        let deployment = &self.config.deployment;
        let file = deployment.template.revision();
        self.state.templates.entry(file.clone()).or_insert_with(|| deployment.template.clone());
        self.state.undone.take_if(|undone| undone.ignored != file);
        if self.state.status.phase == Phase::Initializing {
            self.state.workload = Scale { revision: file, replicas: deployment.replicas };
        }
    }

    /// Writes the routes file where it does not say what it should.
    fn tell_routers(&mut self) -> Result<(), LocalError> {
        let Some(route) = self.state.route.clone() else { return Ok(()) };
        let endpoints = Endpoints {
            stable: self.processes.endpoints(&route.stable),
            canary: route.canary.as_ref().map(|canary| self.processes.endpoints(canary)).unwrap_or_default(),
        };
        let drift = self.drift();
        let (name, routers) = (&self.config.name, &self.config.routers);
        if drift.is_none() && !self.routes.differs(name, routers, &route, &endpoints) {
            return Ok(());
        }
        // The number is remembered before it is used, so that no two contents ever have the same one.
        self.state.generation += 1;
        self.save()?;
        let generation = self.state.generation;
        let (name, routers) = (&self.config.name, &self.config.routers);
        self.routes.write(generation, routers, &route, (name, &endpoints)).map_err(|source| {
            let path = routers.routes_file.display().to_string();
            LocalError::Routes { path, source }
        })?;
        let (weight, stable, canary) = (route.weight, endpoints.stable.len(), endpoints.canary.len());
        tracing::info!(
            generation, %weight, stable, canary,
            "Told the routers: {weight} to {canary} processes of the candidate, the rest to {stable} of stable"
        );
        self.processes.note_listed(generation, &endpoints.all().copied().collect());
        self.drift = drift.map(|what| format!("{what} (put back at {:.0})", Timestamp::now()));
        if let Some(message) = self.drift.clone() {
            self.tell(&Event { reason: EventReason::DriftRepaired, message });
        }
        Ok(())
    }

    /// What somebody else has changed of what only the promoter changes.
    fn drift(&self) -> Option<String> {
        self.routes.drift().or_else(|| routers::drift(&self.reports.borrow(), self.wanted()))
    }

    /// The revision that the user asks for.
    fn template(&self) -> Revision {
        let file = self.config.deployment.template.revision();
        match &self.state.undone {
            Some(undone) if undone.ignored == file => undone.followed.clone(),
            _ => file,
        }
    }

    fn wanted(&self) -> Wanted<'_> {
        Wanted {
            name: &self.config.name,
            admins: &self.config.routers.admins,
            generation: self.state.generation,
            written: self.routes.route(),
        }
    }

    fn routing(&self) -> Routing {
        routers::routing(&self.reports.borrow(), self.wanted())
    }

    fn fleet(&self, scale: &Scale) -> Fleet {
        self.processes.fleet(&scale.revision, scale.replicas)
    }

    fn remember(&mut self, status: Status) -> Result<(), StateError> {
        let before = std::mem::replace(&mut self.state.status, status);
        self.save().inspect_err(|_| self.state.status = before)
    }

    /// Tells the tasks what matters now.
    fn direct(&self) {
        let Status { route, hold, .. } = &self.state.status;
        let analysis = &self.config.canary.analysis;
        let order = Order {
            since: route.acknowledged.filter(|_| !route.weight.is_zero()),
            interval: analysis.interval,
            latency_bound: analysis.latency_bound,
        };
        self.orders.send_if_modified(|current| std::mem::replace(current, order) != order);
        let waits = hold.as_ref().is_some_and(|hold| {
            matches!(
                hold.reason,
                HoldReason::AwaitingAcknowledgement | HoldReason::Draining | HoldReason::Removing
            )
        });
        let close = waits || !self.routing().pending.is_empty() || self.processes.is_ending();
        let attention = if close { Attention::Close } else { Attention::Loose };
        self.attention.send_if_modified(|current| std::mem::replace(current, attention) != attention);
        self.gates.direct((None, &self.config.name), &self.config.canary, &self.state.status);
    }

    fn metadata(&self) -> Metadata {
        Metadata { name: self.config.name.clone(), namespace: None }
    }

    /// Logs trouble once, however often it comes back.
    fn note(&mut self, done: Result<(), LocalError>) {
        let trouble = done.err().map(|error| (error.operation(), error.to_string()));
        if let Some((operation, trouble)) = &trouble {
            self.metrics.count_error(&self.metadata(), operation);
            if self.trouble.as_ref() != Some(trouble) {
                tracing::error!("Could not go on, trying again: {trouble}");
            }
        }
        self.trouble = trouble.map(|(_, trouble)| trouble);
    }

    fn conditions(&self) -> Vec<Condition> {
        let no = |kind: &str, reason: &str, message: &str| Condition {
            kind: kind.to_owned(),
            status: ConditionStatus::False,
            reason: reason.to_owned(),
            message: message.to_owned(),
        };
        let undone = self.state.undone.as_ref().map(|Undone { ignored, followed }| {
            let message = format!(
                "undo: template {ignored} in the file is ignored and {followed} followed until the file says another one"
            );
            no("TemplateFollowed", "Undone", &message)
        });
        let config = self.config_problem.as_ref();
        let config = config.map(|problem| no("ConfigurationAccepted", "Refused", problem));
        let trouble = self.trouble.as_ref().map(|trouble| no("Working", "Trouble", trouble));
        let drift = self.drift.as_ref().map(|drift| no("AsDecided", "DriftRepaired", drift));
        [undone, config, trouble, drift].into_iter().flatten().collect()
    }
}

impl Platform for Local {
    type Error = LocalError;

    fn spec(&self) -> &Spec {
        &self.config.canary
    }

    fn status(&self) -> &Status {
        &self.state.status
    }

    async fn observe(&mut self) -> Result<Observation, LocalError> {
        self.state.candidate.take_if(|scale| scale.replicas == 0 && !self.processes.has(&scale.revision));
        Ok(Observation {
            template: self.template(),
            replicas: self.config.deployment.replicas,
            stable: Some(self.fleet(&self.state.workload)),
            candidate: self.state.candidate.as_ref().map(|scale| self.fleet(scale)),
            routing: self.routing(),
            sample: self.sample.take(),
            gates: self.gates.reports(),
        })
    }

    async fn store(&mut self, status: Status) -> Result<(), LocalError> {
        Ok(self.remember(status)?)
    }

    async fn carry_out(&mut self, action: Action) -> Result<(), LocalError> {
        match action {
            Action::Route(route) => self.state.route = Some(route),
            Action::ScaleCandidate(revision, replicas) => {
                self.state.candidate = Some(Scale { revision, replicas });
            }
            Action::ScaleStable(replicas) => self.state.workload.replicas = replicas,
            Action::RemoveCandidate(revision) => {
                self.state.candidate = Some(Scale { revision, replicas: 0 });
            }
            Action::Adopt(revision) => {
                let replicas = self.config.deployment.replicas;
                self.state.workload = Scale { revision, replicas };
                self.state.candidate = None;
            }
            Action::RestoreTemplate(followed) => {
                let ignored = self.config.deployment.template.revision();
                self.state.undone = (ignored != followed).then_some(Undone { ignored, followed });
            }
        }
        self.converge()
    }

    fn tell(&mut self, event: &Event) {
        let Event { reason, message } = event;
        tracing::info!(?reason, canary = %self.config.name, "{reason:?}: {message}");
        let whose = (None, self.config.name.as_str());
        let body = notify::Body::new(whose, event, &self.state.status, Timestamp::now());
        self.notifier.tell(&self.config.canary.notifications, &self.secrets, &body);
    }

    fn measure(&mut self, decision: std::time::Duration) {
        self.metrics.observe_decision(&self.metadata(), decision);
    }
}

// === impl LocalError ===

impl LocalError {
    /// The label of the error in metrics.
    fn operation(&self) -> &'static str {
        match self {
            Self::State(_) => "store",
            Self::Routes { .. } => "write_routes",
        }
    }
}
