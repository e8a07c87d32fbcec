//! The engine's platform: one Canary and what belongs to it, for the length of one turn.

use super::candidate;
use super::cluster::Cluster;
use super::conditions::{Trouble, conditions};
use super::crd::CanarySpec;
use super::object::{CanaryObject, name_of};
use super::refusal::Refusal;
use super::revision::without_hash;
use super::status::CanaryStatus;
use super::traffic::{Traffic, Write};
use super::world::{NEXT, World};
use crate::canary::{Metadata, RoutingView};
use crate::http;
use crate::platform::Platform;
use jiff::Timestamp;
use kube::api::PropagationPolicy;
use release::{
    Action, Event, Fleet, GateReport, HoldReason, Observation, Phase, Promotion, Revision, Route, Sample,
    Spec, Status,
};

/// One Canary in one turn.
pub(super) struct Workload {
    pub(super) cluster: Cluster,
    /// The Canary as the API server has it.
    pub(super) object: CanaryObject,
    pub(super) spec: CanarySpec,
    pub(super) status: CanaryStatus,
    pub(super) world: World,
    /// How requests are shared out; none in mode `replicas`.
    pub(super) traffic: Option<Traffic>,
    /// For the routers.
    pub(super) http: http::Client,
    /// Whether what was read is still to be looked at for the first time.
    pub(super) fresh: bool,
    /// What was counted since the last turn.
    pub(super) sample: Option<Sample>,
    /// What the gates have answered.
    pub(super) gates: Vec<GateReport>,
    /// How long each decision took.
    pub(super) decided: Vec<std::time::Duration>,
    /// What is to be told when the turn is over.
    pub(super) events: Vec<Event>,
    /// What was put back that somebody else had changed.
    pub(super) drift: Vec<String>,
}

