//! Clients of HTTP/2 that are slow on purpose: each keeps sending something, or takes a little, and gains no time by it.

use crate::{
    support::{Behaviour, Origin, eventually, metric, router, router_with, routes, stream_of},
    wire::{
        CONTINUATION, DATA, END_HEADERS, END_STREAM, GET, HEADERS, Outcome, PING, POST, RST_STREAM,
        WINDOW_UPDATE, Wire, block, frame,
    },
};
use Outcome::{GoAway, Status};
use std::time::Duration;
use tokio::time;

const FLAGS: [&str; 3] =
    ["--client-idle-timeout=300ms", "--client-head-timeout=200ms", "--client-stall-timeout=200ms"];

const IN_FLIGHT: &str = "huidu_router_in_flight{route=\"blog\",track=\"stable\"}";

/// Sends piece after piece with pauses; panics when the connection is still there at the end.
async fn trickle(wire: &mut Wire, what: &str, pieces: impl Iterator<Item = Vec<u8>>) {
    for piece in pieces {
        if wire.write(&piece).await.is_err() {
            return;
        }
        time::sleep(Duration::from_millis(40)).await;
    }
    panic!("{what}: all of it was put up with");
}

#[tokio::test]
async fn a_header_block_has_one_deadline_however_many_frames_it_comes_in() {
    let stable = Origin::good("stable").await;
    let router = router_with(&routes((&[&stable], 1), (&[], 0), ""), &FLAGS).await;
    for (what, part) in [("empty frames", &b""[..]), ("fields", &[0, 1, b'x', 1, b'y'])] {
        let mut wire = Wire::connect(router.address).await;
        wire.send(HEADERS, END_STREAM, 1, &block(&GET)).await;
        let parts = std::iter::repeat_n(frame(CONTINUATION, 0, 1, part), 100);
        trickle(&mut wire, what, parts).await;
    }
    assert_eq!(stable.requests(), 0);
}

#[tokio::test]
async fn a_header_block_has_the_same_deadline_while_other_requests_end() {
    let stable = Origin::start("stable", Behaviour::Slow(Duration::from_millis(150))).await;
    let router = router_with(
        &routes((&[&stable], 1), (&[], 0), ""),
        &["--client-idle-timeout=60s", "--client-head-timeout=300ms"],
    )
    .await;
    let mut wire = Wire::connect(router.address).await;
    // No acknowledgement may come within the block.
    assert_eq!(wire.get(1).await, Status(200));
    wire.request(3, &GET).await;
    wire.send(HEADERS, END_STREAM, 5, &block(&GET)).await;
    assert_eq!(wire.outcome(3).await, Status(200));
    assert!(wire.is_closed().await);
}

#[tokio::test]
async fn a_frame_that_comes_byte_by_byte_has_one_deadline() {
    let stable = Origin::good("stable").await;
    let router = router_with(&routes((&[&stable], 1), (&[], 0), ""), &FLAGS).await;
    let value = "y".repeat(200);
    let long = [&GET[..], &[("x", &value)]].concat();
    let mut wire = Wire::connect(router.address).await;
    let bytes = frame(HEADERS, END_HEADERS | END_STREAM, 1, &block(&long));
    trickle(&mut wire, "a head", bytes.into_iter().map(|byte| vec![byte])).await;
    assert_eq!(stable.requests(), 0);
}

#[tokio::test]
async fn pings_in_pieces_do_not_keep_an_idle_connection() {
    let stable = Origin::good("stable").await;
    let router = router_with(&routes((&[&stable], 1), (&[], 0), ""), &FLAGS).await;
    let mut wire = Wire::connect(router.address).await;
    assert_eq!(wire.get(1).await, Status(200));
    let ping = frame(PING, 0, 0, &[0; 8]);
    let halves = [ping[..10].to_vec(), ping[10..].to_vec()];
    trickle(&mut wire, "pings", halves.into_iter().cycle().take(200)).await;
}

#[tokio::test]
async fn parts_of_a_body_that_nobody_waits_for_do_not_keep_an_idle_connection() {
    let stable = Origin::good("stable").await;
    let router = router_with(&routes((&[&stable], 1), (&[], 0), ""), &FLAGS).await;
    let mut wire = Wire::connect(router.address).await;
    assert_eq!(wire.get(1).await, Status(200));
    let malformed = [&POST[..], &[("X-Upper", "1")]].concat();
    wire.send(HEADERS, END_HEADERS, 3, &block(&malformed)).await;
    assert_eq!(wire.outcome(3).await, Outcome::Reset(1));
    trickle(&mut wire, "bytes", std::iter::repeat_n(frame(DATA, 0, 3, b"x"), 200)).await;
}

#[tokio::test]
async fn a_window_that_opens_byte_by_byte_is_no_progress() {
    let origin = stream_of(64 << 20).await;
    let route =
        format!("routes: [{{name: blog, backends: [{{name: b, track: stable, endpoints: ['{origin}']}}]}}]");
    let router = router_with(&route, &FLAGS).await;
    for (what, update) in [("no window", 0), ("a byte at a time", 1_u32)] {
        let mut wire = Wire::with_settings(router.address, &[(4, 0)]).await;
        assert_eq!(wire.get(1).await, Status(200), "{what}");
        let reset = async {
            loop {
                let frame = wire.next().await.expect("RST_STREAM");
                match frame.kind {
                    RST_STREAM => return,
                    DATA if update > 0 => {
                        time::sleep(Duration::from_millis(20)).await;
                        wire.send(WINDOW_UPDATE, 0, 1, &update.to_be_bytes()).await;
                    }
                    _ if update > 0 => wire.send(WINDOW_UPDATE, 0, 1, &update.to_be_bytes()).await,
                    _ => {}
                }
            }
        };
        time::timeout(Duration::from_secs(4), reset).await.expect(what);
        eventually("nothing is under way", || async { metric(&router, IN_FLIGHT).await == 0.0 }).await;
    }
}

#[tokio::test]
async fn all_bodies_together_have_a_window() {
    const FLOW_CONTROL_ERROR: u32 = 3;
    let stable = Origin::start("stable", Behaviour::Hang).await;
    let router = router(&routes((&[&stable], 1), (&[], 0), "").replace(
        "weight: 1, endpoints",
        "weight: 1, maxRequests: 1, queue: {maxRequests: 9, timeout: 5s}, endpoints",
    ))
    .await;
    let mut wire = Wire::connect(router.address).await;
    wire.request(1, &GET).await;
    eventually("the only place is taken", || async { stable.requests() == 1 }).await;
    // The others wait for a place, and nobody takes their bodies: four are within the window.
    for stream in (3..=9).step_by(2) {
        wire.send(HEADERS, END_HEADERS, stream, &block(&POST)).await;
        for _ in 0..16 {
            wire.send(DATA, 0, stream, &[0; 16 * 1024]).await;
        }
    }
    wire.send(HEADERS, END_HEADERS, 11, &block(&POST)).await;
    wire.send(PING, 0, 0, b"are here").await;
    loop {
        let frame = wire.next().await.expect("an answer to the ping");
        assert!(!matches!(frame.kind, WINDOW_UPDATE) || frame.stream == 0, "{frame:?}");
        if frame.kind == PING {
            break;
        }
    }
    wire.send(DATA, 0, 11, b"one more").await;
    assert_eq!(wire.outcome(11).await, GoAway(FLOW_CONTROL_ERROR));
}
