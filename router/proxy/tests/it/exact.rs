//! Answers without bodies, answers before their time, and requests that wait to be asked.

use crate::{
    h2_origin::{Call, H2Client, H2Origin},
    scripted::Scripted,
    support::{Client, GET, Origin, router, router_with, routes},
    wire::{DATA, END_HEADERS, END_STREAM, HEADERS, Outcome, POST, Wire, block, frame},
};
use std::time::Duration;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
    task::JoinHandle,
    time,
};

const EXPECTS: &str = "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\nExpect: 100-continue\r\n\r\n";
const TOO_LARGE: &str = "HTTP/1.1 413 Too Large\r\nContent-Length: 2\r\n\r\nno";
const OK: &str = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok";

type Bodiless = (&'static str, &'static str, &'static str, u16, Option<&'static str>);

/// Name of the row, method, answer, its status, its `Content-Length`.
const BODILESS: [Bodiless; 11] = [
    ("HEAD with length", "HEAD", "HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n", 200, Some("1000")),
    ("HEAD of chunks", "HEAD", "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n", 200, None),
    ("HEAD without length", "HEAD", "HTTP/1.1 200 OK\r\n\r\n", 200, None),
    ("HEAD of an error", "HEAD", "HTTP/1.1 404 X\r\nContent-Length: 9\r\n\r\n", 404, Some("9")),
    ("204", "GET", "HTTP/1.1 204 X\r\n\r\n", 204, None),
    ("204 with length", "GET", "HTTP/1.1 204 X\r\nContent-Length: 0\r\n\r\n", 204, None),
    ("304", "GET", "HTTP/1.1 304 X\r\nETag: \"x\"\r\n\r\n", 304, None),
    ("304 with length", "GET", "HTTP/1.1 304 X\r\nContent-Length: 1000\r\n\r\n", 304, Some("1000")),
    ("304 of chunks", "GET", "HTTP/1.1 304 X\r\nTransfer-Encoding: chunked\r\n\r\n", 304, None),
    ("205", "POST", "HTTP/1.1 205 X\r\nContent-Length: 0\r\n\r\n", 205, Some("0")),
    ("hints before", "GET", "HTTP/1.1 103 X\r\nLink: x\r\n\r\nHTTP/1.1 204 X\r\n\r\n", 204, None),
];

#[tokio::test]
async fn head_204_and_304_have_no_body_and_say_what_the_backend_said() {
    let backend = Scripted::start(OK).await;
    let router = router(&backend.route()).await;
    for (row, method, answer, status, length) in BODILESS {
        backend.now(answer);
        let mut client = Client::connect(router.address).await;
        client.send(format!("{method} / HTTP/1.1\r\nHost: a\r\nContent-Length: 0\r\n\r\n")).await;
        let answered = client.answer_to(method).await.unwrap_or_else(|| panic!("{row}: no answer"));
        assert_eq!(answered.status, status, "{row}");
        assert_eq!(answered.headers.get("content-length").map(String::as_str), length, "{row}");
        assert!(!answered.headers.contains_key("transfer-encoding") || status == 200, "{row}");
        backend.now(OK);
        assert_eq!(client.get().await.text(), "ok", "{row}: the connection is in step");
    }
    assert!(backend.connections() <= 2 * 12, "connections are used again where nothing speaks against it");
}

#[tokio::test]
async fn head_204_and_304_are_the_same_for_clients_of_http_2() {
    let backend = Scripted::start(OK).await;
    let router = router(&backend.route()).await;
    let client = H2Client::connect(router.address).await;
    for (row, method, answer, status, length) in BODILESS {
        backend.now(answer);
        let answered = client.call(Call { method, ..Call::get("/") }).await.unwrap();
        assert_eq!((answered.status, answered.body.len()), (status, 0), "{row}");
        let stated = answered.headers.get("content-length").map(|length| length.to_str().unwrap());
        assert_eq!(stated, length, "{row}");
        backend.now(OK);
        assert_eq!(client.call(Call::get("/")).await.unwrap().body, b"ok", "{row}");
    }
}

#[tokio::test]
async fn a_body_that_waits_to_be_asked_for_is_sent_when_the_backend_asks() {
    let backend = Scripted::start("HTTP/1.1 100 Continue\r\n\r\n").await;
    let router = router(&backend.route()).await;
    let mut client = Client::connect(router.address).await;
    client.send(EXPECTS).await;
    assert_eq!(client.answer().await.unwrap().status, 100);
    assert!(backend.seen().contains("\r\nexpect: 100-continue\r\n"), "{}", backend.seen());
    let waiting = time::timeout(Duration::from_millis(1_500), client.answer()).await;
    assert!(waiting.is_err(), "the client has as long as for any body: {waiting:?}");
    backend.now(OK);
    client.send("hello").await;
    // The script answers heads only; the next one is on another connection.
    let mut other = Client::connect(router.address).await;
    assert_eq!(other.get().await.text(), "ok");
    crate::support::eventually("the body arrived", || async { backend.seen().contains("hello") }).await;
}

