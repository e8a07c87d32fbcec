//! Backends of HTTP/2 that break its rules: whatever they send is a failure of theirs, and nobody's answer.

use crate::{
    h2_origin::{Call, H2Client},
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

fn bodiless(stream: u32, fields: &[(&str, &str)]) -> Vec<u8> {
    frame(HEADERS, END_HEADERS | END_STREAM, stream, &block(fields))
}

type Bodiless = (&'static str, &'static str, Script, u16, Option<&'static str>);

/// Name of the row, method, frames, status, `Content-Length`.
const BODILESS: [Bodiless; 7] = [
    ("HEAD with length", "HEAD", |id| bodiless(id, &[STATUS, ("content-length", "1000")]), 200, Some("1000")),
    ("HEAD without length", "HEAD", |id| bodiless(id, &[STATUS]), 200, None),
    (
        "HEAD and an empty end",
        "HEAD",
        |id| [head(id, &[STATUS]), frame(DATA, END_STREAM, id, &[])].concat(),
        200,
        None,
    ),
    ("204", "GET", |id| bodiless(id, &[(":status", "204")]), 204, None),
    ("204 with length", "GET", |id| bodiless(id, &[(":status", "204"), ("content-length", "0")]), 204, None),
    ("304", "GET", |id| bodiless(id, &[(":status", "304")]), 304, None),
    (
        "304 with length",
        "GET",
        |id| bodiless(id, &[(":status", "304"), ("content-length", "1000")]),
        304,
        Some("1000"),
    ),
];

#[tokio::test]
async fn head_204_and_304_of_http_2_have_no_body_for_any_client() {
    let backend = Hostile::start().await;
    let router = backend.router().await;
    let h2 = H2Client::connect(router.address).await;
    for (row, method, script, status, length) in BODILESS {
        backend.now(script);
        let answered = h2.call(Call { method, ..Call::get("/") }).await.unwrap();
        assert_eq!((answered.status, answered.body.len()), (status, 0), "{row}");
        let stated = answered.headers.get("content-length").map(|length| length.to_str().unwrap());
        assert_eq!(stated, length, "{row}");

        let mut h1 = Client::connect(router.address).await;
        h1.send(format!("{method} / HTTP/1.1\r\nHost: a\r\n\r\n")).await;
        let answered = h1.answer_to(method).await.unwrap_or_else(|| panic!("{row}: no answer"));
        assert_eq!(answered.status, status, "{row}");
        assert_eq!(answered.headers.get("content-length").map(String::as_str), length, "{row}");
        backend.now(good);
        assert_eq!(h1.get().await.text(), "ok", "{row}: the connection is in step");
    }
}

#[tokio::test]
async fn a_body_where_there_can_be_none_is_nobodys_answer() {
    let backend = Hostile::start().await;
    let router = backend.router().await;
    for (row, method, script) in [
        ("HEAD", "HEAD", (|id| whole(id, &[STATUS, ("content-length", "2")])) as Script),
        ("204", "GET", |id| whole(id, &[(":status", "204")])),
        ("304", "GET", |id| whole(id, &[(":status", "304")])),
    ] {
        backend.now(script);
        let mut client = Client::connect(router.address).await;
        client.send(format!("{method} / HTTP/1.1\r\nHost: a\r\n\r\n")).await;
        assert!(client.answer_to(method).await.is_some(), "{row}");
        backend.now(good);
        let _ = client.try_send(GET).await;
        if let Some(next) = client.answer().await {
            assert_eq!(next.text(), "ok", "{row}: the connection is in step");
        }
        assert_eq!(once(router.address, GET).await.text(), "ok", "{row}");
    }
}
