use crate::support::{Client, Origin, get, metric, put, router, router_with, routes};
use std::time::Duration;
use tokio::time;

const WEIGHTS: &str = "/routes/blog/weights";

#[tokio::test]
async fn weights_change_with_the_generation_that_was_seen_and_not_otherwise() {
    let (stable, canary) = (Origin::good("stable").await, Origin::good("canary").await);
    let router = router(&routes((&[&stable], 1), (&[&canary], 0), "")).await;
    let admin = router.admin_address;

    let changed =
        put(admin, WEIGHTS, r#"{"generation":1,"weights":{"blog-stable":0,"blog-canary":1}}"#).await;
    assert_eq!(changed.status, 200);
    assert!(changed.text().contains("\"generation\":2"), "{}", changed.text());
    assert_eq!(get(router.address, "/").await.text(), "canary");

    let stale = put(admin, WEIGHTS, r#"{"generation":1,"weights":{"blog-canary":0}}"#).await;
    assert_eq!(stale.status, 409);
    assert!(stale.text().contains("at generation 2, not 1"), "{}", stale.text());
    assert_eq!(get(router.address, "/").await.text(), "canary");
}

#[tokio::test]
async fn nonsense_is_refused_with_its_field_and_the_weights_stay() {
    let (stable, canary) = (Origin::good("stable").await, Origin::good("canary").await);
    let router = router(&routes((&[&stable], 1), (&[&canary], 0), "")).await;
    for (path, body, status, message) in [
        ("/routes/other/weights", r#"{"generation":1,"weights":{}}"#, 404, "there is no route \\\"other\\\""),
        (WEIGHTS, r#"{"generation":1,"weights":{"blog":1}}"#, 422, "weights.blog: the route has no backend"),
        (WEIGHTS, r#"{"generation":1,"weights":{"blog-canary":1000001}}"#, 422, "1000001 is above 1000000"),
        (WEIGHTS, r#"{"generation":1,"weights":{"blog-canary":-1}}"#, 422, "field weights.blog-canary"),
        (WEIGHTS, r#"{"generation":1,"weights":{"blog-canary":NaN}}"#, 422, "line 1"),
        (WEIGHTS, r#"{"generation":1,"weights":{"blog-canary":"101%"}}"#, 422, "field weights.blog-canary"),
        (WEIGHTS, r#"{"generation":1,"weights":{},"wieghts":{}}"#, 422, "unknown field `wieghts`"),
        (WEIGHTS, r#"{"generation":1,"weights":{}} {}"#, 422, "trailing characters"),
        (WEIGHTS, "", 422, "EOF"),
        ("/routes", r#"{"routes":[{"name":"a","backends":[]}]}"#, 422, "has no backends"),
    ] {
        let answer = put(router.admin_address, path, body).await;
        assert_eq!(answer.status, status, "{body}: {}", answer.text());
        assert!(answer.text().contains(message), "{body}: {}", answer.text());
    }
    assert_eq!(metric(&router, "huidu_router_weight{backend=\"blog-canary\",route=\"blog\"}").await, 0.0);
    assert_eq!(get(router.address, "/").await.text(), "stable");
}

#[tokio::test]
async fn after_an_acknowledgement_no_request_uses_the_old_weights() {
    let (stable, canary) = (Origin::good("stable").await, Origin::good("canary").await);
    let router = router(&routes((&[&stable], 1), (&[&canary], 1), "")).await;
    let load: Vec<_> = (0..4)
        .map(|_| {
            let address = router.address;
            tokio::spawn(async move {
                let mut client = Client::connect(address).await;
                loop {
                    assert_eq!(client.get().await.status, 200);
                }
            })
        })
        .collect();
    for round in 0..100 {
        let body = format!(r#"{{"generation":{},"weights":{{"blog-canary":0}}}}"#, 1 + 2 * round);
        let answer = put(router.admin_address, WEIGHTS, &body).await;
        assert_eq!(answer.status, 200, "{}", answer.text());
        // Whoever chose the canary before is counted as in flight, so that zero means drained.
        while metric(&router, "huidu_router_in_flight{route=\"blog\",track=\"canary\"}").await > 0.0 {}
        let before = canary.requests();
        time::sleep(Duration::from_millis(2)).await;
        assert_eq!(canary.requests(), before, "round {round}");
        let body = format!(r#"{{"generation":{},"weights":{{"blog-canary":1}}}}"#, 2 + 2 * round);
        assert_eq!(put(router.admin_address, WEIGHTS, &body).await.status, 200);
    }
    assert!(canary.requests() > 0 && load.iter().all(|task| !task.is_finished()));
}

#[tokio::test]
async fn it_is_ready_once_it_has_routes() {
    let router = router_with("", &[]).await;
    assert_eq!(get(router.admin_address, "/livez").await.status, 200);
    let waiting = get(router.admin_address, "/readyz").await;
    assert_eq!((waiting.status, waiting.text()), (503, "no routes yet: waiting for routes\n"));
    assert_eq!(get(router.address, "/").await.status, 404);

    let stable = Origin::good("stable").await;
    let body = format!(
        r#"{{"generation":3,"routes":[{{"name":"r","backends":[{{"name":"b","track":"stable","endpoints":["{}"]}}]}}]}}"#,
        stable.address
    );
    let answer = put(router.admin_address, "/routes", &body).await;
    assert_eq!(answer.status, 200, "{}", answer.text());
    assert_eq!(get(router.admin_address, "/readyz").await.status, 200);
    assert_eq!(get(router.address, "/").await.text(), "stable");
    assert_eq!(metric(&router, "huidu_router_generation").await, 3.0);
}

#[tokio::test]
async fn a_drain_answers_what_is_in_flight_and_says_close() {
    let slow = crate::support::Behaviour::Slow(Duration::from_millis(300));
    let stable = Origin::start("stable", slow).await;
    let router = router(&routes((&[&stable], 1), (&[], 0), "")).await;
    let (mut busy, mut idle) = (Client::connect(router.address).await, Client::connect(router.address).await);
    assert_eq!(idle.get().await.headers.get("connection"), None);
    busy.send(crate::support::GET).await;
    time::sleep(Duration::from_millis(50)).await;
    let address = router.address;
    let draining = tokio::spawn(router.drain());
    time::sleep(Duration::from_millis(50)).await;
    assert_eq!(idle.get().await.headers["connection"], "close");
    assert_eq!(busy.answer().await.unwrap().text(), "stable");
    assert!(idle.is_closed().await && busy.is_closed().await);
    time::timeout(Duration::from_secs(5), draining).await.expect("no deadline is needed").unwrap();
    assert!(tokio::net::TcpStream::connect(address).await.is_err());
}
