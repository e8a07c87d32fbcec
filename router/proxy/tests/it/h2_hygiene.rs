//! HTTP/2 requests that a backend could read differently go nowhere. RFC 9113 §8, and requests that were smuggled by
//! way of HTTP/1.1 in other proxies.

use crate::{
    scripted::Scripted,
    support::{Origin, router, routes},
    wire::{CONTINUATION, DATA, END_HEADERS, END_STREAM, GET, HEADERS, Outcome, POST, Wire, block, frame},
};
use Outcome::{GoAway, Reset, Status};

/// The stream is reset. h2 ends the connection where not even the name of a field can be read (RFC 9113 §5.4.1).
const MALFORMED: Outcome = Reset(1);
const UNREADABLE: [Outcome; 2] = [GoAway(1), GoAway(9)];

type Fields = &'static [(&'static str, &'static str)];

/// Name of the row, fields after those of an ordinary GET, outcome.
const EXTRA_FIELDS: [(&str, Fields, Outcome); 33] = [
    ("upper case", &[("X-Upper", "1")], MALFORMED),
    ("space in name", &[("x y", "1")], MALFORMED),
    ("colon in name", &[("x:y", "1")], MALFORMED),
    ("no name", &[("", "1")], MALFORMED),
    ("name not ASCII", &[("x\u{e4}", "1")], MALFORMED),
    ("NUL in name", &[("x\0", "1")], MALFORMED),
    ("CR in value", &[("x", "a\rb")], MALFORMED),
    ("LF in value", &[("x", "a\nhost: b")], MALFORMED),
    ("CR LF in value", &[("x", "a\r\n\r\nGET /smuggled HTTP/1.1\r\nHost: a\r\n\r\n")], MALFORMED),
    ("NUL in value", &[("x", "a\0b")], MALFORMED),
    ("space before value", &[("x", " a")], Status(400)),
    ("tab after value", &[("x", "a\t")], Status(400)),
    ("connection", &[("connection", "close")], MALFORMED),
    ("keep-alive", &[("keep-alive", "timeout=5")], MALFORMED),
    ("proxy-connection", &[("proxy-connection", "close")], MALFORMED),
    ("upgrade", &[("upgrade", "websocket")], MALFORMED),
    ("transfer-encoding", &[("transfer-encoding", "chunked")], MALFORMED),
    ("transfer coding as variable", &[("transfer_encoding", "chunked")], Status(400)),
    ("length as variable", &[("content_length", "5")], Status(400)),
    ("te other than trailers", &[("te", "gzip")], MALFORMED),
    ("host disagrees", &[("host", "b")], Status(400)),
    ("two hosts", &[("host", "a"), ("host", "a")], Status(400)),
    ("method twice", &[(":method", "GET")], MALFORMED),
    ("scheme twice", &[(":scheme", "http")], MALFORMED),
    ("path twice", &[(":path", "/other")], MALFORMED),
    ("pseudo field after others", &[("x", "1"), (":x", "/")], MALFORMED),
    ("status in a request", &[(":status", "200")], MALFORMED),
    ("protocol without CONNECT", &[(":protocol", "websocket")], MALFORMED),
    ("length without body", &[("content-length", "5")], MALFORMED),
    ("length with sign", &[("content-length", "+0")], MALFORMED),
    ("length list", &[("content-length", "0, 0")], MALFORMED),
    ("lengths", &[("content-length", "0"), ("content-length", "0")], Status(400)),
    ("expectation", &[("expect", "200-ok")], Status(417)),
];

