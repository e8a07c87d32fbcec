//! Clients of HTTP/2 that make work and bring nothing.

use crate::{
    program::Program,
    support::{Behaviour, Origin, eventually, metric, router, routes, stream_of},
    wire::{
        DATA, END_HEADERS, END_STREAM, GET, HEADERS, Outcome, PING, POST, PRIORITY, WINDOW_UPDATE, Wire,
        block, frame,
    },
};
use Outcome::{GoAway, Status};

const COMPRESSION_ERROR: u32 = 9;
const ENHANCE_YOUR_CALM: u32 = 11;

const IN_FLIGHT: &str = "huidu_router_in_flight{route=\"blog\",track=\"stable\"}";

/// A stream that no test uses: the end of the connection is waited for.
const NONE: u32 = 0x7FFF_FFFF;

fn get(stream: u32) -> Vec<u8> {
    frame(HEADERS, END_HEADERS | END_STREAM, stream, &block(&GET))
}

/// Sends pieces until the connection ends; whether it does, because of them. GOAWAY may be lost on the way to a client
/// that is still sending.
async fn is_let_go(wire: &mut Wire, pieces: impl Iterator<Item = Vec<u8>>) -> bool {
    for piece in pieces {
        if wire.write(&piece).await.is_err() {
            break;
        }
    }
    match wire.outcome(NONE).await {
        GoAway(ENHANCE_YOUR_CALM) => true,
        Outcome::Closed => wire.is_closed().await,
        _ => false,
    }
}

#[tokio::test]
async fn requests_beyond_the_limit_of_streams_earn_nothing() {
    let stable = Origin::start("stable", Behaviour::Hang).await;
    let router = router(&routes((&[&stable], 1), (&[], 0), "")).await;
    let mut wire = Wire::connect(router.address).await;
    let flood = (1..10_000).step_by(2).map(get);
    assert!(is_let_go(&mut wire, flood).await);
    assert!(stable.requests() <= 100, "{}", stable.requests());
}

#[tokio::test]
async fn parts_of_a_body_that_bring_next_to_nothing_pay_for_nothing() {
    let stable = Origin::start("stable", Behaviour::Hang).await;
    let router = router(&routes((&[&stable], 1), (&[], 0), "")).await;
    const PADDED: u8 = 8;
    let padded = frame(DATA, PADDED, 1, &[3, 0, 0, 0]);
    let byte_and_ping = [frame(DATA, 0, 1, b"x"), frame(PING, 0, 0, &[0; 8])].concat();
    for (row, piece) in [("nothing but padding", padded), ("a byte and a ping", byte_and_ping)] {
        let mut wire = Wire::connect(router.address).await;
        wire.send(HEADERS, END_HEADERS, 1, &block(&POST)).await;
        let flood = std::iter::repeat_n(piece, 3_000);
        assert!(is_let_go(&mut wire, flood).await, "{row}");
    }
}

#[tokio::test]
async fn a_message_may_come_with_a_ping_for_ever() {
    let stable = Origin::start("stable", Behaviour::Hang).await;
    let router = router(&routes((&[&stable], 1), (&[], 0), "")).await;
    let mut wire = Wire::connect(router.address).await;
    wire.send(HEADERS, END_HEADERS, 1, &block(&POST)).await;
    // The shortest message of gRPC.
    let pair = [frame(DATA, 0, 1, &[0; 5]), frame(PING, 0, 0, &[0; 8])].concat();
    for _ in 0..3_000 {
        wire.write(&pair).await.unwrap();
    }
    assert_eq!(wire.get(3).await, Outcome::Closed, "nothing comes, and nothing ends the connection");
}

