//! What a stranger may take by HTTP/2: each limit, and what happens beyond it.

use crate::{
    support::{Behaviour, Origin, eventually, metric, router, router_with, routes, stream_of},
    wire::{
        ACK, CONTINUATION, DATA, END_HEADERS, END_STREAM, Frame, GET, GOAWAY, HEADERS, Outcome, PING, POST,
        PREFACE, PRIORITY, RST_STREAM, SETTINGS, WINDOW_UPDATE, Wire, block, frame,
    },
};
use Outcome::{Closed, GoAway, Reset, Status};
use std::time::Duration;

const FLOW_CONTROL_ERROR: u32 = 3;
const FRAME_SIZE_ERROR: u32 = 6;
const REFUSED_STREAM: u32 = 7;
const CANCEL: u32 = 8;
const ENHANCE_YOUR_CALM: u32 = 11;

const FLAGS: [&str; 3] =
    ["--client-idle-timeout=300ms", "--client-head-timeout=200ms", "--client-stall-timeout=200ms"];

const IN_FLIGHT: &str = "huidu_router_in_flight{route=\"blog\",track=\"stable\"}";

fn route(origin: std::net::SocketAddr) -> String {
    format!("routes: [{{name: blog, backends: [{{name: b, track: stable, endpoints: ['{origin}']}}]}}]")
}

#[tokio::test]
async fn the_limits_are_told_in_the_settings() {
    let stable = Origin::good("stable").await;
    let router = router(&routes((&[&stable], 1), (&[], 0), "")).await;
    let mut wire = Wire::connect(router.address).await;
    let settings = wire.next().await.unwrap();
    assert_eq!((settings.kind, settings.flags), (SETTINGS, 0));
    let told: Vec<_> = settings
        .payload
        .chunks(6)
        .map(|six| (u16::from_be_bytes([six[0], six[1]]), u32::from_be_bytes(six[2..].try_into().unwrap())))
        .collect();
    // Streams at a time, window of a stream, size of a frame, size of a header list.
    for expected in [(3, 100), (4, 256 * 1024), (5, 16 * 1024), (6, 32 * 1024)] {
        assert!(told.contains(&expected), "{expected:?} is not in {told:?}");
    }
    assert!(!told.contains(&(8, 1)), "extended CONNECT is not offered");
}

#[tokio::test]
async fn a_hundred_requests_at_a_time_and_no_more() {
    let stable = Origin::start("stable", Behaviour::Hang).await;
    let router = router(&routes((&[&stable], 1), (&[], 0), "")).await;
    let mut wire = Wire::connect(router.address).await;
    for stream in (1..=201).step_by(2) {
        wire.request(stream, &GET).await;
    }
    assert_eq!(wire.outcome(201).await, Reset(REFUSED_STREAM));
    eventually("a hundred are at the backend", || async { stable.requests() == 100 }).await;
    assert_eq!(metric(&router, IN_FLIGHT).await, 100.0);
    drop(wire);
    eventually("none is left", || async { metric(&router, IN_FLIGHT).await == 0.0 }).await;
}

#[tokio::test]
async fn requests_that_are_taken_back_at_once_end_the_connection() {
    let stable = Origin::start("stable", Behaviour::Hang).await;
    let router = router(&routes((&[&stable], 1), (&[], 0), "")).await;
    let mut wire = Wire::connect(router.address).await;
    // CVE-2023-44487: all in one piece.
    let burst: Vec<u8> = (1..2_000)
        .step_by(2)
        .flat_map(|stream| {
            let request = frame(HEADERS, END_HEADERS | END_STREAM, stream, &block(&GET));
            [request, frame(RST_STREAM, 0, stream, &CANCEL.to_be_bytes())].concat()
        })
        .collect();
    let _ = wire.write(&burst).await;
    assert!(matches!(wire.outcome(1).await, GoAway(ENHANCE_YOUR_CALM) | Closed));
    assert!(wire.is_closed().await);
    assert!(stable.requests() < 150, "{} requests reached the backend", stable.requests());
    eventually("none is left", || async { metric(&router, IN_FLIGHT).await == 0.0 }).await;
}

#[tokio::test]
async fn requests_that_are_taken_back_one_by_one_end_the_connection() {
    let stable = Origin::start("stable", Behaviour::Hang).await;
    let router = router(&routes((&[&stable], 1), (&[], 0), "")).await;
    let mut wire = Wire::connect(router.address).await;
    let mut sent = 0;
    for stream in (1..4_000).step_by(2) {
        let request = frame(HEADERS, END_HEADERS | END_STREAM, stream, &block(&GET));
        if wire.write(&request).await.is_err() {
            break;
        }
        tokio::time::sleep(Duration::from_millis(1)).await;
        if wire.try_send(RST_STREAM, 0, stream, &CANCEL.to_be_bytes()).await.is_err() {
            break;
        }
        sent += 1;
    }
    assert!(sent < 150, "{sent} were put up with");
}

