//! Answers that two parties could read differently are failures of the backend, and what comes after an answer is
//! nobody's answer.

use crate::{
    h2_origin::{Call, H2Client},
    scripted::Scripted,
    support::{Client, GET, router},
};

const OK: &str = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok";

/// Name of the row, answer.
const MALFORMED: [(&str, &str); 46] = [
    ("length twice", "HTTP/1.1 200 OK\r\nContent-Length: 2\r\nContent-Length: 3\r\n\r\nok"),
    ("same length twice", "HTTP/1.1 200 OK\r\nContent-Length: 2\r\nContent-Length: 2\r\n\r\nok"),
    ("length list", "HTTP/1.1 200 OK\r\nContent-Length: 2, 2\r\n\r\nok"),
    ("length with sign", "HTTP/1.1 200 OK\r\nContent-Length: +2\r\n\r\nok"),
    ("negative length", "HTTP/1.1 200 OK\r\nContent-Length: -2\r\n\r\nok"),
    ("empty length", "HTTP/1.1 200 OK\r\nContent-Length:\r\n\r\nok"),
    ("endless length", "HTTP/1.1 200 OK\r\nContent-Length: 99999999999999999999\r\n\r\nok"),
    ("length beyond 2^63", "HTTP/1.1 200 OK\r\nContent-Length: 9223372036854775808\r\n\r\nok"),
    ("length beyond 2^60", "HTTP/1.1 200 OK\r\nContent-Length: 1152921504606846976\r\n\r\nok"),
    ("coding with junk", "HTTP/1.1 200 OK\r\nTransfer-Encoding: xchunked\r\n\r\n0\r\n\r\n"),
    ("coding with vertical tab", "HTTP/1.1 200 OK\r\nTransfer-Encoding: \x0bchunked\r\n\r\n0\r\n\r\n"),
    ("control byte in reason", "HTTP/1.1 200 O\x01K\r\nContent-Length: 2\r\n\r\nok"),
    ("CR in reason", "HTTP/1.1 200 O\rK\r\nContent-Length: 2\r\n\r\nok"),
    ("no space before reason", "HTTP/1.1 200OK\r\nContent-Length: 2\r\n\r\nok"),
    (
        "length and coding",
        "HTTP/1.1 200 OK\r\nContent-Length: 2\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
    ),
    (
        "coding and length",
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nContent-Length: 2\r\n\r\n0\r\n\r\n",
    ),
    (
        "coding twice",
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
    ),
    ("chunked not last", "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked, gzip\r\n\r\n0\r\n\r\n"),
    ("unknown coding", "HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n"),
    ("identity", "HTTP/1.1 200 OK\r\nTransfer-Encoding: identity\r\n\r\nok"),
    ("coding in HTTP/1.0", "HTTP/1.0 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n"),
    ("bare LF", "HTTP/1.1 200 OK\nContent-Length: 2\n\nok"),
    ("bare LF in head", "HTTP/1.1 200 OK\r\nX: y\nContent-Length: 2\r\n\r\nok"),
    ("bare CR", "HTTP/1.1 200 OK\r\nX: y\rContent-Length: 2\r\n\r\nok"),
    ("folded line", "HTTP/1.1 200 OK\r\nX: y\r\n z\r\nContent-Length: 2\r\n\r\nok"),
    ("NUL", "HTTP/1.1 200 OK\r\nX: \0\r\nContent-Length: 2\r\n\r\nok"),
    ("space before colon", "HTTP/1.1 200 OK\r\nContent-Length : 2\r\n\r\nok"),
    ("no colon", "HTTP/1.1 200 OK\r\nX\r\nContent-Length: 2\r\n\r\nok"),
    ("no name", "HTTP/1.1 200 OK\r\n: y\r\nContent-Length: 2\r\n\r\nok"),
    ("empty line first", "\r\nHTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"),
    ("status below 100", "HTTP/1.1 099 OK\r\nContent-Length: 2\r\n\r\nok"),
    ("status above 599", "HTTP/1.1 600 OK\r\nContent-Length: 2\r\n\r\nok"),
    ("status of four digits", "HTTP/1.1 2000 OK\r\nContent-Length: 2\r\n\r\nok"),
    ("no status", "HTTP/1.1 OK\r\nContent-Length: 2\r\n\r\nok"),
    ("HTTP/2", "HTTP/2 200 OK\r\nContent-Length: 2\r\n\r\nok"),
    ("HTTP/1.2", "HTTP/1.2 200 OK\r\nContent-Length: 2\r\n\r\nok"),
    ("HTTP/0.9", "<p>ok</p>\r\n\r\n"),
    ("another protocol", "SSH-2.0-OpenSSH_9.2\r\n\r\n"),
    ("a request", "GET / HTTP/1.1\r\nHost: a\r\n\r\n"),
    ("a change of protocol", "HTTP/1.1 101 X\r\nConnection: upgrade\r\nUpgrade: websocket\r\n\r\n"),
    ("hints and garbage", "HTTP/1.1 103 X\r\n\r\ngarbage\r\n\r\n"),
    (
        "hints with length",
        "HTTP/1.1 103 X\r\nContent-Length: 38\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok",
    ),
    (
        "100 with coding",
        "HTTP/1.1 100 X\r\nTransfer-Encoding: chunked\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok",
    ),
    (
        "102 with body",
        "HTTP/1.1 102 X\r\nContent-Length: 2\r\n\r\nokHTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok",
    ),
    ("101 unasked", "HTTP/1.1 101 X\r\n\r\n"),
    ("101 with length", "HTTP/1.1 101 X\r\nUpgrade: websocket\r\nContent-Length: 2\r\n\r\nok"),
];

