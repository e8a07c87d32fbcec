use crate::{
    program::Program,
    support::{Behaviour, Client, Origin, once, router, router_with, routes},
};
use std::net::SocketAddr;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpListener,
};

#[tokio::test]
async fn head_204_and_304_keep_their_meaning() {
    let stable = Origin::good("stable").await;
    let router = router(&routes((&[&stable], 1), (&[], 0), "")).await;
    let mut client = Client::connect(router.address).await;
    client.send("HEAD / HTTP/1.1\r\nHost: blog\r\n\r\n").await;
    let head = client.answer_to("HEAD").await.unwrap();
    assert_eq!((head.status, head.headers["content-length"].as_str(), head.body.len()), (200, "6", 0));
    assert_eq!(client.get().await.text(), "stable", "the connection is still in step");
}

#[tokio::test]
async fn a_backend_gets_the_request_as_the_client_wrote_it_and_who_asked() {
    let stable = Origin::good("stable").await;
    let router = router(&routes((&[&stable], 1), (&[], 0), "")).await;
    let request = "GET /a%2Fb?q=1&q=%zz HTTP/1.1\r\nHost: Blog.Example:8080\r\nOrigin: http://Blog.Example:8080\r\n\
                   Connection: x-hop\r\nX-Hop: 1\r\nX-Kept: a\r\nX-Kept: b\r\n\r\n";
    assert_eq!(once(router.address, request).await.status, 200);
    let head = stable.last_head();
    assert!(head.starts_with("GET /a%2Fb?q=1&q=%zz HTTP/1.1\r\n"), "{head}");
    for line in [
        "host: Blog.Example:8080",
        "origin: http://Blog.Example:8080",
        "x-kept: a",
        "x-kept: b",
        "x-forwarded-for: 127.0.0.1",
        "x-forwarded-proto: http",
        "x-forwarded-host: Blog.Example:8080",
        "via: 1.1 huidu",
    ] {
        assert!(head.contains(&format!("\r\n{line}\r\n")), "{line} is not in {head}");
    }
    assert!(!head.contains("x-hop") && head.contains("\r\nx-request-id: "), "{head}");
}

#[tokio::test]
async fn a_client_of_ipv4_has_its_own_address_on_a_socket_of_ipv6() {
    let stable = Origin::good("stable").await;
    let yaml = routes((&[&stable], 1), (&[], 0), "");
    let router = router_with(&yaml, &["--listen=[::]:0", "--trusted-hops=1"]).await;
    let address = SocketAddr::from(([127, 0, 0, 1], router.address.port()));
    once(address, "GET / HTTP/1.1\r\nHost: a\r\nForwarded: for=192.0.2.1\r\n\r\n").await;
    let head = stable.last_head();
    assert!(head.contains("\r\nx-forwarded-for: 127.0.0.1\r\n"), "{head}");
    assert!(head.contains("\r\nforwarded: for=192.0.2.1, for=127.0.0.1;"), "{head}");
}

#[tokio::test]
async fn trusted_proxies_are_believed_about_who_asks_and_others_are_not() {
    let stable = Origin::good("stable").await;
    let yaml = routes((&[&stable], 1), (&[], 0), "");
    let request = "GET / HTTP/1.1\r\nHost: a\r\nX-Forwarded-For: 192.0.2.1, 192.0.2.2\r\n\r\n";
    for (hops, forwarded, client) in [
        ("0", "127.0.0.1", "127.0.0.1"),
        ("1", "192.0.2.1, 192.0.2.2, 127.0.0.1", "192.0.2.2"),
        ("2", "192.0.2.1, 192.0.2.2, 127.0.0.1", "192.0.2.1"),
    ] {
        let hops_flag = format!("--trusted-hops={hops}");
        let program = Program::start(&yaml, &[&hops_flag, "--access-log=100%"]).await;
        assert_eq!(once(program.address, request).await.status, 200);
        let head = stable.last_head();
        assert!(head.contains(&format!("\r\nx-forwarded-for: {forwarded}\r\n")), "{hops}: {head}");
        assert_eq!(program.exactly(1).await[0]["client"], client, "{hops} hops");
    }
}

