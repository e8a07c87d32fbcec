use crate::{
    h2_origin::H2Origin,
    scripted::Scripted,
    support::{Behaviour, Client, GET, Origin, eventually, metric, router, routes},
};
use std::{net::SocketAddr, time::Duration};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
    time,
};

pub(crate) const UPGRADE: &str =
    "GET /chat HTTP/1.1\r\nHost: a\r\nConnection: keep-alive, Upgrade\r\nUpgrade: websocket\r\n\r\n";

/// Agrees to every upgrade after a while, and echoes. Panics when something came before it had agreed.
pub(crate) async fn echo() -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            tokio::spawn(async move {
                let mut buffer = vec![0; 4096];
                let read = stream.read(&mut buffer).await.unwrap();
                let head = String::from_utf8_lossy(&buffer[..read]).into_owned();
                assert!(head.ends_with("\r\n\r\n") && head.contains("upgrade: websocket\r\n"), "{head}");
                time::sleep(Duration::from_millis(50)).await;
                assert!(stream.try_read(&mut buffer).is_err(), "nothing comes before the agreement");
                let agreed = "HTTP/1.1 101 X\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\nwelcome ";
                stream.write_all(agreed.as_bytes()).await.unwrap();
                while let Ok(read @ 1..) = stream.read(&mut buffer).await {
                    stream.write_all(&buffer[..read]).await.unwrap();
                }
            });
        }
    });
    address
}

pub(crate) fn route(origin: SocketAddr) -> String {
    format!("routes: [{{name: blog, backends: [{{name: b, track: stable, endpoints: ['{origin}']}}]}}]")
}

#[tokio::test]
async fn bytes_flow_both_ways_after_the_backend_agreed_and_not_before() {
    let router = router(&route(echo().await)).await;
    let mut client = Client::connect(router.address).await;
    client.send(format!("{UPGRADE}early ")).await;
    let answer = client.answer().await.unwrap();
    assert_eq!((answer.status, answer.headers["upgrade"].as_str()), (101, "websocket"));
    assert_eq!(client.bytes(14).await, b"welcome early ");
    client.send("later").await;
    assert_eq!(client.bytes(5).await, b"later");

    let in_flight = "huidu_router_in_flight{route=\"blog\",track=\"stable\"}";
    assert_eq!(metric(&router, in_flight).await, 1.0);
    drop(client);
    eventually("the tunnel has ended", || async { metric(&router, in_flight).await == 0.0 }).await;
}

#[tokio::test]
async fn many_bytes_flow_both_ways_at_the_same_time_and_each_end_is_told() {
    const BYTES: usize = 32 << 20;
    let router = router(&route(echo().await)).await;
    let mut client = TcpStream::connect(router.address).await.unwrap();
    client.write_all(UPGRADE.as_bytes()).await.unwrap();
    let (mut from, mut to) = client.into_split();
    let sent: Vec<u8> = (0..BYTES).map(|number| u8::try_from(number % 251).unwrap()).collect();
    let expected = sent.clone();
    let sending = tokio::spawn(async move {
        to.write_all(&sent).await.unwrap();
        to.shutdown().await.unwrap();
    });
    let mut received = Vec::new();
    time::timeout(Duration::from_secs(30), from.read_to_end(&mut received)).await.expect("an end").unwrap();
    sending.await.unwrap();
    let start = received.windows(8).position(|window| window == b"welcome ").unwrap() + 8;
    assert!(received[start..] == expected, "{} of {BYTES} bytes", received.len() - start);
}

#[tokio::test]
async fn a_refused_upgrade_leaves_the_connection_in_step() {
    let stable = Origin::good("stable").await;
    let router = router(&routes((&[&stable], 1), (&[], 0), "")).await;
    let mut client = Client::connect(router.address).await;
    client.send(format!("{UPGRADE}{GET}")).await;
    assert_eq!(client.answer().await.unwrap().text(), "stable");
    assert_eq!(client.answer().await.unwrap().text(), "stable");
    assert_eq!(client.get().await.text(), "stable");
}

#[tokio::test]
async fn h2c_is_not_asked_for_and_an_unasked_change_is_a_failure() {
    let stable = Origin::start("stable", Behaviour::Status(101)).await;
    let router = router(&routes((&[&stable], 1), (&[], 0), "")).await;
    let mut client = Client::connect(router.address).await;
    let h2c = UPGRADE.replace("websocket", "h2c\r\nHTTP2-Settings: AAMAAABkAAQCAAAAAAIAAAAA");
    client.send(h2c).await;
    assert_eq!(client.answer().await.unwrap().status, 502);
    let head = stable.last_head();
    assert!(!head.contains("upgrade") && !head.contains("http2-settings"), "{head}");
}

#[tokio::test]
async fn an_upgrade_with_a_body_is_refused() {
    let stable = Origin::good("stable").await;
    let router = router(&routes((&[&stable], 1), (&[], 0), "")).await;
    let mut client = Client::connect(router.address).await;
    client.send(UPGRADE.replace("Host: a", "Host: a\r\nContent-Length: 5")).await;
    assert_eq!(client.answer().await.unwrap().status, 400);
    let mut client = Client::connect(router.address).await;
    client.send(UPGRADE.replace("Host: a", "Host: a\r\nTransfer-Encoding: chunked")).await;
    assert_eq!(client.answer().await.unwrap().status, 400);
    assert_eq!(stable.requests(), 0);
}