#[tokio::test]
async fn a_body_that_waits_to_be_asked_for_is_never_sent_when_the_backend_declines() {
    let backend = Scripted::start(TOO_LARGE).await;
    let router = router(&backend.route()).await;
    let mut client = Client::connect(router.address).await;
    client.send(EXPECTS).await;
    let answer = client.answer().await.unwrap();
    assert_eq!((answer.status, answer.text()), (413, "no"), "and no 100 before it");
    // What follows could be the body or the next request; nobody can tell.
    let _ = client.try_send("GET /smuggled HTTP/1.1\r\nHost: a\r\n\r\n").await;
    assert!(client.is_closed().await);
    assert!(!backend.seen().contains("smuggled"));
}

#[tokio::test]
async fn a_backend_that_does_not_know_what_is_expected_gets_the_body_after_a_second() {
    let stable = Origin::good("stable").await;
    let router = router(&routes((&[&stable], 1), (&[], 0), "")).await;
    let mut client = Client::connect(router.address).await;
    client.send(EXPECTS).await;
    assert_eq!(client.answer().await.unwrap().status, 100);
    client.send("hello").await;
    assert_eq!(client.answer().await.unwrap().text(), "stable");
    assert_eq!(client.get().await.text(), "stable", "the connection is in step");
}

#[tokio::test]
async fn the_router_asks_for_no_body_that_it_does_not_want_and_nobody_in_http_1_0() {
    let stable = Origin::good("stable").await;
    let yaml = routes((&[&stable], 1), (&[], 0), "hostnames: [other]");
    let nowhere = router(&yaml).await;
    let mut client = Client::connect(nowhere.address).await;
    client.send(EXPECTS).await;
    assert_eq!(client.answer().await.unwrap().status, 404);

    let router = router(&routes((&[&stable], 1), (&[], 0), "")).await;
    let mut client = Client::connect(router.address).await;
    client.send(EXPECTS.replace("HTTP/1.1", "HTTP/1.0")).await;
    client.send("hello").await;
    assert_eq!(client.answer().await.unwrap().text(), "stable");
}

#[tokio::test]
async fn an_answer_before_the_end_of_its_request_is_passed_on() {
    let backend = Scripted::start(TOO_LARGE).await;
    let router = router(&backend.route()).await;
    for framing in ["Content-Length: 1000000", "Transfer-Encoding: chunked"] {
        let mut client = Client::connect(router.address).await;
        client.send(format!("POST / HTTP/1.1\r\nHost: a\r\n{framing}\r\n\r\n")).await;
        let answer = client.answer().await.unwrap();
        assert_eq!((answer.status, answer.text()), (413, "no"), "{framing}");
    }
}

#[tokio::test]
async fn max_forwards_is_counted_down_and_ends_here_at_zero() {
    let stable = Origin::good("stable").await;
    let router = router(&routes((&[&stable], 1), (&[], 0), "")).await;
    for (method, given, status) in
        [("OPTIONS", "0", 204), ("TRACE", "0", 405), ("OPTIONS", "2", 200), ("GET", "0", 200)]
    {
        stable.forget();
        let mut client = Client::connect(router.address).await;
        client.send(format!("{method} / HTTP/1.1\r\nHost: a\r\nMax-Forwards: {given}\r\n\r\n")).await;
        assert_eq!(client.answer().await.unwrap().status, status, "{method} {given}");
        assert_eq!(stable.requests(), usize::from(status == 200), "{method} {given}");
    }
    let mut client = Client::connect(router.address).await;
    client.send("OPTIONS / HTTP/1.1\r\nHost: a\r\nMax-Forwards: 5\r\n\r\n").await;
    client.answer().await.unwrap();
    assert!(stable.last_head().contains("\r\nmax-forwards: 4\r\n"), "{}", stable.last_head());
}

#[tokio::test]
async fn a_reader_that_stops_stops_the_backend() {
    let backend = Scripted::endless().await;
    let router = router(&backend.route()).await;
    let mut client = Client::connect(router.address).await;
    client.send(GET).await;
    let before = backend.settled().await;
    assert!(before < 32 << 20, "{before} bytes were taken for a client that takes nothing");
    client.bytes(8 << 20).await;
    let after = backend.settled().await;
    assert!(after > before, "it goes on when the client does");
    assert!(after < before + (32 << 20), "{after} bytes after {before}");
}

