use super::*;
use crate::config::{HeaderName, PathMatch, StickySpec};
use serde::de::DeserializeOwned;

fn object<T: DeserializeOwned>(yaml: &str) -> Arc<T> {
    Arc::new(serde_saphyr::from_str(yaml).unwrap_or_else(|error| panic!("{yaml}\n{error}")))
}

fn http_route(annotations: &str, spec: &str) -> Arc<DynamicObject> {
    object(&format!(
        "{{apiVersion: gateway.networking.k8s.io/v1, kind: HTTPRoute, metadata: {{name: blog, namespace: web, \
         uid: u-1, generation: 7, annotations: {{{annotations}}}}}, \
         spec: {{parentRefs: [{{group: '', kind: Service, name: router}}], {spec}}}}}"
    ))
}

fn service(name: &str, spec: &str) -> Arc<Service> {
    let ports = if spec.contains("ports") { "" } else { "ports: [{name: http, port: 80}], " };
    object(&format!("{{metadata: {{name: {name}, namespace: web}}, spec: {{{ports}{spec}}}}}"))
}

/// Endpoints like `10.0.0.1 ready`, and `serving` or `gone` for those that end.
fn slice(service: &str, endpoints: &[&str]) -> Arc<EndpointSlice> {
    let endpoint = |text: &&str| {
        let (address, state) = text.split_once(' ').unwrap();
        let conditions = match state {
            "ready" => "ready: true, serving: true, terminating: false",
            "starting" => "ready: false, serving: false, terminating: false",
            "serving" => "ready: false, serving: true, terminating: true",
            "gone" => "ready: false, serving: false, terminating: true",
            _ => "",
        };
        format!("{{addresses: ['{address}'], conditions: {{{conditions}}}}}")
    };
    let family = if endpoints.iter().any(|text| text.contains(':')) { "IPv6" } else { "IPv4" };
    let endpoints: Vec<_> = endpoints.iter().map(endpoint).collect();
    object(&format!(
        "{{metadata: {{name: s, namespace: web, labels: {{kubernetes.io/service-name: {service}}}}}, \
         addressType: {family}, ports: [{{name: metrics, port: 9090}}, {{name: http, port: 8080}}], endpoints: [{}]}}",
        endpoints.join(", ")
    ))
}

fn of(routes: &[Arc<DynamicObject>], services: &[Arc<Service>], slices: &[Arc<EndpointSlice>]) -> RoutesSpec {
    let (routes, services, slices) = (routes.to_vec(), services.to_vec(), slices.to_vec());
    translated(&Objects { routes, services, slices, proven: Proven::default() })
}

fn translated(objects: &Objects) -> RoutesSpec {
    translate(objects, &["Service/router".parse().unwrap()], 1)
}

/// The routes of one HTTPRoute with this spec, to a Service `stable` with one endpoint.
fn routes(spec: &str) -> RoutesSpec {
    of(&[http_route("", spec)], &[service("stable", "")], &[slice("stable", &["10.0.0.1 ready"])])
}

fn addresses(backend: &BackendSpec) -> Vec<String> {
    let addresses = backend.endpoints.iter().flat_map(EndpointSpec::addresses);
    addresses.map(|address| address.0.to_string()).collect()
}

const TO_STABLE: &str = "backendRefs: [{name: stable, port: 80}]";

#[test]
fn the_promoters_route_becomes_two_tracks_with_its_generation() {
    let annotations = "huidu.dev/canary: next, huidu.dev/sticky: '{\"header\": \"x-user\"}', \
                       huidu.dev/override: '{\"header\": \"x-canary\"}'";
    let refs = "{name: stable, port: 80, weight: 9900}, {name: next, port: 80, weight: 100}";
    let spec = format!("hostnames: [Blog.example], rules: [{{backendRefs: [{refs}]}}]");
    let spec = of(
        &[http_route(annotations, &spec)],
        &[service("stable", ""), service("next", "")],
        &[slice("stable", &["10.0.0.2 ready", "10.0.0.1 ready"]), slice("next", &["10.0.0.3 ready"])],
    );
    let [route] = spec.routes.as_slice() else { panic!("{:?}", spec.routes) };
    assert_eq!((route.name.as_str(), route.hostnames[0].as_str()), ("web/blog", "blog.example"));
    assert_eq!(route.origin, Some(Origin { uid: "u-1".to_owned(), generation: 7, problem: None }));
    let found: Vec<_> = route.backends.iter().map(|b| (b.track, b.weight.0, addresses(b))).collect();
    assert_eq!(found[0], (Track::Stable, 9900, vec!["10.0.0.1:8080".to_owned(), "10.0.0.2:8080".to_owned()]));
    assert_eq!(found[1], (Track::Canary, 100, vec!["10.0.0.3:8080".to_owned()]));
    let user = HeaderName::try_from("x-user".to_owned()).unwrap();
    assert_eq!(route.sticky, Some(StickySpec::Header(user)));
    assert!(route.overrides.as_ref().unwrap().header.is_some() && spec.problems.is_empty());
}