/// Name of the row, all fields, outcome.
const WHOLE_HEADS: [(&str, Fields, Outcome); 22] = [
    ("no method", &[(":scheme", "http"), (":authority", "a"), (":path", "/")], MALFORMED),
    ("no scheme", &[(":method", "GET"), (":authority", "a"), (":path", "/")], MALFORMED),
    ("no path", &[(":method", "GET"), (":scheme", "http"), (":authority", "a")], MALFORMED),
    ("empty path", &[(":method", "GET"), (":scheme", "http"), (":authority", "a"), (":path", "")], MALFORMED),
    ("no slash", &[(":method", "GET"), (":scheme", "http"), (":authority", "a"), (":path", "x")], MALFORMED),
    ("star", &[(":method", "GET"), (":scheme", "http"), (":authority", "a"), (":path", "*")], Status(400)),
    (
        "URI as scheme",
        &[(":method", "GET"), (":scheme", "http://x/?"), (":authority", "a"), (":path", "/")],
        MALFORMED,
    ),
    (
        "fragment",
        &[(":method", "GET"), (":scheme", "http"), (":authority", "a"), (":path", "/a#b")],
        MALFORMED,
    ),
    (
        "path not ASCII",
        &[(":method", "GET"), (":scheme", "http"), (":authority", "a"), (":path", "/\u{e4}")],
        MALFORMED,
    ),
    (
        "DEL in query",
        &[(":method", "GET"), (":scheme", "http"), (":authority", "a"), (":path", "/?\x7f")],
        MALFORMED,
    ),
    (
        "whole URI as path",
        &[(":method", "GET"), (":scheme", "http"), (":authority", "a"), (":path", "http://b/")],
        MALFORMED,
    ),
    (
        "space in path",
        &[(":method", "GET"), (":scheme", "http"), (":authority", "a"), (":path", "/ HTTP/1.1")],
        MALFORMED,
    ),
    (
        "line end in path",
        &[(":method", "GET"), (":scheme", "http"), (":authority", "a"), (":path", "/\r\nx: y")],
        MALFORMED,
    ),
    (
        "space in method",
        &[(":method", "GET / HTTP/1.1"), (":scheme", "http"), (":authority", "a"), (":path", "/")],
        MALFORMED,
    ),
    ("no host at all", &[(":method", "GET"), (":scheme", "http"), (":path", "/")], Status(400)),
    (
        "empty authority",
        &[(":method", "GET"), (":scheme", "http"), (":authority", ""), (":path", "/")],
        MALFORMED,
    ),
    (
        "user in authority",
        &[(":method", "GET"), (":scheme", "http"), (":authority", "b@a"), (":path", "/")],
        Status(400),
    ),
    (
        "path in authority",
        &[(":method", "GET"), (":scheme", "http"), (":authority", "a/b"), (":path", "/")],
        Status(400),
    ),
    (
        "line end in authority",
        &[(":method", "GET"), (":scheme", "http"), (":authority", "a\r\nx: y"), (":path", "/")],
        MALFORMED,
    ),
    (
        "two authorities",
        &[(":method", "GET"), (":scheme", "http"), (":authority", "a"), (":authority", "b"), (":path", "/")],
        MALFORMED,
    ),
    ("connect", &[(":method", "CONNECT"), (":authority", "a:80")], Status(405)),
    (
        "extended connect",
        &[
            (":method", "CONNECT"),
            (":protocol", "websocket"),
            (":scheme", "http"),
            (":authority", "a"),
            (":path", "/"),
        ],
        MALFORMED,
    ),
];

#[tokio::test]
async fn whatever_can_be_read_in_two_ways_is_refused_and_the_backend_sees_nothing() {
    let stable = Origin::good("stable").await;
    let router = router(&routes((&[&stable], 1), (&[], 0), "")).await;
    let extra = EXTRA_FIELDS.map(|(row, fields, outcome)| (row, [&GET, fields].concat(), outcome));
    let whole = WHOLE_HEADS.map(|(row, fields, outcome)| (row, fields.to_vec(), outcome));
    for (row, fields, outcome) in extra.into_iter().chain(whole) {
        let mut wire = Wire::connect(router.address).await;
        wire.request(1, &fields).await;
        let found = wire.outcome(1).await;
        let is_unreadable = UNREADABLE.contains(&found);
        assert!(found == outcome || outcome == MALFORMED && is_unreadable, "{row}: {found:?}");
        assert_eq!(stable.requests(), 0, "{row}");
        if !is_unreadable {
            assert_eq!(wire.get(3).await, Status(200), "{row}: other requests go on");
            assert_eq!(stable.requests(), 1, "{row}");
            stable.forget();
        }
    }
}

#[tokio::test]
async fn a_body_that_is_not_as_long_as_stated_is_never_a_whole_request() {
    let origin = Scripted::start("HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n").await;
    let router = router(&origin.route()).await;
    let trailers = block(&[("x", "y")]);
    let last = END_STREAM | END_HEADERS;
    for (row, frames) in [
        ("longer", vec![(DATA, END_STREAM, &b"hello GET /smuggled HTTP/1.1"[..])]),
        ("longer by another frame", vec![(DATA, 0, b"hello"), (DATA, END_STREAM, b"GET /smuggled HTTP/1.1")]),
        ("shorter", vec![(DATA, END_STREAM, b"hi")]),
        ("shorter, ended by nothing", vec![(DATA, 0, b"hi"), (DATA, END_STREAM, b"")]),
        ("shorter, ended by trailers", vec![(DATA, 0, b"hi"), (HEADERS, last, &trailers)]),
        ("nothing but trailers", vec![(HEADERS, last, &trailers)]),
    ] {
        let mut wire = Wire::connect(router.address).await;
        let fields = [&POST[..], &[("content-length", "5")]].concat();
        let head = frame(HEADERS, END_HEADERS, 1, &block(&fields));
        let body = frames.into_iter().flat_map(|(kind, flags, payload)| frame(kind, flags, 1, payload));
        // In one piece, so that no answer comes first.
        wire.write(&head.into_iter().chain(body).collect::<Vec<_>>()).await.unwrap();
        assert_eq!(wire.outcome(1).await, MALFORMED, "{row}");
        assert_eq!(wire.get(3).await, Status(200), "{row}");
        assert!(!origin.seen().contains("smuggled"), "{row}");
    }
}

