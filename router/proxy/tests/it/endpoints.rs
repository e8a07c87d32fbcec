//! Which endpoint of a track gets a request, and what happens when none has room.

use crate::{
    h2_origin::{Call, H2Client, H2Origin, Reply},
    support::{Behaviour, Client, GET, Origin, POST, eventually, get, put, router, routes},
};
use std::time::Duration;
use tokio::time;

fn route(origins: &[&Origin], fields: &str) -> String {
    let endpoints: Vec<_> = origins.iter().map(|origin| format!("'{}'", origin.address)).collect();
    let endpoints = endpoints.join(", ");
    format!(
        "routes: [{{name: r, backends: [{{name: b, track: stable, endpoints: [{endpoints}], {fields}}}]}}]"
    )
}

/// Idle connections to an endpoint that left are closed within a second, and a busy machine is given two more.
async fn closed(what: &str, open: impl Fn() -> usize) {
    let closing = eventually(what, || async { open() == 0 });
    time::timeout(Duration::from_secs(3), closing).await.unwrap_or_else(|_| panic!("{what} is open"));
}

#[tokio::test]
async fn an_endpoint_that_only_fails_is_left_alone_and_the_last_one_never_is() {
    let (bad, good) = (Origin::start("bad", Behaviour::Status(500)).await, Origin::good("good").await);
    let router = router(&route(&[&bad, &good], "")).await;
    let mut client = Client::connect(router.address).await;
    for _ in 0..100 {
        client.get().await;
    }
    assert_eq!(bad.requests(), 5, "five bad answers in a row");
    let page = get(router.admin_address, "/routes").await;
    assert!(page.text().contains("\"state\":\"ejected\""), "{}", page.text());

    good.now(Behaviour::Status(500));
    let before = bad.requests() + good.requests();
    for _ in 0..20 {
        assert_eq!(client.get().await.status, 500);
    }
    assert_eq!(bad.requests() + good.requests(), before + 20, "somebody is always asked");
}

#[tokio::test]
async fn a_health_check_takes_an_endpoint_out_and_brings_it_back() {
    let (a, b) = (Origin::good("a").await, Origin::good("b").await);
    let health =
        "health: {path: /healthz, interval: 100ms, timeout: 500ms, unhealthyAfter: 2, healthyAfter: 2}";
    let router = router(&route(&[&a, &b], health)).await;
    let states = || async { get(router.admin_address, "/routes").await.text().to_owned() };
    a.now(Behaviour::Status(503));
    eventually("a is unhealthy", || async { states().await.contains("\"state\":\"unhealthy\"") }).await;
    let mut client = Client::connect(router.address).await;
    for _ in 0..20 {
        assert_eq!(client.get().await.text(), "b");
    }
    a.now(Behaviour::Good);
    eventually("a is ready", || async { !states().await.contains("unhealthy") }).await;
    let mut by_a = 0;
    for _ in 0..20 {
        by_a += usize::from(client.get().await.text() == "a");
    }
    assert!(by_a > 0);
    assert!(a.last_head().starts_with("GET /"), "{}", a.last_head());
}

#[tokio::test]
async fn a_health_check_is_a_request_where_http_2_is_spoken_too() {
    let (a, b) = (H2Origin::good("a").await, H2Origin::good("b").await);
    let fields =
        "appProtocol: kubernetes.io/h2c, health: {path: /healthz, interval: 100ms, unhealthyAfter: 2}";
    let endpoints = format!("endpoints: ['{}', '{}']", a.address, b.address);
    let yaml =
        format!("routes: [{{name: r, backends: [{{name: b, track: stable, {endpoints}, {fields}}}]}}]");
    let router = router(&yaml).await;
    let states = || async { get(router.admin_address, "/routes").await.text().to_owned() };
    a.now(Reply::Status(503));
    eventually("a is unhealthy", || async { states().await.contains("\"state\":\"unhealthy\"") }).await;
    assert!(a.last().uri.ends_with("/healthz"), "{}", a.last().uri);
    let mut client = Client::connect(router.address).await;
    for _ in 0..20 {
        assert_eq!(client.get().await.text(), "b");
    }
    a.now(Reply::Good);
    eventually("a is ready", || async { !states().await.contains("unhealthy") }).await;
}

