//! Who does not do yet what is written, and why.

use super::gateway::ParentStatus;
use super::settings::{Acknowledgement, ParentRef};
use super::traffic::{MANAGER, Report, Traffic};
use super::world::World;
use crate::routers::{RouteState, RouterState};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use split::Track;
use std::collections::BTreeSet;
use std::net::IpAddr;

/// How long others than Huidu's router may take to follow the endpoints of a Service: they do not say when they have.
const SETTLE_SECONDS: i64 = 5;

/// How long the nodes' proxies may take to follow the user's own Service: once a second is their default.
const NODE_SECONDS: i64 = 3;

/// Those that lag behind, each with its reason.
pub(super) fn pending(traffic: &Traffic, world: &World) -> Vec<String> {
    let mut pending = lagging(traffic, world);
    pending.extend(moving(traffic));
    pending
}

fn lagging(traffic: &Traffic, world: &World) -> Vec<String> {
    match traffic.shape.settings.acknowledgement {
        Acknowledgement::Routers => {
            let lag = |report: &Report| Some(format!("{} ({})", report.name, lag(traffic, report, world)?));
            traffic.routers.iter().filter_map(lag).collect()
        }
        Acknowledgement::ParentStatus => {
            let parents = traffic.shape.settings.parents();
            let lag =
                |parent: &ParentRef| Some(format!("{} ({})", parent.name, parent_lag(traffic, parent)?));
            parents.iter().filter_map(lag).collect()
        }
    }
}

/// Why a router is not known to do what is written, if so.
fn lag(traffic: &Traffic, report: &Report, world: &World) -> Option<String> {
    let state = match &report.answer {
        Ok(state) => state,
        Err(problem) => return Some(problem.clone()),
    };
    let Some(live) = &traffic.route else { return Some("nothing is written yet".to_owned()) };
    let name = traffic.shape.route_name();
    let Some(route) = state.routes.iter().find(|route| route.name == name) else {
        return Some(format!("has no route {name}{}", why_not(state)));
    };
    if !traffic.is_present(route) {
        let (has, wanted) = (route.generation, traffic.generation());
        return Some(format!("at generation {has} of {wanted}{}", why_not(state)));
    }
    let invalid = route.backends.iter().find_map(|backend| backend.invalid.as_ref());
    if let Some(problem) = route.error.as_ref().or(invalid) {
        return Some(problem.clone());
    }
    let wanted = live.weight(&traffic.shape.service_of(Track::Canary)).basis_points();
    let share = route.share_of_canary();
    if share != u64::from(wanted) {
        return Some(format!("gives the candidate {share} of 10000 requests, not {wanted}"));
    }
    let canary = traffic.recorded_canary().is_some();
    let tracks = Track::ALL.into_iter().filter(|track| *track == Track::Stable || canary);
    tracks.filter_map(|track| unknown(traffic, route, track, world)).next()
}

fn why_not(state: &RouterState) -> String {
    if state.source.as_ref().is_some_and(|source| source.connected == Some(false)) {
        return ", cut off from the API server".to_owned();
    }
    state.last_error.as_ref().map(|error| format!(": {error}")).unwrap_or_default()
}

/// Whether a router knows the replicas that the Service of a track selects, and no others.
fn unknown(traffic: &Traffic, route: &RouteState, track: Track, world: &World) -> Option<String> {
    let replicas = world.addresses(traffic.hash_of(track)?);
    let known: BTreeSet<IpAddr> = route
        .of(track)
        .flat_map(|backend| &backend.endpoints)
        .map(|endpoint| endpoint.address.ip())
        .collect();
    let others = known.difference(&replicas.all).count();
    if others > 0 {
        return Some(format!("has {others} other pods as {}", track.as_str()));
    }
    let (ready, missing) = (replicas.ready.len(), replicas.ready.difference(&known).count());
    (missing > 0).then(|| format!("knows {} of {ready} ready pods of {}", ready - missing, track.as_str()))
}

/// Why something else than Huidu's router is not known to do what is written, if so.
fn parent_lag(traffic: &Traffic, parent: &ParentRef) -> Option<String> {
    let Some(route) = &traffic.route else { return Some("nothing is written yet".to_owned()) };
    let says = |status: &&ParentStatus| status.parent_ref.name == parent.name;
    let Some(status) = route.status.parents.iter().find(says) else {
        return Some("says nothing about the HTTPRoute".to_owned());
    };
    let generation = traffic.generation();
    for kind in ["Accepted", "ResolvedRefs"] {
        let Some(condition) = status.conditions.iter().find(|condition| condition.kind == kind) else {
            return Some(format!("has no condition {kind}"));
        };
        if condition.observed_generation < generation {
            return Some(format!("at generation {} of {generation}", condition.observed_generation));
        }
        if condition.status != "True" {
            return Some(format!("{kind} is {}: {}", condition.status, condition.message));
        }
    }
    let since = traffic.at.as_second() - last_write(traffic)?;
    (since < SETTLE_SECONDS)
        .then(|| format!("written {since} s ago; it is given {SETTLE_SECONDS} s to follow the endpoints"))
}

/// The user's own Service, while connections to it may still come to the pods that it had before.
fn moving(traffic: &Traffic) -> Option<String> {
    let name = traffic.shape.found.name.as_ref()?;
    let since = traffic.at.as_second() - written([&traffic.service(name)?.metadata])?;
    (since < NODE_SECONDS).then(|| {
        format!("Service {name} (moved {since} s ago; the nodes are given {NODE_SECONDS} s to follow)")
    })
}

/// When the HTTPRoute or a Service of it was written last.
fn last_write(traffic: &Traffic) -> Option<i64> {
    let services =
        Track::ALL.into_iter().filter_map(|track| traffic.service(&traffic.shape.service_of(track)));
    let services = services.map(|service| &service.metadata);
    written(services.chain(traffic.route.as_ref().map(|route| &route.metadata)))
}

/// When this program wrote one of these objects last.
fn written<'a>(objects: impl IntoIterator<Item = &'a ObjectMeta>) -> Option<i64> {
    let entries = objects.into_iter().flat_map(|metadata| metadata.managed_fields.iter().flatten());
    let ours = entries.filter(|entry| entry.manager.as_deref() == Some(MANAGER));
    ours.filter_map(|entry| Some(entry.time.as_ref()?.0.as_second())).max()
}
