use crate::support::{Behaviour, Client, Origin, POST, eventually, get, metric, once, put, router, routes};
use std::time::Duration;

fn series(name: &str, track: &str, class: &str) -> String {
    format!(
        "huidu_router_{name}_duration_seconds_count{{class=\"{class}\",route=\"blog\",track=\"{track}\"}}"
    )
}

#[tokio::test]
async fn readers_see_only_good_answers_whatever_the_canary_does() {
    for (behaviour, class, reason) in [
        (Behaviour::Reset, "error", "reset"),
        (Behaviour::Status(500), "5xx", "5xx"),
        (Behaviour::Status(503), "5xx", "5xx"),
        (Behaviour::Hang, "error", "timeout"),
        (Behaviour::Truncate, "error", "reset"),
        (Behaviour::Garbage, "error", "malformed"),
    ] {
        let (stable, canary) = (Origin::good("stable").await, Origin::start("canary", behaviour).await);
        let timeouts = "timeouts: {request: 5s, backendRequest: 100ms}";
        let router = router(&routes((&[&stable], 1), (&[&canary], 1), timeouts)).await;
        let mut client = Client::connect(router.address).await;
        for _ in 0..10 {
            let answer = client.get().await;
            assert_eq!((answer.status, answer.text()), (200, "stable"), "{behaviour:?}");
        }
        assert_eq!(canary.requests(), 5, "{behaviour:?}");
        assert_eq!(metric(&router, &series("first_attempt", "canary", class)).await, 5.0, "{behaviour:?}");
        assert_eq!(metric(&router, &series("first_attempt", "stable", "2xx")).await, 5.0, "{behaviour:?}");
        assert_eq!(metric(&router, &series("request", "stable", "2xx")).await, 10.0, "{behaviour:?}");
        let failovers = format!("huidu_router_failovers_total{{reason=\"{reason}\",route=\"blog\"}}");
        assert_eq!(metric(&router, &failovers).await, 5.0, "{behaviour:?}");
    }
}

#[tokio::test]
async fn a_canary_that_refuses_connections_is_answered_by_stable() {
    let (stable, canary) = (Origin::good("stable").await, Origin::good("canary").await);
    canary.kill().await;
    let router = router(&routes((&[&stable], 1), (&[&canary], 1), "")).await;
    let mut client = Client::connect(router.address).await;
    for _ in 0..10 {
        assert_eq!(client.get().await.text(), "stable");
        client.send(POST).await;
        assert_eq!(
            client.answer().await.unwrap().text(),
            "stable",
            "not a byte of it was sent to the canary"
        );
    }
    assert!(metric(&router, &series("first_attempt", "canary", "error")).await >= 9.0);
}

#[tokio::test]
async fn a_post_is_never_sent_twice() {
    for (behaviour, status) in [
        (Behaviour::Reset, 502),
        (Behaviour::Status(500), 500),
        (Behaviour::Garbage, 502),
        (Behaviour::Hang, 504),
    ] {
        let (stable, canary) = (Origin::good("stable").await, Origin::start("canary", behaviour).await);
        let timeouts = "timeouts: {request: 5s, backendRequest: 100ms}";
        let router = router(&routes((&[&stable], 0), (&[&canary], 1), timeouts)).await;
        for sent in 1..=3 {
            assert_eq!(once(router.address, POST).await.status, status, "{behaviour:?}");
            assert_eq!((canary.requests(), stable.requests()), (sent, 0), "{behaviour:?}");
        }
    }
}

#[tokio::test]
async fn a_killed_stable_endpoint_is_hidden_from_readers() {
    let (a, b) = (Origin::good("a").await, Origin::good("b").await);
    let router = router(&routes((&[&a, &b], 1), (&[], 0), "")).await;
    let mut client = Client::connect(router.address).await;
    for _ in 0..20 {
        client.get().await;
    }
    assert!(a.requests() > 0 && b.requests() > 0, "{} and {}", a.requests(), b.requests());
    a.kill().await;
    for _ in 0..50 {
        assert_eq!(client.get().await.text(), "b");
    }
    let routes = get(router.admin_address, "/routes").await;
    assert!(routes.text().contains("\"state\":\"ejected\""), "{}", routes.text());
}

#[tokio::test]
async fn an_idle_connection_that_was_closed_is_no_failure() {
    let stable = Origin::start("stable", Behaviour::CloseAfter).await;
    let router = router(&routes((&[&stable], 1), (&[], 0), "")).await;
    let mut client = Client::connect(router.address).await;
    for _ in 0..20 {
        assert_eq!(client.get().await.status, 200);
        client.send(POST).await;
        assert_eq!(client.answer().await.unwrap().status, 200);
    }
    assert_eq!(metric(&router, &series("first_attempt", "stable", "error")).await, 0.0);
    assert_eq!(stable.requests(), 40);
}

#[tokio::test]
async fn a_canary_that_breaks_hard_is_tripped_and_reported_until_its_weight_is_zero() {
    let (stable, canary) =
        (Origin::good("stable").await, Origin::start("canary", Behaviour::Status(500)).await);
    let router = router(&routes((&[&stable], 1), (&[&canary], 1), "override: {header: x-canary}")).await;
    let mut client = Client::connect(router.address).await;
    for _ in 0..100 {
        assert_eq!(client.get().await.status, 200);
    }
    assert_eq!(canary.requests(), 10, "ten failures in a row are enough");
    assert_eq!(metric(&router, "huidu_router_tripped{route=\"blog\"}").await, 1.0);
    let page = get(router.admin_address, "/routes/blog").await;
    assert!(page.text().contains("\"failed\":10,\"of\":10"), "{}", page.text());

    canary.now(Behaviour::Good);
    let forced = "GET / HTTP/1.1\r\nHost: blog\r\nX-Canary: always\r\n\r\n";
    assert_eq!(once(router.address, forced).await.text(), "canary", "an override still reaches it");

    put(router.admin_address, "/routes/blog/weights", r#"{"generation":1,"weights":{"blog-canary":0}}"#)
        .await;
    put(router.admin_address, "/routes/blog/weights", r#"{"generation":2,"weights":{"blog-canary":1}}"#)
        .await;
    assert_eq!(metric(&router, "huidu_router_tripped{route=\"blog\"}").await, 0.0);
    let before = canary.requests();
    for _ in 0..10 {
        client.get().await;
    }
    assert!((4..=6).contains(&(canary.requests() - before)));
}

#[tokio::test]
async fn in_flight_is_counted_until_the_answer_ends() {
    let slow = Behaviour::Slow(Duration::from_millis(300));
    let (stable, canary) = (Origin::good("stable").await, Origin::start("canary", slow).await);
    let router = router(&routes((&[&stable], 0), (&[&canary], 1), "")).await;
    let mut client = Client::connect(router.address).await;
    client.send(POST).await;
    let in_flight = "huidu_router_in_flight{route=\"blog\",track=\"canary\"}";
    eventually("one in flight", || async { metric(&router, in_flight).await == 1.0 }).await;
    assert_eq!(client.answer().await.unwrap().text(), "canary");
    eventually("none in flight", || async { metric(&router, in_flight).await == 0.0 }).await;
}