#[tokio::test]
async fn requests_that_are_answered_may_be_taken_back_for_ever() {
    let origin = stream_of(1 << 20).await;
    let router = router(&route(origin)).await;
    let mut wire = Wire::connect(router.address).await;
    for stream in (1..800).step_by(2) {
        // Window for the part that comes before the client has had enough.
        wire.send(WINDOW_UPDATE, 0, 0, &100_000_u32.to_be_bytes()).await;
        assert_eq!(wire.get(stream).await, Status(200), "stream {stream}");
        wire.send(RST_STREAM, 0, stream, &CANCEL.to_be_bytes()).await;
    }
}

#[tokio::test]
async fn an_endless_header_block_ends_the_connection() {
    let stable = Origin::good("stable").await;
    let router = router(&routes((&[&stable], 1), (&[], 0), "")).await;
    for (row, part) in
        [("empty frames", Vec::new()), ("fields", block(&[("x", "y")])), ("one field", vec![0; 64])]
    {
        let mut wire = Wire::connect(router.address).await;
        wire.send(HEADERS, END_STREAM, 1, &block(&GET)).await;
        for _ in 0..20_000 {
            if wire.try_send(CONTINUATION, 0, 1, &part).await.is_err() {
                break;
            }
        }
        assert!(wire.is_closed().await, "{row}");
    }
    assert_eq!(stable.requests(), 0);
}

#[tokio::test]
async fn a_header_list_has_a_limit_as_in_http_1() {
    let stable = Origin::good("stable").await;
    let router = router(&routes((&[&stable], 1), (&[], 0), "")).await;
    let mut wire = Wire::connect(router.address).await;
    let long = "y".repeat(15 * 1024);
    let fields = [&GET[..], &[("x", &long), ("x", &long)]].concat();
    let fields = block(&fields);
    wire.send(HEADERS, END_STREAM, 1, &fields[..16_000]).await;
    wire.send(CONTINUATION, END_HEADERS, 1, &fields[16_000..]).await;
    assert_eq!(wire.outcome(1).await, Status(200), "30 KiB are in order");
    let mut wire = Wire::connect(router.address).await;
    let fields = block(&[&GET[..], &[("x", &long), ("x", &long), ("x", &long)]].concat());
    wire.send(HEADERS, END_STREAM, 3, &fields[..16_000]).await;
    wire.send(CONTINUATION, 0, 3, &fields[16_000..32_000]).await;
    wire.send(CONTINUATION, END_HEADERS, 3, &fields[32_000..]).await;
    assert_eq!(wire.outcome(3).await, Status(431));
    let mut wire = Wire::connect(router.address).await;
    let many: Vec<_> = GET.into_iter().chain((0..101).map(|_| ("x", "y"))).collect();
    wire.request(5, &many).await;
    assert_eq!(wire.outcome(5).await, Status(431), "more lines than a backend of HTTP/1.1 takes");
    let cookies: Vec<_> = GET.into_iter().chain((0..200).map(|_| ("cookie", "a=b"))).collect();
    wire.request(7, &cookies).await;
    assert_eq!(wire.outcome(7).await, Status(200), "cookies come as one line");
    assert_eq!(stable.requests(), 2);
}

#[tokio::test]
async fn floods_of_frames_that_carry_nothing_end_the_connection() {
    let stable = Origin::start("stable", Behaviour::Hang).await;
    let router = router(&routes((&[&stable], 1), (&[], 0), "")).await;
    for (row, kind, flags, stream, payload) in [
        ("pings", PING, 0, 0, &[0; 8][..]),
        ("acknowledged pings", PING, ACK, 0, &[0; 8]),
        ("settings", SETTINGS, 0, 0, &[]),
        ("priorities", PRIORITY, 0, 9, &[0, 0, 0, 0, 9]),
        ("windows", WINDOW_UPDATE, 0, 1, &[0, 0, 0, 1]),
        ("empty data", DATA, 0, 1, &[]),
        ("unknown frames", 99, 0, 0, &[]),
    ] {
        let mut wire = Wire::connect(router.address).await;
        wire.send(HEADERS, END_HEADERS, 1, &block(&POST)).await;
        let flood = frame(kind, flags, stream, payload).repeat(100);
        for _ in 0..30 {
            if wire.write(&flood).await.is_err() {
                break;
            }
        }
        assert!(wire.is_closed().await, "{row}");
    }
    eventually("none is left", || async { metric(&router, IN_FLIGHT).await == 0.0 }).await;
}

