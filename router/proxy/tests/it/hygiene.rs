//! What two parties could read differently goes nowhere: each row is sent as raw bytes, and the backend must not see
//! any of it. RFC 9110, 9112 and 9113, and what went wrong in other proxies.

use crate::{
    scripted::Scripted,
    support::{Client, Origin, router, routes},
};

/// Name of the row, lines after `Host: a` of a POST, what follows the head, status.
const FRAMING: [(&str, &str, &str, u16); 47] = [
    ("length twice", "Content-Length: 5\r\nContent-Length: 6", "hello", 400),
    ("same length twice", "Content-Length: 5\r\nContent-Length: 5", "hello", 400),
    ("length list", "Content-Length: 5, 5", "hello", 400),
    ("length list with zero", "Content-Length: 0, 5", "hello", 400),
    ("length with sign", "Content-Length: +5", "hello", 400),
    ("negative length", "Content-Length: -1", "", 400),
    ("hexadecimal length", "Content-Length: 0x5", "hello", 400),
    ("length with exponent", "Content-Length: 5e0", "hello", 400),
    ("length with fraction", "Content-Length: 5.0", "hello", 400),
    ("length with underscore", "Content-Length: 1_0", "hello", 400),
    ("length with parameter", "Content-Length: 5;x", "hello", 400),
    ("two numbers", "Content-Length: 5 5", "hello", 400),
    ("quoted length", "Content-Length: \"5\"", "hello", 400),
    ("length of other digits", "Content-Length: \u{0665}", "hello", 400),
    ("form feed before length", "Content-Length: \x0c5", "hello", 400),
    ("empty length", "Content-Length:", "", 400),
    ("endless length", "Content-Length: 99999999999999999999", "", 400),
    ("length beyond 2^63", "Content-Length: 9223372036854775808", "", 400),
    ("length as variable", "Content_Length: 5", "hello", 400),
    ("space before length's colon", "Content-Length : 5", "hello", 400),
    ("length and coding", "Content-Length: 5\r\nTransfer-Encoding: chunked", "0\r\n\r\n", 400),
    ("coding and length", "Transfer-Encoding: chunked\r\nContent-Length: 5", "0\r\n\r\n", 400),
    ("coding and no length", "Transfer-Encoding: chunked\r\nContent-Length: 0", "0\r\n\r\n", 400),
    ("coding twice", "Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked", "0\r\n\r\n", 400),
    ("coding and another", "Transfer-Encoding: chunked\r\nTransfer-encoding: x", "0\r\n\r\n", 400),
    ("another and coding", "Transfer-Encoding: x\r\nTransfer-encoding: chunked", "0\r\n\r\n", 400),
    ("chunked twice", "Transfer-Encoding: chunked, chunked", "0\r\n\r\n", 400),
    ("chunked in between", "Transfer-Encoding: chunked, gzip, chunked", "0\r\n\r\n", 400),
    ("chunked not last", "Transfer-Encoding: chunked, gzip", "0\r\n\r\n", 400),
    ("chunked and nothing", "Transfer-Encoding: chunked,", "0\r\n\r\n", 400),
    ("nothing and chunked", "Transfer-Encoding: , chunked", "0\r\n\r\n", 400),
    ("nothing between codings", "Transfer-Encoding: gzip,, chunked", "0\r\n\r\n", 400),
    ("chunked and identity", "Transfer-Encoding: chunked, identity", "0\r\n\r\n", 400),
    ("identity and chunked", "Transfer-Encoding: identity, chunked", "0\r\n\r\n", 501),
    ("unknown coding", "Transfer-Encoding: gzip, chunked", "0\r\n\r\n", 501),
    ("identity", "Transfer-Encoding: identity", "", 400),
    ("empty coding", "Transfer-Encoding:", "", 400),
    ("coding with junk", "Transfer-Encoding: xchunked", "0\r\n\r\n", 400),
    ("coding with parameter", "Transfer-Encoding: chunked;x=y", "0\r\n\r\n", 400),
    ("coding with vertical tab", "Transfer-Encoding: \x0bchunked", "0\r\n\r\n", 400),
    ("coding with NUL", "Transfer-Encoding: chunked\0", "0\r\n\r\n", 400),
    ("coding quoted", "Transfer-Encoding: \"chunked\"", "0\r\n\r\n", 400),
    ("coding as variable", "Transfer_Encoding: chunked", "0\r\n\r\n", 400),
    ("coding on a folded line", "Transfer-Encoding:\r\n chunked", "0\r\n\r\n", 400),
    ("coding after a bare CR", "X: y\rTransfer-Encoding: chunked", "0\r\n\r\n", 400),
    ("coding after a bare LF", "X: y\nTransfer-Encoding: chunked", "0\r\n\r\n", 400),
    ("expectation", "Content-Length: 1\r\nExpect: y 100-continue", "x", 417),
];