#[tokio::test]
async fn a_backend_that_stops_reading_stops_its_client() {
    let backend = Scripted::deaf().await;
    let router = router_with(&backend.route(), &["--client-stall-timeout=60s"]).await;
    let mut client = Client::connect(router.address).await;
    client.send(format!("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: {}\r\n\r\n", 1_u64 << 32)).await;
    let mut sent = 0;
    let piece = vec![0; 1 << 16];
    while let Ok(Ok(())) = time::timeout(Duration::from_millis(500), client.try_send(&piece)).await {
        sent += piece.len();
        assert!(sent < 64 << 20, "{sent} bytes were taken for a backend that takes nothing");
    }
    assert!(sent > 0);
}

/// A backend that answers one request of chunks when all of it is there, and tells what came.
async fn whole_request() -> (String, JoinHandle<String>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let seen = tokio::spawn(async move {
        let (mut stream, _) = listener.accept().await.unwrap();
        let mut seen = Vec::new();
        let is_whole =
            |seen: &[u8]| seen.windows(5).any(|five| five == b"\r\n0\r\n") && seen.ends_with(b"\r\n\r\n");
        while !is_whole(&seen) {
            assert!(stream.read_buf(&mut seen).await.unwrap() > 0, "{}", seen.escape_ascii());
        }
        stream.write_all(OK.as_bytes()).await.unwrap();
        String::from_utf8(seen).unwrap()
    });
    let yaml =
        format!("routes: [{{name: blog, backends: [{{name: b, track: stable, endpoints: ['{address}']}}]}}]");
    (yaml, seen)
}

const CHUNKED: &str = "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n";

#[tokio::test]
async fn trailers_say_nothing_that_is_needed_before_the_body_or_only_a_proxy_may_say() {
    const FIELDS: [(&str, &str); 9] = [
        ("x-forwarded-for", "127.0.0.1"),
        ("x_forwarded_proto", "https"),
        ("x-real-ip", "127.0.0.1"),
        ("forwarded", "for=127.0.0.1"),
        ("content_length", "9"),
        ("content-length", "9"),
        ("via", "1.1 other"),
        ("host", "other"),
        ("x-kept", "1"),
    ];
    let (yaml, seen) = whole_request().await;
    let http1 = router(&yaml).await;
    let mut client = Client::connect(http1.address).await;
    let lines: String = FIELDS.iter().map(|(name, value)| format!("{name}: {value}\r\n")).collect();
    client.send(format!("{CHUNKED}\r\n5\r\nhello\r\n0\r\n{lines}\r\n")).await;
    assert_eq!(client.answer().await.unwrap().text(), "ok");
    let seen = seen.await.unwrap();
    assert!(seen.ends_with("\r\n\r\n5\r\nhello\r\n0\r\nx-kept: 1\r\n\r\n"), "{seen}");

    let (yaml, seen) = whole_request().await;
    let http2 = router(&yaml).await;
    let mut wire = Wire::connect(http2.address).await;
    wire.send(HEADERS, END_HEADERS, 1, &block(&POST)).await;
    wire.send(DATA, 0, 1, b"hello").await;
    wire.send(HEADERS, END_HEADERS | END_STREAM, 1, &block(&FIELDS)).await;
    assert_eq!(wire.outcome(1).await, Outcome::Status(200));
    let seen = seen.await.unwrap();
    assert!(seen.ends_with("\r\n\r\n5\r\nhello\r\n0\r\nx-kept: 1\r\n\r\n"), "{seen}");
}

#[tokio::test]
async fn trailers_that_connection_names_end_here_both_ways() {
    let (yaml, seen) = whole_request().await;
    let to_backend = router(&yaml).await;
    let mut client = Client::connect(to_backend.address).await;
    let body = "5\r\nhello\r\n0\r\nX-Hop: 1\r\nX-Kept: 1\r\n\r\n";
    client.send(format!("{CHUNKED}Connection: x-hop\r\n\r\n{body}")).await;
    assert_eq!(client.answer().await.unwrap().text(), "ok");
    let seen = seen.await.unwrap();
    assert!(seen.ends_with("\r\n0\r\nx-kept: 1\r\n\r\n"), "{seen}");

    let head = "HTTP/1.1 200 OK\r\nConnection: X-Hop\r\nTransfer-Encoding: chunked\r\n\r\n";
    let backend = Scripted::start(format!("{head}{body}")).await;
    let to_client = router(&backend.route()).await;
    let answer = H2Client::connect(to_client.address).await.call(Call::get("/")).await.unwrap();
    assert_eq!(answer.body, b"hello");
    assert_eq!(answer.trailers.keys().collect::<Vec<_>>(), ["x-kept"]);
    backend.now(format!("{head}{}", body.replace("X-Kept: 1\r\n", "")));
    let answer = H2Client::connect(to_client.address).await.call(Call::get("/")).await.unwrap();
    assert_eq!((answer.body.as_slice(), answer.trailers.len()), (&b"hello"[..], 0));
}

