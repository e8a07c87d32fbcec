//! Backends that speak HTTP/2, and gRPC through the router.

use crate::{
    h2_origin::{Call, H2Client, H2Origin, Reply},
    support::{Client, GET, Origin, eventually, get, metric, once, router},
};
use std::time::Duration;

fn h2c(stable: &str, canary: &str, weights: (u32, u32)) -> String {
    let backend = |name: &str, track: &str, weight: u32, endpoint: &str| {
        format!(
            "{{name: {name}, track: {track}, weight: {weight}, appProtocol: kubernetes.io/h2c, endpoints: ['{endpoint}']}}"
        )
    };
    format!(
        "routes: [{{name: blog, timeouts: {{request: 5s, backendRequest: 500ms}}, backends: [{}, {}]}}]",
        backend("blog-stable", "stable", weights.0, stable),
        backend("blog-canary", "canary", weights.1, canary),
    )
}

async fn pair(weights: (u32, u32)) -> (H2Origin, H2Origin, proxy::run::Router) {
    let (stable, canary) = (H2Origin::good("stable").await, H2Origin::good("canary").await);
    let router = router(&h2c(&stable.address.to_string(), &canary.address.to_string(), weights)).await;
    (stable, canary, router)
}

fn first_attempts(track: &str, class: &str) -> String {
    format!(
        "huidu_router_first_attempt_duration_seconds_count{{class=\"{class}\",route=\"blog\",track=\"{track}\"}}"
    )
}

#[tokio::test]
async fn clients_of_both_versions_reach_a_backend_of_http_2() {
    let (stable, _canary, router) = pair((1, 0)).await;
    assert_eq!(get(router.address, "/a%2Fb?q=1").await.text(), "stable");
    assert_eq!(stable.last().uri, "http://blog/a%2Fb?q=1");
    let posted =
        once(router.address, "POST / HTTP/1.1\r\nHost: blog\r\nContent-Length: 5\r\n\r\nhello").await;
    assert_eq!(posted.text(), "stable");
    assert_eq!(stable.last().body, b"hello");
    let chunked =
        "POST / HTTP/1.1\r\nHost: blog\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n";
    assert_eq!(once(router.address, chunked).await.text(), "stable");
    assert_eq!(stable.last().body, b"hello");
    let head = once(router.address, "HEAD / HTTP/1.1\r\nHost: blog\r\n\r\n").await;
    assert_eq!((head.status, head.headers["content-length"].as_str()), (200, "6"));

    let client = H2Client::connect(router.address).await;
    let answer = client.call(Call::get("/")).await.unwrap();
    assert_eq!((answer.status, answer.body), (200, b"stable".to_vec()));
    assert!(stable.connections() <= 2, "one connection for each worker");
}

#[tokio::test]
async fn trailers_reach_a_backend_of_http_2_without_those_that_are_needed_before_the_body() {
    let (stable, _canary, router) = pair((1, 0)).await;
    for body in ["5\r\nhello\r\n", ""] {
        let request = format!(
            "POST / HTTP/1.1\r\nHost: blog\r\nTransfer-Encoding: chunked\r\n\r\n{body}0\r\nConnection: x\r\n\
             Transfer-Encoding: chunked\r\nContent_Length: 9\r\nX-Forwarded-For: 127.0.0.1\r\nX-Kept: 1\r\n\r\n"
        );
        assert_eq!(once(router.address, &request).await.text(), "stable", "{body:?}");
        let seen = stable.last();
        let trailers: Vec<_> = seen.trailers.iter().collect();
        assert_eq!(trailers, [(&"x-kept".parse().unwrap(), &"1".parse().unwrap())], "{body:?}");
    }
    let nothing_left =
        "POST / HTTP/1.1\r\nHost: blog\r\nTransfer-Encoding: chunked\r\n\r\n0\r\nConnection: x\r\n\r\n";
    assert_eq!(once(router.address, nothing_left).await.text(), "stable");
}