/// Name of the row, whole head, status.
const HEADS: [(&str, &str, u16); 72] = [
    ("coding in HTTP/1.0", "POST / HTTP/1.0\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", 400),
    ("TRACE with a body", "TRACE / HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\n\r\nx", 400),
    ("no host", "GET / HTTP/1.1\r\n\r\n", 400),
    ("two hosts", "GET / HTTP/1.1\r\nHost: a\r\nHost: a\r\n\r\n", 400),
    ("host and host with space", "GET / HTTP/1.1\r\nHost: a\r\nHost : b\r\n\r\n", 400),
    ("empty host", "GET / HTTP/1.1\r\nHost:\r\n\r\n", 400),
    ("host with path", "GET / HTTP/1.1\r\nHost: a/b\r\n\r\n", 400),
    ("host with query", "GET / HTTP/1.1\r\nHost: a?b\r\n\r\n", 400),
    ("host with fragment", "GET / HTTP/1.1\r\nHost: a#b\r\n\r\n", 400),
    ("host with user", "GET / HTTP/1.1\r\nHost: b@a\r\n\r\n", 400),
    ("host list", "GET / HTTP/1.1\r\nHost: a, b\r\n\r\n", 400),
    ("host with space", "GET / HTTP/1.1\r\nHost: a b\r\n\r\n", 400),
    ("host with percent", "GET / HTTP/1.1\r\nHost: a%00\r\n\r\n", 400),
    ("host not ASCII", "GET / HTTP/1.1\r\nHost: \u{e4}\r\n\r\n", 400),
    ("host with odd port", "GET / HTTP/1.1\r\nHost: a:80x\r\n\r\n", 400),
    ("host with long port", "GET / HTTP/1.1\r\nHost: a:000080\r\n\r\n", 400),
    ("host with two ports", "GET / HTTP/1.1\r\nHost: a:80:90\r\n\r\n", 400),
    ("host with half an address", "GET / HTTP/1.1\r\nHost: [::1\r\n\r\n", 400),
    ("host with odd address", "GET / HTTP/1.1\r\nHost: [a]\r\n\r\n", 400),
    ("other authority", "GET http://b/ HTTP/1.1\r\nHost: a\r\n\r\n", 400),
    ("other port", "GET http://a:80/ HTTP/1.1\r\nHost: a\r\n\r\n", 400),
    ("authority with user", "GET http://a@b/ HTTP/1.1\r\nHost: b\r\n\r\n", 400),
    ("authority in HTTP/1.0", "GET http://b/ HTTP/1.0\r\nHost: a\r\n\r\n", 400),
    ("options without a path", "OPTIONS http://a HTTP/1.1\r\nHost: a\r\n\r\n", 400),
    ("fragment after authority", "GET http://a#x HTTP/1.1\r\nHost: a\r\n\r\n", 400),
    ("no authority", "GET http:///x HTTP/1.1\r\nHost: a\r\n\r\n", 400),
    ("authority with backslash", "GET http://a\\b/ HTTP/1.1\r\nHost: a\r\n\r\n", 400),
    ("no path", "GET a HTTP/1.1\r\nHost: a\r\n\r\n", 400),
    ("star", "GET * HTTP/1.1\r\nHost: a\r\n\r\n", 400),
    ("query alone", "GET ?x HTTP/1.1\r\nHost: a\r\n\r\n", 400),
    ("other scheme", "GET ftp://a/ HTTP/1.1\r\nHost: a\r\n\r\n", 400),
    ("fragment", "GET /#x HTTP/1.1\r\nHost: a\r\n\r\n", 400),
    ("space in target", "GET /a b HTTP/1.1\r\nHost: a\r\n\r\n", 400),
    ("version in target", "GET / HTTP/1.1 HTTP/1.1\r\nHost: a\r\n\r\n", 400),
    ("tab in target", "GET /a\tb HTTP/1.1\r\nHost: a\r\n\r\n", 400),
    ("NUL in target", "GET /a\0b HTTP/1.1\r\nHost: a\r\n\r\n", 400),
    ("DEL in target", "GET /a\x7fb HTTP/1.1\r\nHost: a\r\n\r\n", 400),
    ("CR in target", "GET /a\rb HTTP/1.1\r\nHost: a\r\n\r\n", 400),
    ("not ASCII in target", "GET /\u{e4} HTTP/1.1\r\nHost: a\r\n\r\n", 400),
    ("two spaces", "GET  / HTTP/1.1\r\nHost: a\r\n\r\n", 400),
    ("space before method", " GET / HTTP/1.1\r\nHost: a\r\n\r\n", 400),
    ("tab instead of space", "GET\t/ HTTP/1.1\r\nHost: a\r\n\r\n", 400),
    ("space after version", "GET / HTTP/1.1 \r\nHost: a\r\n\r\n", 400),
    ("no method", " / HTTP/1.1\r\nHost: a\r\n\r\n", 400),
    ("odd method", "GE(T / HTTP/1.1\r\nHost: a\r\n\r\n", 400),
    ("method not ASCII", "G\u{e4}T / HTTP/1.1\r\nHost: a\r\n\r\n", 400),
    ("connect", "CONNECT a:80 HTTP/1.1\r\nHost: a:80\r\n\r\n", 405),
    ("HTTP/0.9", "GET /\r\n", 400),
    ("unknown version", "GET / HTTP/1.2\r\nHost: a\r\n\r\n", 505),
    ("HTTP/2 as a version", "GET / HTTP/2.0\r\nHost: a\r\n\r\n", 505),
    ("long version", "GET / HTTP/1.10\r\nHost: a\r\n\r\n", 505),
    ("version with zero", "GET / HTTP/01.1\r\nHost: a\r\n\r\n", 505),
    ("small version", "GET / http/1.1\r\nHost: a\r\n\r\n", 400),
    ("two empty lines first", "\r\n\r\nGET / HTTP/1.1\r\nHost: a\r\n\r\n", 400),
    ("LF first", "\nGET / HTTP/1.1\r\nHost: a\r\n\r\n", 400),
    ("folded line", "GET / HTTP/1.1\r\nHost: a\r\nX: y\r\n z\r\n\r\n", 400),
    ("folded first line", "GET / HTTP/1.1\r\n X: y\r\nHost: a\r\n\r\n", 400),
    ("folded by a tab", "GET / HTTP/1.1\r\nHost: a\r\nX: y\r\n\tz\r\n\r\n", 400),
    ("line of a space", "GET / HTTP/1.1\r\nHost: a\r\n \r\n\r\n", 400),
    ("bare CR", "GET / HTTP/1.1\r\nHost: a\r\nX: y\rZ: z\r\n\r\n", 400),
    ("CR twice", "GET / HTTP/1.1\r\nHost: a\r\nX: y\r\r\n\r\n", 400),
    ("bare LF", "GET / HTTP/1.1\nHost: a\n\n", 400),
    ("bare LF in head", "GET / HTTP/1.1\r\nHost: a\nX: y\r\n\r\n", 400),
    ("bare LF at the end", "GET / HTTP/1.1\r\nHost: a\r\n\n", 400),
    ("NUL", "GET / HTTP/1.1\r\nHost: a\r\nX: \0\r\n\r\n", 400),
    ("escape character", "GET / HTTP/1.1\r\nHost: a\r\nX: \x1b[0m\r\n\r\n", 400),
    ("space before colon", "GET / HTTP/1.1\r\nHost: a\r\nX : y\r\n\r\n", 400),
    ("space in name", "GET / HTTP/1.1\r\nHost: a\r\nX Y: z\r\n\r\n", 400),
    ("no name", "GET / HTTP/1.1\r\nHost: a\r\n: y\r\n\r\n", 400),
    ("name in brackets", "GET / HTTP/1.1\r\nHost: a\r\n(X): y\r\n\r\n", 400),
    ("name not ASCII", "GET / HTTP/1.1\r\nHost: a\r\nX\u{e4}: y\r\n\r\n", 400),
    ("no colon", "GET / HTTP/1.1\r\nHost: a\r\nX\r\n\r\n", 400),
];

