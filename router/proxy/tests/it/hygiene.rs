//! What two parties could read differently goes nowhere: each row is sent as raw bytes, and the backend must not see
//! any of it. RFC 9110, 9112 and 9113, and what went wrong in other proxies.

use crate::support::{Client, Origin, router, routes};

/// Name of the row, bytes, status.
const REFUSED: [(&str, &str, u16); 50] = [
    (
        "length twice",
        "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\nContent-Length: 6\r\n\r\nhello",
        400,
    ),
    (
        "same length twice",
        "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\nContent-Length: 5\r\n\r\nhello",
        400,
    ),
    ("length list", "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 5, 5\r\n\r\nhello", 400),
    ("length with sign", "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: +5\r\n\r\nhello", 400),
    ("negative length", "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: -1\r\n\r\n", 400),
    ("hexadecimal length", "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 0x5\r\n\r\nhello", 400),
    ("empty length", "POST / HTTP/1.1\r\nHost: a\r\nContent-Length:\r\n\r\n", 400),
    ("endless length", "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 99999999999999999999\r\n\r\n", 400),
    ("length as variable", "POST / HTTP/1.1\r\nHost: a\r\nContent_Length: 5\r\n\r\nhello", 400),
    (
        "length and coding",
        "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
        400,
    ),
    (
        "coding and length",
        "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\nContent-Length: 5\r\n\r\n0\r\n\r\n",
        400,
    ),
    (
        "coding twice",
        "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
        400,
    ),
    (
        "chunked twice",
        "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked, chunked\r\n\r\n0\r\n\r\n",
        501,
    ),
    (
        "chunked not last",
        "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked, gzip\r\n\r\n0\r\n\r\n",
        400,
    ),
    (
        "unknown coding",
        "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n",
        501,
    ),
    ("identity", "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: identity\r\n\r\n", 400),
    ("coding with junk", "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: xchunked\r\n\r\n0\r\n\r\n", 400),
    (
        "coding with vertical tab",
        "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: \x0bchunked\r\n\r\n0\r\n\r\n",
        400,
    ),
    ("coding quoted", "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: \"chunked\"\r\n\r\n0\r\n\r\n", 400),
    ("coding as variable", "POST / HTTP/1.1\r\nHost: a\r\nTransfer_Encoding: chunked\r\n\r\n0\r\n\r\n", 400),
    ("coding in HTTP/1.0", "POST / HTTP/1.0\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", 400),
    ("no host", "GET / HTTP/1.1\r\n\r\n", 400),
    ("two hosts", "GET / HTTP/1.1\r\nHost: a\r\nHost: a\r\n\r\n", 400),
    ("empty host", "GET / HTTP/1.1\r\nHost:\r\n\r\n", 400),
    ("host with path", "GET / HTTP/1.1\r\nHost: a/b\r\n\r\n", 400),
    ("host with user", "GET / HTTP/1.1\r\nHost: b@a\r\n\r\n", 400),
    ("host list", "GET / HTTP/1.1\r\nHost: a, b\r\n\r\n", 400),
    ("host with odd port", "GET / HTTP/1.1\r\nHost: a:80x\r\n\r\n", 400),
    ("other authority", "GET http://b/ HTTP/1.1\r\nHost: a\r\n\r\n", 400),
    ("authority with user", "GET http://a@b/ HTTP/1.1\r\nHost: b\r\n\r\n", 400),
    ("no path", "GET a HTTP/1.1\r\nHost: a\r\n\r\n", 400),
    ("star", "GET * HTTP/1.1\r\nHost: a\r\n\r\n", 400),
    ("other scheme", "GET ftp://a/ HTTP/1.1\r\nHost: a\r\n\r\n", 400),
    ("fragment", "GET /#x HTTP/1.1\r\nHost: a\r\n\r\n", 400),
    ("space in target", "GET /a b HTTP/1.1\r\nHost: a\r\n\r\n", 400),
    ("tab in target", "GET /a\tb HTTP/1.1\r\nHost: a\r\n\r\n", 400),
    ("not ASCII in target", "GET /\u{e4} HTTP/1.1\r\nHost: a\r\n\r\n", 400),
    ("two spaces", "GET  / HTTP/1.1\r\nHost: a\r\n\r\n", 400),
    ("odd method", "GE(T / HTTP/1.1\r\nHost: a\r\n\r\n", 400),
    ("connect", "CONNECT a:80 HTTP/1.1\r\nHost: a:80\r\n\r\n", 405),
    ("unknown version", "GET / HTTP/1.2\r\nHost: a\r\n\r\n", 505),
    ("folded line", "GET / HTTP/1.1\r\nHost: a\r\nX: y\r\n z\r\n\r\n", 400),
    ("folded first line", "GET / HTTP/1.1\r\n X: y\r\nHost: a\r\n\r\n", 400),
    ("bare CR", "GET / HTTP/1.1\r\nHost: a\r\nX: y\rZ: z\r\n\r\n", 400),
    ("bare LF", "GET / HTTP/1.1\nHost: a\n\n", 400),
    ("bare LF in head", "GET / HTTP/1.1\r\nHost: a\nX: y\r\n\r\n", 400),
    ("NUL", "GET / HTTP/1.1\r\nHost: a\r\nX: \0\r\n\r\n", 400),
    ("space before colon", "GET / HTTP/1.1\r\nHost: a\r\nX : y\r\n\r\n", 400),
    ("no colon", "GET / HTTP/1.1\r\nHost: a\r\nX\r\n\r\n", 400),
    ("expectation", "POST / HTTP/1.1\r\nHost: a\r\nExpect: 200-ok\r\nContent-Length: 1\r\n\r\nx", 417),
];