#[test]
fn what_is_said_of_backends_holds_for_each() {
    let limits = r#"{"maxRequests": 50, "queue": {"maxRequests": 9}, "slowStart": "30s", "health": {"path": "/healthz"}}"#;
    let rule = format!("rules: [{{{TO_STABLE}}}]");
    let read = |annotation: &str| of(&[http_route(annotation, &rule)], &[service("stable", "")], &[]);
    let spec = read(&format!("huidu.dev/backends: '{limits}'"));
    let [backend] = spec.routes[0].backends.as_slice() else { panic!("{:?}", spec.routes) };
    assert_eq!((backend.max_requests.0.get(), backend.queue.unwrap().max_requests.get()), (50, 9));
    assert!(backend.slow_start.is_some() && backend.health.is_some() && spec.problems.is_empty());
    let wrong = read("huidu.dev/backends: '{\"maxRequests\": 0}'");
    assert!(wrong.problems[0].contains("annotation huidu.dev/backends"), "{:?}", wrong.problems);
    assert_eq!(wrong.routes[0].backends[0].max_requests, RequestsMax::default());
}

#[test]
fn terminating_endpoints_get_nothing_new_unless_nobody_else_is_left() {
    for (endpoints, expected) in [
        (&["10.0.0.1 ready", "10.0.0.2 serving", "10.0.0.3 starting"][..], &["10.0.0.1:8080"][..]),
        (&["10.0.0.1 starting", "10.0.0.2 serving", "10.0.0.3 gone"], &["10.0.0.2:8080"]),
        (&["10.0.0.1 unknown"], &["10.0.0.1:8080"]),
        (&["10.0.0.1 starting", "10.0.0.3 gone"], &[]),
    ] {
        let rule = format!("rules: [{{{TO_STABLE}}}]");
        let spec = of(&[http_route("", &rule)], &[service("stable", "")], &[slice("stable", endpoints)]);
        assert_eq!(addresses(&spec.routes[0].backends[0]), expected, "{endpoints:?}");
        assert!(spec.problems.is_empty());
    }
}

#[test]
fn pods_that_were_ready_serve_on_while_none_is() {
    let route = http_route("", &format!("rules: [{{{TO_STABLE}}}]"));
    let mut objects =
        Objects { routes: vec![route], services: vec![service("stable", "")], ..Objects::default() };
    let mut seen = |endpoints: &[&str]| {
        objects.slices = vec![slice("stable", endpoints)];
        objects.proven.note(&objects.slices);
        addresses(&translated(&objects).routes[0].backends[0])
    };
    assert_eq!(seen(&["10.0.0.1 ready", "10.0.0.2 ready", "10.0.0.3 starting"]).len(), 2);
    let all_unready = ["10.0.0.1 starting", "10.0.0.2 starting", "10.0.0.3 starting"];
    assert_eq!(seen(&all_unready), ["10.0.0.1:8080", "10.0.0.2:8080"], "the third never was");
    assert_eq!(seen(&["10.0.0.1 starting", "10.0.0.2 gone", "10.0.0.3 ready"]), ["10.0.0.3:8080"]);
    assert_eq!(seen(&all_unready), ["10.0.0.1:8080", "10.0.0.3:8080"], "the second has ended since");
    assert_eq!(seen(&[]), [""; 0]);
    assert_eq!(seen(&all_unready), [""; 0], "and so have all");
}

#[test]
fn a_pod_in_two_slices_counts_once() {
    let rule = format!("rules: [{{{TO_STABLE}}}]");
    let slices =
        [slice("stable", &["10.0.0.1 ready"]), slice("stable", &["10.0.0.1 ready", "10.0.0.2 ready"])];
    let spec = of(&[http_route("", &rule)], &[service("stable", "")], &slices);
    assert_eq!(addresses(&spec.routes[0].backends[0]), ["10.0.0.1:8080", "10.0.0.2:8080"]);
    let slices = [slice("stable", &["10.0.0.1 ready"]), slice("stable", &["fd00::1 ready"])];
    let dual = service("stable", "ipFamilies: [IPv6, IPv4]");
    let spec = of(&[http_route("", &rule)], &[dual], &slices);
    assert_eq!(addresses(&spec.routes[0].backends[0]), ["[fd00::1]:8080"], "the Service's first family");
}

