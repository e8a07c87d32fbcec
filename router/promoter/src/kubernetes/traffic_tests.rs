use super::*;
use crate::kubernetes::fixtures::{candidate, deployment, pod, pods, revision, set, world};
use crate::kubernetes::service::Found;
use crate::kubernetes::settings::RouteSettings;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::OwnerReference;
use k8s_openapi::apimachinery::pkg::util::intstr::IntOrString;
use serde_json::json;
use split::Weight;

/// v1 has the readers and v2 is tried, three ready pods each.
fn release() -> World {
    let sets = [set("v1", Some("own"), "blog:v1", 3), set("v2", Some("second"), "blog:v2", 3)];
    let pods = [pods("v1", 3), pods("v2", 3)].concat();
    world(deployment("own", "blog:v2", 3), &[candidate("second", "blog:v2", 3)], &sets, &pods)
}

fn shape() -> Shape {
    let owner = OwnerReference { uid: "c1".to_owned(), ..OwnerReference::default() };
    let found = Found {
        name: Some("web".to_owned()),
        port: 80,
        target: IntOrString::Int(8080),
        app_protocol: None,
        selector: [("app".to_owned(), "blog".to_owned())].into(),
    };
    let settings = RouteSettings::default();
    Shape { name: "blog".to_owned(), namespace: "shop".to_owned(), owner, settings, found }
}

fn route(stable: &str, canary: Option<&str>, basis_points: u16) -> Route {
    Route {
        stable: revision(stable),
        canary: canary.map(revision),
        weight: Weight::from_basis_points(basis_points).unwrap(),
    }
}

/// A cluster in which nothing but the user's own Service exists.
fn nothing() -> Traffic {
    let own =
        json!({"metadata": {"name": "web"}, "spec": {"selector": {"app": "blog"}, "ports": [{"port": 80}]}});
    let own = serde_json::from_value(own).unwrap();
    let at = Timestamp::UNIX_EPOCH;
    Traffic { shape: shape(), services: vec![own], route: None, routers: Vec::new(), at }
}

/// A cluster in which everything was written that is to be written next, as often as it takes.
fn written(world: &World, desired: &Route) -> Traffic {
    let mut traffic = nothing();
    apply(&mut traffic, &nothing().differences(world, desired));
    assert_eq!(traffic.written(world).as_ref(), Some(desired));
    traffic
}

/// What the API server makes of writes.
fn apply(traffic: &mut Traffic, writes: &[Write]) {
    for write in writes {
        match write {
            Write::Service(body) => {
                let service: Service = serde_json::from_value(body.clone()).unwrap();
                traffic.services.retain(|other| other.metadata.name != service.metadata.name);
                traffic.services.push(service);
            }
            Write::Route(body) => {
                let mut body = body.clone();
                body["metadata"]["uid"] = json!("r1");
                body["metadata"]["generation"] = json!(traffic.generation() + 1);
                traffic.route = Some(serde_json::from_value(body).unwrap());
            }
            Write::Pin { service, hash } => pinned_to(traffic, service, Some(hash)),
            Write::Unpin { service } => pinned_to(traffic, service, None),
        }
    }
}

fn pinned_to(traffic: &mut Traffic, name: &str, hash: Option<&str>) {
    let service = traffic.services.iter_mut().find(|service| name_of(&service.metadata) == name).unwrap();
    let patch = pin("blog", hash);
    let mut value = serde_json::to_value(&*service).unwrap();
    value["metadata"]["annotations"] = patch["metadata"]["annotations"].clone();
    if hash.is_none() {
        value["metadata"]["annotations"] = json!({});
    }
    value["spec"]["selector"] = json!({"app": "blog"});
    if let Some(hash) = hash {
        value["spec"]["selector"]["pod-template-hash"] = json!(hash);
    }
    *service = serde_json::from_value(value).unwrap();
}

/// A router that follows everything at once.
fn router(name: &str, traffic: &Traffic, world: &World) -> Report {
    let weight = traffic.recorded().unwrap().weight.basis_points();
    let endpoints = |track| {
        let hash = traffic.hash_of(track).unwrap();
        let addresses = world.addresses(hash).ready.into_iter();
        addresses.map(|ip| json!({"address": format!("{ip}:8080")})).collect::<Vec<_>>()
    };
    let state = json!({
        "generation": 9,
        "routes": [{"name": "shop/blog", "generation": traffic.generation(), "uid": "r1", "backends": [
            {"track": "stable", "weight": 10_000 - weight, "inFlight": 2, "endpoints": endpoints(Track::Stable)},
            {"track": "canary", "weight": weight, "inFlight": 1, "endpoints": endpoints(Track::Canary)},
        ]}],
    });
    let admin = Admin::at([10, 0, 0, 9].into(), 8081);
    Report { name: name.to_owned(), admin, answer: Ok(serde_json::from_value(state).unwrap()) }
}