/// Name of the row, body after a head that announces chunks.
const BROKEN_CHUNKS: [(&str, &str); 22] = [
    ("bare LF after size", "2\nok\r\n0\r\n\r\n"),
    ("bare LF after data", "2\r\nok\n0\r\n\r\n"),
    ("no line end after data", "2\r\nok0\r\n\r\n"),
    ("too much data", "2\r\nokok\r\n0\r\n\r\n"),
    ("size with space", "2 \r\nok\r\n0\r\n\r\n"),
    ("size with prefix", "0x2\r\nok\r\n0\r\n\r\n"),
    ("size with sign", "+2\r\nok\r\n0\r\n\r\n"),
    ("no size", "\r\nok\r\n0\r\n\r\n"),
    ("size beyond 2^64", "10000000000000002\r\nok\r\n0\r\n\r\n"),
    ("space before colon in trailer", "2\r\nok\r\n0\r\nX : y\r\n\r\n"),
    ("bare LF at the end", "2\r\nok\r\n0\r\n\n"),
    ("bare LF after last chunk", "2\r\nok\r\n0\n\r\n"),
    ("bare LF in trailer", "2\r\nok\r\n0\r\nX: y\n\r\n"),
    ("bare LF after trailers", "2\r\nok\r\n0\r\nX: y\r\n\n"),
    ("bare CR in trailer", "2\r\nok\r\n0\r\nX: y\rZ: z\r\n\r\n"),
    ("folded trailer", "2\r\nok\r\n0\r\nX: y\r\n z\r\n\r\n"),
    ("bare LF in extension", "2;a\nb\r\nok\r\n0\r\n\r\n"),
    ("CR in extension", "2;a\rb\r\nok\r\n0\r\n\r\n"),
    ("NUL in extension", "2;\0\r\nok\r\n0\r\n\r\n"),
    ("CR twice", "2\r\r\nok\r\n0\r\n\r\n"),
    ("junk for the line end", "2\r\nokXX0\r\n\r\n"),
    ("size beyond 2^60", "1000000000000000\r\nok\r\n0\r\n\r\n"),
];

#[tokio::test]
async fn what_can_be_read_in_two_ways_is_answered_with_502() {
    let backend = Scripted::start("").await;
    let router = router(&backend.route()).await;
    for (row, bytes) in MALFORMED {
        backend.now(bytes);
        let mut client = Client::connect(router.address).await;
        client.send(GET).await;
        let answer = client.answer().await.unwrap_or_else(|| panic!("{row}: no answer"));
        assert_eq!(answer.status, 502, "{row}");
        assert!(!answer.text().contains("ok\n") && answer.text() != "ok", "{row}");
        backend.now(OK);
        assert_eq!(client.get().await.text(), "ok", "{row}: the client's connection is in step");
    }
}

#[tokio::test]
async fn a_body_of_broken_chunks_never_looks_complete() {
    let backend = Scripted::start("").await;
    let router = router(&backend.route()).await;
    for (row, body) in BROKEN_CHUNKS {
        backend.now(format!("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n{body}"));
        let mut client = Client::connect(router.address).await;
        client.send(GET).await;
        let answer = client.answer().await;
        assert!(answer.as_ref().is_none_or(|answer| answer.status == 502), "{row}: {answer:?}");
    }
}