/// Answers every connection's first request with the bytes that it was sent, chunk by chunk.
async fn echo() -> std::net::SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            tokio::spawn(async move {
                let mut seen = Vec::new();
                let mut buffer = vec![0; 16 * 1024];
                let body_at = loop {
                    let read = stream.read(&mut buffer).await.unwrap();
                    seen.extend_from_slice(&buffer[..read]);
                    if let Some(at) = seen.windows(4).position(|four| four == b"\r\n\r\n") {
                        break at + 4;
                    }
                };
                let head = String::from_utf8_lossy(&seen[..body_at]).to_lowercase();
                let length: Option<usize> = head
                    .split("content-length: ")
                    .nth(1)
                    .and_then(|rest| rest.split("\r\n").next()?.parse().ok());
                let done = |seen: &[u8]| match length {
                    Some(length) => seen.len() >= body_at + length,
                    None => seen.ends_with(b"0\r\n\r\n"),
                };
                while !done(&seen) {
                    let read = stream.read(&mut buffer).await.unwrap();
                    seen.extend_from_slice(&buffer[..read]);
                }
                stream.write_all(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n").await.unwrap();
                let body = if length.is_some() { &seen[body_at..] } else { &b"chunked"[..] };
                for piece in body.chunks(10_000) {
                    stream.write_all(format!("{:x}\r\n", piece.len()).as_bytes()).await.unwrap();
                    stream.write_all(piece).await.unwrap();
                    stream.write_all(b"\r\n").await.unwrap();
                }
                stream.write_all(b"0\r\n\r\n").await.unwrap();
            });
        }
    });
    address
}

#[tokio::test]
async fn large_bodies_pass_both_ways() {
    let origin = echo().await;
    let yaml =
        format!("routes: [{{name: r, backends: [{{name: b, track: stable, endpoints: ['{origin}']}}]}}]");
    let router = router(&yaml).await;
    let body: Vec<u8> = (0_u32..1_000_000).map(|i| (i % 251) as u8).collect();
    let mut client = Client::connect(router.address).await;
    client.send(format!("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: {}\r\n\r\n", body.len())).await;
    client.send(&body).await;
    assert!(client.answer().await.unwrap().body == body);
    client.send("POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n").await;
    for piece in body.chunks(9_999) {
        client.send(format!("{:x}\r\n", piece.len())).await;
        client.send(piece).await;
        client.send("\r\n").await;
    }
    client.send("0\r\n\r\n").await;
    assert_eq!(client.answer().await.unwrap().body, b"chunked");
}

#[tokio::test]
async fn pipelined_requests_are_answered_in_order() {
    let stable = Origin::start("stable", Behaviour::Good).await;
    let router = router(&routes((&[&stable], 1), (&[], 0), "")).await;
    let mut client = Client::connect(router.address).await;
    client.send("GET /1 HTTP/1.1\r\nHost: a\r\n\r\nGET /2 HTTP/1.1\r\nHost: a\r\n\r\n").await;
    assert_eq!(client.answer().await.unwrap().status, 200);
    assert_eq!(client.answer().await.unwrap().status, 200);
    assert!(stable.last_head().starts_with("GET /2 "));
}

#[tokio::test]
async fn the_connection_of_a_backend_carries_the_next_request_after_a_long_answer() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    // Takes one connection only: a second one would wait for ever.
    let backend = tokio::spawn(async move {
        let (mut stream, _) = listener.accept().await.unwrap();
        let mut buffer = vec![0; 16 * 1024];
        while matches!(stream.read(&mut buffer).await, Ok(1..)) {
            let answer = format!("HTTP/1.1 200 OK\r\nContent-Length: 100000\r\n\r\n{}", "x".repeat(100_000));
            stream.write_all(answer.as_bytes()).await.unwrap();
        }
    });
    let routes = format!(
        "routes: [{{name: r, backends: [{{name: b, track: stable, endpoints: ['{address}']}}], timeouts: {{request: 5s}}}}]"
    );
    let router = router(&routes).await;
    let mut client = Client::connect(router.address).await;
    for _ in 0..3 {
        let answer = client.get().await;
        assert_eq!((answer.status, answer.body.len()), (200, 100_000));
    }
    backend.abort();
}

#[tokio::test]
async fn a_trace_begins_where_it_is_wanted_and_the_client_has_none() {
    let stable = Origin::good("stable").await;
    let router = router_with(&routes((&[&stable], 1), (&[], 0), ""), &["--trace-sample=100%"]).await;
    once(router.address, "GET / HTTP/1.1\r\nHost: a\r\n\r\n").await;
    let head = stable.last_head();
    let trace = head.split("\r\ntraceparent: 00-").nth(1).unwrap().split("\r\n").next().unwrap();
    assert!(
        trace.ends_with("-01") && head.contains(&format!("\r\nx-request-id: {}\r\n", &trace[..32])),
        "{head}"
    );
    once(router.address, "GET / HTTP/1.1\r\nHost: a\r\nTraceparent: 00-1-2-00\r\n\r\n").await;
    let head = stable.last_head();
    assert!(
        head.contains("\r\ntraceparent: 00-1-2-00\r\n") && head.matches("traceparent").count() == 1,
        "{head}"
    );
}