/// Why something could not be done now.
#[derive(Debug, thiserror::Error)]
pub(super) enum TurnError {
    #[error(transparent)]
    Api(#[from] kube::Error),
    #[error("the Deployment {0} has vanished")]
    Vanished(String),
    #[error("the status cannot be written as JSON: {0}")]
    Json(#[from] serde_json::Error),
    #[error(transparent)]
    Refused(#[from] Refusal),
}

// === impl TurnError ===

impl TurnError {
    /// The label of the error in metrics.
    pub(super) fn operation(&self) -> &'static str {
        match self {
            Self::Api(_) if self.is_conflict() => "conflict",
            Self::Api(_) => "api",
            Self::Vanished(_) => "vanished",
            Self::Json(_) => "status",
            Self::Refused(_) => "refused",
        }
    }

    /// Whether somebody else was faster, so that looking again is all there is to do.
    pub(super) fn is_conflict(&self) -> bool {
        matches!(self, Self::Api(kube::Error::Api(status)) if status.code == 409)
    }

    /// What people are told.
    pub(super) fn trouble(&self) -> Trouble {
        match self {
            Self::Refused(refusal) => Trouble::Refused(refusal.clone()),
            error => Trouble::Failed(error.to_string()),
        }
    }
}

// === impl Workload ===

impl Workload {
    fn name(&self) -> &str {
        name_of(&self.object.metadata)
    }

    /// What the candidate of the release under way is called.
    fn candidate_name(&self) -> Option<String> {
        let release = self.status.release.release()?;
        Some(candidate::name(&self.spec.deployment, release.started))
    }

    async fn look(&mut self) -> Result<(), TurnError> {
        let name = &self.spec.deployment;
        let world = self.cluster.world(self.name(), name).await?;
        self.world = world.ok_or_else(|| TurnError::Vanished(name.clone()))?;
        if let Some(traffic) = &self.traffic {
            self.traffic = Some(self.cluster.traffic(traffic.shape.clone(), &self.http).await?);
        }
        Ok(())
    }

    /// Keeps the Deployment as it must be while there is a Canary: paused, and nothing but stable with replicas.
    ///
    /// A Deployment whose rollout is still under way is not paused: it would stop half-way.
    async fn keep(&mut self) -> Result<(), TurnError> {
        let deployment = &self.world.deployment;
        let held = self.status.release.stable.clone();
        if !deployment.spec.paused && (held.is_some() || deployment.is_settled()) {
            self.cluster.hold(deployment).await?;
            if held.is_some() {
                self.drift.push(
                    "the Deployment was resumed; it is paused again, so that releases are judged".to_owned(),
                );
            }
            self.look().await?;
        }
        let adopting =
            matches!(self.status.release.phase, Phase::Promoting { task: Promotion::Adopting, .. });
        let Some(stable) = held.filter(|_| !adopting) else { return Ok(()) };
        self.bring_next_template().await?;
        let strays: Vec<_> = self.world.strays(&stable).cloned().collect();
        for stray in &strays {
            self.cluster.empty(stray).await?;
            self.drift.push(format!("pods of {} beside stable's were ended", stray.revision));
        }
        if !strays.is_empty() {
            self.look().await?;
        }
        Ok(())
    }

    fn stable_fleet(&self) -> Option<Fleet> {
        let status = &self.status.release;
        let adopted = match &status.phase {
            Phase::Promoting { release, task: Promotion::Adopting } => {
                let revision = &release.candidate;
                self.world.stable(Some(revision)).filter(|set| set.revision == *revision)
            }
            _ => None,
        };
        let set = adopted.or_else(|| self.world.stable(status.stable.as_ref()))?;
        Some(self.world.fleet(set.revision.clone(), set.object.spec.replicas))
    }

    async fn scale_candidate(&mut self, revision: &Revision, replicas: u32) -> Result<(), TurnError> {
        if let Some(candidate) = self.world.candidate(revision) {
            return Ok(self.cluster.scale(candidate, replicas).await?);
        }
        // A template that has changed since is another release's.
        let (Some(name), true) = (self.candidate_name(), self.world.template() == *revision) else {
            return Ok(());
        };
        let mut candidate = candidate::of(&self.object, &self.world.deployment, &name, revision);
        candidate.spec.replicas = Some(replicas);
        self.cluster.create(&candidate).await?;
        let release = self.status.release.release();
        if release.is_some_and(|release| release.restarts_at_first_ready.is_some()) {
            self.drift.push(format!("the candidate {name} was deleted; it is made again"));
        }
        Ok(())
    }

    async fn remove_candidates(&self) -> Result<(), TurnError> {
        for candidate in self.world.candidates.iter().filter(|candidate| !candidate.is_ending()) {
            self.cluster.delete(candidate, PropagationPolicy::Foreground).await?;
        }
        Ok(())
    }

    /// Writes the next thing on the way to a route; the rest follows when it is seen to be in force.
    async fn route(&mut self, desired: &Route) -> Result<(), TurnError> {
        let Some(traffic) = &self.traffic else { return Ok(()) };
        let writes = traffic.next(&self.world, desired);
        self.drift.extend(traffic.drift(&writes));
        for write in &writes {
            match self.cluster.write(self.name(), write).await {
                Err(kube::Error::Api(status)) if status.code == 404 && matches!(write, Write::Route(_)) => {
                    return Err(Refusal::NoGatewayApi.into());
                }
                done => done?,
            }
        }
        Ok(())
    }

    /// A template that nobody has any more cannot be put back: the word of the person is given up, and that is told.
    fn forget_lost_template(&mut self) {
        let sets = &self.world.sets;
        let lost = |revision: &mut Revision| !sets.iter().any(|set| set.revision == *revision);
        if let Some(revision) = self.status.release.restore.take_if(lost) {
            self.drift.push(format!(
                "the ReplicaSet of {revision} is gone, so that its template cannot be put back; apply it again"
            ));
        }
    }

    fn routing_view(&self) -> RoutingView {
        let Some(traffic) = &self.traffic else { return RoutingView::default() };
        let routing = traffic.routing(&self.world);
        // Numbers that change with every request are told only while something waits for them.
        let waits = self.status.release.hold.as_ref().is_some_and(|hold| hold.reason == HoldReason::Draining);
        let shown = |number: u64| if waits { number } else { 0 };
        RoutingView {
            generation: u64::try_from(traffic.generation()).unwrap_or(0),
            routers: routing.routers,
            stable_in_flight: shown(routing.stable_in_flight),
            canary_in_flight: shown(routing.canary_in_flight),
            pending: routing.pending,
        }
    }

    /// Leaves the candidate's ReplicaSet to the Deployment, which adopts it with its pods.
    ///
    /// | before | why |
    /// |---|---|
    /// | empty ReplicaSets of the same template go | the Deployment would scale them up in the orphan's place |
    /// | the Deployment has its full size | it would scale what it adopts down to its own |
    /// | a template that was pushed since is put aside | the Deployment would shrink two old ReplicaSets together, the verified pods too; it is the next release |
    async fn adopt(&mut self, revision: &Revision) -> Result<(), TurnError> {
        let rivals: Vec<_> = self.world.rivals(revision).cloned().collect();
        for rival in &rivals {
            self.cluster.delete_set(rival).await?;
        }
        let all = self.world.wanted_replicas();
        self.cluster.scale_stable(&self.world, all).await?;
        self.look().await?;
        let whole = self.world.deployment.spec.replicas == Some(all) && self.world.deployment.spec.paused;
        let Some(candidate) = self.world.candidate(revision).filter(|_| whole) else { return Ok(()) };
        if self.world.template() == *revision {
            return Ok(self.cluster.delete(candidate, PropagationPolicy::Orphan).await?);
        }
        let (deployment, template) = (&self.world.deployment, candidate.spec.template.clone());
        let next = Some(&deployment.spec.template);
        Ok(self.cluster.set_template(deployment, template, next).await?)
    }

    /// Gives the user's template back that was pushed while the one before it was being adopted.
    async fn bring_next_template(&mut self) -> Result<(), TurnError> {
        let deployment = &self.world.deployment;
        let Some(next) = deployment.annotation(NEXT) else { return Ok(()) };
        // Somebody may have pushed another one since.
        let replaced = Some(&self.world.template()) != self.status.release.stable.as_ref();
        let template = serde_json::from_str(next).ok().filter(|_| !replaced);
        let template = template.unwrap_or_else(|| deployment.spec.template.clone());
        self.cluster.set_template(deployment, template, None).await?;
        self.look().await
    }

    async fn restore_template(&self, revision: &Revision) -> Result<(), TurnError> {
        let set = self.world.sets.iter().find(|set| set.revision == *revision);
        let Some(set) = set.filter(|_| self.world.template() != *revision) else { return Ok(()) };
        let template = without_hash(&set.object.spec.template);
        Ok(self.cluster.set_template(&self.world.deployment, template, None).await?)
    }

    /// Writes what people see, if it has changed.
    pub(super) async fn publish(&mut self, trouble: Option<&Trouble>) -> Result<(), TurnError> {
        self.status.observed_generation = self.object.metadata.generation;
        self.status.observed_deployment_generation = self.world.deployment.metadata.generation;
        self.status.template = Some(self.world.template());
        self.status.desired_replicas = self.world.wanted_replicas();
        self.status.revisions = self.world.revisions();
        self.status.replicas = self.world.replicas();
        self.status.routing = self.routing_view();
        self.status.conditions = conditions(&self.status, trouble, Timestamp::now());
        store(&self.cluster, &mut self.object, &self.status).await
    }
}

impl Platform for Workload {
    type Error = TurnError;

    fn spec(&self) -> &Spec {
        &self.spec.release
    }

    fn status(&self) -> &Status {
        &self.status.release
    }

    async fn observe(&mut self) -> Result<Observation, TurnError> {
        if !std::mem::take(&mut self.fresh) {
            self.look().await?;
        }
        self.keep().await?;
        self.forget_lost_template();
        let routing = self.traffic.as_ref().map(|traffic| traffic.routing(&self.world));
        Ok(Observation {
            template: self.world.template(),
            replicas: self.world.wanted_replicas(),
            stable: self.stable_fleet(),
            candidate: self.world.candidate_fleet(self.candidate_name().as_deref()),
            routing: routing.unwrap_or_default(),
            sample: self.sample.take(),
            gates: self.gates.clone(),
        })
    }

    async fn store(&mut self, status: Status) -> Result<(), TurnError> {
        self.status.release = status;
        self.publish(None).await
    }

    async fn carry_out(&mut self, action: Action) -> Result<(), TurnError> {
        match action {
            Action::Route(route) => self.route(&route).await,
            Action::ScaleCandidate(revision, replicas) => self.scale_candidate(&revision, replicas).await,
            Action::ScaleStable(replicas) => Ok(self.cluster.scale_stable(&self.world, replicas).await?),
            Action::RemoveCandidate(_) => self.remove_candidates().await,
            Action::Adopt(revision) => self.adopt(&revision).await,
            Action::RestoreTemplate(revision) => self.restore_template(&revision).await,
        }
    }

    fn tell(&mut self, event: &Event) {
        let Event { reason, message } = event;
        tracing::info!(?reason, canary = %self.name(), "{reason:?}: {message}");
        self.events.push(event.clone());
    }

    fn measure(&mut self, decision: std::time::Duration) {
        self.decided.push(decision);
    }
}

/// What a Canary is called.
pub(super) fn metadata(object: &CanaryObject) -> Metadata {
    let namespace = object.metadata.namespace.clone();
    Metadata { name: name_of(&object.metadata).to_owned(), namespace }
}

/// Writes a status if it is not what the API server has already.
pub(super) async fn store(
    cluster: &Cluster,
    object: &mut CanaryObject,
    status: &CanaryStatus,
) -> Result<(), TurnError> {
    let status = serde_json::to_value(status)?;
    if object.status.as_ref() == Some(&status) {
        return Ok(());
    }
    let wanted = CanaryObject { status: Some(status), ..object.clone() };
    *object = cluster.store_status(&wanted).await?;
    Ok(())
}