#[tokio::test]
async fn what_breaks_the_rules_of_windows_and_sizes_ends_the_connection() {
    let stable = Origin::start("stable", Behaviour::Hang).await;
    let router = router(&routes((&[&stable], 1), (&[], 0), "")).await;
    let mut wire = Wire::connect(router.address).await;
    wire.send(WINDOW_UPDATE, 0, 0, &u32::MAX.to_be_bytes()).await;
    assert_eq!(wire.outcome(1).await, GoAway(FLOW_CONTROL_ERROR), "a window beyond 2^31 - 1");
    let mut wire = Wire::connect(router.address).await;
    wire.send(WINDOW_UPDATE, 0, 0, &0_u32.to_be_bytes()).await;
    assert_eq!(wire.outcome(1).await, GoAway(1), "a window update of nothing");
    let mut wire = Wire::connect(router.address).await;
    wire.send(DATA, 0, 1, &[0; 16 * 1024 + 1]).await;
    assert_eq!(wire.outcome(1).await, GoAway(FRAME_SIZE_ERROR), "a frame above the limit");

    let mut wire = Wire::connect(router.address).await;
    wire.send(HEADERS, END_HEADERS, 1, &block(&POST)).await;
    // More than the windows and the buffers of the system, as nobody takes the body.
    for _ in 0..2_000 {
        if wire.try_send(DATA, 0, 1, &[0; 16 * 1024]).await.is_err() {
            break;
        }
    }
    assert!(matches!(wire.outcome(1).await, Reset(FLOW_CONTROL_ERROR) | GoAway(FLOW_CONTROL_ERROR)));
}

#[tokio::test]
async fn an_answer_waits_for_the_window_of_its_client() {
    let origin = stream_of(1 << 20).await;
    let router = router(&route(origin)).await;
    let mut wire = Wire::with_settings(router.address, &[(4, 1_000)]).await;
    assert_eq!(wire.get(1).await, Status(200));
    let Frame { kind, payload, .. } = wire.next().await.unwrap();
    assert_eq!((kind, payload.len()), (DATA, 1_000));
    wire.send(WINDOW_UPDATE, 0, 1, &500_u32.to_be_bytes()).await;
    let Frame { kind, payload, .. } = wire.next().await.unwrap();
    assert_eq!((kind, payload.len()), (DATA, 500));
}

#[tokio::test]
async fn slow_prefaces_heads_and_idle_connections_have_deadlines() {
    let stable = Origin::good("stable").await;
    let router = router_with(&routes((&[&stable], 1), (&[], 0), ""), &FLAGS).await;
    let head = frame(HEADERS, END_HEADERS | END_STREAM, 1, &block(&GET));
    let unfinished = frame(HEADERS, END_STREAM, 1, &block(&GET));
    let settings = frame(SETTINGS, 0, 0, &[]);
    for (row, bytes) in [
        ("a part of the preface", PREFACE[..10].to_vec()),
        ("no settings", PREFACE.to_vec()),
        ("no request", [PREFACE, &settings].concat()),
        ("a part of a frame's header", [PREFACE, &settings, &head[..5]].concat()),
        ("a part of a frame", [PREFACE, &settings, &head[..15]].concat()),
        ("a part of a header block", [PREFACE, &settings, &unfinished].concat()),
    ] {
        let mut wire = Wire::silent(router.address).await;
        wire.write(&bytes).await.unwrap();
        assert!(wire.is_closed().await, "{row}");
    }
    let mut wire = Wire::connect(router.address).await;
    assert_eq!(wire.get(1).await, Status(200));
    let farewell = loop {
        let frame = wire.next().await.expect("GOAWAY");
        if frame.kind == GOAWAY {
            break frame;
        }
    };
    assert_eq!(farewell.payload[4..8], [0; 4], "no error: the client just does not need it");
    assert!(wire.is_closed().await, "idle between requests");
}

#[tokio::test]
async fn pings_do_not_keep_an_idle_connection() {
    let stable = Origin::good("stable").await;
    let router = router_with(&routes((&[&stable], 1), (&[], 0), ""), &FLAGS).await;
    let mut wire = Wire::connect(router.address).await;
    for _ in 0..200 {
        if wire.try_send(PING, 0, 0, &[0; 8]).await.is_err() {
            return;
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    panic!("ten seconds of pings were put up with");
}

#[tokio::test]
async fn a_body_that_does_not_come_is_answered_and_others_go_on() {
    let stable = Origin::start("stable", Behaviour::Slow(Duration::from_millis(800))).await;
    let router = router_with(&routes((&[&stable], 1), (&[], 0), ""), &FLAGS).await;
    let mut wire = Wire::connect(router.address).await;
    wire.request(1, &GET).await;
    wire.send(HEADERS, END_HEADERS, 3, &block(&POST)).await;
    wire.send(DATA, 0, 3, b"half").await;
    assert_eq!(wire.outcome(3).await, Status(408));
    assert_eq!(wire.outcome(1).await, Status(200), "a request that waits for its backend is not slow");
}

#[tokio::test]
async fn a_client_that_takes_no_answer_loses_it_and_the_backend_is_free() {
    let origin = stream_of(64 << 20).await;
    let router = router_with(&route(origin), &FLAGS).await;
    let mut wire = Wire::connect(router.address).await;
    assert_eq!(wire.get(1).await, Status(200));
    eventually("the request is under way", || async { metric(&router, IN_FLIGHT).await == 1.0 }).await;
    // 64 KiB are taken, the rest is never asked for.
    loop {
        let frame = wire.next().await.expect("RST_STREAM");
        if frame.kind == RST_STREAM {
            break;
        }
    }
    eventually("nothing is under way", || async { metric(&router, IN_FLIGHT).await == 0.0 }).await;
    assert_eq!(wire.get(3).await, Status(200), "the connection goes on");
}