#[tokio::test]
async fn trace_has_no_body() {
    let stable = Origin::good("stable").await;
    let router = router(&routes((&[&stable], 1), (&[], 0), "")).await;
    let fields = [&[(":method", "TRACE")], &GET[1..]].concat();
    let mut wire = Wire::connect(router.address).await;
    wire.send(HEADERS, END_HEADERS, 1, &block(&fields)).await;
    assert_eq!(wire.outcome(1).await, MALFORMED);
    assert_eq!(stable.requests(), 0);
    wire.request(3, &fields).await;
    assert_eq!(wire.outcome(3).await, Status(200));
}

#[tokio::test]
async fn trailers_that_break_the_rules_reset_their_stream() {
    let origin = Scripted::start("").await;
    let router = router(&origin.route()).await;
    for (row, field) in [
        ("CR LF in value", ("x", "a\r\nGET /smuggled HTTP/1.1")),
        ("pseudo field", (":path", "/smuggled")),
        ("connection", ("connection", "close")),
        ("upper case", ("X", "y")),
    ] {
        origin.now("");
        let mut wire = Wire::connect(router.address).await;
        wire.send(HEADERS, END_HEADERS, 1, &block(&POST)).await;
        wire.send(DATA, 0, 1, b"hello").await;
        wire.send(HEADERS, END_STREAM | END_HEADERS, 1, &block(&[field])).await;
        assert_eq!(wire.outcome(1).await, MALFORMED, "{row}");
        let seen = origin.seen();
        assert!(!seen.contains("smuggled") && !seen.contains("0\r\n"), "{row}: {seen}");
    }
}

#[tokio::test]
async fn odd_but_clear_requests_pass() {
    let stable = Origin::good("stable").await;
    let router = router(&routes((&[&stable], 1), (&[], 0), "")).await;
    let mut wire = Wire::connect(router.address).await;
    for (stream, fields) in (1..).step_by(2).zip([
        [&GET[..], &[("te", "trailers")]].concat(),
        [&GET[..], &[("host", "A")]].concat(),
        [&GET[..], &[("x", "")]].concat(),
        [&GET[..], &[("cookie", "a=1"), ("cookie", "b=2")]].concat(),
        vec![(":method", "GET"), (":scheme", "http"), (":path", "/"), ("host", "a")],
        vec![(":method", "OPTIONS"), (":scheme", "http"), (":authority", "a"), (":path", "*")],
    ]) {
        wire.request(stream, &fields).await;
        assert_eq!(wire.outcome(stream).await, Status(200), "{fields:?}");
    }
    // A block in three frames.
    let fields = block(&GET);
    wire.send(HEADERS, END_STREAM, 101, &fields[..5]).await;
    wire.send(CONTINUATION, 0, 101, &fields[5..9]).await;
    wire.send(CONTINUATION, END_HEADERS, 101, &fields[9..]).await;
    assert_eq!(wire.outcome(101).await, Status(200));
}

#[tokio::test]
async fn a_backend_of_http_1_gets_one_host_one_line_of_cookies_and_chunks() {
    let stable = Origin::good("stable").await;
    let router = router(&routes((&[&stable], 1), (&[], 0), "")).await;
    let mut wire = Wire::connect(router.address).await;
    let fields = [&GET[..], &[("cookie", "a=1"), ("te", "trailers"), ("cookie", "b=2")]].concat();
    wire.request(1, &fields).await;
    assert_eq!(wire.outcome(1).await, Status(200));
    let head = stable.last_head();
    assert!(head.starts_with("GET / HTTP/1.1\r\nhost: a\r\n"), "{head}");
    assert_eq!(head.matches("host: ").count(), 2, "host and x-forwarded-host: {head}");
    for line in ["cookie: a=1; b=2", "te: trailers", "via: 2.0 huidu"] {
        assert!(head.contains(&format!("\r\n{line}\r\n")), "{line} is not in {head}");
    }
}
