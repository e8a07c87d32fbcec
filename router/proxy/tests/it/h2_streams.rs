//! Streams of HTTP/2: many at a time, large bodies, and what happens around their ends.

use crate::{
    h2_origin::{Call, H2Client},
    scripted::Scripted,
    support::{Origin, eventually, metric, router, routes, stream_of},
    wire::{
        CONTINUATION, DATA, END_HEADERS, END_STREAM, GET, HEADERS, Outcome, POST, RST_STREAM, SETTINGS,
        WINDOW_UPDATE, Wire, block, frame,
    },
};
use Outcome::{GoAway, Reset, Status};
use rand::{RngExt, SeedableRng, rngs::SmallRng};
use std::net::SocketAddr;
use tokio::{
    io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader},
    net::TcpListener,
    task::JoinSet,
};

const STREAM_CLOSED: u32 = 5;
const PADDED: u8 = 8;
const PRIORITISED: u8 = 0x20;

const MIB: usize = 1 << 20;

fn route(origin: SocketAddr) -> String {
    format!("routes: [{{name: blog, backends: [{{name: b, track: stable, endpoints: ['{origin}']}}]}}]")
}

/// Answers when it has read a body of so many bytes.
async fn reader_of(length: usize) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            tokio::spawn(async move {
                let mut stream = BufReader::new(stream);
                let mut line = String::new();
                while stream.read_line(&mut line).await.unwrap() > 2 {
                    line.clear();
                }
                let mut body = vec![0; length];
                stream.read_exact(&mut body).await.unwrap();
                assert!(body.iter().all(|&byte| byte == b'u'));
                stream.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok").await.unwrap();
            });
        }
    });
    address
}

#[tokio::test]
async fn large_answers_come_whole_side_by_side_on_one_connection() {
    let router = router(&route(stream_of(3 * MIB).await)).await;
    let client = H2Client::connect(router.address).await;
    let mut calls: JoinSet<_> = (0..20).map(|_| client.call(Call::get("/"))).collect();
    while let Some(answer) = calls.join_next().await {
        let answer = answer.unwrap().unwrap();
        assert_eq!((answer.status, answer.body.len()), (200, 3 * MIB));
        assert!(answer.body.iter().all(|&byte| byte == 0));
    }
}

#[tokio::test]
async fn large_uploads_arrive_whole_side_by_side_on_one_connection() {
    let router = router(&route(reader_of(2 * MIB).await)).await;
    let client = H2Client::connect(router.address).await;
    let body: &'static [u8] = vec![b'u'; 2 * MIB].leak();
    let call = || Call { method: "POST", path: "/", headers: &[("content-length", "2097152")], body };
    let mut calls: JoinSet<_> = (0..8).map(|_| client.call(call())).collect();
    while let Some(answer) = calls.join_next().await {
        let answer = answer.unwrap().unwrap();
        assert_eq!((answer.status, answer.body.as_slice()), (200, &b"ok"[..]));
    }
}

#[tokio::test]
async fn an_answer_before_the_end_of_its_request_is_no_fault_and_others_go_on() {
    let backend = Scripted::start("HTTP/1.1 413 Too Large\r\nContent-Length: 2\r\n\r\nno").await;
    let router = router(&backend.route()).await;
    let mut wire = Wire::connect(router.address).await;
    wire.send(HEADERS, END_HEADERS, 1, &block(&POST)).await;
    assert_eq!(wire.outcome(1).await, Status(413));
    let reset = loop {
        let frame = wire.next().await.expect("RST_STREAM");
        if frame.kind == RST_STREAM {
            break frame;
        }
    };
    assert_eq!((reset.stream, reset.payload), (1, vec![0; 4]), "no error");
    // What was on its way then is passed over, however much it is.
    for _ in 0..200 {
        wire.send(DATA, 0, 1, &[0; 16 * 1024]).await;
    }
    wire.send(HEADERS, END_HEADERS | END_STREAM, 1, &block(&[("x-trailer", "1")])).await;
    assert_eq!(wire.get(3).await, Status(413));
}

#[tokio::test]
async fn a_stream_that_has_ended_is_not_used_again() {
    let stable = Origin::good("stable").await;
    let router = router(&routes((&[&stable], 1), (&[], 0), "")).await;
    let mut wire = Wire::connect(router.address).await;
    assert_eq!(wire.get(5).await, Status(200));
    wire.send(DATA, END_STREAM, 5, b"late").await;
    assert_eq!(wire.outcome(5).await, Reset(STREAM_CLOSED));
    for stream in [3, 4] {
        let mut wire = Wire::connect(router.address).await;
        assert_eq!(wire.get(5).await, Status(200));
        wire.request(stream, &GET).await;
        assert!(matches!(wire.outcome(stream).await, GoAway(1 | STREAM_CLOSED)), "stream {stream}");
    }
    assert_eq!(stable.requests(), 3);
}

