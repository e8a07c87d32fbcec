//! How requests are shared out at one moment: what is written for the routers, and what they make of it.
//!
//! ```text
//!            Service «name»-stable ── pod-template-hash ──► stable's pods      ┐
//! HTTPRoute ┤                                                                 ├ seen again in every router's endpoints
//!            Service «name»-canary ── pod-template-hash ──► candidate's pods   ┘
//! the user's own Service ──────────── pod-template-hash ──► stable's pods
//! ```

use super::acknowledgement;
use super::gateway::{HttpRoute, NOBODY, Shape, is_as_wanted, other_writer};
use super::object::name_of;
use super::service::{PINNED_BY, hash_of, pinned_by};
use super::settings::Acknowledgement;
use super::world::{REVISION, World};
use crate::routers::{Admin, RouterState};
use jiff::Timestamp;
use k8s_openapi::api::core::v1::Service;
use release::{Revision, Route, Routing, Trip};
use serde_json::Value;
use split::Track;

/// Who writes what a Canary makes.
pub(super) const MANAGER: &str = "huidu-promoter";

/// What was read.
#[derive(Clone, Debug)]
pub(super) struct Traffic {
    pub(super) shape: Shape,
    /// All Services of the namespace.
    pub(super) services: Vec<Service>,
    pub(super) route: Option<HttpRoute>,
    /// The pods of Huidu's router; empty where others share the requests out.
    pub(super) routers: Vec<Report>,
    /// When it was read.
    pub(super) at: Timestamp,
}

/// What one router says.
#[derive(Clone, Debug)]
pub(super) struct Report {
    /// The name of its pod.
    pub(super) name: String,
    pub(super) admin: Admin,
    /// What it does, or why that is not known.
    pub(super) answer: Result<RouterState, String>,
}

/// One thing to be written.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Write {
    /// The Service of a track.
    Service(Value),
    /// The HTTPRoute.
    Route(Value),
    /// The user's Service selects pods of this hash only.
    Pin { service: String, hash: String },
    /// A Service of the user selects by its own labels again.
    Unpin { service: String },
}

// === impl Traffic ===

impl Traffic {
    /// What is written, if it is written whole and as this program writes it.
    pub(super) fn written(&self, world: &World) -> Option<Route> {
        self.recorded().filter(|route| self.differences(world, route).is_empty())
    }

    /// What the engine is to know.
    pub(super) fn routing(&self, world: &World) -> Routing {
        let mut routing = Routing {
            written: self.written(world),
            pending: self.pending(world),
            routers: u32::try_from(match self.shape.settings.acknowledgement {
                Acknowledgement::Routers => self.routers.len(),
                Acknowledgement::ParentStatus => self.shape.settings.parents().len(),
            })
            .unwrap_or(u32::MAX),
            ..Routing::default()
        };
        let name = self.shape.route_name();
        for report in &self.routers {
            let routes = report.answer.iter().flat_map(|state| &state.routes);
            for route in routes.filter(|route| route.name == name) {
                routing.stable_in_flight += route.in_flight(Track::Stable);
                routing.canary_in_flight += route.in_flight(Track::Canary);
                // A trip that belongs to an older HTTPRoute may be about another candidate.
                if let Some(trip) = route.tripped.as_ref().filter(|_| self.is_present(route)) {
                    let (failed, of) = (trip.failed, trip.of);
                    routing.tripped = Some(Trip { router: report.name.clone(), failed, of });
                }
            }
        }
        routing
    }

    /// Those that do not do what is written, each with its reason.
    pub(super) fn pending(&self, world: &World) -> Vec<String> {
        acknowledgement::pending(self, world)
    }

    /// What is to be written next on the way to `desired`: never a weight for replicas that some router does not know.
    ///
    /// | change | when |
    /// |---|---|
    /// | stable's Service, and the user's own | at once: the pods that it leaves are there until the next change is in force |
    /// | the candidate's Service | at once while it has no weight; taken away when every router confirmed that |
    /// | a smaller weight, for the candidate to be taken out | at once |
    /// | any other weight | when every router knows the replicas that it is for |
    pub(super) fn next(&self, world: &World, desired: &Route) -> Vec<Write> {
        let Some(now) = self.recorded() else { return self.differences(world, desired) };
        let settled = self.differences(world, &now).is_empty() && self.pending(world).is_empty();
        let repointing = desired.canary.is_none();
        let known = settled && now.stable == desired.stable && (repointing || now.canary == desired.canary);
        let shift = known || (desired.weight < now.weight && !repointing);
        let replace = now.weight.is_zero() && (settled || !repointing);
        let step = Route {
            stable: desired.stable.clone(),
            canary: if replace { desired.canary.clone() } else { now.canary },
            weight: if shift { desired.weight } else { now.weight },
        };
        self.differences(world, &step)
    }

