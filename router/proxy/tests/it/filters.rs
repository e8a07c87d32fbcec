use crate::{
    h2_origin::H2Origin,
    support::{Behaviour, Client, GET, Origin, POST, eventually, get, once, router, router_with, routes},
};
use std::time::Duration;

fn route(origin: &Origin, fields: &str) -> String {
    let address = origin.address;
    format!("{{name: r, backends: [{{name: b, track: stable, endpoints: ['{address}']}}], {fields}}}")
}

#[tokio::test]
async fn the_most_specific_route_takes_a_request() {
    let (all, exact, posts) =
        (Origin::good("all").await, Origin::good("exact").await, Origin::good("posts").await);
    let yaml = format!(
        "routes: [{}, {}, {}]",
        route(&all, "pathPrefix: /").replace("name: r", "name: all"),
        route(&exact, "matches: [{path: {type: Exact, value: /a}}]").replace("name: r", "name: exact"),
        route(&posts, "matches: [{method: POST, queryParams: [{name: v, value: '2'}]}]")
            .replace("name: r", "name: posts"),
    );
    let router = router(&yaml).await;
    assert_eq!(get(router.address, "/x").await.text(), "all");
    assert_eq!(get(router.address, "/a?v=2").await.text(), "exact");
    let post = "POST /x?v=2 HTTP/1.1\r\nHost: blog\r\nContent-Length: 0\r\n\r\n";
    assert_eq!(once(router.address, post).await.text(), "posts");
}

#[tokio::test]
async fn requests_and_answers_are_edited_by_route_and_by_backend() {
    let stable = Origin::good("stable").await;
    let canary = Origin::start("canary", Behaviour::Status(500)).await;
    let filters = "filters: [{requestHeaderModifier: {set: [{name: x-route, value: '1'}], remove: [x-gone]}}, \
                   {responseHeaderModifier: {add: [{name: x-answer, value: '2'}], remove: [x-origin]}}, \
                   {urlRewrite: {hostname: inside.example, path: {replacePrefixMatch: /new}}}]\n    pathPrefix: /old";
    let own =
        "weight: 1, filters: {requestHeaderModifier: {set: [{name: x-canary, value: 'yes'}]}}, endpoints";
    let yaml = routes((&[&stable], 0), (&[&canary], 1), filters).replace("weight: 1, endpoints", own);
    let router = router(&yaml).await;
    let answer = once(router.address, "GET /old/a?q HTTP/1.1\r\nHost: blog\r\nX-Gone: 1\r\n\r\n").await;
    assert_eq!((answer.text(), answer.headers["x-answer"].as_str()), ("stable", "2"));
    assert!(!answer.headers.contains_key("x-origin"));
    let (at_canary, at_stable) = (canary.last_head(), stable.last_head());
    for head in [&at_canary, &at_stable] {
        assert!(head.starts_with("GET /new/a?q HTTP/1.1\r\nhost: inside.example\r\n"), "{head}");
        assert!(head.contains("\r\nx-route: 1\r\n") && !head.contains("x-gone"), "{head}");
        assert!(head.contains("\r\nx-forwarded-host: blog\r\n"), "{head}");
    }
    assert!(at_canary.contains("\r\nx-canary: yes\r\n") && !at_stable.contains("x-canary"));
}

/// The head that a backend gets for this one, where the route sets `headers` (as in YAML) and a backend another one.
async fn edited(edits: &str, head: &str) -> String {
    let stable = Origin::good("stable").await;
    let fields = format!("filters: [{{requestHeaderModifier: {edits}}}]");
    let own = "filters: {requestHeaderModifier: {set: [{name: x-backend, value: own}]}}, endpoints";
    let router = router(&format!("routes: [{}]", route(&stable, &fields).replace("endpoints", own))).await;
    assert_eq!(once(router.address, head).await.text(), "stable");
    stable.last_head()
}

#[tokio::test]
async fn a_client_that_names_a_header_in_connection_does_not_take_away_what_the_operator_set() {
    let edits = "{set: [{name: x-tenant, value: a}]}";
    let head =
        edited(edits, "GET / HTTP/1.1\r\nHost: a\r\nConnection: X-Tenant, x-backend\r\nX-Tenant: b\r\n\r\n");
    let head = head.await;
    assert!(head.contains("\r\nx-tenant: a\r\n") && head.contains("\r\nx-backend: own\r\n"), "{head}");
    assert_eq!(head.matches("x-tenant").count(), 1, "{head}");
}