#[tokio::test]
async fn requests_share_connections_up_to_what_the_backend_allows() {
    let stable = H2Origin::with_streams_max("stable", 10).await;
    stable.now(Reply::Slow(Duration::from_millis(300)));
    let router = router(&h2c(&stable.address.to_string(), "127.0.0.1:1", (1, 0))).await;
    let client = H2Client::connect(router.address).await;
    let calls: Vec<_> = (0..35).map(|_| tokio::spawn(client.call(Call::get("/")))).collect();
    for call in calls {
        assert_eq!(call.await.unwrap().unwrap().status, 200);
    }
    assert_eq!(stable.connections(), 4, "35 requests at a time by tens");
}

#[tokio::test]
async fn readers_see_only_good_answers_whatever_a_canary_of_http_2_does() {
    for (reply, class) in [
        (Reply::Status(500), "5xx"),
        (Reply::Hang, "error"),
        (Reply::Reset(8), "error"),
        (Reply::Refuse, "error"),
        (Reply::BreakOff, "error"),
    ] {
        let (_stable, canary, router) = pair((1, 1)).await;
        canary.now(reply);
        let mut client = Client::connect(router.address).await;
        for _ in 0..10 {
            let answer = client.get().await;
            assert_eq!((answer.status, answer.text()), (200, "stable"), "{reply:?}");
        }
        assert_eq!(metric(&router, &first_attempts("canary", class)).await, 5.0, "{reply:?}");
    }
}

#[tokio::test]
async fn a_post_is_sent_again_only_where_the_backend_never_looked_at_it() {
    for (reply, expected) in
        [(Reply::Refuse, Some("stable")), (Reply::Reset(8), None), (Reply::Status(500), None)]
    {
        let (stable, canary, router) = pair((0, 1)).await;
        canary.now(reply);
        let posted = once(router.address, crate::support::POST).await;
        match expected {
            Some(text) => assert_eq!(posted.text(), text, "{reply:?}"),
            None => {
                assert!(posted.status >= 500, "{reply:?}");
                assert_eq!((canary.requests(), stable.requests()), (1, 0), "{reply:?}");
            }
        }
    }
}

#[tokio::test]
async fn a_backend_that_says_goodbye_is_reached_by_another_connection() {
    let (stable, _canary, router) = pair((1, 0)).await;
    for _ in 0..20 {
        assert_eq!(get(router.address, "/").await.status, 200);
        assert_eq!(once(router.address, crate::support::POST).await.status, 200);
        stable.say_goodbye();
    }
    assert_eq!(metric(&router, &first_attempts("stable", "error")).await, 0.0);
}

#[tokio::test]
async fn a_backend_that_does_not_speak_it_is_a_failure_and_not_a_hang() {
    let stable = Origin::good("stable").await;
    let router = router(&h2c(&stable.address.to_string(), "127.0.0.1:1", (1, 0))).await;
    assert_eq!(once(router.address, GET).await.status, 502);
}

#[tokio::test]
async fn grpc_keeps_its_trailers_and_te() {
    let (stable, _canary, router) = pair((1, 0)).await;
    let client = H2Client::connect(router.address).await;
    stable.now(Reply::Grpc("0"));
    let answer = client.call(Call::grpc(b"\0\0\0\0\x02hi")).await.unwrap();
    assert_eq!((answer.status, answer.body.as_slice()), (200, &b"\0\0\0\0\x02hi"[..]));
    assert_eq!(answer.trailers["grpc-status"], "0");
    assert_eq!(answer.trailers["x-trailer"], "kept");
    assert!(!answer.trailers.contains_key("content-length"));
    let seen = stable.last();
    assert_eq!(seen.headers["te"], "trailers");
    assert_eq!(seen.headers["content-type"], "application/grpc");
    assert!(!seen.headers.contains_key("content-length"));
}