#[tokio::test]
async fn requests_wait_in_the_queue_for_room_and_no_longer_than_its_limit() {
    let slow = Origin::start("slow", Behaviour::Slow(Duration::from_millis(300))).await;
    let limits = "maxRequests: 1, queue: {maxRequests: 1, timeout: 5s}";
    let router = router(&route(&[&slow], limits)).await;
    let mut clients = Vec::new();
    for count in 1..=2 {
        let mut client = Client::connect(router.address).await;
        client.send(GET).await;
        clients.push(client);
        let in_flight = format!("\"inFlight\":{count},\"invalid\"");
        eventually("it is in flight", || async {
            get(router.admin_address, "/routes").await.text().contains(&in_flight)
        })
        .await;
    }
    assert_eq!(slow.requests(), 1);
    let third = get(router.address, "/").await;
    assert_eq!((third.status, third.headers["retry-after"].as_str()), (503, "1"));
    for mut client in clients {
        assert_eq!(client.answer().await.unwrap().text(), "slow");
    }
    assert_eq!(slow.requests(), 2);
}

#[tokio::test]
async fn whoever_waits_too_long_is_told_to_come_back() {
    let hangs = Origin::start("hangs", Behaviour::Hang).await;
    let router = router(&route(&[&hangs], "maxRequests: 1, queue: {maxRequests: 9, timeout: 100ms}")).await;
    let mut first = Client::connect(router.address).await;
    first.send(GET).await;
    eventually("the endpoint is busy", || async { hangs.requests() == 1 }).await;
    assert_eq!(get(router.address, "/").await.status, 503);
}

#[tokio::test]
async fn an_endpoint_that_failed_its_check_is_used_again_when_nobody_checks_it_any_more() {
    let (a, b) = (Origin::good("a").await, Origin::good("b").await);
    let checked = route(&[&a, &b], "health: {path: /healthz, interval: 100ms, unhealthyAfter: 1}");
    let router = router(&checked).await;
    let states = || async { get(router.admin_address, "/routes").await.text().to_owned() };
    a.now(Behaviour::Status(503));
    eventually("a is unhealthy", || async { states().await.contains("unhealthy") }).await;
    let spec = |yaml: &str| proxy::config::from_yaml("test", yaml).unwrap();
    router.control.apply("test", spec(&route(&[&a, &b], ""))).await;
    eventually("a is ready without a check", || async { !states().await.contains("unhealthy") }).await;
    router.control.apply("test", spec(&checked)).await;
    eventually("a is unhealthy again", || async { states().await.contains("unhealthy") }).await;
}

#[tokio::test]
async fn time_in_the_queue_is_not_taken_from_the_time_of_the_endpoint() {
    let slow = Origin::start("slow", Behaviour::Slow(Duration::from_millis(400))).await;
    let limits = "maxRequests: 1, queue: {maxRequests: 9, timeout: 5s}";
    let yaml = route(&[&slow], limits).replace("name: r,", "name: r, timeouts: {backendRequest: 1s},");
    let router = router(&yaml).await;
    let clients = Client::each(router.address, 4, POST).await;
    for mut client in clients {
        assert_eq!(client.answer().await.unwrap().text(), "slow");
    }
    let page = get(router.admin_address, "/routes").await;
    assert!(page.text().contains("\"state\":\"ready\""), "{}", page.text());
}