#[tokio::test]
async fn what_an_operator_sets_wins_over_what_the_router_says() {
    let edits = "{set: [{name: x-forwarded-proto, value: https}, {name: X-Real-IP, value: 192.0.2.9}, \
                 {name: x-forwarded-for, value: 192.0.2.9}], add: [{name: via, value: 1.1 inside}], \
                 remove: [x-request-id]}";
    let head = edited(edits, "GET / HTTP/1.1\r\nHost: a\r\nX-Forwarded-Proto: ftp\r\n\r\n").await;
    for line in [
        "x-forwarded-proto: https",
        "x-real-ip: 192.0.2.9",
        "x-forwarded-for: 192.0.2.9",
        "via: 1.1 huidu",
        "via: 1.1 inside",
    ] {
        assert!(head.contains(&format!("\r\n{line}\r\n")), "{line} is not in {head}");
    }
    for name in ["x-forwarded-proto", "x-forwarded-for"] {
        assert_eq!(head.matches(&format!("\r\n{name}: ")).count(), 1, "{head}");
    }
    assert!(!head.contains("x-request-id"), "{head}");
}

#[tokio::test]
async fn a_backend_of_http_2_gets_what_an_operator_sets_too() {
    let stable = H2Origin::good("stable").await;
    let yaml = format!(
        "routes: [{{name: r, backends: [{{name: b, appProtocol: kubernetes.io/h2c, endpoints: ['{}'], \
         filters: {{requestHeaderModifier: {{add: [{{name: x-a, value: '2'}}]}}}}}}], \
         filters: [{{requestHeaderModifier: {{set: [{{name: x-a, value: '1'}}], remove: [via]}}}}]}}]",
        stable.address
    );
    let router = router(&yaml).await;
    let request = "GET / HTTP/1.1\r\nHost: blog:80\r\nConnection: x-a\r\nX-A: 0\r\n\r\n";
    assert_eq!(once(router.address, request).await.text(), "stable");
    let seen = stable.last();
    let values: Vec<_> = seen.headers.get_all("x-a").iter().map(|value| value.to_str().unwrap()).collect();
    assert_eq!((values, seen.uri.as_str()), (vec!["1", "2"], "http://blog:80/"));
    assert!(!seen.headers.contains_key("via"), "{seen:?}");
}

#[tokio::test]
async fn a_client_is_asked_for_its_body_where_the_backend_is_not_told_that_it_waits() {
    let stable = Origin::good("stable").await;
    let fields = "filters: [{requestHeaderModifier: {remove: [expect]}}]";
    let router = router(&format!("routes: [{}]", route(&stable, fields))).await;
    let mut client = Client::connect(router.address).await;
    client.send("POST / HTTP/1.1\r\nHost: a\r\nExpect: 100-continue\r\nContent-Length: 2\r\n\r\n").await;
    assert_eq!(client.answer().await.unwrap().status, 100);
    client.send("hi").await;
    assert_eq!(client.answer().await.unwrap().text(), "stable");
    assert!(!stable.last_head().contains("expect"), "{}", stable.last_head());
}

#[tokio::test]
async fn the_prefix_that_is_replaced_is_that_of_a_match_that_holds() {
    let stable = Origin::good("stable").await;
    let fields = "matches: [{path: {type: PathPrefix, value: /a/b}, method: POST}, \
                  {path: {type: PathPrefix, value: /a}}], \
                  filters: [{urlRewrite: {path: {replacePrefixMatch: /new}}}]";
    let router = router(&format!("routes: [{}]", route(&stable, fields))).await;
    assert_eq!(get(router.address, "/a/b/c").await.status, 200);
    assert!(stable.last_head().starts_with("GET /new/b/c "), "{}", stable.last_head());
    once(router.address, "POST /a/b/c HTTP/1.1\r\nHost: a\r\nContent-Length: 0\r\n\r\n").await;
    assert!(stable.last_head().starts_with("POST /new/c "), "{}", stable.last_head());
}

#[tokio::test]
async fn a_redirect_is_answered_without_a_backend() {
    let yaml =
        "routes: [{name: r, filters: [{requestRedirect: {scheme: https, statusCode: 301}}], backends: []}]";
    let router = router(yaml).await;
    let answer = get(router.address, "/a?b").await;
    assert_eq!((answer.status, answer.headers["location"].as_str()), (301, "https://blog/a?b"));
    let answer = once(router.address, "OPTIONS * HTTP/1.1\r\nHost: blog\r\n\r\n").await;
    assert_eq!((answer.status, answer.headers["location"].as_str()), (301, "https://blog/"));
}

#[tokio::test]
async fn a_question_about_the_whole_server_has_no_path_to_rewrite() {
    let stable = Origin::good("stable").await;
    for path in ["{replacePrefixMatch: /new}", "{replaceFullPath: /new}"] {
        let fields = format!("filters: [{{urlRewrite: {{path: {path}}}}}]");
        let router = router(&format!("routes: [{}]", route(&stable, &fields))).await;
        assert_eq!(once(router.address, "OPTIONS * HTTP/1.1\r\nHost: a\r\n\r\n").await.status, 200);
        assert!(stable.last_head().starts_with("OPTIONS * "), "{}", stable.last_head());
    }
}

