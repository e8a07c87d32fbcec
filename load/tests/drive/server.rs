//! A small blog that misbehaves on request, and what it saw.

use std::{
    collections::BTreeMap,
    convert::Infallible,
    net::SocketAddr,
    sync::{Arc, Mutex},
    time::Duration,
};

use bytes::Bytes;
use http_body_util::{BodyExt, Full};
use hyper::{Request, Response, body::Incoming, server::conn::http1, service::service_fn};
use hyper_util::rt::TokioIo;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
};

/// A request as the server saw it.
#[derive(Clone, Debug)]
pub(crate) struct Seen {
    pub(crate) method: String,
    pub(crate) path: String,
    pub(crate) headers: BTreeMap<String, String>,
    pub(crate) body: String,
}

type Handler = Box<dyn Fn(usize, &Seen) -> Answer + Send + Sync>;

/// What the server answers.
pub(crate) struct Answer {
    status: u16,
    headers: Vec<(String, String)>,
    body: String,
    after: Duration,
}

pub(crate) struct Server {
    pub(crate) address: SocketAddr,
    seen: Arc<Mutex<Vec<Seen>>>,
}

impl Answer {
    pub(crate) fn html(body: impl Into<String>) -> Self {
        Self::status(200).header("content-type", "text/html; charset=utf-8").body(body)
    }

    pub(crate) fn status(status: u16) -> Self {
        Self { status, headers: vec![], body: String::new(), after: Duration::ZERO }
    }

    pub(crate) fn header(mut self, name: &str, value: impl Into<String>) -> Self {
        self.headers.push((name.to_owned(), value.into()));
        self
    }

    pub(crate) fn body(mut self, body: impl Into<String>) -> Self {
        self.body = body.into();
        self
    }

    pub(crate) fn after(mut self, after: Duration) -> Self {
        self.after = after;
        self
    }
}

impl Server {
    /// Answers each request by the handler, which gets the number of requests before it.
    pub(crate) async fn start(handler: impl Fn(usize, &Seen) -> Answer + Send + Sync + 'static) -> Self {
        let handler: Arc<Handler> = Arc::new(Box::new(handler));
        let (listener, server) = Self::listen().await;
        let seen = Arc::clone(&server.seen);
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let (seen, handler) = (Arc::clone(&seen), Arc::clone(&handler));
                let service =
                    service_fn(move |request| answer(Arc::clone(&seen), Arc::clone(&handler), request));
                tokio::spawn(http1::Builder::new().serve_connection(TokioIo::new(stream), service));
            }
        });
        server
    }

    /// Hands each connection, with its number, to a script that speaks raw bytes.
    pub(crate) async fn raw<F: Future<Output = ()> + Send>(
        script: impl Fn(usize, TcpStream, Arc<Mutex<Vec<Seen>>>) -> F + Send + Sync + Copy + 'static,
    ) -> Self {
        let (listener, server) = Self::listen().await;
        let seen = Arc::clone(&server.seen);
        tokio::spawn(async move {
            for number in 0.. {
                let Ok((stream, _)) = listener.accept().await else { return };
                let seen = Arc::clone(&seen);
                tokio::spawn(async move { script(number, stream, seen).await });
            }
        });
        server
    }

    /// An address where nobody listens.
    pub(crate) async fn gone() -> Self {
        Self::listen().await.1
    }

    async fn listen() -> (TcpListener, Self) {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        (listener, Self { address, seen: Arc::default() })
    }

    pub(crate) fn seen(&self) -> Vec<Seen> {
        self.seen.lock().unwrap().clone()
    }

    pub(crate) fn paths(&self) -> Vec<String> {
        self.seen().into_iter().map(|seen| seen.path).collect()
    }
}

async fn answer(
    seen: Arc<Mutex<Vec<Seen>>>,
    handler: Arc<Handler>,
    request: Request<Incoming>,
) -> Result<Response<Full<Bytes>>, Infallible> {
    let (head, body) = request.into_parts();
    let body = body.collect().await.unwrap().to_bytes();
    let headers =
        head.headers.iter().map(|(name, value)| (name.to_string(), value.to_str().unwrap().to_owned()));
    let request = Seen {
        method: head.method.to_string(),
        path: head.uri.to_string(),
        headers: headers.collect(),
        body: String::from_utf8(body.to_vec()).unwrap(),
    };
    let answer = {
        let mut seen = seen.lock().unwrap();
        seen.push(request.clone());
        handler(seen.len() - 1, &request)
    };
    tokio::time::sleep(answer.after).await;
    let mut response = Response::builder().status(answer.status);
    for (name, value) in answer.headers {
        response = response.header(name, value);
    }
    Ok(response.body(Full::from(answer.body)).unwrap())
}

/// Reads one request without a body; `None` at the end of the connection.
pub(crate) async fn read_head(stream: &mut TcpStream, seen: &Mutex<Vec<Seen>>) -> Option<()> {
    let mut head = vec![];
    while !head.ends_with(b"\r\n\r\n") {
        head.push(stream.read_u8().await.ok()?);
    }
    let text = String::from_utf8(head).unwrap();
    let mut words = text.split(' ').map(str::to_owned);
    let (method, path) = (words.next().unwrap(), words.next().unwrap());
    seen.lock().unwrap().push(Seen { method, path, headers: BTreeMap::new(), body: String::new() });
    Some(())
}

/// Writes raw bytes.
pub(crate) async fn write(stream: &mut TcpStream, text: &str) {
    stream.write_all(text.as_bytes()).await.unwrap();
}
