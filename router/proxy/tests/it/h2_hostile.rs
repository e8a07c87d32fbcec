//! Backends of HTTP/2 that break its rules: whatever they send is a failure of theirs, and nobody's answer.

use crate::{
    support::{Client, GET, POST, once, router},
    wire::{CONTINUATION, DATA, END_HEADERS, END_STREAM, HEADERS, Wire, block, frame},
};
use std::{
    net::SocketAddr,
    sync::{
        Arc, Mutex,
        atomic::{AtomicUsize, Ordering::SeqCst},
    },
};
use tokio::net::TcpListener;

/// What is sent for the request on a stream.
type Script = fn(u32) -> Vec<u8>;

/// Answers every request with the frames that a test says.
struct Hostile {
    address: SocketAddr,
    script: Arc<Mutex<Script>>,
    requests: Arc<AtomicUsize>,
}

// === impl Hostile ===

impl Hostile {
    async fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let script = Arc::new(Mutex::new(good as Script));
        let requests = Arc::<AtomicUsize>::default();
        tokio::spawn({
            let (script, requests) = (script.clone(), requests.clone());
            async move {
                while let Ok((stream, _)) = listener.accept().await {
                    let (script, requests) = (script.clone(), requests.clone());
                    tokio::spawn(async move {
                        let mut wire = Wire::accepted(stream).await?;
                        while let Some(frame) = wire.next().await {
                            if frame.kind == HEADERS {
                                requests.fetch_add(1, SeqCst);
                                let answer = script.lock().unwrap()(frame.stream);
                                wire.write(&answer).await.ok()?;
                            }
                        }
                        Some(())
                    });
                }
            }
        });
        Self { address, script, requests }
    }

    fn now(&self, script: Script) {
        *self.script.lock().unwrap() = script;
        self.requests.store(0, SeqCst);
    }

    async fn router(&self) -> proxy::run::Router {
        router(&format!(
            "routes: [{{name: blog, timeouts: {{request: 10s, backendRequest: 5s}}, backends: \
             [{{name: b, track: stable, appProtocol: kubernetes.io/h2c, endpoints: ['{}']}}]}}]",
            self.address
        ))
        .await
    }
}

fn head(stream: u32, fields: &[(&str, &str)]) -> Vec<u8> {
    frame(HEADERS, END_HEADERS, stream, &block(fields))
}

fn whole(stream: u32, fields: &[(&str, &str)]) -> Vec<u8> {
    [head(stream, fields), frame(DATA, END_STREAM, stream, b"ok")].concat()
}

fn good(stream: u32) -> Vec<u8> {
    whole(stream, &[(":status", "200"), ("content-length", "2")])
}

const STATUS: (&str, &str) = (":status", "200");
const PUSH_PROMISE: u8 = 5;

/// A head in a frame and so many that continue it.
fn continued(stream: u32, line: &str, count: usize) -> Vec<u8> {
    let mut frames = frame(HEADERS, 0, stream, &block(&[STATUS]));
    for _ in 0..count {
        frames.extend(frame(CONTINUATION, 0, stream, &block(&[("x", line)])));
    }
    frames.extend(frame(CONTINUATION, END_HEADERS, stream, &[]));
    frames.extend(frame(DATA, END_STREAM, stream, b"ok"));
    frames
}

/// Name of the row, frames.
const ROWS: [(&str, Script); 26] = [
    ("shorter than stated", |id| whole(id, &[STATUS, ("content-length", "5")])),
    ("longer than stated", |id| whole(id, &[STATUS, ("content-length", "1")])),
    ("nothing of what was stated", |id| {
        frame(HEADERS, END_HEADERS | END_STREAM, id, &block(&[STATUS, ("content-length", "5")]))
    }),
    ("two lengths", |id| whole(id, &[STATUS, ("content-length", "2"), ("content-length", "3")])),
    ("length with sign", |id| whole(id, &[STATUS, ("content-length", "+2")])),
    ("connection", |id| whole(id, &[STATUS, ("connection", "close")])),
    ("keep-alive", |id| whole(id, &[STATUS, ("keep-alive", "timeout=5")])),
    ("transfer-encoding", |id| whole(id, &[STATUS, ("transfer-encoding", "chunked")])),
    ("upgrade", |id| whole(id, &[STATUS, ("upgrade", "websocket")])),
    ("upper case", |id| whole(id, &[STATUS, ("X-Upper", "1")])),
    ("space in name", |id| whole(id, &[STATUS, ("x y", "1")])),
    ("CR LF in value", |id| whole(id, &[STATUS, ("x", "a\r\nset-cookie: b=1")])),
    ("NUL in value", |id| whole(id, &[STATUS, ("x", "a\0b")])),
    ("no status", |id| whole(id, &[("x", "1")])),
    ("two statuses", |id| whole(id, &[STATUS, (":status", "404")])),
    ("status after others", |id| whole(id, &[("x", "1"), STATUS])),
    ("status of four digits", |id| whole(id, &[(":status", "2000")])),
    ("status above 599", |id| whole(id, &[(":status", "600")])),
    ("a change of protocol", |id| whole(id, &[(":status", "101")])),
    ("data before the head", |id| [frame(DATA, 0, id, b"ok"), good(id)].concat()),
    ("an end without an answer", |id| {
        frame(HEADERS, END_HEADERS | END_STREAM, id, &block(&[(":status", "100")]))
    }),
    ("a promise", |id| {
        let promised = [&[0, 0, 0, 2][..], &block(&crate::wire::GET)].concat();
        [frame(PUSH_PROMISE, END_HEADERS, id, &promised), good(id)].concat()
    }),
    ("a frame that is too long", |id| {
        [head(id, &[STATUS]), frame(DATA, END_STREAM, id, &[b'x'; 17_000])].concat()
    }),
    ("another stream's answer", |id| good(id + 2)),
    ("a long head", |id| continued(id, &"y".repeat(10_000), 8)),
    ("a head without an end", |id| continued(id, "", 10_000)),
];

#[tokio::test]
async fn what_breaks_the_rules_is_nobodys_answer() {
    let backend = Hostile::start().await;
    let router = backend.router().await;
    for (row, script) in ROWS {
        for request in [GET, POST] {
            backend.now(script);
            let mut client = Client::connect(router.address).await;
            client.send(request).await;
            let answer = client.answer().await;
            assert!(answer.as_ref().is_none_or(|answer| answer.status == 502), "{row}: {answer:?}");
            if request == POST {
                assert_eq!(backend.requests.load(SeqCst), 1, "{row}: it is sent once");
            }
            backend.now(good);
            assert_eq!(once(router.address, GET).await.text(), "ok", "{row}");
        }
    }
}

#[tokio::test]
async fn interim_answers_of_http_2_are_passed_over() {
    let backend = Hostile::start().await;
    let router = backend.router().await;
    backend.now(|id| [head(id, &[(":status", "103"), ("link", "x")]).repeat(10), good(id)].concat());
    let answer = once(router.address, GET).await;
    assert_eq!((answer.status, answer.text()), (200, "ok"));
    assert!(!answer.headers.contains_key("link"));
}