    /// What somebody else has changed that `writes` puts back.
    pub(super) fn drift(&self, writes: &[Write]) -> Vec<String> {
        let told = |object: &str, name: &str, metadata: Option<&_>| match metadata {
            None => Some(format!("the {object} {name} was deleted; it is made again")),
            Some(metadata) => other_writer(metadata, MANAGER)
                .map(|manager| format!("the {object} {name} was changed by {manager}; it is put back")),
        };
        let made_before = self.recorded_stable().is_some();
        let drift = writes.iter().filter_map(|write| match write {
            Write::Route(_) if made_before => {
                told("HTTPRoute", &self.shape.name, self.route.as_ref().map(|route| &route.metadata))
            }
            Write::Service(body) => {
                let name = body.pointer("/metadata/name").and_then(Value::as_str).unwrap_or_default();
                let service = self.service(name).map(|service| &service.metadata);
                self.route.as_ref().and_then(|_| told("Service", name, service))
            }
            Write::Pin { service, .. } => {
                let live = self.service(service)?;
                let stable = self.service(&self.shape.service_of(Track::Stable))?;
                let was_pinned = pinned_by(live) == Some(self.shape.name.as_str());
                (was_pinned && hash_of(live) != hash_of(stable)).then(|| {
                    format!(
                        "the selector of the Service {service} was changed; it is kept to stable's pods again"
                    )
                })
            }
            Write::Route(_) | Write::Unpin { .. } => None,
        });
        drift.collect()
    }

    /// The generation of the HTTPRoute.
    pub(super) fn generation(&self) -> i64 {
        self.route.as_ref().and_then(|route| route.metadata.generation).unwrap_or_default()
    }

    /// Whether a router's route is the HTTPRoute as it is now.
    pub(super) fn is_present(&self, route: &crate::routers::RouteState) -> bool {
        let uid = self.route.as_ref().and_then(|live| live.metadata.uid.as_ref());
        route.uid.as_ref() == uid && i64::try_from(route.generation).unwrap_or(0) >= self.generation()
    }

    /// The `pod-template-hash` that the Service of a track selects.
    pub(super) fn hash_of(&self, track: Track) -> Option<&str> {
        hash_of(self.service(&self.shape.service_of(track))?)
    }

    /// The revision that the candidate's Service is for.
    pub(super) fn recorded_canary(&self) -> Option<Revision> {
        revision_of(self.service(&self.shape.service_of(Track::Canary))?)
    }

    fn recorded_stable(&self) -> Option<Revision> {
        revision_of(self.service(&self.shape.service_of(Track::Stable))?)
    }

    /// What the objects say that they are for.
    pub(super) fn recorded(&self) -> Option<Route> {
        Some(Route {
            stable: self.recorded_stable()?,
            canary: self.recorded_canary(),
            weight: self.route.as_ref()?.weight(&self.shape.service_of(Track::Canary)),
        })
    }

    pub(super) fn service(&self, name: &str) -> Option<&Service> {
        self.services.iter().find(|service| name_of(&service.metadata) == name)
    }

    /// What is to be written so that the objects are as `route` wants them; nothing where stable has no ReplicaSet.
    fn differences(&self, world: &World, route: &Route) -> Vec<Write> {
        let Some(stable_hash) = world.hash_of_stable(&route.stable) else { return Vec::new() };
        let canary_hash = route.canary.as_ref().and_then(|revision| world.hash_of_candidate(revision));
        let shape = &self.shape;
        let mut writes = Vec::new();
        for (track, revision, hash) in [
            (Track::Stable, Some(&route.stable), stable_hash),
            (Track::Canary, route.canary.as_ref(), canary_hash.unwrap_or(NOBODY)),
        ] {
            let wanted = shape.service(track, revision, hash);
            let live = self.service(&shape.service_of(track));
            if !live.is_some_and(|live| is_as_wanted(live, &wanted)) {
                writes.push(Write::Service(wanted));
            }
        }
        writes.extend(self.pins(stable_hash));
        let wanted = shape.http_route(route.weight);
        if !self.route.as_ref().is_some_and(|live| is_as_wanted(live, &wanted)) {
            writes.push(Write::Route(wanted));
        }
        writes
    }

    /// The user's own Service is kept to stable's pods, and no other.
    fn pins(&self, stable_hash: &str) -> Vec<Write> {
        let own = self.shape.found.name.as_deref();
        let mut writes = Vec::new();
        for service in &self.services {
            let name = name_of(&service.metadata);
            let pinned = pinned_by(service) == Some(self.shape.name.as_str());
            if Some(name) == own && !(pinned && hash_of(service) == Some(stable_hash)) {
                writes.push(Write::Pin { service: name.to_owned(), hash: stable_hash.to_owned() });
            } else if Some(name) != own && own.is_some() && pinned {
                writes.push(Write::Unpin { service: name.to_owned() });
            }
        }
        writes
    }
}

/// All of the user's Services that a Canary keeps to stable's pods.
pub(super) fn pinned<'a>(services: &'a [Service], canary: &'a str) -> impl Iterator<Item = &'a str> {
    services
        .iter()
        .filter(move |service| pinned_by(service) == Some(canary))
        .map(|service| name_of(&service.metadata))
}

/// The patch that pins a Service, or, without a hash, gives it back. Its selector is atomic to server-side apply: only a
/// merge patch changes one key of it.
pub(super) fn pin(canary: &str, hash: Option<&str>) -> Value {
    let by = hash.map(|_| canary);
    serde_json::json!({
        "metadata": {"annotations": {PINNED_BY: by}},
        "spec": {"selector": {super::revision::HASH_LABEL: hash}},
    })
}

fn revision_of(service: &Service) -> Option<Revision> {
    service.metadata.annotations.as_ref()?.get(REVISION).map(Revision::new)
}

#[cfg(test)]
#[path = "traffic_tests.rs"]
mod tests;
