//! What operators do while readers read: nobody may notice.

use crate::{
    h2_origin::{Call, H2Client},
    program::Program,
    support::{Client, GET, Origin, POST, eventually, get, put, router, router_with, routes},
};
use serde_json::Value;
use std::{
    net::SocketAddr,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicUsize, Ordering::SeqCst},
    },
    time::Duration,
};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
    task::JoinHandle,
    time,
};

/// Clients that ask again and again on connections that they keep, and begin a new one where the router ends it.
struct Load {
    answered: Arc<AtomicUsize>,
    stop: Arc<AtomicBool>,
    clients: Vec<JoinHandle<()>>,
}

/// What a client asks for.
#[derive(Clone, Copy, Debug)]
enum Ask {
    Get,
    Post,
    /// GET over HTTP/2.
    Http2,
}

// === impl Ask ===

impl Ask {
    async fn again_and_again(
        self,
        address: SocketAddr,
        (answered, stop): (Arc<AtomicUsize>, Arc<AtomicBool>),
    ) {
        let request = match self {
            Self::Get => GET,
            Self::Post => POST,
            Self::Http2 => return over_h2(address, (answered, stop)).await,
        };
        let mut client = Client::connect(address).await;
        while !stop.load(SeqCst) {
            client.send(request).await;
            let answer = client.answer().await.expect("an answer");
            assert_eq!(answer.status, 200, "{}", answer.text());
            answered.fetch_add(1, SeqCst);
            if answer.headers.get("connection").is_some_and(|value| value == "close") {
                client = Client::connect(address).await;
            }
        }
    }
}

async fn over_h2(address: SocketAddr, (answered, stop): (Arc<AtomicUsize>, Arc<AtomicBool>)) {
    while !stop.load(SeqCst) {
        let client = H2Client::connect(address).await;
        while !stop.load(SeqCst) {
            match client.call(Call::get("/")).await {
                Ok(answer) => assert_eq!((answer.status, answer.body), (200, b"stable".to_vec())),
                // It was never sent: GOAWAY came first.
                Err(error) if error.is_canceled() => break,
                Err(error) => panic!("{error:?}"),
            }
            answered.fetch_add(1, SeqCst);
        }
    }
}

// === impl Load ===

impl Load {
    fn start(address: SocketAddr, clients: usize) -> Self {
        Self::of(address, &vec![Ask::Get; clients])
    }

    fn of(address: SocketAddr, clients: &[Ask]) -> Self {
        let (answered, stop) = <(Arc<AtomicUsize>, Arc<AtomicBool>)>::default();
        let client = |ask: &Ask| tokio::spawn(ask.again_and_again(address, (answered.clone(), stop.clone())));
        let clients = clients.iter().map(client).collect();
        Self { answered, stop, clients }
    }

    fn answered(&self) -> usize {
        self.answered.load(SeqCst)
    }

    /// Waits until so many requests were answered since the start.
    async fn reach(&self, count: usize) {
        while self.answered() < count {
            assert!(self.clients.iter().all(|client| !client.is_finished()), "a client failed");
            time::sleep(Duration::from_millis(1)).await;
        }
    }

    /// Every request of every client was answered with 200.
    async fn stop(self) -> usize {
        self.stop.store(true, SeqCst);
        for client in self.clients {
            client.await.unwrap();
        }
        self.answered.load(SeqCst)
    }
}

#[tokio::test]
async fn all_endpoints_are_replaced_under_load_and_no_request_fails() {
    let mut serving = vec![Origin::good("1").await, Origin::good("2").await, Origin::good("3").await];
    let router = router(&routes((&serving.iter().collect::<Vec<_>>(), 1), (&[], 0), "")).await;
    let load = Load::start(router.address, 8);
    for replaced in 1..=10 {
        load.reach(replaced * 900).await;
        // As in a rollout: the new one is ready, the old one gets nothing more, ends its work and is killed.
        serving.push(Origin::good("next").await);
        let leaving = serving.remove(0);
        let yaml = routes((&serving.iter().collect::<Vec<_>>(), 1), (&[], 0), "");
        let spec = proxy::config::from_yaml("test", &yaml).unwrap();
        router.control.apply("test", spec).await;
        while get(router.admin_address, "/routes").await.text().contains(&leaving.address.to_string()) {}
        time::sleep(Duration::from_millis(100)).await;
        leaving.kill().await;
    }
    load.reach(10_000).await;
    assert!(load.stop().await >= 10_000);
}

