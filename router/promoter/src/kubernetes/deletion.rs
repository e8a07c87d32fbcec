//! A Canary on its way out: everything becomes as it was, and no unjudged version reaches anybody.

use super::cluster::{Cluster, FINALIZER};
use super::object::{CanaryObject, name_of};
use super::platform::TurnError;
use super::revision::without_hash;
use super::status::CanaryStatus;
use super::world::World;
use kube::api::PropagationPolicy;
use release::{Phase, Promotion, Revision};
use serde_json::Value;

/// The tasks in their order; the first that has something to do is done, and the rest waits for the next look.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Task {
    /// Waits for the Deployment to have what it is adopting.
    FinishAdoption,
    /// Gives stable all its replicas.
    RestoreReplicas,
    /// Ends the candidate with its pods.
    RemoveCandidate,
    /// Puts stable's template back: resuming would roll an unjudged one out.
    RestoreTemplate,
    /// Resumes the Deployment.
    LetGo,
}

const TASKS: [Task; 5] =
    [Task::FinishAdoption, Task::RestoreReplicas, Task::RemoveCandidate, Task::RestoreTemplate, Task::LetGo];

/// Does the next of the tasks; whether all of them are done and the Canary is gone.
pub(super) async fn give_back(cluster: &Cluster, object: &CanaryObject) -> Result<bool, TurnError> {
    let finalizers = object.metadata.finalizers.clone().unwrap_or_default();
    if !finalizers.iter().any(|finalizer| finalizer == FINALIZER) {
        return Ok(true);
    }
    let deployment = object.spec.get("deployment").and_then(Value::as_str).unwrap_or_default();
    let status = object.status.clone().and_then(|status| serde_json::from_value::<CanaryStatus>(status).ok());
    if let (Some(status), Some(world)) = (status, cluster.world(name_of(&object.metadata), deployment).await?)
        && let Some(stable) = stable_of(&status, &world)
    {
        for task in TASKS {
            if task.run(cluster, &world, &stable).await? {
                return Ok(false);
            }
        }
    }
    let rest: Vec<String> = finalizers.into_iter().filter(|finalizer| finalizer != FINALIZER).collect();
    cluster.set_finalizers(object, &rest).await?;
    tracing::info!(canary = %name_of(&object.metadata), "The Deployment {deployment} is as it was");
    Ok(true)
}

/// Whom the Deployment is given back with; none where it was never held.
fn stable_of(status: &CanaryStatus, world: &World) -> Option<Revision> {
    let adopted = match &status.release.phase {
        Phase::Promoting { release, task: Promotion::Adopting } => {
            let orphaned = world.candidate(&release.candidate).is_none();
            orphaned.then(|| release.candidate.clone())
        }
        _ => None,
    };
    adopted.or_else(|| status.release.stable.clone())
}

// === impl Task ===

impl Task {
    /// Whether something was to be done.
    async fn run(self, cluster: &Cluster, world: &World, stable: &Revision) -> Result<bool, TurnError> {
        let deployment = &world.deployment;
        match self {
            Self::FinishAdoption => {
                Ok(!world.sets.iter().any(|set| world.owns(set) && set.revision == *stable))
            }
            Self::RestoreReplicas => {
                let all = world.wanted_replicas();
                cluster.scale_stable(world, all).await?;
                Ok(deployment.spec.replicas != Some(all))
            }
            Self::RemoveCandidate => {
                for candidate in world.candidates.iter().filter(|candidate| !candidate.is_ending()) {
                    cluster.delete(candidate, PropagationPolicy::Foreground).await?;
                }
                Ok(!world.candidates.is_empty())
            }
            Self::RestoreTemplate => {
                let set = world.sets.iter().find(|set| set.revision == *stable);
                let Some(set) = set.filter(|_| world.template() != *stable) else { return Ok(false) };
                cluster.set_template(deployment, without_hash(&set.object.spec.template)).await?;
                Ok(true)
            }
            Self::LetGo => {
                cluster.let_go(deployment).await?;
                Ok(false)
            }
        }
    }
}