fn follow(traffic: &mut Traffic, world: &World) {
    traffic.routers = vec![router("router-a", traffic, world), router("router-b", traffic, world)];
}

fn kinds(writes: &[Write]) -> Vec<String> {
    let name = |body: &Value| body["metadata"]["name"].as_str().unwrap().to_owned();
    let kind = |write: &Write| match write {
        Write::Service(body) => format!("{}→{}", name(body), body["spec"]["selector"]["pod-template-hash"]),
        Write::Route(body) => format!("weight {}", body["spec"]["rules"][0]["backendRefs"][1]["weight"]),
        Write::Pin { service, hash } => format!("{service}→{hash:?}"),
        Write::Unpin { service } => format!("{service}→"),
    };
    writes.iter().map(|write| kind(write).replace('"', "")).collect()
}

#[test]
fn the_first_time_everything_is_written_and_then_nothing_any_more() {
    let world = release();
    let desired = route("blog:v1", None, 0);
    let writes = nothing().next(&world, &desired);
    assert_eq!(kinds(&writes), ["blog-stable→v1", "blog-canary→none", "web→v1", "weight 0"]);
    assert!(written(&world, &desired).next(&world, &desired).is_empty());
}

#[test]
fn a_weight_is_raised_when_every_router_knows_the_candidates_pods() {
    let world = release();
    let desired = route("blog:v1", Some("blog:v2"), 500);
    let mut traffic = written(&world, &route("blog:v1", Some("blog:v2"), 0));
    follow(&mut traffic, &world);
    assert_eq!(kinds(&traffic.next(&world, &desired)), ["weight 500"]);
    let state = traffic.routers[1].answer.as_mut().unwrap();
    state.routes[0].backends[1].endpoints.pop();
    assert!(traffic.next(&world, &desired).is_empty());
    assert_eq!(traffic.pending(&world), ["router-b (knows 2 of 3 ready pods of canary)"]);
}

#[test]
fn a_bad_candidate_loses_its_weight_at_once_whatever_routers_say() {
    let world = release();
    let mut traffic = written(&world, &route("blog:v1", Some("blog:v2"), 2_000));
    follow(&mut traffic, &world);
    traffic.routers[0].answer = Err("connection refused".to_owned());
    let desired = route("blog:v1", Some("blog:v2"), 0);
    let writes = traffic.next(&world, &desired);
    assert_eq!(kinds(&writes), ["weight 0"]);
    apply(&mut traffic, &writes);
    assert_eq!(traffic.pending(&world), ["router-a (connection refused)", "router-b (at generation 1 of 2)"]);
}

#[test]
fn stable_is_repointed_without_a_moment_in_which_a_router_has_nobody() {
    let world = release();
    let desired = route("blog:v2", None, 0);
    let mut traffic = written(&world, &route("blog:v1", Some("blog:v2"), 10_000));
    follow(&mut traffic, &world);
    let mut seen = Vec::new();
    for _ in 0..3 {
        let writes = traffic.next(&world, &desired);
        apply(&mut traffic, &writes);
        assert!(traffic.next(&world, &desired).is_empty(), "nothing more before the routers follow");
        follow(&mut traffic, &world);
        seen.push(kinds(&writes).join(", "));
    }
    assert_eq!(seen, ["blog-stable→v2, web→v2", "weight 0", "blog-canary→none"]);
    assert!(traffic.routing(&world).acknowledges(&desired));
}

#[test]
fn a_router_that_is_dead_or_cut_off_keeps_the_candidates_service() {
    let world = release();
    let mut traffic = written(&world, &route("blog:v1", Some("blog:v2"), 0));
    follow(&mut traffic, &world);
    let idle = route("blog:v1", None, 0);
    traffic.routers[1].answer = Err("no answer within 1s".to_owned());
    assert!(traffic.next(&world, &idle).is_empty());
    traffic.routers.pop();
    assert_eq!(kinds(&traffic.next(&world, &idle)), ["blog-canary→none"], "gone from the endpoints");
}

