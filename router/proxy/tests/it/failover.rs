use crate::support::{
    Behaviour, Client, GET, Origin, POST, eventually, get, metric, once, put, router, routes,
};
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
async fn another_canary_endpoint_answers_for_one_that_breaks() {
    for behaviour in [Behaviour::Reset, Behaviour::Garbage, Behaviour::Truncate] {
        let stable = Origin::good("stable").await;
        let (bad, good) = (Origin::start("bad", behaviour).await, Origin::good("good").await);
        let router = router(&routes((&[&stable], 0), (&[&bad, &good], 1), "")).await;
        let mut client = Client::connect(router.address).await;
        for _ in 0..50 {
            assert_eq!(client.get().await.text(), "good", "{behaviour:?}");
        }
        assert!(bad.requests() > 0, "{behaviour:?}");
        assert_eq!(stable.requests(), 0, "{behaviour:?}");
        let errors = metric(&router, &series("first_attempt", "canary", "error")).await;
        assert_eq!(errors, bad.requests() as f64, "{behaviour:?}");
    }
}

#[tokio::test]
async fn stable_answers_for_a_canary_with_more_broken_endpoints_than_attempts() {
    let stable = Origin::good("stable").await;
    let mut canary = Vec::new();
    for _ in 0..6 {
        canary.push(Origin::start("canary", Behaviour::Reset).await);
    }
    let canary: Vec<_> = canary.iter().collect();
    let router = router(&routes((&[&stable], 0), (&canary, 1), "")).await;
    let mut client = Client::connect(router.address).await;
    for _ in 0..9 {
        assert_eq!(client.get().await.text(), "stable");
    }
    assert_eq!(metric(&router, &series("first_attempt", "canary", "error")).await, 9.0);
}

#[tokio::test]
async fn server_errors_of_a_canary_go_to_stable_at_once_and_those_of_stable_to_the_reader() {
    let (stable, good) = (Origin::good("stable").await, Origin::good("good").await);
    let bad = Origin::start("bad", Behaviour::Status(500)).await;
    let of_canary = router(&routes((&[&stable], 0), (&[&bad, &good], 1), "")).await;
    let mut client = Client::connect(of_canary.address).await;
    for _ in 0..20 {
        assert_eq!(client.get().await.status, 200);
    }
    assert!(bad.requests() > 0);
    assert_eq!(stable.requests(), bad.requests());

    bad.forget();
    let of_stable = router(&routes((&[&bad, &good], 1), (&[], 0), "")).await;
    let mut client = Client::connect(of_stable.address).await;
    let mut failed = 0;
    for _ in 0..20 {
        failed += usize::from(client.get().await.status == 500);
    }
    assert!(failed > 0);
    assert_eq!(failed, bad.requests());
}

#[tokio::test]
async fn an_endpoint_that_had_less_than_its_time_is_not_blamed_for_being_late() {
    let canary = Origin::start("canary", Behaviour::Hang).await;
    let stable = Origin::start("stable", Behaviour::Slow(Duration::from_secs(1))).await;
    let timeouts = "timeouts: {request: 1s, backendRequest: 800ms}";
    let router = router(&routes((&[&stable], 0), (&[&canary], 1), timeouts)).await;
    let clients = Client::each(router.address, 6, GET).await;
    for mut client in clients {
        assert_eq!(client.answer().await.unwrap().status, 504);
    }
    assert_eq!((canary.requests(), stable.requests()), (6, 6));
    let page = get(router.admin_address, "/routes").await;
    let ready = format!("\"address\":\"{}\",\"state\":\"ready\"", stable.address);
    assert!(page.text().contains(&ready), "{}", page.text());
}

#[tokio::test]
async fn a_canary_is_asked_on_where_stable_has_no_endpoint() {
    let origins = [Origin::good("a").await, Origin::good("b").await, Origin::good("c").await];
    let [a, b, c] = &origins;
    let router = router(&routes((&[], 0), (&[a, b, c], 1), "")).await;
    a.kill().await;
    b.kill().await;
    let mut client = Client::connect(router.address).await;
    for _ in 0..20 {
        assert_eq!(client.get().await.text(), "c");
    }
}

#[tokio::test]
async fn a_retry_goes_to_whichever_backend_of_the_track_is_left() {
    let (dead, good) = (Origin::good("dead").await, Origin::good("good").await);
    let canary = Origin::start("canary", Behaviour::Reset).await;
    dead.kill().await;
    let backend = |name: &str, weight: u32, endpoints: &str| {
        format!("{{name: {name}, track: stable, weight: {weight}, endpoints: [{endpoints}]}}")
    };
    let (dead, good) = (format!("'{}'", dead.address), format!("'{}'", good.address));
    for (first, target) in [(dead.as_str(), "never"), (dead.as_str(), "always"), ("", "always")] {
        let yaml = format!(
            "routes: [{{name: blog, override: {{header: x-canary}}, backends: [{}, {}, \
             {{name: canary, track: canary, weight: 0, endpoints: ['{}']}}]}}]",
            backend("a", 999, first),
            backend("b", 1, &good),
            canary.address,
        );
        let router = router(&yaml).await;
        let request = format!("GET / HTTP/1.1\r\nHost: blog\r\nX-Canary: {target}\r\n\r\n");
        for _ in 0..10 {
            assert_eq!(once(router.address, &request).await.text(), "good", "{first:?}, {target}");
        }
    }
}

#[tokio::test]
async fn a_retry_that_has_nowhere_to_go_is_not_charged_to_the_budget() {
    let (a, b) = (Origin::good("a").await, Origin::good("b").await);
    let canary = Origin::start("canary", Behaviour::Reset).await;
    let router = router(&routes((&[&a, &b], 1), (&[&canary], 0), "override: {header: x-canary}")).await;
    let mut client = Client::connect(router.address).await;
    // Many more than the budget holds: the canary has no second endpoint, so all of them go to stable.
    for _ in 0..400 {
        client.send("GET / HTTP/1.1\r\nHost: blog\r\nX-Canary: always\r\n\r\n").await;
        assert_eq!(client.answer().await.unwrap().status, 200);
    }
    a.kill().await;
    for _ in 0..20 {
        assert_eq!(client.get().await.text(), "b");
    }
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
