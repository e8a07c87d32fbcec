//! Answers without bodies, answers before their time, and requests that wait to be asked.

use crate::{
    scripted::Scripted,
    support::{Client, GET, Origin, router, router_with, routes},
};
use std::time::Duration;
use tokio::time;

const EXPECTS: &str = "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\nExpect: 100-continue\r\n\r\n";
const OK: &str = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok";

#[tokio::test]
async fn head_204_and_304_have_no_body_and_say_what_the_backend_said() {
    let backend = Scripted::start(OK).await;
    let router = router(&backend.route()).await;
    for (row, method, answer, status, length) in [
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
    ] {
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
    let backend = Scripted::start("HTTP/1.1 413 Too Large\r\nContent-Length: 2\r\n\r\nno").await;
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
    let backend = Scripted::start("HTTP/1.1 413 Too Large\r\nContent-Length: 2\r\n\r\nno").await;
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
