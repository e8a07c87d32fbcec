//! Requests of the simple kind are served without hyper, and others by it: a client must not notice which.

use crate::support::{Behaviour, Client, GET, Origin, POST, eventually, metric, router, routes};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpListener,
};

const IN_FLIGHT: &str = "huidu_router_in_flight{route=\"blog\",track=\"stable\"}";

#[tokio::test]
async fn requests_of_all_kinds_share_a_connection_and_are_answered_in_order() {
    let stable = Origin::good("stable").await;
    let router = router(&routes((&[&stable], 1), (&[], 0), "")).await;
    let mut client = Client::connect(router.address).await;
    let upgrade = "GET / HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n";
    client.send([GET, GET, POST, upgrade, GET, POST, GET].concat()).await;
    for number in 0..7 {
        let answer = client.answer().await.unwrap();
        assert_eq!((answer.status, answer.text()), (200, "stable"), "answer {number}");
        assert!(answer.headers["date"].ends_with(" GMT") && answer.headers["date"].len() == 29);
    }
    assert_eq!(stable.requests(), 7);
    assert_eq!(client.get().await.text(), "stable");
}

#[tokio::test]
async fn a_head_that_comes_in_pieces_is_one_head() {
    let stable = Origin::good("stable").await;
    let router = router(&routes((&[&stable], 1), (&[], 0), "")).await;
    let mut client = Client::connect(router.address).await;
    for _ in 0..2 {
        for piece in ["GET / HT", "TP/1.1\r\nHost: blog\r", "\n\r", "\n"] {
            client.send(piece).await;
            tokio::time::sleep(std::time::Duration::from_millis(5)).await;
        }
        assert_eq!(client.answer().await.unwrap().text(), "stable");
    }
    assert_eq!(stable.requests(), 2);
}

#[tokio::test]
async fn a_client_that_leaves_ends_its_request() {
    let stable = Origin::start("stable", Behaviour::Hang).await;
    let router = router(&routes((&[&stable], 1), (&[], 0), "")).await;
    let mut client = Client::connect(router.address).await;
    client.send(GET).await;
    eventually("the request is under way", || async { metric(&router, IN_FLIGHT).await == 1.0 }).await;
    drop(client);
    eventually("nothing is under way", || async { metric(&router, IN_FLIGHT).await == 0.0 }).await;
}

/// Answers every request with `answer`, and closes where that is needed to end it.
async fn backend(answer: &'static str) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            let mut buffer = vec![0; 4096];
            assert!(stream.read(&mut buffer).await.unwrap() > 0);
            stream.write_all(answer.as_bytes()).await.unwrap();
        }
    });
    format!("routes: [{{name: blog, backends: [{{name: b, track: stable, endpoints: ['{address}']}}]}}]")
}

#[tokio::test]
async fn the_framing_of_an_answer_is_told_anew() {
    for (answer, framing, body) in [
        ("Content-Length: 5\r\n\r\nhello", ("content-length", "5"), "hello"),
        ("Content-Length: 0\r\n\r\n", ("content-length", "0"), ""),
        (
            "Transfer-Encoding: chunked\r\n\r\n3\r\nhel\r\n2\r\nlo\r\n0\r\nX-Trailer: 1\r\n\r\n",
            ("transfer-encoding", "chunked"),
            "hello",
        ),
        ("\r\nhello", ("transfer-encoding", "chunked"), "hello"),
    ] {
        let whole: &str =
            format!("HTTP/1.1 200 OK\r\nDate: Sun, 06 Nov 1994 08:49:37 GMT\r\n{answer}").leak();
        let router = router(&backend(whole).await).await;
        let mut client = Client::connect(router.address).await;
        let got = client.get().await;
        assert_eq!((got.headers[framing.0].as_str(), got.text()), (framing.1, body), "{answer:?}");
        assert_eq!(got.headers["date"], "Sun, 06 Nov 1994 08:49:37 GMT");
        let both =
            got.headers.contains_key("content-length") && got.headers.contains_key("transfer-encoding");
        assert!(!both, "{answer:?}");
        assert_eq!(client.get().await.text(), body, "the connection is still in step");
    }
}

#[tokio::test]
async fn an_answer_without_a_body_has_none() {
    for (status, length) in [("204 No Content", None), ("304 Not Modified", Some("5"))] {
        let line = length.map(|length| format!("Content-Length: {length}\r\n")).unwrap_or_default();
        let router = router(&backend(format!("HTTP/1.1 {status}\r\n{line}\r\n").leak()).await).await;
        let mut client = Client::connect(router.address).await;
        for _ in 0..2 {
            let got = client.get().await;
            assert_eq!(got.headers.get("content-length").map(String::as_str), length, "{status}");
            assert!(!got.headers.contains_key("transfer-encoding"), "{status}");
        }
    }
}

#[tokio::test]
async fn a_chunked_answer_that_breaks_has_no_last_chunk() {
    let router =
        router(&backend("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nhel\r\n").await).await;
    let mut client = Client::connect(router.address).await;
    client.send(GET).await;
    assert!(client.answer().await.is_none(), "an end would be a lie");
}
