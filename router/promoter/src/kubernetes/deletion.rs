//! A Canary on its way out: everything becomes as it was, and no unjudged version reaches anybody.

use super::cluster::{Cluster, FINALIZER};
use super::object::{CanaryObject, name_of};
use super::platform::TurnError;
use super::prepare::shape;
use super::refusal::spec_of;
use super::revision::without_hash;
use super::service;
use super::status::CanaryStatus;
use super::traffic::{Traffic, Write, pinned};
use super::world::{NEXT, World};
use crate::http;
use jiff::Timestamp;
use k8s_openapi::api::core::v1::Service;
use kube::api::PropagationPolicy;
use release::{Phase, Promotion, Revision, Route};
use serde_json::Value;
use split::Weight;

/// How long routers may take to give stable all requests. Their route goes with the Canary in the end.
const SHIFT_SECONDS: i64 = 30;

/// The tasks in their order; the first that has something to do is done, and the rest waits for the next look.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Task {
    /// Waits for the Deployment to have what it is adopting.
    FinishAdoption,
    /// Gives stable all requests.
    Shift,
    /// Gives stable all its replicas.
    RestoreReplicas,
    /// Ends the candidate with its pods.
    RemoveCandidate,
    /// Lets the user's own Service select as it did.
    Unpin,
    /// Puts stable's template back: resuming would roll an unjudged one out.
    RestoreTemplate,
    /// Resumes the Deployment.
    LetGo,
}

const TASKS: [Task; 7] = [
    Task::FinishAdoption,
    Task::RestoreReplicas,
    Task::Shift,
    Task::RemoveCandidate,
    Task::Unpin,
    Task::RestoreTemplate,
    Task::LetGo,
];

/// What the tasks need to know.
struct Estate<'a> {
    cluster: &'a Cluster,
    canary: &'a str,
    world: World,
    /// How requests are shared out; none where the Canary never wrote it.
    traffic: Option<Traffic>,
    services: Vec<Service>,
    stable: Revision,
    /// Whether the routers have had time enough.
    overdue: bool,
}

/// Does the next of the tasks; whether all of them are done and the Canary is gone.
pub(super) async fn give_back(
    cluster: &Cluster,
    object: &CanaryObject,
    http: &http::Client,
) -> Result<bool, TurnError> {
    let finalizers = object.metadata.finalizers.clone().unwrap_or_default();
    if !finalizers.iter().any(|finalizer| finalizer == FINALIZER) {
        return Ok(true);
    }
    if let Some(estate) = estate(cluster, object, http).await? {
        for task in TASKS {
            if task.run(&estate).await? {
                return Ok(false);
            }
        }
    }
    let rest: Vec<String> = finalizers.into_iter().filter(|finalizer| finalizer != FINALIZER).collect();
    cluster.set_finalizers(object, &rest).await?;
    let name = name_of(&object.metadata);
    tracing::info!(canary = %name, "The Canary {name} is gone, and its Deployment is as it was");
    Ok(true)
}

/// What there is to give back; none where nothing was ever held.
async fn estate<'a>(
    cluster: &'a Cluster,
    object: &'a CanaryObject,
    http: &http::Client,
) -> Result<Option<Estate<'a>>, TurnError> {
    let canary = name_of(&object.metadata);
    let deployment = object.spec.get("deployment").and_then(Value::as_str).unwrap_or_default();
    let status = object.status.clone().and_then(|status| serde_json::from_value::<CanaryStatus>(status).ok());
    let (Some(status), Some(world)) = (status, cluster.world(canary, deployment).await?) else {
        return Ok(None);
    };
    let Some(stable) = stable_of(&status, &world) else { return Ok(None) };
    let services = cluster.services().await?;
    let remembered = service::remembered(&services, canary);
    let traffic = match (spec_of(object), remembered) {
        (Ok(spec), Some(found)) => Some(cluster.traffic(shape(object, &spec, found), http).await?),
        _ => None,
    };
    let deleted = object.metadata.deletion_timestamp.as_ref().map(|time| time.0);
    let overdue = deleted.is_some_and(|at| Timestamp::now().as_second() - at.as_second() >= SHIFT_SECONDS);
    Ok(Some(Estate { cluster, canary, world, traffic, services, stable, overdue }))
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
    async fn run(self, estate: &Estate<'_>) -> Result<bool, TurnError> {
        let Estate { cluster, canary, world, services, stable, .. } = estate;
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
            Self::Shift => estate.shift().await,
            Self::RemoveCandidate => {
                for candidate in world.candidates.iter().filter(|candidate| !candidate.is_ending()) {
                    cluster.delete(candidate, PropagationPolicy::Foreground).await?;
                }
                Ok(!world.candidates.is_empty())
            }
            Self::Unpin => {
                for service in pinned(services, canary) {
                    cluster.write(canary, &Write::Unpin { service: service.to_owned() }).await?;
                }
                Ok(false)
            }
            Self::RestoreTemplate => {
                let set = world.sets.iter().find(|set| set.revision == *stable);
                let is_stable = world.template() == *stable && deployment.annotation(NEXT).is_none();
                let Some(set) = set.filter(|_| !is_stable) else { return Ok(false) };
                cluster.set_template(deployment, without_hash(&set.object.spec.template), None).await?;
                Ok(true)
            }
            Self::LetGo => {
                cluster.let_go(deployment).await?;
                Ok(false)
            }
        }
    }
}

// === impl Estate ===

impl Estate<'_> {
    /// Whether some router may still send requests to the candidate.
    async fn shift(&self) -> Result<bool, TurnError> {
        let Some(traffic) = self.traffic.as_ref().filter(|_| !self.overdue) else { return Ok(false) };
        let Some(now) = traffic.recorded() else { return Ok(false) };
        let desired = Route { stable: self.stable.clone(), weight: Weight::ZERO, ..now.clone() };
        if now == desired && now.canary.is_none() {
            return Ok(false);
        }
        for write in &traffic.next(&self.world, &desired) {
            self.cluster.write(self.canary, write).await?;
        }
        let routing = traffic.routing(&self.world);
        let shifted = routing.routers == 0 || routing.acknowledges(&desired);
        Ok(!shifted || routing.canary_in_flight > 0)
    }
}