#[tokio::test]
async fn a_head_an_extension_and_interim_answers_have_limits() {
    let backend = Scripted::start("").await;
    let router = router(&backend.route()).await;
    for (row, bytes) in [
        (
            "long head",
            format!("HTTP/1.1 200 OK\r\nX: {}\r\nContent-Length: 2\r\n\r\nok", "y".repeat(64 * 1024)),
        ),
        ("many lines", format!("HTTP/1.1 200 OK\r\n{}Content-Length: 2\r\n\r\nok", "X: y\r\n".repeat(100))),
        ("many interim answers", format!("{}{OK}", "HTTP/1.1 103 X\r\n\r\n".repeat(10_000))),
        (
            "long extension",
            format!(
                "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2;{}\r\nok\r\n0\r\n\r\n",
                "x".repeat(300)
            ),
        ),
    ] {
        backend.now(bytes);
        let mut client = Client::connect(router.address).await;
        client.send(GET).await;
        let answer = client.answer().await;
        assert!(answer.as_ref().is_none_or(|answer| answer.status == 502), "{row}: {answer:?}");
        backend.now(OK);
        assert_eq!(Client::connect(router.address).await.get().await.text(), "ok", "{row}");
    }
    backend.now(format!("{}{OK}", "HTTP/1.1 103 X\r\nLink: x\r\n\r\n".repeat(10)));
    assert_eq!(Client::connect(router.address).await.get().await.text(), "ok", "a few are no harm");
}

/// What nobody asked for.
const POISON: &str = "HTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\npoison";

/// Answers that are complete, each to a method.
const WHOLE: [(&str, &str, &str); 6] = [
    ("a second answer", "GET", OK),
    ("after chunks", "GET", "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n0\r\n\r\n"),
    ("a body of 204", "GET", "HTTP/1.1 204 X\r\nContent-Length: 53\r\n\r\n"),
    ("a body of 304", "GET", "HTTP/1.1 304 X\r\nContent-Length: 53\r\n\r\n"),
    ("a body of HEAD", "HEAD", "HTTP/1.1 200 OK\r\nContent-Length: 53\r\n\r\n"),
    ("an empty body", "GET", "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n"),
];

#[tokio::test]
async fn what_comes_after_an_answer_is_nobodys_answer() {
    let backend = Scripted::start("").await;
    let router = router(&backend.route()).await;
    for (row, method, first) in WHOLE {
        backend.now(format!("{first}{POISON}"));
        let mut client = Client::connect(router.address).await;
        client.send(format!("{method} / HTTP/1.1\r\nHost: a\r\n\r\n")).await;
        let answer = client.answer_to(method).await.unwrap();
        assert!(!answer.text().contains("poison"), "{row}");
        backend.now(OK);
        for _ in 0..5 {
            assert_eq!(client.get().await.text(), "ok", "{row}");
            assert_eq!(Client::connect(router.address).await.get().await.text(), "ok", "{row}");
        }
    }
}

#[tokio::test]
async fn what_comes_later_and_unasked_is_nobodys_answer() {
    let backend = Scripted::start("").await;
    let router = router(&backend.route()).await;
    for (row, method, first) in WHOLE {
        for _ in 0..10 {
            backend.now(first);
            let mut client = Client::connect(router.address).await;
            client.send(format!("{method} / HTTP/1.1\r\nHost: a\r\n\r\n")).await;
            assert!(client.answer_to(method).await.is_some(), "{row}");
            backend.now(OK);
            backend.blurt(POISON).await;
            assert_eq!(client.get().await.text(), "ok", "{row}");
        }
    }
}

#[tokio::test]
async fn what_concerns_the_backends_connection_stays_there() {
    let head = "HTTP/1.1 200 OK\r\nConnection: x-secret, keep-alive\r\nX-Secret: 1\r\nKeep-Alive: timeout=5\r\n\
                Proxy-Connection: keep-alive\r\nUpgrade: h2c\r\nTransfer-Encoding: chunked\r\nX-Kept: 1\r\n\r\n";
    let backend = Scripted::start(format!("{head}2\r\nok\r\n0\r\nContent-Length: 9\r\n\r\n")).await;
    let router = router(&backend.route()).await;
    let answer = Client::connect(router.address).await.get().await;
    assert_eq!(answer.text(), "ok");
    assert_eq!(answer.headers["x-kept"], "1");
    for gone in ["connection", "x-secret", "keep-alive", "proxy-connection", "upgrade", "content-length"] {
        assert!(!answer.headers.contains_key(gone), "{gone}");
    }
    // A client of HTTP/2 takes no answer that has any of them.
    let answer = H2Client::connect(router.address).await.call(Call::get("/")).await.unwrap();
    assert_eq!((answer.body.as_slice(), &answer.headers["x-kept"]), (&b"ok"[..], &"1".parse().unwrap()));
    for gone in ["x-secret", "keep-alive", "upgrade", "transfer-encoding", "content-length"] {
        assert!(!answer.headers.contains_key(gone) && !answer.trailers.contains_key(gone), "{gone}");
    }
}
