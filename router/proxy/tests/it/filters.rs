use crate::support::{Behaviour, Client, GET, Origin, eventually, get, once, router, routes};
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

#[tokio::test]
async fn a_redirect_and_a_preflight_are_answered_without_a_backend() {
    let yaml =
        "routes: [{name: r, filters: [{requestRedirect: {scheme: https, statusCode: 301}}], backends: []}]";
    let router = router(yaml).await;
    let answer = get(router.address, "/a?b").await;
    assert_eq!((answer.status, answer.headers["location"].as_str()), (301, "https://blog/a?b"));
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
    let mut clients = Vec::new();
    for _ in 0..2 {
        let mut client = Client::connect(router.address).await;
        client.send(GET).await;
        clients.push(client);
    }
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