#[tokio::test]
async fn the_framing_of_a_request_is_not_for_connection_to_take_away() {
    let (yaml, seen) = whole_request().await;
    let router = router(&yaml).await;
    let mut client = Client::connect(router.address).await;
    client.send(format!("{CHUNKED}Connection: Transfer-Encoding\r\n\r\n5\r\nhello\r\n0\r\n\r\n")).await;
    assert_eq!(client.answer().await.unwrap().text(), "ok");
    let seen = seen.await.unwrap();
    assert!(seen.contains("\r\ntransfer-encoding: chunked\r\n") && !seen.contains("connection:"), "{seen}");
    assert!(seen.ends_with("\r\n\r\n5\r\nhello\r\n0\r\n\r\n"), "{seen}");
}

#[tokio::test]
async fn whoever_sends_a_body_that_nobody_wants_reads_why_and_sees_an_orderly_end() {
    let backend = Scripted::start(TOO_LARGE).await;
    let router = router(&backend.route().replace("name: blog", "name: blog, hostnames: [a]")).await;
    for (host, status) in [("a", "413"), ("other", "404")] {
        let mut client = TcpStream::connect(router.address).await.unwrap();
        let head = format!("POST / HTTP/1.1\r\nHost: {host}\r\nContent-Length: 1000000\r\n\r\n");
        client.write_all(head.as_bytes()).await.unwrap();
        client.readable().await.unwrap();
        // The answer is there, and the client does not look at it before it has sent all.
        client.write_all(&[b'x'; 1_000_000]).await.unwrap();
        let mut answer = String::new();
        let read = time::timeout(Duration::from_secs(5), client.read_to_string(&mut answer)).await;
        assert!(matches!(read, Ok(Ok(_))), "{host}: {read:?}");
        assert!(answer.starts_with(&format!("HTTP/1.1 {status} ")), "{answer}");
    }
}

#[tokio::test]
async fn what_follows_an_early_answer_is_no_request_and_its_connection_is_not_used_again() {
    let smuggled = "GET /smuggled HTTP/1.1\r\nHost: a\r\n\r\n";
    for (row, framing, first) in [
        ("length", format!("Content-Length: {}", smuggled.len()), ""),
        ("chunks", "Transfer-Encoding: chunked".to_owned(), "5\r\nhel"),
    ] {
        let backend = Scripted::start(TOO_LARGE).await;
        let router = router_with(&backend.route(), &["--workers=1"]).await;
        let mut client = Client::connect(router.address).await;
        client.send(format!("POST / HTTP/1.1\r\nHost: a\r\n{framing}\r\n\r\n{first}")).await;
        assert_eq!(client.answer().await.unwrap().status, 413, "{row}");
        let _ = client.try_send(smuggled).await;
        assert!(client.answer().await.is_none(), "{row}: it is a part of the body");
        assert!(!backend.seen().contains("GET /smuggled"), "{row}");
        backend.now(OK);
        assert_eq!(Client::connect(router.address).await.get().await.text(), "ok", "{row}");
        assert_eq!(backend.connections(), 2, "{row}");
    }
}

/// Sends the head, the body when it is asked for, and reads the answer; how often the body was asked for.
async fn expecting(client: &mut Client, head: &str) -> (usize, crate::support::Answer) {
    client.send(head).await;
    let method = head.split(' ').next().unwrap();
    let mut asked = 0;
    loop {
        let answer = client.answer_to(method).await.expect("an answer");
        if answer.status != 100 {
            return (asked, answer);
        }
        asked += 1;
        let _ = client.try_send("hello").await;
    }
}

