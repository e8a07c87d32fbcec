use super::*;
use crate::kubernetes::service::Found;
use crate::kubernetes::settings::{Overrides, Sticky};
use k8s_openapi::apimachinery::pkg::util::intstr::IntOrString;

fn shape() -> Shape {
    let owner = OwnerReference { name: "blog".to_owned(), uid: "c1".to_owned(), ..OwnerReference::default() };
    let found = Found {
        name: Some("web".to_owned()),
        port: 80,
        target: IntOrString::String("http".to_owned()),
        app_protocol: None,
        selector: [("app".to_owned(), "blog".to_owned())].into(),
    };
    let settings = RouteSettings::default();
    Shape { name: "blog".to_owned(), namespace: "shop".to_owned(), owner, settings, found }
}

fn weight(basis_points: u16) -> Weight {
    Weight::from_basis_points(basis_points).unwrap()
}

fn read(value: &Value) -> HttpRoute {
    serde_json::from_value(value.clone()).unwrap()
}

#[test]
fn one_http_route_holds_both_weights_and_names_the_canary() {
    let route = shape().http_route(weight(125));
    assert_eq!(route["metadata"]["annotations"], json!({"huidu.dev/canary": "blog-canary"}));
    assert_eq!(route["spec"]["parentRefs"], json!([{"group": "", "kind": "Service", "name": "router"}]));
    let backends = &route["spec"]["rules"][0]["backendRefs"];
    assert_eq!((&backends[0]["name"], &backends[0]["weight"]), (&json!("blog-stable"), &json!(9875)));
    assert_eq!((&backends[1]["name"], &backends[1]["weight"]), (&json!("blog-canary"), &json!(125)));
    assert_eq!(read(&route).weight("blog-canary"), weight(125));
}

#[test]
fn how_a_request_chooses_its_track_goes_to_the_router_as_json() {
    let mut shape = shape();
    shape.settings.sticky = Some(Sticky { header: Some("x-user".to_owned()), cookie: None, address: None });
    shape.settings.overrides = Some(Overrides { header: None, cookie: Some("canary".to_owned()) });
    let annotations = shape.http_route(weight(0))["metadata"]["annotations"].clone();
    assert_eq!(annotations["huidu.dev/sticky"], r#"{"header":"x-user"}"#);
    assert_eq!(annotations["huidu.dev/override"], r#"{"cookie":"canary"}"#);
}

#[test]
fn limits_go_to_the_router_as_the_gateway_api_has_them_or_as_json() {
    let mut shape = shape();
    shape.settings = serde_json::from_value(json!({
        "timeouts": {"request": "10s"},
        "backends": {"maxRequests": 50, "queue": {"maxRequests": 9}, "slowStart": "30s", "health": {"path": "/healthz"}},
    }))
    .unwrap();
    let route = shape.http_route(weight(0));
    assert_eq!(route["spec"]["rules"][0]["timeouts"], json!({"request": "10s"}));
    assert_eq!(
        route["metadata"]["annotations"]["huidu.dev/backends"],
        r#"{"maxRequests":50,"queue":{"maxRequests":9},"slowStart":"30s","health":{"path":"/healthz"}}"#
    );
    let wrong = json!({"backends": {"health": {"path": "healthz"}}});
    let error = serde_json::from_value::<RouteSettings>(wrong).unwrap_err();
    assert!(error.to_string().contains("begin it with `/`"), "{error}");
}

#[test]
fn a_track_is_pinned_by_the_hash_of_its_pods() {
    let revision = Revision::new("a1");
    let service = shape().service(Track::Canary, Some(&revision), "6d4cf56db6");
    assert_eq!(service["metadata"]["name"], "blog-canary");
    assert_eq!(service["metadata"]["annotations"], json!({REVISION: "a1"}));
    assert_eq!(service["spec"]["selector"], json!({"app": "blog", "pod-template-hash": "6d4cf56db6"}));
    assert_eq!(service["spec"]["ports"][0]["targetPort"], "http");
}

#[test]
fn what_the_api_server_fills_in_is_no_difference() {
    let wanted = shape().http_route(weight(500));
    let mut live = wanted.clone();
    live["spec"]["rules"][0]["backendRefs"][0]["filters"] = json!([]);
    live["metadata"]["annotations"]["kubectl.kubernetes.io/x"] = json!("y");
    assert!(is_as_wanted(&live, &wanted));
}

#[test]
fn what_somebody_changed_is_a_difference() {
    let wanted = shape().http_route(weight(500));
    for (path, value) in [
        ("/spec/rules/0/backendRefs/1/weight", json!(9000)),
        ("/spec/parentRefs", json!([])),
        ("/spec/hostnames", json!(["elsewhere.example"])),
        ("/spec/rules/0/timeouts", json!({"request": "1s"})),
        ("/metadata/annotations", json!({})),
        ("/metadata/annotations/huidu.dev~1sticky", json!("{}")),
        ("/metadata/labels", json!({})),
    ] {
        let mut live = wanted.clone();
        let (parent, field) = path.rsplit_once('/').unwrap();
        let field = field.replace("~1", "/");
        match live.pointer_mut(parent).unwrap() {
            Value::Array(items) => items[field.parse::<usize>().unwrap()] = value,
            other => other[field] = value,
        }
        assert!(!is_as_wanted(&live, &wanted), "{path}");
    }
}

#[test]
fn another_writer_of_the_spec_is_named_and_one_of_the_status_is_not() {
    let managed = |manager: &str, subresource: &str, field: &str| json!({"manager": manager, "subresource": subresource, "fieldsV1": {field: {}}});
    let written_by = |entries: Value| {
        let metadata = serde_json::from_value(json!({"name": "blog", "managedFields": entries})).unwrap();
        other_writer(&metadata, "us")
    };
    assert_eq!(written_by(json!([managed("us", "", "f:spec"), managed("gw", "status", "f:status")])), None);
    let edited = json!([managed("us", "", "f:spec"), managed("kubectl-edit", "", "f:spec")]);
    assert_eq!(written_by(edited), Some("kubectl-edit".to_owned()));
}

#[test]
fn a_route_without_weights_gives_the_candidate_nothing() {
    let route =
        read(&json!({"metadata": {}, "spec": {"rules": [{"backendRefs": [{"name": "blog-stable"}]}]}}));
    assert_eq!(route.weight("blog-canary"), Weight::ZERO);
    let both = json!([{"name": "blog-stable"}, {"name": "blog-canary"}]);
    let route = read(&json!({"metadata": {}, "spec": {"rules": [{"backendRefs": both}]}}));
    assert_eq!(route.weight("blog-canary"), weight(5_000), "1 is the default of both");
}
