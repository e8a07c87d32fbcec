use crate::support::{Behaviour, Client, GET, Origin, get, metric, once, put, router, router_with, routes};

#[tokio::test]
async fn a_thousand_requests_are_within_two_of_every_weight() {
    let (stable, canary) = (Origin::good("stable").await, Origin::good("canary").await);
    let router = router(&routes((&[&stable], 10_000), (&[&canary], 0), "")).await;
    let mut counted = 0;
    for (generation, basis_points) in (1..).zip([10, 100, 1_000, 3_333, 5_000, 9_999]) {
        let rest = 10_000 - basis_points;
        let body = format!(
            "{{\"generation\": {generation}, \"weights\": {{\"blog-stable\": {rest}, \"blog-canary\": {basis_points}}}}}"
        );
        assert_eq!(put(router.admin_address, "/routes/blog/weights", &body).await.status, 200);
        let mut clients = [Client::connect(router.address).await, Client::connect(router.address).await];
        for request in 0..1_000 {
            assert_eq!(clients[request % 2].get().await.status, 200);
        }
        let arrived = canary.requests() - counted;
        counted = canary.requests();
        let off = (arrived * 10_000).abs_diff(1_000 * basis_points);
        assert!(off < 20_000, "{arrived} of 1,000 at {basis_points} basis points");
    }
    let first =
        "huidu_router_first_attempt_duration_seconds_count{class=\"2xx\",route=\"blog\",track=\"canary\"}";
    assert_eq!(metric(&router, first).await, counted as f64);
}

#[tokio::test]
async fn all_weights_zero_answer_503_and_forward_nothing() {
    let (stable, canary) = (Origin::good("stable").await, Origin::good("canary").await);
    let router = router(&routes((&[&stable], 0), (&[&canary], 0), "")).await;
    let answer = get(router.address, "/").await;
    assert_eq!((answer.status, answer.headers["retry-after"].as_str()), (503, "1"));
    assert_eq!(stable.requests() + canary.requests(), 0);
}

#[tokio::test]
async fn a_backend_without_endpoints_answers_503_for_its_share_only() {
    let stable = Origin::good("stable").await;
    let router = router(&routes((&[&stable], 75), (&[], 25), "")).await;
    let mut client = Client::connect(router.address).await;
    let mut unavailable = 0;
    for _ in 0..100 {
        unavailable += usize::from(client.get().await.status == 503);
    }
    assert!((24..=26).contains(&unavailable), "{unavailable} of 100");
}

#[tokio::test]
async fn an_override_reaches_a_canary_at_weight_zero() {
    let (stable, canary) = (Origin::good("stable").await, Origin::good("canary").await);
    let rest = "override: {header: x-canary, cookie: canary}";
    let router = router(&routes((&[&stable], 1), (&[&canary], 0), rest)).await;
    for (line, expected) in [
        ("X-Canary: always", "canary"),
        ("Cookie: a=b; canary=always", "canary"),
        ("X-Canary: never\r\nCookie: canary=always", "stable"),
        ("X-Canary: maybe", "stable"),
    ] {
        let answer = once(router.address, &format!("GET / HTTP/1.1\r\nHost: blog\r\n{line}\r\n\r\n")).await;
        assert_eq!(answer.text(), expected, "{line}");
    }
}

#[tokio::test]
async fn a_sticky_user_stays_on_one_track() {
    let (stable, canary) = (Origin::good("stable").await, Origin::good("canary").await);
    let router = router(&routes((&[&stable], 1), (&[&canary], 1), "sticky: {header: x-user}")).await;
    for user in 0..20 {
        let request = format!("GET / HTTP/1.1\r\nHost: blog\r\nX-User: {user}\r\n\r\n");
        let first = once(router.address, &request).await.body;
        for _ in 0..5 {
            assert_eq!(once(router.address, &request).await.body, first, "user {user}");
        }
    }
    assert!(stable.requests() > 0 && canary.requests() > 0);
}

#[tokio::test]
async fn three_backends_share_by_integers() {
    let origins = [Origin::good("a").await, Origin::good("b").await, Origin::good("c").await];
    let backends: Vec<_> = ["a", "b", "c"]
        .iter()
        .zip([1, 2, 5])
        .zip(&origins)
        .map(|((name, weight), origin)| {
            format!("{{name: {name}, track: stable, weight: {weight}, endpoints: ['{}']}}", origin.address)
        })
        .collect();
    let router = router(&format!("routes: [{{name: blog, backends: [{}]}}]", backends.join(", "))).await;
    let mut client = Client::connect(router.address).await;
    for _ in 0..800 {
        client.get().await;
    }
    for (origin, expected) in origins.iter().zip([100, 200, 500]) {
        assert!(origin.requests().abs_diff(expected) <= 4, "{} instead of {expected}", origin.requests());
    }
}

#[tokio::test]
async fn requests_of_one_connection_are_split_and_connections_are_reused() {
    let (stable, canary) = (Origin::good("stable").await, Origin::start("canary", Behaviour::Good).await);
    let router = router(&routes((&[&stable], 1), (&[&canary], 1), "")).await;
    let mut client = Client::connect(router.address).await;
    for _ in 0..10 {
        client.send(GET).await;
        client.answer().await.unwrap();
    }
    assert_eq!((stable.requests(), canary.requests()), (5, 5));
}