#[test]
fn the_nodes_are_given_time_to_follow_the_users_service() {
    let world = release();
    let mut traffic = written(&world, &route("blog:v1", Some("blog:v2"), 500));
    follow(&mut traffic, &world);
    let own = traffic.services.iter_mut().find(|service| name_of(&service.metadata) == "web").unwrap();
    let ours = json!({"manager": MANAGER, "time": "1970-01-01T00:00:00Z", "fieldsV1": {"f:spec": {}}});
    own.metadata.managed_fields = Some(vec![serde_json::from_value(ours).unwrap()]);
    assert_eq!(traffic.pending(&world), ["Service web (moved 0 s ago; the nodes are given 3 s to follow)"]);
    traffic.at = Timestamp::from_second(3).unwrap();
    assert_eq!(traffic.pending(&world), [""; 0]);
}

#[test]
fn a_router_that_is_cut_off_says_so() {
    let world = release();
    let mut traffic = written(&world, &route("blog:v1", Some("blog:v2"), 500));
    follow(&mut traffic, &world);
    let state = traffic.routers[0].answer.as_mut().unwrap();
    state.source = Some(crate::routers::SourceState { connected: Some(false) });
    state.routes[0].generation = 0;
    assert_eq!(traffic.pending(&world), ["router-a (at generation 0 of 1, cut off from the API server)"]);
    state_routes(&mut traffic).clear();
    assert_eq!(traffic.pending(&world), ["router-a (has no route shop/blog, cut off from the API server)"]);
}

fn state_routes(traffic: &mut Traffic) -> &mut Vec<crate::routers::RouteState> {
    &mut traffic.routers[0].answer.as_mut().unwrap().routes
}

#[test]
fn an_older_http_route_of_the_same_name_acknowledges_nothing() {
    let world = release();
    let mut traffic = written(&world, &route("blog:v1", Some("blog:v2"), 500));
    follow(&mut traffic, &world);
    state_routes(&mut traffic)[0].uid = Some("r0".to_owned());
    assert_eq!(traffic.pending(&world).len(), 1);
}

#[test]
fn pods_of_another_revision_are_no_stable() {
    let world = release();
    let mut traffic = written(&world, &route("blog:v1", Some("blog:v2"), 500));
    follow(&mut traffic, &world);
    let route = &mut state_routes(&mut traffic)[0];
    let stray = route.backends[1].endpoints[0].clone();
    route.backends[0].endpoints.push(stray);
    assert_eq!(traffic.pending(&world), ["router-a (has 1 other pods as stable)"]);
}

#[test]
fn requests_in_flight_are_those_of_all_routers() {
    let world = release();
    let mut traffic = written(&world, &route("blog:v1", Some("blog:v2"), 500));
    follow(&mut traffic, &world);
    let routing = traffic.routing(&world);
    assert_eq!((routing.stable_in_flight, routing.canary_in_flight, routing.routers), (4, 2, 2));
}

#[test]
fn a_candidate_without_a_replica_set_yet_is_selected_by_nobody_and_then_by_its_hash() {
    let full = release();
    let without = World { sets: vec![full.sets[0].clone()], pods: Vec::new(), ..full.clone() };
    let desired = route("blog:v1", Some("blog:v2"), 0);
    let mut traffic = written(&without, &route("blog:v1", None, 0));
    let writes = traffic.next(&without, &desired);
    assert_eq!(kinds(&writes), ["blog-canary→none"], "its revision is noted");
    apply(&mut traffic, &writes);
    assert_eq!(kinds(&traffic.next(&full, &desired)), ["blog-canary→v2"]);
}

#[test]
fn an_http_route_edited_by_hand_is_put_back_and_told() {
    let world = release();
    let desired = route("blog:v1", Some("blog:v2"), 500);
    let mut traffic = written(&world, &desired);
    let live = traffic.route.as_mut().unwrap();
    live.spec["rules"][0]["backendRefs"][1]["weight"] = json!(90_000);
    live.metadata.managed_fields = Some(vec![
        serde_json::from_value(json!({"manager": "kubectl-edit", "fieldsV1": {"f:spec": {}}})).unwrap(),
    ]);
    assert_ne!(traffic.written(&world).as_ref(), Some(&desired));
    let writes = traffic.next(&world, &desired);
    assert_eq!(kinds(&writes), ["weight 500"]);
    assert_eq!(traffic.drift(&writes), ["the HTTPRoute blog was changed by kubectl-edit; it is put back"]);
}