#[tokio::test]
async fn whatever_is_said_to_an_expectation_nobody_gets_out_of_step() {
    let backend = Scripted::start("").await;
    let router = router(&backend.route()).await;
    let go = "HTTP/1.1 100 Continue\r\n\r\n";
    let (get, head) = (EXPECTS.replace("POST", "GET"), EXPECTS.replace("POST", "HEAD"));
    let named = EXPECTS.replace("Expect", "Connection: expect\r\nExpect");
    for (row, request, answer, status) in [
        ("GET with a body", get.as_str(), format!("{go}{OK}"), 200),
        ("GET is answered at once", &get, OK.to_owned(), 200),
        ("HEAD with a body", &head, format!("{go}HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n"), 200),
        ("HEAD whose answer has a body", &head, format!("{go}{OK}{OK}"), 200),
        ("asked twice", EXPECTS, format!("{go}{go}{OK}"), 200),
        ("asked ten times", EXPECTS, format!("{}{OK}", go.repeat(10)), 200),
        ("declined", EXPECTS, "HTTP/1.1 417 X\r\nContent-Length: 2\r\n\r\nno".to_owned(), 417),
        ("asked and declined", EXPECTS, format!("{go}HTTP/1.1 417 X\r\nContent-Length: 2\r\n\r\nno"), 417),
        ("named by Connection", &named, OK.to_owned(), 200),
    ] {
        backend.now(&answer);
        let mut client = Client::connect(router.address).await;
        let (asked, answered) = expecting(&mut client, request).await;
        assert_eq!(answered.status, status, "{row}");
        assert!(asked <= 1, "{row}: asked {asked} times");
        backend.now(OK);
        // A client whose body may still be on its way is not listened to any more.
        let _ = client.try_send(GET).await;
        if let Some(next) = client.answer().await {
            assert_eq!(next.text(), "ok", "{row}");
        }
        for _ in 0..4 {
            assert_eq!(Client::connect(router.address).await.get().await.text(), "ok", "{row}");
        }
    }
    let folded = EXPECTS.replace("Expect: ", "Expect:\r\n ");
    assert_eq!(expecting(&mut Client::connect(router.address).await, &folded).await.1.status, 417);
}

#[tokio::test]
async fn a_connection_whose_backend_declined_a_body_is_not_used_again() {
    let backend = Scripted::start("HTTP/1.1 417 X\r\nContent-Length: 2\r\n\r\nno").await;
    let router = router_with(&backend.route(), &["--workers=1"]).await;
    assert_eq!(expecting(&mut Client::connect(router.address).await, EXPECTS).await.1.text(), "no");
    backend.now(OK);
    assert_eq!(Client::connect(router.address).await.get().await.text(), "ok");
    assert_eq!(backend.connections(), 2);
}

#[tokio::test]
async fn a_client_that_waits_to_be_asked_is_asked_whoever_speaks_http_2() {
    let (by_h2, by_h1) = (H2Origin::good("by h2").await, Origin::good("by h1").await);
    let h2c =
        routes((&[], 1), (&[], 0), "").replace("endpoints: []", &format!("endpoints: ['{}']", by_h2.address));
    let h2c = h2c.replace("track: stable", "track: stable, appProtocol: kubernetes.io/h2c");
    let (to_h2, to_h1) = (router(&h2c).await, router(&routes((&[&by_h1], 1), (&[], 0), "")).await);
    let (asked, answer) = expecting(&mut Client::connect(to_h2.address).await, EXPECTS).await;
    assert_eq!((asked, answer.text()), (1, "by h2"));
    assert_eq!(by_h2.last().body, b"hello");
    for address in [to_h2.address, to_h1.address] {
        let mut wire = Wire::connect(address).await;
        let fields = [&POST[..], &[("expect", "100-continue"), ("content-length", "5")]].concat();
        wire.send(HEADERS, END_HEADERS, 1, &block(&fields)).await;
        assert_eq!(wire.outcome(1).await, Outcome::Status(100));
        wire.send(DATA, END_STREAM, 1, b"hello").await;
        assert_eq!(wire.outcome(1).await, Outcome::Status(200));
        let both = [frame(HEADERS, END_HEADERS, 3, &block(&fields)), frame(DATA, END_STREAM, 3, b"hello")];
        wire.write(&both.concat()).await.unwrap();
        assert_eq!(wire.outcome(3).await, Outcome::Status(200), "whoever does not wait is not asked");
    }
}

#[tokio::test]
async fn a_client_of_http_2_is_not_asked_when_the_backend_declines() {
    let backend = Scripted::start(TOO_LARGE).await;
    let router = router(&backend.route()).await;
    let mut wire = Wire::connect(router.address).await;
    let fields = [&POST[..], &[("expect", "100-continue"), ("content-length", "5")]].concat();
    wire.send(HEADERS, END_HEADERS, 1, &block(&fields)).await;
    assert_eq!(wire.outcome(1).await, Outcome::Status(413));
}