#[test]
fn a_backend_that_leads_nowhere_answers_500_for_its_share_and_says_why() {
    for (reference, why) in [
        ("{name: other, port: 80}", "there is no Service other in namespace web"),
        ("{name: stable, port: 81}", "port 81 of Service stable; it has 80"),
        ("{name: stable}", "no port of Service stable; it has 80"),
        ("{name: stable, port: 80, namespace: shop}", "Service shop/stable is in another namespace"),
        ("{name: stable, port: 80, kind: Bucket, group: storage}", "Bucket stable is no Service"),
        ("{name: stable, port: 80, weight: 2000000}", "weight 2000000 is above 1000000"),
        (
            "{name: stable, port: 80, filters: [{type: RequestMirror, requestMirror: {}}]}",
            "not supported for one",
        ),
    ] {
        let spec = routes(&format!("rules: [{{backendRefs: [{{name: stable, port: 80}}, {reference}]}}]"));
        let [good, bad] = spec.routes[0].backends.as_slice() else { panic!("{:?}", spec.routes) };
        assert!(good.invalid.is_none() && bad.endpoints.is_empty());
        assert!(bad.invalid.as_ref().unwrap().contains(why), "{bad:?}");
        assert!(
            spec.problems[0].starts_with("HTTPRoute web/blog: rules[0]: backendRefs[1]: "),
            "{:?}",
            spec.problems
        );
    }
    let external = service("stable", "type: ExternalName, externalName: example.com");
    let spec = of(&[http_route("", &format!("rules: [{{{TO_STABLE}}}]"))], &[external], &[]);
    assert!(spec.problems[0].contains("ExternalName"), "{:?}", spec.problems);
}

#[test]
fn an_unknown_filter_makes_its_rule_answer_500_and_leaves_the_others_alone() {
    let bad = "filters: [{type: ExternalAuth, externalAuth: {protocol: HTTP}}]";
    let spec = routes(&format!(
        "rules: [{{matches: [{{path: {{value: /a}}}}], {bad}, {TO_STABLE}}}, {{name: rest, {TO_STABLE}}}, {{{TO_STABLE}}}]"
    ));
    let [first, second, third] = spec.routes.as_slice() else { panic!("{:?}", spec.routes) };
    assert!(first.backends[0].invalid.is_some() && first.backends.len() == 1);
    assert!(matches!(&first.matches[0].path, PathMatch::PathPrefix(prefix) if prefix.as_str() == "/a"));
    assert_eq!(second.backends[0].invalid, None);
    assert_eq!([&first.name, &second.name, &third.name], ["web/blog", "web/blog/rest", "web/blog/2"]);
    let problem = first.origin.as_ref().unwrap().problem.as_ref().unwrap();
    assert!(problem.contains("rules[0]: filters[0]: type \"ExternalAuth\" is not supported"), "{problem}");
    assert_eq!(spec.problems.len(), 1, "{:?}", spec.problems);
}

#[test]
fn every_filter_of_the_gateway_api_is_read() {
    let spec = routes(&format!(
        "rules: [{{{TO_STABLE}, timeouts: {{request: 90s}}, filters: [\
         {{type: RequestHeaderModifier, requestHeaderModifier: {{set: [{{name: a, value: b}}], add: [], remove: [c]}}}}, \
         {{type: ResponseHeaderModifier, responseHeaderModifier: {{add: [{{name: a, value: b}}]}}}}, \
         {{type: URLRewrite, urlRewrite: {{hostname: x.example, path: {{type: ReplacePrefixMatch, replacePrefixMatch: /n}}}}}}, \
         {{type: RequestMirror, requestMirror: {{backendRef: {{name: stable, port: 80}}, fraction: {{numerator: 1, denominator: 1000}}}}}}, \
         {{type: CORS, cors: {{allowOrigins: ['*'], maxAge: 60}}}}]}}, \
         {{filters: [{{type: RequestRedirect, requestRedirect: {{scheme: https, statusCode: 301, \
         path: {{type: ReplaceFullPath, replaceFullPath: /n}}}}}}]}}]"
    ));
    assert_eq!(spec.problems, Vec::<String>::new());
    let [first, redirect] = spec.routes.as_slice() else { panic!("{:?}", spec.routes) };
    assert_eq!((first.filters.len(), redirect.filters.len(), redirect.backends.len()), (5, 1, 0));
    let mirrored = first.filters.iter().find_map(|filter| match filter {
        FilterSpec::RequestMirror(mirror) => {
            Some((mirror.endpoints.len(), mirror.share().0, mirror.share().1.get()))
        }
        _ => None,
    });
    assert_eq!(mirrored, Some((1, 1, 1000)));
    let ninety = std::time::Duration::from_secs(90);
    assert_eq!((first.timeouts.request.get(), first.timeouts.backend_request.get()), (ninety, ninety));
}

