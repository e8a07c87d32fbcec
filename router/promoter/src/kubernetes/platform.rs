//! The engine's platform: one Canary and what belongs to it, for the length of one turn.

use super::candidate;
use super::cluster::Cluster;
use super::conditions::{Trouble, conditions};
use super::crd::CanarySpec;
use super::object::{CanaryObject, name_of};
use super::revision::without_hash;
use super::status::CanaryStatus;
use super::world::World;
use crate::platform::Platform;
use jiff::Timestamp;
use kube::api::PropagationPolicy;
use release::{Action, Event, Fleet, Observation, Phase, Promotion, Revision, Routing, Sample, Spec, Status};

/// One Canary in one turn.
pub(super) struct Workload {
    pub(super) cluster: Cluster,
    /// The Canary as the API server has it.
    pub(super) object: CanaryObject,
    pub(super) spec: CanarySpec,
    pub(super) status: CanaryStatus,
    pub(super) world: World,
    /// What was counted since the last turn.
    pub(super) sample: Option<Sample>,
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
}

// === impl TurnError ===

impl TurnError {
    /// Whether somebody else was faster, so that looking again is all there is to do.
    pub(super) fn is_conflict(&self) -> bool {
        matches!(self, Self::Api(kube::Error::Api(status)) if status.code == 409)
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

    async fn scale_candidate(&self, revision: &Revision, replicas: u32) -> Result<(), TurnError> {
        if let Some(candidate) = self.world.candidate(revision) {
            return Ok(self.cluster.scale(candidate, replicas).await?);
        }
        // A template that has changed since is another release's.
        let (Some(name), true) = (self.candidate_name(), self.world.template() == *revision) else {
            return Ok(());
        };
        let mut candidate = candidate::of(&self.object, &self.world.deployment, &name, revision);
        candidate.spec.replicas = Some(replicas);
        Ok(self.cluster.create(&candidate).await?)
    }

    async fn remove_candidates(&self) -> Result<(), TurnError> {
        for candidate in self.world.candidates.iter().filter(|candidate| !candidate.is_ending()) {
            self.cluster.delete(candidate, PropagationPolicy::Foreground).await?;
        }
        Ok(())
    }

    /// Leaves the candidate's ReplicaSet to the Deployment, which adopts it with its pods.
    ///
    /// | before | why |
    /// |---|---|
    /// | empty ReplicaSets of the same template go | the Deployment would scale them up in the orphan's place |
    /// | the Deployment has its full size | it would scale what it adopts down to its own |
    /// | the template is read once more | an orphan of another template would be an old ReplicaSet to it |
    async fn adopt(&mut self, revision: &Revision) -> Result<(), TurnError> {
        let rivals: Vec<_> = self.world.rivals(revision).cloned().collect();
        for rival in &rivals {
            self.cluster.delete_set(rival).await?;
        }
        let all = self.world.wanted_replicas();
        self.cluster.scale_stable(&self.world, all).await?;
        self.look().await?;
        let whole = self.world.deployment.spec.replicas == Some(all) && self.world.deployment.spec.paused;
        match self.world.candidate(revision) {
            Some(candidate) if whole && self.world.template() == *revision => {
                Ok(self.cluster.delete(candidate, PropagationPolicy::Orphan).await?)
            }
            _ => Ok(()),
        }
    }

    async fn restore_template(&self, revision: &Revision) -> Result<(), TurnError> {
        let set = self.world.sets.iter().find(|set| set.revision == *revision);
        let Some(set) = set.filter(|_| self.world.template() != *revision) else { return Ok(()) };
        let template = without_hash(&set.object.spec.template);
        Ok(self.cluster.set_template(&self.world.deployment, template).await?)
    }

    /// Writes what people see, if it has changed.
    pub(super) async fn publish(&mut self, trouble: Option<&Trouble>) -> Result<(), TurnError> {
        self.status.observed_generation = self.object.metadata.generation;
        self.status.template = Some(self.world.template());
        self.status.desired_replicas = self.world.wanted_replicas();
        self.status.revisions = self.world.revisions();
        self.status.replicas = self.world.replicas();
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
        self.look().await?;
        self.keep().await?;
        Ok(Observation {
            template: self.world.template(),
            replicas: self.world.wanted_replicas(),
            stable: self.stable_fleet(),
            candidate: self.world.candidate_fleet(self.candidate_name().as_deref()),
            routing: Routing::default(),
            sample: self.sample.take(),
        })
    }

    async fn store(&mut self, status: Status) -> Result<(), TurnError> {
        self.status.release = status;
        self.publish(None).await
    }

    async fn carry_out(&mut self, action: Action) -> Result<(), TurnError> {
        match action {
            // Without routers the number of pods is the share.
            Action::Route(_) => Ok(()),
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
        tracing::debug!(canary = %self.name(), decision_us = decision.as_micros(), "Decided");
    }
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