#[tokio::test]
async fn a_redirect_repeats_the_scheme_that_a_trusted_proxy_tells() {
    let yaml =
        "routes: [{name: r, filters: [{requestRedirect: {path: {replaceFullPath: /new}}}], backends: []}]";
    for (hops, expected) in [("0", "http://blog/new"), ("1", "https://blog/new"), ("2", "http://blog/new")] {
        let router = router_with(yaml, &[&format!("--trusted-hops={hops}")]).await;
        let request = "GET / HTTP/1.1\r\nHost: blog\r\nX-Forwarded-Proto: http, https\r\n\r\n";
        assert_eq!(once(router.address, request).await.headers["location"], expected, "{hops} hops");
    }
}

#[tokio::test]
async fn a_sticky_cookie_is_for_https_only_where_a_trusted_proxy_tells_of_it() {
    let stable = Origin::good("stable").await;
    let yaml = format!("routes: [{}]", route(&stable, "sticky: {cookie: track, epoch: v2}"));
    for (hops, is_secure) in [("0", false), ("1", true)] {
        let router = router_with(&yaml, &[&format!("--trusted-hops={hops}")]).await;
        let request = "GET / HTTP/1.1\r\nHost: blog\r\nX-Forwarded-Proto: https\r\n\r\n";
        let answer = once(router.address, request).await;
        assert_eq!(answer.headers["set-cookie"].ends_with("; Secure"), is_secure, "{hops} hops");
    }
}

#[tokio::test]
async fn a_page_of_another_origin_may_read_what_the_route_allows() {
    let stable = Origin::good("stable").await;
    let fields = "filters: [{cors: {allowOrigins: ['https://shop.example'], allowMethods: [PUT]}}, \
                  {requestHeaderModifier: {remove: [origin]}}]";
    let router = router(&format!("routes: [{}]", route(&stable, fields))).await;
    let ask = async |origin: &str, method: &str, lines: &str| {
        let head = format!("{method} / HTTP/1.1\r\nHost: blog\r\nOrigin: {origin}\r\n{lines}\r\n");
        once(router.address, &head).await.headers
    };
    let preflight = async |origin| ask(origin, "OPTIONS", "Access-Control-Request-Method: PUT\r\n").await;
    let allowed = preflight("https://shop.example").await;
    assert_eq!(
        (&*allowed["access-control-allow-origin"], &*allowed["access-control-allow-methods"]),
        ("https://shop.example", "PUT")
    );
    assert!(!preflight("https://evil.example").await.contains_key("access-control-allow-origin"));
    assert_eq!(stable.requests(), 0, "a preflight reaches no backend");

    let answer = ask("https://shop.example", "GET", "").await;
    assert_eq!(
        (&*answer["access-control-allow-origin"], &*answer["vary"]),
        ("https://shop.example", "origin")
    );
    assert!(!stable.last_head().contains("origin: "), "{}", stable.last_head());
    let other = ask("https://evil.example", "GET", "").await;
    assert!(!other.contains_key("access-control-allow-origin") && other["vary"] == "origin", "{other:?}");
    assert_eq!(stable.requests(), 2);
}

#[tokio::test]
async fn a_wildcard_of_hosts_takes_those_below_it_with_and_without_a_port() {
    let stable = Origin::good("stable").await;
    let router = router(&format!("routes: [{}]", route(&stable, "hostnames: ['*.example']"))).await;
    let status = async |host: &str| {
        once(router.address, &format!("GET / HTTP/1.1\r\nHost: {host}\r\n\r\n")).await.status
    };
    for (host, expected) in
        [("a.example:8080", 200), ("A.b.Example", 200), ("example", 404), ("a.example.org:80", 404)]
    {
        assert_eq!(status(host).await, expected, "{host}");
    }
}

#[tokio::test]
async fn a_backend_edits_its_requests_and_answers_after_the_route() {
    let stable = Origin::good("stable").await;
    let both =
        "{set: [{name: x-both, value: backend}], add: [{name: x-added, value: '1'}], remove: [x-origin]}";
    let own =
        format!("filters: {{requestHeaderModifier: {both}, responseHeaderModifier: {both}}}, endpoints");
    let of_route = "{set: [{name: x-both, value: route}, {name: x-route, value: '1'}]}";
    let fields =
        format!("filters: [{{requestHeaderModifier: {of_route}}}, {{responseHeaderModifier: {of_route}}}]");
    let router = router(&format!("routes: [{}]", route(&stable, &fields).replace("endpoints", &own))).await;
    let request = "GET / HTTP/1.1\r\nHost: a\r\nX-Added: 0\r\nX-Origin: client\r\n\r\n";
    let answer = once(router.address, request).await;
    let told = ["x-both", "x-route", "x-added"].map(|name| answer.headers[name].as_str());
    assert_eq!(told, ["backend", "1", "1"]);
    assert!(!answer.headers.contains_key("x-origin"), "{answer:?}");
    let head = stable.last_head();
    for line in ["x-both: backend", "x-route: 1", "x-added: 0", "x-added: 1"] {
        assert!(head.contains(&format!("\r\n{line}\r\n")), "{line} is not in {head}");
    }
    assert!(!head.contains("x-origin") && head.matches("x-both").count() == 1, "{head}");
}