#[test]
fn a_rule_that_can_not_be_matched_as_meant_takes_nothing() {
    for (matches, why) in [
        ("{path: {type: RegularExpression, value: '('}}", "matches[0].path"),
        ("{path: {type: Glob, value: /a}}", "matches[0].path"),
        ("{headers: [{name: 'a b', value: x}]}", "matches[0].headers[0]"),
    ] {
        let spec = routes(&format!("rules: [{{matches: [{matches}], {TO_STABLE}}}, {{{TO_STABLE}}}]"));
        assert!(spec.routes[0].matches.is_empty() && !spec.routes[1].matches.is_empty());
        assert!(
            spec.problems[0].contains(why) && spec.problems[0].contains("left out"),
            "{:?}",
            spec.problems
        );
    }
    let spec = routes(&format!("hostnames: ['a:80'], rules: [{{{TO_STABLE}}}]"));
    assert!(spec.routes.is_empty(), "without its host it would take every request");
    assert!(spec.problems[0].contains("a:80"), "{:?}", spec.problems);
}

#[test]
fn of_equal_names_in_a_match_the_first_counts() {
    let headers = "[{name: X-A, value: '1'}, {name: x-a, value: '2'}]";
    let spec = routes(&format!("rules: [{{matches: [{{headers: {headers}}}], {TO_STABLE}}}]"));
    assert_eq!(spec.routes[0].matches[0].headers.len(), 1);
}

#[test]
fn what_is_unknown_or_somebody_elses_hides_nothing() {
    let mut foreign = http_route("", &format!("rules: [{{{TO_STABLE}}}]"));
    let metadata = Arc::make_mut(&mut foreign);
    metadata.metadata.name = Some("foreign".to_owned());
    metadata.data["spec"]["parentRefs"][0]["name"] = "elsewhere".into();
    let mut broken = http_route("", "rules: []");
    Arc::make_mut(&mut broken).data["spec"]["rules"] = "none".into();
    let future =
        format!("useDefaultGateways: All, rules: [{{novel: 1, retry: {{attempts: 2}}, {TO_STABLE}}}]");
    let all = [foreign, broken, http_route("huidu.dev/sticky: '{\"head\": 1}'", &future)];
    let spec = of(&all, &[service("stable", "")], &[slice("stable", &["10.0.0.1 ready"])]);
    assert_eq!(spec.routes.len(), 1);
    assert_eq!(addresses(&spec.routes[0].backends[0]), ["10.0.0.1:8080"]);
    let problems = spec.problems.join("\n");
    for part in ["HTTPRoute web/blog: spec.rules", "retry is not supported", "annotation huidu.dev/sticky"] {
        assert!(problems.contains(part), "{problems}");
    }
}

#[test]
fn the_older_of_equal_routes_comes_first() {
    let at = |name: &str, time: &str| {
        let mut route = http_route("", &format!("rules: [{{{TO_STABLE}}}]"));
        let metadata = &mut Arc::make_mut(&mut route).metadata;
        metadata.name = Some(name.to_owned());
        metadata.creation_timestamp = Some(serde_saphyr::from_str(&format!("'{time}'")).unwrap());
        route
    };
    let (young, old, same) =
        (at("a", "2025-01-02T00:00:00Z"), at("c", "2025-01-01T00:00:00Z"), at("b", "2025-01-01T00:00:00Z"));
    let names: Vec<_> =
        of(&[young, old, same], &[], &[]).routes.into_iter().map(|route| route.name).collect();
    assert_eq!(names, ["web/b", "web/c", "web/a"]);
}