#[test]
fn an_http_route_deleted_by_hand_is_made_again_and_told() {
    let world = release();
    let desired = route("blog:v1", Some("blog:v2"), 500);
    let mut traffic = written(&world, &desired);
    traffic.route = None;
    let writes = traffic.next(&world, &desired);
    assert_eq!(kinds(&writes), ["weight 500"]);
    assert_eq!(traffic.drift(&writes), ["the HTTPRoute blog was deleted; it is made again"]);
}

#[test]
fn the_users_service_whose_selector_was_changed_is_kept_to_stable_again() {
    let world = release();
    let desired = route("blog:v1", Some("blog:v2"), 500);
    let mut traffic = written(&world, &desired);
    let own = traffic.services.iter_mut().find(|service| name_of(&service.metadata) == "web").unwrap();
    own.spec.as_mut().unwrap().selector.as_mut().unwrap().remove("pod-template-hash");
    let writes = traffic.next(&world, &desired);
    assert_eq!(kinds(&writes), ["web→v1"]);
    assert_eq!(traffic.drift(&writes).len(), 1);
}

#[test]
fn a_service_that_is_not_the_readers_any_more_is_given_back() {
    let world = release();
    let desired = route("blog:v1", None, 0);
    let mut traffic = written(&world, &desired);
    let mut other = traffic.services[0].clone();
    other.metadata.name = Some("other".to_owned());
    other.metadata.annotations = Some([(PINNED_BY.to_owned(), "blog".to_owned())].into());
    traffic.services.push(other);
    assert_eq!(kinds(&traffic.next(&world, &desired)), ["other→"]);
}

#[test]
fn other_data_planes_acknowledge_by_their_status_and_are_given_time() {
    let world = release();
    let mut traffic = written(&world, &route("blog:v1", Some("blog:v2"), 500));
    traffic.shape.settings.acknowledgement = Acknowledgement::ParentStatus;
    assert_eq!(traffic.pending(&world), ["router (says nothing about the HTTPRoute)"]);
    let condition = |kind: &str, generation: i64, status: &str| json!({"type": kind, "status": status, "observedGeneration": generation, "message": "no such Service"});
    let mut says = |accepted: Value, resolved: Value| {
        let parents =
            json!({"parents": [{"parentRef": {"name": "router"}, "conditions": [accepted, resolved]}]});
        traffic.route.as_mut().unwrap().status = serde_json::from_value(parents).unwrap();
        traffic.pending(&world)
    };
    let ok = || condition("Accepted", 1, "True");
    assert_eq!(says(condition("Accepted", 0, "True"), ok()), ["router (at generation 0 of 1)"]);
    assert_eq!(
        says(ok(), condition("ResolvedRefs", 1, "False")),
        ["router (ResolvedRefs is False: no such Service)"]
    );
    assert_eq!(says(ok(), condition("ResolvedRefs", 1, "True")), [""; 0]);
    let ours = json!({"manager": MANAGER, "time": "1970-01-01T00:00:00Z", "fieldsV1": {"f:spec": {}}});
    traffic.route.as_mut().unwrap().metadata.managed_fields =
        Some(vec![serde_json::from_value(ours).unwrap()]);
    assert_eq!(
        traffic.pending(&world),
        ["router (written 0 s ago; it is given 5 s to follow the endpoints)"]
    );
    traffic.at = Timestamp::from_second(5).unwrap();
    assert!(traffic.routing(&world).acknowledges(&route("blog:v1", Some("blog:v2"), 500)));
}

#[test]
fn a_pod_that_is_not_ready_may_be_known_or_not() {
    let mut world = release();
    world.pods.push(serde_json::from_value(pod("v2", 9, "False")).unwrap());
    let mut traffic = written(&world, &route("blog:v1", Some("blog:v2"), 500));
    follow(&mut traffic, &world);
    assert!(traffic.pending(&world).is_empty());
    let known = world.addresses("v2").all;
    let route = &mut state_routes(&mut traffic)[0];
    route.backends[1].endpoints = known
        .iter()
        .map(|ip| serde_json::from_value(json!({"address": format!("{ip}:8080")})).unwrap())
        .collect();
    assert!(traffic.pending(&world).is_empty());
}
