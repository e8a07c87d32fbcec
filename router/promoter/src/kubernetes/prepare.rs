//! From a Canary to everything that a turn of the engine needs, or to why there is none.

use super::candidate::owner_reference;
use super::cluster::Cluster;
use super::crd::CanarySpec;
use super::gateway::Shape;
use super::object::{CanaryObject, name_of};
use super::objects::taken_names;
use super::platform::{TurnError, Workload};
use super::refusal::{Refusal, spec_of, taken, unfit};
use super::service::{self, Found};
use super::settings::Acknowledgement;
use super::status::{CanaryStatus, CountingView};
use super::traffic::Traffic;
use super::world::World;
use crate::evidence::{PrometheusSource, Source};
use crate::http;
use crate::routers::Admin;
use k8s_openapi::api::core::v1::Service;
use release::{Mode, Phase};

/// Everything that a turn needs, or why there is none.
pub(super) async fn prepare(
    cluster: &Cluster,
    object: &CanaryObject,
    http: &http::Client,
    status: CanaryStatus,
) -> Result<Result<Workload, Refusal>, TurnError> {
    let spec = match spec_of(object) {
        Ok(spec) => spec,
        Err(refusal) => return Ok(Err(refusal)),
    };
    if let Some(refusal) = taken(object, &cluster.all_canaries().await?) {
        return Ok(Err(refusal));
    }
    let Some(world) = cluster.world(name_of(&object.metadata), &spec.deployment).await? else {
        return Ok(Err(Refusal::DeploymentNotFound(spec.deployment)));
    };
    // A release that is under way goes on: to stop half-way would help nobody.
    let idle = matches!(status.release.phase, Phase::Initializing | Phase::Stable | Phase::Failed { .. });
    if idle && let Some(refusal) = unfit(&spec, &world, &cluster.autoscalers().await?) {
        return Ok(Err(refusal));
    }
    let traffic = match traffic(cluster, (object, &spec, http), &world, idle).await? {
        Ok(traffic) => traffic,
        Err(refusal) => return Ok(Err(refusal)),
    };
    let (cluster, object, http) = (cluster.clone(), object.clone(), http.clone());
    Ok(Ok(Workload {
        cluster,
        object,
        spec,
        status,
        world,
        traffic,
        http,
        fresh: true,
        sample: None,
        gates: Vec::new(),
        decided: Vec::new(),
        events: Vec::new(),
        drift: Vec::new(),
    }))
}

/// How requests are shared out; none in mode `replicas`.
async fn traffic(
    cluster: &Cluster,
    (object, spec, http): (&CanaryObject, &CanarySpec, &http::Client),
    world: &World,
    idle: bool,
) -> Result<Result<Option<Traffic>, Refusal>, TurnError> {
    if spec.release.mode == Mode::Replicas {
        return Ok(Ok(None));
    }
    let services = cluster.services().await?;
    let found = match found(&services, object, spec, world, idle) {
        Ok(found) => found,
        Err(refusal) => return Ok(Err(refusal)),
    };
    let traffic = cluster.traffic(shape(object, spec, found), http).await?;
    Ok(match taken_names(&traffic) {
        Some((kind, name)) => Err(Refusal::NameTaken { kind, name }),
        None => Ok(Some(traffic)),
    })
}

/// The user's Service; while a release is under way, what is remembered of it will do.
fn found(
    services: &[Service],
    object: &CanaryObject,
    spec: &CanarySpec,
    world: &World,
    idle: bool,
) -> Result<Found, Refusal> {
    let name = name_of(&object.metadata);
    let found = service::find(services, spec, name, &world.deployment.spec.template);
    match found {
        Err(refusal) if !idle => service::remembered(services, name).ok_or(refusal),
        found => found,
    }
}

/// What the objects of a Canary have in common.
pub(super) fn shape(object: &CanaryObject, spec: &CanarySpec, found: Found) -> Shape {
    Shape {
        name: name_of(&object.metadata).to_owned(),
        namespace: object.metadata.namespace.clone().unwrap_or_default(),
        owner: owner_reference(object),
        settings: spec.route.clone(),
        found,
    }
}

/// Where the requests of a workload are counted; `own` is the promoter's own Prometheus server.
pub(super) fn source(workload: &Workload, own: Option<&str>) -> Source {
    let analysis = &workload.spec.release.analysis;
    let route = workload.traffic.as_ref().map(|traffic| traffic.shape.route_name()).unwrap_or_default();
    if let Some(prometheus) = &analysis.prometheus {
        return match PrometheusSource::of(prometheus, own) {
            Ok(server) => Source::prometheus(&server, &route),
            Err(why) => Source::Missing(why),
        };
    }
    let Some(traffic) = &workload.traffic else {
        return Source::Missing(
            "in mode replicas no router counts; write analysis.prometheus.queries".to_owned(),
        );
    };
    let admins: Vec<Admin> = traffic.routers.iter().map(|router| router.admin.clone()).collect();
    match traffic.shape.settings.acknowledgement {
        Acknowledgement::Routers if admins.is_empty() => Source::Missing("no router is there".to_owned()),
        Acknowledgement::Routers => Source::routers(&admins, &route),
        Acknowledgement::ParentStatus => Source::Missing(
            "only Huidu's routers count by themselves; write analysis.prometheus.queries".to_owned(),
        ),
    }
}

/// What is shown of it.
pub(super) fn counting(source: &Source, spec: &CanarySpec) -> CountingView {
    let queries = source.queries(spec.release.analysis.latency_bound);
    let by = match source {
        Source::Routers(_) => "the routers' own metrics".to_owned(),
        Source::Prometheus(reader) => format!("Prometheus at {}", reader.address()),
        Source::Missing(why) => format!("nothing: {why}"),
    };
    CountingView { by, queries }
}
