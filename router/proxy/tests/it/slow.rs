//! Whoever is slow makes room for others.

use crate::support::{Client, GET, Origin, POST, metric, router_with, routes, stream_of};
use proxy::run::Router;
use std::time::Duration;
use tokio::time;

const FLAGS: [&str; 3] =
    ["--client-idle-timeout=300ms", "--client-head-timeout=200ms", "--client-stall-timeout=200ms"];

const LONG: usize = 64 << 20;

#[tokio::test]
async fn slow_heads_slow_bodies_and_idle_connections_have_deadlines() {
    let stable = Origin::good("stable").await;
    let router = router_with(&routes((&[&stable], 1), (&[], 0), ""), &FLAGS).await;
    for (what, bytes) in [
        ("nothing", ""),
        ("a part of a head", "GET / HTTP/1.1\r\nHos"),
        ("a part of a body", "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 10\r\n\r\nhalf"),
    ] {
        let mut client = Client::connect(router.address).await;
        client.send(bytes).await;
        assert!(client.is_closed().await, "{what}");
    }
    let mut idle = Client::connect(router.address).await;
    idle.get().await;
    assert!(idle.is_closed().await, "idle between requests");
}

#[tokio::test]
async fn a_body_that_trickles_is_not_progress() {
    let stable = Origin::good("stable").await;
    let router = router_with(&routes((&[&stable], 1), (&[], 0), ""), &FLAGS).await;
    let mut client = Client::connect(router.address).await;
    client.send("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 1000\r\n\r\n").await;
    let trickle = async {
        for _ in 0..100 {
            if client.try_send("x").await.is_err() {
                return;
            }
            time::sleep(Duration::from_millis(20)).await;
        }
        panic!("two seconds of single bytes were put up with");
    };
    trickle.await;
}

#[tokio::test]
async fn a_head_that_trickles_has_one_deadline() {
    let stable = Origin::good("stable").await;
    let router = router_with(&routes((&[&stable], 1), (&[], 0), ""), &FLAGS).await;
    for (what, part) in [("bytes", "x"), ("lines", "X: y\r\n")] {
        let mut client = Client::connect(router.address).await;
        client.send("GET / HTTP/1.1\r\nHost: a\r\nX: ").await;
        let trickle = async {
            while client.try_send(part).await.is_ok() {
                time::sleep(Duration::from_millis(20)).await;
            }
        };
        time::timeout(Duration::from_secs(2), trickle).await.expect(what);
    }
    assert_eq!(stable.requests(), 0);
}

/// A router, and a client whose answer of 64 MiB is on its way.
async fn a_long_answer() -> (Router, Client) {
    let origin = stream_of(LONG).await;
    let yaml =
        format!("routes: [{{name: r, backends: [{{name: b, track: stable, endpoints: ['{origin}']}}]}}]");
    let router = router_with(&yaml, &FLAGS).await;
    let mut client = Client::connect(router.address).await;
    client.send(GET).await;
    (router, client)
}

#[tokio::test]
async fn a_client_that_reads_a_little_now_and_then_is_let_go() {
    let (router, mut client) = a_long_answer().await;
    let series = "huidu_router_in_flight{route=\"r\",track=\"stable\"}";
    let is_over = async {
        // What is read is far less than a KiB in the time that there is for one.
        loop {
            client.bytes(10).await;
            if metric(&router, series).await == 0.0 {
                return;
            }
            time::sleep(Duration::from_millis(40)).await;
        }
    };
    time::timeout(Duration::from_secs(5), is_over).await.expect("the request is given up");
}

#[tokio::test]
async fn a_client_that_does_not_read_is_let_go() {
    let (_router, mut client) = a_long_answer().await;
    time::sleep(Duration::from_millis(1_500)).await;
    assert!(client.read_all().await < LONG, "the rest was not waited for");
}

#[tokio::test]
async fn a_request_that_waits_for_its_backend_is_not_idle() {
    let slow = crate::support::Behaviour::Slow(Duration::from_millis(800));
    let stable = Origin::start("stable", slow).await;
    let router = router_with(&routes((&[&stable], 1), (&[], 0), ""), &FLAGS).await;
    let mut client = Client::connect(router.address).await;
    assert_eq!(client.get().await.text(), "stable");
    client.send(POST).await;
    assert_eq!(client.answer().await.unwrap().text(), "stable");
}