#[tokio::test]
async fn an_unwell_endpoint_does_not_get_what_a_full_one_has_no_room_for() {
    let (a, b) = (Origin::start("a", Behaviour::Status(503)).await, Origin::good("b").await);
    let health = "maxRequests: 1, health: {path: /healthz, interval: 100ms, timeout: 5s, unhealthyAfter: 2}";
    let router = router(&route(&[&a, &b], health)).await;
    let page = || async { get(router.admin_address, "/routes").await.text().to_owned() };
    eventually("a is unhealthy", || async { page().await.contains("unhealthy") }).await;
    b.now(Behaviour::Slow(Duration::from_secs(1)));
    let mut client = Client::connect(router.address).await;
    client.send(GET).await;
    eventually("b is busy", || async { page().await.contains("\"inFlight\":1,\"invalid\"") }).await;
    assert_eq!(get(router.address, "/").await.text(), "the service is overloaded\n");
    assert_eq!(client.answer().await.unwrap().text(), "b");
    assert!(a.last_head().starts_with("GET /healthz "), "{}", a.last_head());
}

#[tokio::test]
async fn requests_wait_for_the_last_endpoint_even_when_it_is_ejected() {
    let origin = Origin::start("last", Behaviour::Reset).await;
    let router = router(&route(&[&origin], "maxRequests: 1, queue: {maxRequests: 9, timeout: 5s}")).await;
    assert_eq!(get(router.address, "/").await.status, 502);
    origin.now(Behaviour::Slow(Duration::from_millis(300)));
    let clients = Client::each(router.address, 3, GET).await;
    for mut client in clients {
        assert_eq!(client.answer().await.unwrap().text(), "last");
    }
}

#[tokio::test]
async fn whoever_leaves_gives_up_the_place_in_the_queue() {
    let hangs = Origin::start("hangs", Behaviour::Hang).await;
    let router = router(&route(&[&hangs], "maxRequests: 1, queue: {maxRequests: 2, timeout: 60s}")).await;
    let in_flight = |count: usize| {
        let expected = format!("\"inFlight\":{count},\"invalid\"");
        let admin = router.admin_address;
        async move { get(admin, "/routes").await.text().contains(&expected) }
    };
    let mut busy = Client::connect(router.address).await;
    busy.send(GET).await;
    eventually("the endpoint is busy", || in_flight(1)).await;
    let (mut get, mut post) = (Client::connect(router.address).await, Client::connect(router.address).await);
    get.send(GET).await;
    post.send(POST).await;
    eventually("two wait", || in_flight(3)).await;
    drop((get, post));
    eventually("nobody waits", || in_flight(1)).await;
    let h2 = H2Client::connect(router.address).await;
    let call = tokio::spawn(h2.call(Call::get("/")));
    eventually("one waits", || in_flight(2)).await;
    call.abort();
    eventually("nobody waits", || in_flight(1)).await;
    assert_eq!(hangs.requests(), 1);
}

#[tokio::test]
async fn whoever_waits_is_sent_to_an_endpoint_that_joins_meanwhile() {
    let (hangs, joins) = (Origin::start("hangs", Behaviour::Hang).await, Origin::good("joins").await);
    let limits = "maxRequests: 1, queue: {maxRequests: 9, timeout: 9s}";
    let router = router(&route(&[&hangs], limits)).await;
    let (mut first, mut second) =
        (Client::connect(router.address).await, Client::connect(router.address).await);
    first.send(GET).await;
    eventually("the endpoint is busy", || async { hangs.requests() == 1 }).await;
    second.send(GET).await;
    eventually("one waits", || async {
        get(router.admin_address, "/routes").await.text().contains("\"inFlight\":2,\"invalid\"")
    })
    .await;
    let spec = proxy::config::from_yaml("test", &route(&[&hangs, &joins], limits)).unwrap();
    router.control.apply("test", spec).await;
    assert_eq!(second.answer().await.unwrap().text(), "joins");
}

#[tokio::test]
async fn a_new_endpoint_gets_little_at_first() {
    let (old, new) = (Origin::good("old").await, Origin::good("new").await);
    let router = router(&route(&[&old], "slowStart: 1h")).await;
    let mut client = Client::connect(router.address).await;
    client.get().await;
    let body = format!(
        r#"{{"routes": [{{"name": "r", "backends": [{{"name": "b", "track": "stable", "slowStart": "1h", "endpoints": ["{}", "{}"]}}]}}]}}"#,
        old.address, new.address
    );
    assert_eq!(put(router.admin_address, "/routes", &body).await.status, 200);
    for _ in 0..400 {
        client.get().await;
    }
    // One of two is picked half of the time, and a tenth of that is let through at first.
    assert!((1..80).contains(&new.requests()), "{} of 400", new.requests());
}