/// Bodies that are broken after a good head: the backend may have seen the head, but never a whole request.
const BROKEN_BODIES: [(&str, &str); 31] = [
    ("bare LF after size", "5\nhello\r\n0\r\n\r\n"),
    ("bare CR after size", "5\rhello\r\n0\r\n\r\n"),
    ("CR twice after size", "5\r\r\nhello\r\n0\r\n\r\n"),
    ("bare LF after data", "5\r\nhello\n0\r\n\r\n"),
    ("bare CR after data", "5\r\nhello\r0\r\n\r\n"),
    ("nothing after data", "5\r\nhello0\r\n\r\n"),
    ("anything instead of a line end", "5\r\nhelloXX0\r\n\r\n"),
    ("too much data", "5\r\nhello!\r\n0\r\n\r\n"),
    ("no size", "\r\nhello\r\n0\r\n\r\n"),
    ("size with space", "5 \r\nhello\r\n0\r\n\r\n"),
    ("space before size", " 5\r\nhello\r\n0\r\n\r\n"),
    ("size with tab", "5\t;x\r\nhello\r\n0\r\n\r\n"),
    ("size with prefix", "0x5\r\nhello\r\n0\r\n\r\n"),
    ("size with sign", "+5\r\nhello\r\n0\r\n\r\n"),
    ("size with underscore", "0_5\r\nhello\r\n0\r\n\r\n"),
    ("negative size", "-5\r\nhello\r\n0\r\n\r\n"),
    ("size beyond 2^64", "10000000000000005\r\nhello\r\n0\r\n\r\n"),
    ("many zeros", "00000000000000000005\r\nhello\r\n0\r\n\r\n"),
    ("LF in extension", "5;x\nhello\r\n0\r\n\r\n"),
    ("CR in extension", "5;x\ry\r\nhello\r\n0\r\n\r\n"),
    ("NUL in extension", "5;\0\r\nhello\r\n0\r\n\r\n"),
    ("LF in quoted extension", "5;x=\"\n\"\r\nhello\r\n0\r\n\r\n"),
    ("LF after a lone semicolon", "5;\nhello\r\n0\r\n\r\n"),
    ("open quotes in extension", "5;x=\"y\r\nhello\r\n0\r\n\r\n"),
    ("bare LF at the end", "5\r\nhello\r\n0\n\n"),
    ("bare LF after the last size", "0\n\r\n"),
    ("CR before a trailer", "0\r\n\rX: y\r\n\r\n"),
    ("LF in trailer", "0\r\nX: y\nz\r\n\r\n"),
    ("trailer without colon", "0\r\nX\r\n\r\n"),
    ("folded trailer", "0\r\nX: y\r\n z\r\n\r\n"),
    ("space before colon in trailer", "0\r\nX : y\r\n\r\n"),
];