#[tokio::test]
async fn copies_go_to_the_mirror_and_its_answer_nowhere() {
    let (stable, mirror) = (Origin::good("stable").await, Origin::start("mirror", Behaviour::Hang).await);
    let filters = format!("filters: [{{requestMirror: {{endpoints: ['{}']}}}}]", mirror.address);
    let router = router(&format!("routes: [{}]", route(&stable, &filters))).await;
    for _ in 0..3 {
        assert_eq!(get(router.address, "/x").await.text(), "stable");
    }
    eventually("three copies", || async { mirror.requests() == 3 }).await;
    assert!(mirror.last_head().starts_with("GET /x "), "{}", mirror.last_head());
}

#[tokio::test]
async fn a_share_of_the_requests_is_copied_and_never_one_with_a_body() {
    let (stable, mirror) = (Origin::good("stable").await, Origin::good("mirror").await);
    let filters = format!("filters: [{{requestMirror: {{endpoints: ['{}'], percent: 10}}}}]", mirror.address);
    let router = router(&format!("routes: [{}]", route(&stable, &filters))).await;
    let mut client = Client::connect(router.address).await;
    for _ in 0..1_000 {
        assert_eq!(client.get().await.text(), "stable");
    }
    // Six standard deviations.
    eventually("copies are made", || async { mirror.requests() >= 43 }).await;
    assert!(mirror.requests() <= 157, "{} of 1,000", mirror.requests());

    let all = filters.replace(", percent: 10", "");
    let spec = proxy::config::from_yaml("test", &format!("routes: [{}]", route(&stable, &all))).unwrap();
    router.control.apply("test", spec).await;
    mirror.forget();
    client.send(POST).await;
    assert_eq!(client.answer().await.unwrap().text(), "stable");
    assert_eq!(client.get().await.text(), "stable");
    eventually("the request without a body is copied", || async { mirror.requests() > 0 }).await;
    assert!(mirror.last_head().starts_with("GET ") && mirror.requests() == 1, "{}", mirror.last_head());
}

#[tokio::test]
async fn an_invalid_backend_answers_500_for_its_share() {
    let stable = Origin::good("stable").await;
    let yaml =
        routes((&[&stable], 3), (&[], 1), "").replace("weight: 1,", "weight: 1, invalid: no such Service,");
    let router = router(&yaml).await;
    let mut client = Client::connect(router.address).await;
    let mut failed = 0;
    for _ in 0..40 {
        failed += usize::from(client.get().await.status == 500);
    }
    assert!((9..=11).contains(&failed), "{failed} of 40");
}

#[tokio::test]
async fn more_requests_than_an_endpoint_may_have_are_turned_away_at_once() {
    let stable = Origin::start("stable", Behaviour::Slow(Duration::from_millis(500))).await;
    let yaml = format!(
        "routes: [{{name: r, backends: [{{name: b, track: stable, maxRequests: 2, endpoints: ['{}']}}]}}]",
        stable.address
    );
    let router = router(&yaml).await;
    let clients = Client::each(router.address, 2, GET).await;
    eventually("both are at the backend", || async { stable.requests() == 2 }).await;
    let answer = get(router.address, "/").await;
    assert_eq!((answer.status, answer.headers["retry-after"].as_str()), (503, "1"));
    for mut client in clients {
        assert_eq!(client.answer().await.unwrap().status, 200);
    }
}

#[tokio::test]
async fn retries_on_one_track_end_with_their_budget() {
    let (a, b) = (Origin::start("a", Behaviour::Reset).await, Origin::start("b", Behaviour::Reset).await);
    let router = router(&routes((&[&a, &b], 1), (&[], 0), "")).await;
    let mut client = Client::connect(router.address).await;
    let requests = 400;
    for _ in 0..requests {
        assert_eq!(client.get().await.status, 502);
    }
    let attempts = a.requests() + b.requests();
    assert!(attempts > requests, "some were tried again");
    // 100 saved up, a fifth of the requests, and ten a second for a few seconds.
    assert!(attempts < requests + 100 + requests / 5 + 100, "{attempts} attempts for {requests} requests");
}