#[tokio::test]
async fn a_thousand_weight_changes_disturb_neither_a_websocket_nor_a_download() {
    const PIECES: usize = 1_000;
    const PIECE: usize = 100_000;
    let (stable, canary) = (Origin::good("stable").await, Origin::good("canary").await);
    let (download, echo) = (pattern(PIECES * PIECE).await, echo().await);
    let extra = |name: &str, address: SocketAddr| {
        format!(
            "  - {{name: {name}, pathPrefix: /{name}, backends: [{{name: b, track: stable, endpoints: ['{address}']}}]}}\n"
        )
    };
    let yaml = routes((&[&stable], 1), (&[&canary], 1), "");
    let yaml = format!("{yaml}{}{}", extra("download", download), extra("chat", echo));
    let router = router(&yaml).await;

    let mut chat = TcpStream::connect(router.address).await.unwrap();
    let upgrade = "GET /chat HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n";
    chat.write_all(upgrade.as_bytes()).await.unwrap();
    read_until(&mut chat, b"\r\n\r\n").await;
    let mut file = TcpStream::connect(router.address).await.unwrap();
    file.write_all(b"GET /download HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n").await.unwrap();
    read_until(&mut file, b"\r\n\r\n").await;
    let (expected, mut piece) = (pattern_at(0, PIECE + PERIOD), vec![0; PIECE]);
    let load = Load::start(router.address, 4);
    for generation in 1..=PIECES {
        let body =
            format!(r#"{{"generation": {generation}, "weights": {{"blog-canary": {}}}}}"#, generation % 7);
        let changed = put(router.admin_address, "/routes/blog/weights", &body).await;
        assert_eq!(changed.status, 200, "{}", changed.text());
        // A piece for each change: the whole is much more than sockets hold.
        let read = time::timeout(Duration::from_secs(10), file.read_exact(&mut piece)).await;
        read.expect("the download goes on").unwrap();
        let at = (generation - 1) * PIECE % PERIOD;
        assert!(piece == expected[at..at + PIECE], "piece {generation} differs");
        if generation % 100 == 0 {
            chat.write_all(b"still there?").await.unwrap();
            read_until(&mut chat, b"still there?").await;
        }
    }
    chat.write_all(b"bye").await.unwrap();
    read_until(&mut chat, b"bye").await;
    assert_eq!(file.read(&mut piece).await.unwrap(), 0, "nothing comes after it");
    assert!(load.stop().await > 0);
}

#[tokio::test]
async fn a_drain_under_load_fails_nothing_when_another_router_takes_over() {
    let stable = Origin::good("stable").await;
    let yaml = routes((&[&stable], 1), (&[], 0), "");
    let old = router_with(&yaml, &["--reuse-port", "--drain-delay=300ms"]).await;
    let load = Load::start(old.address, 8);
    load.reach(500).await;
    let new = router_with(&yaml, &["--reuse-port", &format!("--listen={}", old.address)]).await;
    time::timeout(Duration::from_secs(10), old.drain()).await.expect("all connections move on");
    let moved = load.answered();
    load.reach(moved + 500).await;
    load.stop().await;
    assert_eq!(get(new.address, "/").await.text(), "stable");
}

#[tokio::test]
async fn sigterm_under_load_fails_no_request_and_each_has_its_line() {
    let stable = Origin::good("stable").await;
    let yaml = routes((&[&stable], 1), (&[], 0), "");
    let flags = ["--reuse-port", "--drain-delay=300ms", "--access-log=100%"];
    let mut old = Program::start(&yaml, &flags).await;
    let load = Load::of(old.address, &[Ask::Get, Ask::Post, Ask::Http2].repeat(3));
    load.reach(500).await;
    let listen = format!("--listen={}", old.address);
    let mut new = Program::start(&yaml, &[&flags[..], &[&listen]].concat()).await;
    old.terminate();
    assert!(old.ended().await.success());
    let moved = load.answered();
    load.reach(moved + 500).await;
    let answered = load.stop().await;
    new.terminate();
    assert!(new.ended().await.success());
    eventually("each request has its line", || async { old.lines().len() + new.lines().len() == answered })
        .await;
    let lines = old.lines();
    for (protocol, method) in [("HTTP/1.1", "GET"), ("HTTP/1.1", "POST"), ("HTTP/2", "GET")] {
        let is_of = |line: &&Value| line["protocol"] == protocol && line["method"] == method;
        assert!(lines.iter().any(|line| is_of(&line)), "{method} over {protocol}");
    }
}

/// After so many bytes they begin anew.
const PERIOD: usize = 251;

/// Bytes that tell a piece from another one at another place.
fn pattern_at(begin: usize, length: usize) -> Vec<u8> {
    (begin..begin + length).map(|at| u8::try_from(at % PERIOD).unwrap()).collect()
}

/// Answers with so many bytes of the pattern.
async fn pattern(length: usize) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move {
        let periods = pattern_at(0, PERIOD * 256);
        let (mut stream, _) = listener.accept().await.unwrap();
        read_until(&mut stream, b"\r\n\r\n").await;
        let head = format!("HTTP/1.1 200 OK\r\nContent-Length: {length}\r\n\r\n");
        stream.write_all(head.as_bytes()).await.unwrap();
        let mut left = length;
        while left > 0 {
            let piece = left.min(periods.len());
            stream.write_all(&periods[..piece]).await.unwrap();
            left -= piece;
        }
    });
    address
}

/// Agrees to an upgrade and repeats whatever it is sent.
async fn echo() -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            tokio::spawn(async move {
                read_until(&mut stream, b"\r\n\r\n").await;
                let agreed = "HTTP/1.1 101 X\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n";
                stream.write_all(agreed.as_bytes()).await.unwrap();
                let mut buffer = [0; 1024];
                while let Ok(read @ 1..) = stream.read(&mut buffer).await {
                    stream.write_all(&buffer[..read]).await.unwrap();
                }
            });
        }
    });
    address
}

async fn read_until(stream: &mut TcpStream, end: &[u8]) {
    let mut seen = Vec::new();
    while !seen.ends_with(end) {
        let byte = time::timeout(Duration::from_secs(10), stream.read_u8()).await.expect("a byte in time");
        seen.push(byte.unwrap());
    }
}