/// Bodies that are broken after a good head: the backend may have seen the head, but never a whole request.
const BROKEN_BODIES: [(&str, &str); 8] = [
    ("bare LF after size", "5\nhello\r\n0\r\n\r\n"),
    ("bare LF after data", "5\r\nhello\n0\r\n\r\n"),
    ("too much data", "5\r\nhello!\r\n0\r\n\r\n"),
    ("size with space", "5 \r\nhello\r\n0\r\n\r\n"),
    ("size with prefix", "0x5\r\nhello\r\n0\r\n\r\n"),
    ("negative size", "-5\r\nhello\r\n0\r\n\r\n"),
    ("LF in extension", "5;x\nhello\r\n0\r\n\r\n"),
    ("bare LF at the end", "5\r\nhello\r\n0\n\n"),
];

const NEXT: &str = "GET /smuggled HTTP/1.1\r\nHost: a\r\n\r\n";

#[tokio::test]
async fn whatever_can_be_read_in_two_ways_is_refused_and_the_connection_ends() {
    let stable = Origin::good("stable").await;
    let router = router(&routes((&[&stable], 1), (&[], 0), "")).await;
    for (row, bytes, status) in REFUSED {
        let mut client = Client::connect(router.address).await;
        client.send(format!("{bytes}{NEXT}")).await;
        let answer = client.answer().await.unwrap_or_else(|| panic!("{row}: no answer"));
        assert_eq!((answer.status, answer.headers["connection"].as_str()), (status, "close"), "{row}");
        assert!(client.is_closed().await, "{row}");
        assert_eq!(stable.requests(), 0, "{row}");
    }
}

#[tokio::test]
async fn a_broken_body_ends_the_connection_and_is_never_a_whole_request() {
    let stable = Origin::good("stable").await;
    let router = router(&routes((&[&stable], 1), (&[], 0), "")).await;
    for (row, body) in BROKEN_BODIES {
        let mut client = Client::connect(router.address).await;
        client
            .send(format!("POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n{body}{NEXT}"))
            .await;
        if let Some(answer) = client.answer().await {
            assert_ne!(answer.text(), "", "{row}");
        }
        assert!(client.is_closed().await, "{row}");
        assert!(!stable.last_head().contains("smuggled"), "{row}");
    }
}

#[tokio::test]
async fn requests_before_a_refused_one_are_answered_first() {
    let stable = Origin::good("stable").await;
    let router = router(&routes((&[&stable], 1), (&[], 0), "")).await;
    let mut client = Client::connect(router.address).await;
    client.send("GET /1 HTTP/1.1\r\nHost: a\r\n\r\nGET /2 HTTP/1.1\r\nHost : a\r\n\r\n").await;
    assert_eq!(client.answer().await.unwrap().status, 200);
    assert_eq!(client.answer().await.unwrap().status, 400);
    assert!(client.is_closed().await);
    assert_eq!(stable.requests(), 1);
}

#[tokio::test]
async fn odd_but_clear_requests_pass() {
    let stable = Origin::good("stable").await;
    let router = router(&routes((&[&stable], 1), (&[], 0), "")).await;
    for bytes in [
        "\r\nGET / HTTP/1.1\r\nHost: a\r\n\r\n",
        "GET http://A:80/x HTTP/1.1\r\nHost: a:80\r\n\r\n",
        "OPTIONS * HTTP/1.1\r\nHost: a\r\n\r\n",
        "GET / HTTP/1.1\r\nhOsT:a\r\nX:\r\n\r\n",
        "POST / HTTP/1.1\r\nHost: [::1]:80\r\nTransfer-Encoding: Chunked\r\n\r\n5;a=\"b\"\r\nhello\r\n0\r\nX: y\r\n\r\n",
    ] {
        let mut client = Client::connect(router.address).await;
        client.send(bytes).await;
        assert_eq!(client.answer().await.unwrap().status, 200, "{bytes:?}");
        assert_eq!(client.get().await.status, 200, "{bytes:?}: the connection is still in step");
    }
}