#[tokio::test]
async fn a_cookie_of_the_router_keeps_a_reader_on_one_track_for_one_release() {
    let (stable, canary) = (Origin::good("stable").await, Origin::good("canary").await);
    let release = |epoch: &str| {
        let rest = format!("sticky: {{cookie: track, epoch: {epoch}, maxAge: 1h}}");
        routes((&[&stable], 1), (&[&canary], 1), &rest)
    };
    let router = router(&release("v2")).await;
    let with = |cookie: &str| format!("GET / HTTP/1.1\r\nHost: a\r\nCookie: {cookie}\r\n\r\n");
    let mut cookies = Vec::new();
    for _ in 0..20 {
        let first = get(router.address, "/").await;
        let cookie = first.headers["set-cookie"].split(';').next().unwrap().to_owned();
        assert!(cookie.starts_with("track=v2."), "{cookie}");
        for _ in 0..3 {
            let again = once(router.address, &with(&cookie)).await;
            assert_eq!(again.text(), first.text(), "{cookie}");
            assert!(!again.headers.contains_key("set-cookie"));
        }
        cookies.push(cookie);
    }
    assert!(stable.requests() > 0 && canary.requests() > 0);
    let spec = proxy::config::from_yaml("test", &release("v3")).unwrap();
    router.control.apply("test", spec).await;
    let next = once(router.address, &with(&cookies[0])).await;
    assert!(next.headers["set-cookie"].starts_with("track=v3."), "every reader is drawn anew");
}

#[tokio::test]
async fn a_backend_without_a_weight_weighs_one() {
    let (stated, unstated) = (Origin::good("stated").await, Origin::good("unstated").await);
    let yaml = format!(
        "routes: [{{name: blog, backends: [{{name: a, track: stable, weight: 3, endpoints: ['{}']}}, \
         {{name: b, track: canary, endpoints: ['{}']}}]}}]",
        stated.address, unstated.address
    );
    let router = router(&yaml).await;
    let mut client = Client::connect(router.address).await;
    for _ in 0..400 {
        client.get().await;
    }
    assert!(unstated.requests().abs_diff(100) <= 2, "{} instead of 100", unstated.requests());
    assert_eq!(stated.requests() + unstated.requests(), 400);
}

/// The track of each of 20 clients, who ask three times each and always come to the same one.
async fn tracks(router: &proxy::run::Router, line: impl Fn(usize) -> String) -> Vec<String> {
    let mut tracks = Vec::new();
    for client in 0..20 {
        let request = format!("GET / HTTP/1.1\r\nHost: blog\r\n{}\r\n\r\n", line(client));
        let first = once(router.address, &request).await;
        for _ in 0..2 {
            assert_eq!(once(router.address, &request).await.text(), first.text(), "client {client}");
        }
        tracks.push(first.text().to_owned());
    }
    tracks
}

#[tokio::test]
async fn a_client_is_known_by_the_cookie_of_the_service() {
    let (stable, canary) = (Origin::good("stable").await, Origin::good("canary").await);
    let router = router(&routes((&[&stable], 1), (&[&canary], 1), "sticky: {cookie: session}")).await;
    let tracks = tracks(&router, |client| format!("Cookie: a=b; session=user-{client}")).await;
    assert!(tracks.iter().any(|track| track == "stable") && tracks.iter().any(|track| track == "canary"));
    let answer = once(router.address, GET).await;
    assert!(!answer.headers.contains_key("set-cookie"), "the cookie is the service's own");
}

#[tokio::test]
async fn a_client_is_known_by_its_address_and_by_what_a_trusted_proxy_says_of_it() {
    let (stable, canary) = (Origin::good("stable").await, Origin::good("canary").await);
    let yaml = routes((&[&stable], 1), (&[&canary], 1), "sticky: {address: true}");
    let forwarded = |client: usize| format!("X-Forwarded-For: 192.0.2.{client}");
    let direct = router(&yaml).await;
    let by_connection = tracks(&direct, forwarded).await;
    assert!(by_connection.iter().all(|track| *track == by_connection[0]), "all of them come from loopback");

    let behind = router_with(&yaml, &["--trusted-hops=1"]).await;
    let by_proxy = tracks(&behind, forwarded).await;
    assert!(by_proxy.iter().any(|track| track == "stable") && by_proxy.iter().any(|track| track == "canary"));
    let with_lie = tracks(&behind, |client| format!("X-Forwarded-For: 198.51.100.7, 192.0.2.{client}")).await;
    assert_eq!(with_lie, by_proxy, "what the client itself said counts for nothing");
}

#[tokio::test]
async fn the_split_is_exact_over_both_workers_together() {
    let (stable, canary) = (Origin::good("stable").await, Origin::good("canary").await);
    let router = router(&routes((&[&stable], 9), (&[&canary], 1), "")).await;
    let mut clients = Vec::new();
    for _ in 0..64 {
        let mut client = Client::connect(router.address).await;
        for _ in 0..10 {
            client.get().await;
        }
        clients.push(client);
    }
    // One request at a time needs one connection of each worker, which keeps it.
    assert_eq!((stable.open(), canary.open()), (2, 2), "both workers take part");
    let asking = clients.into_iter().map(|mut client| {
        tokio::spawn(async move {
            for _ in 0..40 {
                assert_eq!(client.get().await.status, 200);
            }
        })
    });
    for client in asking.collect::<Vec<_>>() {
        client.await.unwrap();
    }
    assert_eq!(stable.requests() + canary.requests(), 3_200);
    assert!(canary.requests().abs_diff(320) < 2, "{} instead of 320", canary.requests());
}
