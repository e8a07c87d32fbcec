//! Targets of requests: what a backend gets of each form, and paths that two parties could take for different ones.

use crate::{
    support::{Client, Origin, once, router, routes},
    wire::{Outcome, Wire},
};

/// A request, and what its head at the backend begins with (RFC 9112 §3.2).
const FORMS: [(&str, &str); 9] = [
    ("GET http://a?x HTTP/1.1\r\nHost: a\r\n\r\n", "GET /?x HTTP/1.1\r\nhost: a\r\n"),
    ("GET http://a HTTP/1.1\r\nHost: a\r\n\r\n", "GET / HTTP/1.1\r\nhost: a\r\n"),
    ("GET HTTP://A/x?y HTTP/1.1\r\nHost: a\r\n\r\n", "GET /x?y HTTP/1.1\r\nhost: a\r\n"),
    ("GET http://a/x HTTP/1.0\r\n\r\n", "GET /x HTTP/1.1\r\nhost: a\r\n"),
    ("GET http://a?x HTTP/1.0\r\n\r\n", "GET /?x HTTP/1.1\r\nhost: a\r\n"),
    ("GET //x HTTP/1.1\r\nHost: a\r\n\r\n", "GET //x HTTP/1.1\r\nhost: a\r\n"),
    ("OPTIONS * HTTP/1.1\r\nHost: a\r\n\r\n", "OPTIONS * HTTP/1.1\r\nhost: a\r\n"),
    ("OPTIONS http://a/ HTTP/1.1\r\nHost: a\r\n\r\n", "OPTIONS / HTTP/1.1\r\nhost: a\r\n"),
    ("OPTIONS http://a?x HTTP/1.1\r\nHost: a\r\n\r\n", "OPTIONS /?x HTTP/1.1\r\nhost: a\r\n"),
];

/// Paths that are matched as they are here, and could be another path to a backend.
const AMBIGUOUS: [&str; 20] = [
    "/public/../admin",
    "/..",
    "/../",
    "/a/..?x",
    "/.",
    "/a/./b",
    "/a/%2e%2e/b",
    "/a/%2E./b",
    "/a/.%2e",
    "/a/%2e",
    "/a/..;/b",
    "/a/..;x=y/b",
    "/a/%2e%2e;/b",
    "/a%2f..%2fb",
    "/a%2F%2e%2E",
    "/a/..%2fb",
    "/a/..%5cb",
    "/a\\..\\b",
    "/a\\b",
    "/a/%2e%2e%2F",
];

/// Paths that have dots, escapes or slashes, and are nothing but themselves.
const CLEAR: [&str; 16] = [
    "/a..b",
    "/..a",
    "/a..",
    "/...",
    "/a/.../b",
    "/.well-known/acme-challenge/x",
    "/a.b/c.html",
    "/%2ea",
    "/%252e%252e/a",
    "/a%2fb",
    "/a%5Cb",
    "/a;v=1.0/b",
    "//x",
    "/?a=/../b",
    "/a?b=..\\c",
    "/a?b=%2e%2e%2f",
];

#[tokio::test]
async fn every_form_of_a_target_reaches_the_backend_as_a_path() {
    let stable = Origin::good("stable").await;
    let router = router(&routes((&[&stable], 1), (&[], 0), "hostnames: [a]")).await;
    for (request, expected) in FORMS {
        assert_eq!(once(router.address, request).await.status, 200, "{request:?}");
        let head = stable.last_head();
        assert!(head.starts_with(expected), "{request:?}: {head:?}");
    }
}

#[tokio::test]
async fn a_path_that_a_backend_could_take_for_another_is_refused() {
    let stable = Origin::good("stable").await;
    let router = router(&routes((&[&stable], 1), (&[], 0), "")).await;
    for path in AMBIGUOUS {
        for prefix in ["", "http://a"] {
            let mut client = Client::connect(router.address).await;
            client.send(format!("GET {prefix}{path} HTTP/1.1\r\nHost: a\r\n\r\n")).await;
            assert_eq!(client.answer().await.unwrap().status, 400, "{prefix}{path}");
            assert!(client.is_closed().await, "{prefix}{path}");
        }
        assert_eq!(over_h2(router.address, path).await, Outcome::Status(400), "{path}");
    }
    assert_eq!(stable.requests(), 0);
}

#[tokio::test]
async fn a_path_that_is_nothing_but_itself_passes_unchanged() {
    let stable = Origin::good("stable").await;
    let router = router(&routes((&[&stable], 1), (&[], 0), "")).await;
    for path in CLEAR {
        let request = format!("GET {path} HTTP/1.1\r\nHost: a\r\n\r\n");
        assert_eq!(once(router.address, &request).await.status, 200, "{path}");
        let expected = format!("GET {path} HTTP/1.1\r\n");
        assert!(stable.last_head().starts_with(&expected), "{path}");
        assert_eq!(over_h2(router.address, path).await, Outcome::Status(200), "{path}");
        assert!(stable.last_head().starts_with(&expected), "{path} over HTTP/2");
    }
}

#[tokio::test]
async fn a_target_of_http_2_has_no_fragment_and_a_limit() {
    let stable = Origin::good("stable").await;
    let router = router(&routes((&[&stable], 1), (&[], 0), "")).await;
    let long = format!("/{}", "x".repeat(9 * 1024));
    // Malformed is PROTOCOL_ERROR on the stream.
    for (path, outcome) in [
        ("/a#b", Outcome::Reset(1)),
        ("/#", Outcome::Reset(1)),
        ("/a?b#c", Outcome::Reset(1)),
        (&long, Outcome::Status(414)),
    ] {
        assert_eq!(over_h2(router.address, path).await, outcome, "{path:.20}");
    }
    assert_eq!(stable.requests(), 0);
}

/// How a GET for `path` ends.
async fn over_h2(address: std::net::SocketAddr, path: &str) -> Outcome {
    let mut wire = Wire::connect(address).await;
    wire.request(1, &[(":method", "GET"), (":scheme", "http"), (":authority", "a"), (":path", path)]).await;
    wire.outcome(1).await
}