#[tokio::test]
async fn padding_and_priorities_are_passed_over_and_trailers_come_through() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let router = router(&route(listener.local_addr().unwrap())).await;
    // Answers when the request is there to its end.
    let backend = tokio::spawn(async move {
        let (mut stream, _) = listener.accept().await.unwrap();
        let mut seen = Vec::new();
        while !seen.ends_with(b"\r\n\r\n4\r\nbody\r\n0\r\nx-trailer: told\r\n\r\n") {
            assert!(stream.read_buf(&mut seen).await.unwrap() > 0, "{}", seen.escape_ascii());
        }
        stream.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok").await.unwrap();
    });
    let mut wire = Wire::connect(router.address).await;
    let head = [&[3, 0, 0, 0, 9, 200], &block(&POST)[..], &[0; 3]].concat();
    wire.send(HEADERS, END_HEADERS | PADDED | PRIORITISED, 1, &head).await;
    wire.send(DATA, PADDED, 1, b"\x04body\0\0\0\0").await;
    let trailers = block(&[("x-trailer", "told")]);
    wire.send(HEADERS, END_STREAM, 1, &trailers[..4]).await;
    wire.send(CONTINUATION, END_HEADERS, 1, &trailers[4..]).await;
    assert_eq!(wire.outcome(1).await, Status(200));
    backend.await.unwrap();
}

#[tokio::test]
async fn trailers_that_are_none_reset_the_stream() {
    let backend = Scripted::start("").await;
    let router = router(&backend.route()).await;
    for (row, flags, fields) in [
        ("a path", END_HEADERS | END_STREAM, [(":path", "/other")]),
        ("not the end", END_HEADERS, [("x-trailer", "1")]),
        ("upper case", END_HEADERS | END_STREAM, [("X-Trailer", "1")]),
    ] {
        let mut wire = Wire::connect(router.address).await;
        wire.send(HEADERS, END_HEADERS, 1, &block(&POST)).await;
        wire.send(HEADERS, flags, 1, &block(&fields)).await;
        assert_eq!(wire.outcome(1).await, Reset(1), "{row}");
    }
}

#[tokio::test]
async fn a_client_that_keeps_no_table_is_told_that_none_is_needed() {
    let stable = Origin::good("stable").await;
    let router = router(&routes((&[&stable], 1), (&[], 0), "")).await;
    let mut wire = Wire::with_settings(router.address, &[(1, 0)]).await;
    wire.request(1, &GET).await;
    let head = loop {
        let frame = wire.next().await.expect("HEADERS");
        if frame.kind == HEADERS {
            break frame;
        }
    };
    assert_eq!(head.payload[..2], [0x20, 0x88]);
}

/// A frame as no client means it, though often close to one.
fn noise(rng: &mut SmallRng) -> Vec<u8> {
    let mut bytes: Vec<u8> = (0..rng.random_range(0..40)).map(|_| rng.random()).collect();
    let stream = rng.random_range(0..24);
    let flags = [0, 1, 4, 5, 8, 0x2D, 0xFF][rng.random_range(0..7)];
    match rng.random_range(0..10) {
        0..=2 => frame(HEADERS, flags, stream, &block(if rng.random() { &GET } else { &POST })),
        3 => frame(DATA, flags, stream, &bytes.repeat(100)),
        4 => frame(RST_STREAM, 0, stream, &[0, 0, 0, 8]),
        5 => frame(WINDOW_UPDATE, 0, stream, &rng.random_range(0_u32..1 << 20).to_be_bytes()),
        6 => frame(SETTINGS, 0, 0, &[&[0, 4][..], &rng.random_range(0_u32..100_000).to_be_bytes()].concat()),
        7 => frame(HEADERS, flags, stream, &[&block(&GET), &bytes[..]].concat()),
        8 => frame(rng.random_range(0..12), flags, stream, &bytes),
        _ => {
            bytes.truncate(9);
            bytes
        }
    }
}

#[tokio::test]
async fn whatever_comes_the_router_goes_on_and_nothing_is_left_under_way() {
    let router = router(&route(stream_of(MIB / 4).await)).await;
    let mut rng = SmallRng::seed_from_u64(9113);
    for _ in 0..300 {
        let mut wire = Wire::connect(router.address).await;
        for _ in 0..rng.random_range(1..40) {
            if wire.write(&noise(&mut rng)).await.is_err() {
                break;
            }
            if rng.random_ratio(1, 10) {
                tokio::task::yield_now().await;
            }
        }
    }
    let in_flight = "huidu_router_in_flight{route=\"blog\",track=\"stable\"}";
    eventually("nothing is under way", || async { metric(&router, in_flight).await == 0.0 }).await;
    assert_eq!(Wire::connect(router.address).await.get(1).await, Status(200));
}