#[test]
fn one_service_on_two_ports_is_two_backends() {
    let two = service("stable", "ports: [{name: http, port: 80}, {name: metrics, port: 90}]");
    let refs = "[{name: stable, port: 80}, {name: stable, port: 90, weight: 3}]";
    let spec = of(
        &[http_route("", &format!("rules: [{{backendRefs: {refs}}}]"))],
        &[two],
        &[slice("stable", &["10.0.0.1 ready"])],
    );
    let found: Vec<_> = spec.routes[0].backends.iter().map(|b| (b.name.as_str(), addresses(b))).collect();
    assert_eq!(
        found,
        [("stable", vec!["10.0.0.1:8080".to_owned()]), ("stable.2", vec!["10.0.0.1:9090".to_owned()])]
    );
    let weights: Vec<_> = spec.routes[0].backends.iter().map(|backend| backend.weight.0).collect();
    assert_eq!(weights, [1, 3], "one where none is stated");
}

#[test]
fn the_app_protocol_of_a_port_says_what_its_pods_speak() {
    for (stated, expected) in [
        ("", Some(AppProtocol::Http1)),
        (", appProtocol: http", Some(AppProtocol::Http1)),
        (", appProtocol: kubernetes.io/ws", Some(AppProtocol::Http1)),
        (", appProtocol: kubernetes.io/h2c", Some(AppProtocol::H2c)),
        (", appProtocol: kubernetes.io/wss", None),
    ] {
        let port = service("stable", &format!("ports: [{{name: http, port: 80{stated}}}]"));
        let rule = http_route("", &format!("rules: [{{{TO_STABLE}}}]"));
        let spec = of(&[rule], &[port], &[slice("stable", &["10.0.0.1 ready"])]);
        let backend = &spec.routes[0].backends[0];
        assert_eq!(backend.invalid.is_none().then_some(backend.app_protocol), expected, "{stated}");
        assert_eq!(spec.problems.is_empty(), expected.is_some(), "{:?}", spec.problems);
    }
}

#[test]
fn a_timeout_that_is_stated_alone_is_not_cut_by_the_other_in_routes_and_files_alike() {
    for (timeouts, expected) in [
        ("request: 90s", (90, 90)),
        ("request: 5s", (5, 5)),
        ("backendRequest: 90s", (90, 90)),
        ("backendRequest: 5s", (60, 5)),
        ("request: 10s, backendRequest: 90s", (10, 90)),
        ("", (60, 30)),
    ] {
        let of_route = routes(&format!("rules: [{{{TO_STABLE}, timeouts: {{{timeouts}}}}}]"));
        let file = format!("routes: [{{name: r, backends: [{{name: b}}], timeouts: {{{timeouts}}}}}]");
        for spec in [of_route, crate::config::from_yaml("test", &file).unwrap()] {
            let TimeoutsSpec { request, backend_request, .. } = spec.routes[0].timeouts;
            assert_eq!((request.get().as_secs(), backend_request.get().as_secs()), expected, "{timeouts}");
        }
    }
}

#[test]
fn a_mirror_that_speaks_only_http_2_is_left_out_and_told() {
    let h2c = service("copies", "ports: [{name: http, port: 80, appProtocol: kubernetes.io/h2c}]");
    let mirror = "{type: RequestMirror, requestMirror: {backendRef: {name: copies, port: 80}}}";
    let rule = http_route("", &format!("rules: [{{{TO_STABLE}, filters: [{mirror}]}}]"));
    let slices = [slice("stable", &["10.0.0.1 ready"]), slice("copies", &["10.0.0.2 ready"])];
    let spec = of(&[rule], &[service("stable", ""), h2c], &slices);
    assert!(spec.routes[0].filters.is_empty() && spec.routes[0].backends[0].invalid.is_none());
    assert!(
        spec.problems[0].contains("filters[0]: no copies are made: Service copies"),
        "{:?}",
        spec.problems
    );
}

#[test]
fn a_timeout_of_zero_is_none_and_what_is_not_stated_has_a_limit() {
    let years = |timeouts: &str| {
        let spec = routes(&format!("rules: [{{{TO_STABLE}, timeouts: {{{timeouts}}}}}]"));
        let in_force = spec.routes[0].timeouts.in_force();
        let year = std::time::Duration::from_secs(300 * 24 * 3_600);
        (in_force.request.get() > year, in_force.backend_request.get() > year)
    };
    assert_eq!(years("request: 0s"), (true, true));
    assert_eq!(years("request: 0s, backendRequest: 0s"), (true, true));
    assert_eq!(years("request: 0s, backendRequest: 5s"), (true, false));
    assert_eq!(years("backendRequest: 0s"), (true, true));
    assert_eq!(years("backendRequest: 5s"), (false, false));
    assert_eq!(years(""), (false, false));
}