#[tokio::test]
async fn grpc_streams_both_ways_at_the_same_time() {
    let (stable, canary, router) = pair((0, 1)).await;
    let _ = stable;
    canary.now(Reply::Echo);
    let client = H2Client::connect(router.address).await;
    let mut stream = client.stream(Call::grpc(b"")).await;
    for round in 0..20_u8 {
        stream.send(&[round; 100]).await;
        assert_eq!(stream.receive(100).await, [round; 100], "nothing is held back, of a canary neither");
    }
    let trailers = stream.finish().await;
    assert_eq!(trailers["grpc-status"], "0");
}

#[tokio::test]
async fn grpc_statuses_are_counted_as_what_they_mean() {
    let (stable, _canary, router) = pair((1, 0)).await;
    let client = H2Client::connect(router.address).await;
    for (code, class) in [("0", "2xx"), ("5", "4xx"), ("14", "5xx"), ("13", "5xx")] {
        let before = metric(&router, &first_attempts("stable", class)).await;
        for reply in [Reply::Grpc(code), Reply::GrpcAtOnce(code)] {
            stable.now(reply);
            let answer = client.call(Call::grpc(b"x")).await.unwrap();
            assert_eq!(answer.grpc_status(), code, "{reply:?}");
        }
        let counted = || async { metric(&router, &first_attempts("stable", class)).await - before == 2.0 };
        eventually(&format!("{code} is counted as {class}"), counted).await;
    }
}

#[tokio::test]
async fn grpc_reads_the_failure_of_a_backend_as_its_own_status() {
    let (stable, _canary, router) = pair((1, 0)).await;
    let client = H2Client::connect(router.address).await;
    for (reply, code) in [(Reply::Hang, "4"), (Reply::Reset(2), "14"), (Reply::BreakOff, "14")] {
        stable.now(reply);
        let answer = client.call(Call::grpc(b"x")).await.unwrap();
        assert_eq!((answer.status, answer.grpc_status()), (200, code), "{reply:?}");
    }
    drop(stable);
    eventually("the backend is gone", || async {
        let answer = client.call(Call::grpc(b"x")).await.unwrap();
        (answer.status, answer.grpc_status()) == (200, "14")
    })
    .await;
    let nowhere = Call { path: "/nowhere", ..Call::grpc(b"x") };
    let answer = client.call(nowhere).await.unwrap();
    assert_eq!(answer.status, 200);
}

#[tokio::test]
async fn a_call_that_found_no_canary_is_answered_by_stable() {
    let stable = H2Origin::good("stable").await;
    stable.now(Reply::Grpc("0"));
    let router = router(&h2c(&stable.address.to_string(), "127.0.0.1:1", (0, 1))).await;
    let client = H2Client::connect(router.address).await;
    let answer = client.call(Call::grpc(b"x")).await.unwrap();
    assert_eq!(answer.grpc_status(), "0", "not a byte of it was sent to the canary");
    assert_eq!(stable.requests(), 1);
}

#[tokio::test]
async fn a_slow_reader_of_one_answer_does_not_hold_up_others_and_takes_little_memory() {
    let (stable, _canary, router) = pair((1, 0)).await;
    stable.now(Reply::Zeros(64 << 20));
    let client = H2Client::connect(router.address).await;
    let slow: Vec<_> = {
        let mut slow = Vec::new();
        for _ in 0..20 {
            slow.push(client.stream(Call::get("/")).await);
        }
        slow
    };
    tokio::time::sleep(Duration::from_millis(300)).await;
    let sent = stable.sent_bytes();
    assert!(sent < 20 * (1 << 20), "{sent} bytes were taken from the backend for readers who take nothing");
    stable.now(Reply::Good);
    let other = H2Client::connect(router.address).await;
    assert_eq!(other.call(Call::get("/")).await.unwrap().body, b"stable");
    drop(slow);
}