#[tokio::test]
async fn a_protocol_that_was_not_asked_for_is_a_failure() {
    let backend = Scripted::start("").await;
    let router = router(&backend.route()).await;
    for line in [
        "Upgrade: ftp\r\n",
        "",
        "Upgrade: websocket\r\nContent-Length: 6\r\n",
        "Upgrade: websocket\r\nTransfer-Encoding: chunked\r\n",
    ] {
        backend.now(format!("HTTP/1.1 101 X\r\nConnection: upgrade\r\n{line}\r\npoison"));
        let mut client = Client::connect(router.address).await;
        client.send(UPGRADE).await;
        assert_eq!(client.answer().await.unwrap().status, 502, "{line}");
    }
}

#[tokio::test]
async fn nobody_changes_the_protocol_in_http_1_0() {
    let stable = Origin::good("stable").await;
    let router = router(&routes((&[&stable], 1), (&[], 0), "")).await;
    let mut client = Client::connect(router.address).await;
    client.send(UPGRADE.replace("HTTP/1.1", "HTTP/1.0")).await;
    assert_eq!(client.answer().await.unwrap().text(), "stable");
    assert!(!stable.last_head().contains("upgrade"), "{}", stable.last_head());
}

#[tokio::test]
async fn a_backend_of_http_2_is_asked_for_no_other_protocol() {
    let stable = H2Origin::good("stable").await;
    let yaml =
        route(stable.address).replace("track: stable", "track: stable, appProtocol: kubernetes.io/h2c");
    let router = router(&yaml).await;
    let mut client = Client::connect(router.address).await;
    client.send(format!("{UPGRADE}{GET}")).await;
    assert_eq!(client.answer().await.unwrap().text(), "stable");
    assert_eq!(client.answer().await.unwrap().text(), "stable", "the connection is in step");
    assert!(!stable.last().headers.contains_key("upgrade"));
}

#[tokio::test]
async fn any_protocol_may_be_changed_to_but_those_that_the_router_speaks() {
    let backend = Scripted::start("").await;
    let router = router(&backend.route()).await;
    backend.now("HTTP/1.1 101 X\r\nConnection: upgrade\r\nUpgrade: custom/1\r\n\r\nhello");
    let mut client = Client::connect(router.address).await;
    client.send(UPGRADE.replace("websocket", "other, custom/1")).await;
    let answer = client.answer().await.unwrap();
    assert_eq!((answer.status, answer.headers["upgrade"].as_str()), (101, "custom/1"));
    assert_eq!(client.bytes(5).await, b"hello");
    backend
        .now("HTTP/1.1 101 X\r\nConnection: upgrade\r\nUpgrade: custom/1\r\nContent-Length: 0\r\n\r\nhello");
    let mut client = Client::connect(router.address).await;
    client.send(UPGRADE.replace("websocket", "custom/1")).await;
    let answer = client.answer().await.unwrap();
    assert!(answer.status == 101 && !answer.headers.contains_key("content-length"), "{answer:?}");
    assert_eq!(client.bytes(5).await, b"hello");

    let plain = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok";
    for (row, offers, passed) in [
        ("h2c among others", "websocket, h2c", None),
        ("h2c first", "h2c, websocket", None),
        ("TLS", "TLS/1.0", None),
        ("two lines", "websocket\r\nUpgrade: custom", Some("websocket")),
        ("h2c on the second line", "websocket\r\nUpgrade: h2c", Some("websocket")),
        ("h2c on the first line", "h2c\r\nUpgrade: websocket", None),
    ] {
        backend.now(plain);
        let mut client = Client::connect(router.address).await;
        client.send(UPGRADE.replace("websocket", offers)).await;
        assert_eq!(client.answer().await.unwrap().text(), "ok", "{row}");
        let seen = backend.seen();
        let asked: Vec<_> = seen.lines().filter_map(|line| line.strip_prefix("upgrade: ")).collect();
        assert_eq!(asked.first().copied(), passed, "{row}: {seen}");
        assert!(asked.len() <= 1 && !seen.contains("h2c"), "{row}: {seen}");
        assert_eq!(client.get().await.text(), "ok", "{row}: the connection is in step");
    }
}

#[tokio::test]
async fn upgrade_that_connection_does_not_name_is_no_upgrade() {
    let stable = Origin::good("stable").await;
    let router = router(&routes((&[&stable], 1), (&[], 0), "")).await;
    let mut client = Client::connect(router.address).await;
    client
        .send(format!(
            "POST / HTTP/1.1\r\nHost: a\r\nUpgrade: websocket\r\nContent-Length: 5\r\n\r\nhello{GET}"
        ))
        .await;
    assert_eq!(client.answer().await.unwrap().text(), "stable");
    assert_eq!(client.answer().await.unwrap().text(), "stable", "the connection is in step");
    assert!(!stable.last_head().contains("upgrade"), "{}", stable.last_head());
    assert_eq!(stable.requests(), 2);
}