const NEXT: &str = "GET /smuggled HTTP/1.1\r\nHost: a\r\n\r\n";

#[tokio::test]
async fn whatever_can_be_read_in_two_ways_is_refused_and_the_connection_ends() {
    let stable = Origin::good("stable").await;
    let router = router(&routes((&[&stable], 1), (&[], 0), "")).await;
    let framing = FRAMING.iter().map(|&(row, lines, rest, status)| {
        (row, format!("POST / HTTP/1.1\r\nHost: a\r\n{lines}\r\n\r\n{rest}"), status)
    });
    let heads = HEADS.iter().map(|&(row, bytes, status)| (row, bytes.to_owned(), status));
    for (row, bytes, status) in framing.chain(heads) {
        let mut client = Client::connect(router.address).await;
        client.send(format!("{bytes}{NEXT}")).await;
        let answer = client.answer().await.unwrap_or_else(|| panic!("{row}: no answer"));
        assert_eq!((answer.status, answer.headers["connection"].as_str()), (status, "close"), "{row}");
        assert!(client.is_closed().await, "{row}");
        assert_eq!(stable.requests(), 0, "{row}");
    }
}

#[tokio::test]
async fn a_broken_body_is_refused_and_never_a_whole_request() {
    // A backend that waits for the whole body.
    let origin = Scripted::start("").await;
    let router = router(&origin.route()).await;
    for (row, body) in BROKEN_BODIES {
        origin.now("");
        let mut client = Client::connect(router.address).await;
        client
            .send(format!("POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n{body}{NEXT}"))
            .await;
        let answer = client.answer().await.unwrap_or_else(|| panic!("{row}: no answer"));
        let closes = answer.headers.get("connection").map(String::as_str);
        assert_eq!((answer.status, closes), (400, Some("close")), "{row}: {answer:?}");
        assert!(client.is_closed().await, "{row}");
        let seen = origin.seen();
        assert!(!seen.contains("0\r\n\r\n") && !seen.contains("smuggled"), "{row}: {seen}");
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

#[tokio::test]
async fn limits_are_limits() {
    let stable = Origin::good("stable").await;
    let router = router(&routes((&[&stable], 1), (&[], 0), "")).await;
    let long = "y".repeat(33 * 1024);
    for (row, bytes, status) in [
        ("long target", format!("GET /{} HTTP/1.1\r\nHost: a\r\n\r\n", &long[..9 * 1024]), 414),
        ("long line", format!("GET / HTTP/1.1\r\nHost: a\r\nX: {long}\r\n\r\n"), 431),
        ("many lines", format!("GET / HTTP/1.1\r\nHost: a\r\n{}\r\n", "X: y\r\n".repeat(100)), 431),
        ("long method", format!("{} / HTTP/1.1\r\nHost: a\r\n\r\n", &long[..33]), 400),
    ] {
        let mut client = Client::connect(router.address).await;
        client.send(format!("{bytes}{NEXT}")).await;
        assert_eq!(client.answer().await.unwrap().status, status, "{row}");
        assert!(client.is_closed().await, "{row}");
    }
    for (row, body) in [
        ("one long extension", format!("5;{}\r\nhello\r\n0\r\n\r\n", &long[..9 * 1024])),
        ("many extensions", format!("{}0\r\n\r\n", "1;xxxxxxx\r\na\r\n".repeat(1_100))),
        ("long trailers", format!("0\r\n{}\r\n", "X: yyyyyyy\r\n".repeat(900))),
    ] {
        let mut client = Client::connect(router.address).await;
        let head = "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n";
        client.send(format!("{head}{body}{NEXT}")).await;
        // The backend may have answered the head.
        client.answer().await;
        assert!(client.is_closed().await, "{row}");
    }
    assert!(!stable.last_head().contains("smuggled"));
}

#[tokio::test]
async fn a_request_inside_of_a_body_stays_there() {
    let stable = Origin::good("stable").await;
    let router = router(&routes((&[&stable], 1), (&[], 0), "")).await;
    let length = NEXT.len();
    for head in [
        format!("GET / HTTP/1.1\r\nHost: a\r\nContent-Length: {length}\r\n\r\n{NEXT}"),
        format!("HEAD / HTTP/1.1\r\nHost: a\r\nContent-Length: {length}\r\n\r\n{NEXT}"),
        format!("OPTIONS * HTTP/1.1\r\nHost: a\r\nContent-Length: {length}\r\n\r\n{NEXT}"),
        format!(
            "POST / HTTP/1.1\r\nHost: a\r\nConnection: content-length\r\nContent-Length: {length}\r\n\r\n{NEXT}"
        ),
        format!(
            "POST / HTTP/1.0\r\nHost: a\r\nConnection: keep-alive\r\nContent-Length: {length}\r\n\r\n{NEXT}"
        ),
    ] {
        stable.forget();
        let mut client = Client::connect(router.address).await;
        client.send(&head).await;
        let method = head.split(' ').next().unwrap();
        assert_eq!(client.answer_to(method).await.unwrap().status, 200, "{head}");
        assert_eq!(client.get().await.text(), "stable", "{head}: the connection is in step");
        assert_eq!(stable.requests(), 2, "{head}");
        assert!(!stable.last_head().contains("smuggled"), "{head}");
    }
}