#[tokio::test]
async fn a_client_that_makes_the_router_reset_streams_is_let_go() {
    let stable = Origin::start("stable", Behaviour::Hang).await;
    let router = router(&routes((&[&stable], 1), (&[], 0), "")).await;
    // CVE-2025-8671: no reset comes from the client.
    let with = |fault: fn(u32) -> Vec<u8>| move |stream| [get(stream), fault(stream)].concat();
    type Piece = Box<dyn Fn(u32) -> Vec<u8>>;
    let upper = [&GET[..], &[("X-Upper", "1")]].concat();
    let malformed = block(&upper);
    let rows: [(&str, Piece); 6] = [
        ("a window update of nothing", Box::new(with(|id| frame(WINDOW_UPDATE, 0, id, &[0; 4])))),
        (
            "a window that is too large",
            Box::new(with(|id| frame(WINDOW_UPDATE, 0, id, &[0x7F, 255, 255, 255]))),
        ),
        ("a second head", Box::new(with(get))),
        ("a body after the end", Box::new(with(|id| frame(DATA, 0, id, b"x")))),
        ("a priority that is too short", Box::new(with(|id| frame(PRIORITY, 0, id, &[0; 4])))),
        ("a malformed head", Box::new(move |id| frame(HEADERS, END_HEADERS | END_STREAM, id, &malformed))),
    ];
    for (row, piece) in rows {
        stable.forget();
        let mut wire = Wire::connect(router.address).await;
        let flood = (1..1_000).step_by(2).map(piece);
        assert!(is_let_go(&mut wire, flood).await, "{row}");
        assert!(stable.requests() <= 101, "{row}: {}", stable.requests());
    }
    eventually("none is left", || async { metric(&router, IN_FLIGHT).await == 0.0 }).await;
}

#[tokio::test]
async fn a_small_block_that_unfolds_into_a_large_head_is_refused() {
    let stable = Origin::good("stable").await;
    let router = router(&routes((&[&stable], 1), (&[], 0), "")).await;
    let mut wire = Wire::connect(router.address).await;
    // One field goes into the table, and is referred to thousands of times.
    let mut bomb = block(&[&GET[..], &[("x", &"y".repeat(3_900))]].concat());
    let at = block(&GET).len();
    bomb[at] = 0x40;
    bomb.resize(bomb.len() + 10_000, 0xBE);
    wire.send(HEADERS, END_HEADERS | END_STREAM, 1, &bomb).await;
    assert_eq!(wire.outcome(1).await, Status(431));
    assert_eq!(stable.requests(), 0);
    assert_eq!(wire.get(3).await, Status(200), "the table is in step");
    // Again and again it is a flood.
    let again = [block(&GET), vec![0xBE; 10_000]].concat();
    let flood = (5..10_000).step_by(2).map(|id| frame(HEADERS, END_HEADERS | END_STREAM, id, &again));
    assert!(is_let_go(&mut wire, flood).await);
    assert_eq!(stable.requests(), 1);
}

#[tokio::test]
async fn large_heads_and_answers_that_nobody_takes_need_bounded_memory() {
    let origin = stream_of(1 << 20).await;
    let yaml =
        format!("routes: [{{name: blog, backends: [{{name: b, track: stable, endpoints: ['{origin}']}}]}}]");
    let program = Program::start(&yaml, &[]).await;
    let before = program.resident_bytes();
    // No window for any answer.
    let mut wire = Wire::with_settings(program.address, &[(4, 0)]).await;
    let mut first = block(&[&GET[..], &[("x", &"y".repeat(3_900))]].concat());
    let at = block(&GET).len();
    first[at] = 0x40;
    // 31 KiB each, by 8 bytes.
    let next = [block(&GET), vec![0xBE; 8]].concat();
    wire.send(HEADERS, END_HEADERS | END_STREAM, 1, &first).await;
    for stream in (3..200).step_by(2) {
        wire.send(HEADERS, END_HEADERS | END_STREAM, stream, &next).await;
    }
    let mut answers = 0;
    while answers < 100 {
        let frame = wire.next().await.expect("an answer");
        if frame.kind == HEADERS {
            assert!(frame.payload.contains(&0x88), "200: {frame:x?}");
            answers += 1;
        }
    }
    // Of each stream its head, what the backend was sent of it, and a piece of the answer.
    let more = program.resident_bytes().saturating_sub(before);
    assert!(more < 100 * 200 * 1024, "{more} bytes");
}

#[tokio::test]
async fn a_table_of_more_than_was_offered_ends_the_connection() {
    let stable = Origin::good("stable").await;
    let router = router(&routes((&[&stable], 1), (&[], 0), "")).await;
    for (size, outcome) in
        [([0x3F, 0xE1, 0x1F], Status(200)), ([0x3F, 0xE2, 0x1F], GoAway(COMPRESSION_ERROR))]
    {
        let mut wire = Wire::connect(router.address).await;
        let block = [&size[..], &block(&GET)].concat();
        wire.send(HEADERS, END_HEADERS | END_STREAM, 1, &block).await;
        assert_eq!(wire.outcome(1).await, outcome, "{size:x?}");
    }
}