#[tokio::test]
async fn endpoints_that_leave_get_nothing_more_and_their_connections_are_closed() {
    let (a, b) = (Origin::good("a").await, Origin::good("b").await);
    let router = router(&routes((&[&a], 1), (&[], 0), "")).await;
    let mut client = Client::connect(router.address).await;
    assert_eq!(client.get().await.text(), "a");
    let spec = proxy::config::from_yaml("test", &routes((&[&b], 1), (&[], 0), "")).unwrap();
    router.control.apply("test", spec).await;
    assert_eq!(client.get().await.text(), "b", "the same client's next request");
    assert_eq!(a.requests(), 1);
    closed("the idle connection to a", || a.open()).await;
}

/// Clients that keep their connections do not keep an endpoint: it is chosen anew for each request, and the router's
/// own idle connections to it are looked after once a second.
#[tokio::test]
async fn clients_of_both_versions_that_stay_leave_an_endpoint_at_once_and_what_is_under_way_ends_there() {
    let leaving = Origin::start("leaving", Behaviour::Slow(Duration::from_millis(500))).await;
    let stays = Origin::good("stays").await;
    let router = router(&routes((&[&leaving], 1), (&[], 0), "")).await;
    let mut busy = Client::each(router.address, 20, GET).await;
    let h2 = H2Client::connect(router.address).await;
    let call = tokio::spawn(h2.call(Call::get("/")));
    eventually("all are under way", || async { leaving.requests() == 21 }).await;
    let spec = proxy::config::from_yaml("test", &routes((&[&stays], 1), (&[], 0), "")).unwrap();
    router.control.apply("test", spec).await;
    for client in &mut busy {
        assert_eq!(client.answer().await.unwrap().text(), "leaving");
        assert_eq!(client.get().await.text(), "stays");
    }
    assert_eq!(call.await.unwrap().unwrap().body, b"leaving");
    assert_eq!(h2.call(Call::get("/")).await.unwrap().body, b"stays");
    assert_eq!(leaving.requests(), 21);
    closed("whatever led to it", || leaving.open()).await;
}

#[tokio::test]
async fn a_connection_of_http_2_to_an_endpoint_that_leaves_is_closed() {
    let (leaving, stays) = (H2Origin::good("leaving").await, H2Origin::good("stays").await);
    let to = |origin: &H2Origin| {
        let fields = format!("appProtocol: kubernetes.io/h2c, endpoints: ['{}']", origin.address);
        format!("routes: [{{name: r, backends: [{{name: b, track: stable, {fields}}}]}}]")
    };
    let router = router(&to(&leaving)).await;
    let mut client = Client::connect(router.address).await;
    assert_eq!(client.get().await.text(), "leaving");
    router.control.apply("test", proxy::config::from_yaml("test", &to(&stays)).unwrap()).await;
    assert_eq!(client.get().await.text(), "stays");
    closed("whatever led to it", || leaving.open()).await;
}

#[tokio::test]
async fn a_timeout_of_zero_is_none() {
    let slow = Origin::start("slow", Behaviour::Slow(Duration::from_millis(300))).await;
    for (timeouts, status) in [
        ("{request: 0s, backendRequest: 0s}", 200),
        ("{request: 0s, backendRequest: 100ms}", 504),
        ("{request: 100ms, backendRequest: 0s}", 504),
        ("{request: 5s, backendRequest: 0s}", 200),
    ] {
        let yaml = routes((&[&slow], 1), (&[], 0), &format!("timeouts: {timeouts}"));
        let router = router(&yaml).await;
        assert_eq!(get(router.address, "/").await.status, status, "{timeouts}");
    }
}
