//! Backends and clients that speak HTTP/2 well, by hyper.

use bytes::Bytes;
use http_body_util::{BodyExt, combinators::BoxBody};
use hyper::{
    HeaderMap, Request, Response,
    body::{Body, Frame, Incoming},
    client::conn::http2::SendRequest,
    server::conn::http2,
    service::service_fn,
};
use hyper_util::rt::{TokioExecutor, TokioIo};
use std::{
    convert::Infallible,
    io,
    net::SocketAddr,
    pin::Pin,
    sync::{
        Arc, Mutex,
        atomic::{AtomicUsize, Ordering::SeqCst},
    },
    task::{Context, Poll},
    time::Duration,
};
use tokio::{
    net::{TcpListener, TcpStream},
    sync::{Notify, mpsc},
    task::JoinHandle,
    time,
};

/// What a backend does with a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Reply {
    /// 200 with its name.
    Good,
    Status(u16),
    Slow(Duration),
    Hang,
    /// RST_STREAM with this code, before the head of an answer.
    Reset(u32),
    /// RST_STREAM that says that nothing was done.
    Refuse,
    /// A part of the answer, and RST_STREAM.
    BreakOff,
    /// So many bytes.
    Zeros(usize),
    /// What was sent, with this status and another trailer.
    Grpc(&'static str),
    /// This status in the head, and no body.
    GrpcAtOnce(&'static str),
    /// Whatever comes goes back at once.
    Echo,
}

/// A request as it arrived, with its whole body.
#[derive(Clone, Debug)]
pub(crate) struct Seen {
    pub(crate) uri: String,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Vec<u8>,
    pub(crate) trailers: HeaderMap,
}

/// A server of HTTP/2 without TLS on loopback.
pub(crate) struct H2Origin {
    pub(crate) address: SocketAddr,
    state: Arc<State>,
    accepting: JoinHandle<()>,
}

struct State {
    name: &'static str,
    reply: Mutex<Reply>,
    seen: Mutex<Vec<Seen>>,
    requests: AtomicUsize,
    connections: AtomicUsize,
    open: AtomicUsize,
    sent_bytes: AtomicUsize,
    goodbye: Notify,
}

type Pieces = mpsc::Receiver<Result<Frame<Bytes>, io::Error>>;

/// The body of an answer, or of a call.
struct Channel(Pieces);

/// A connection of a client that can make several calls at a time.
#[derive(Clone)]
pub(crate) struct H2Client {
    sender: SendRequest<BoxBody<Bytes, io::Error>>,
}

/// A request of a client.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Call {
    pub(crate) method: &'static str,
    pub(crate) path: &'static str,
    pub(crate) headers: &'static [(&'static str, &'static str)],
    pub(crate) body: &'static [u8],
}

/// An answer as the client got it.
#[derive(Debug)]
pub(crate) struct H2Answer {
    pub(crate) status: u16,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Vec<u8>,
    pub(crate) trailers: HeaderMap,
}

/// A call whose two directions are used piece by piece.
pub(crate) struct H2Stream {
    pieces: mpsc::Sender<Result<Frame<Bytes>, io::Error>>,
    answer: Incoming,
    received: Vec<u8>,
}

// === impl H2Origin ===

impl H2Origin {
    pub(crate) async fn good(name: &'static str) -> Self {
        Self::with_streams_max(name, 200).await
    }

    pub(crate) async fn with_streams_max(name: &'static str, streams_max: u32) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let state = Arc::new(State {
            name,
            reply: Mutex::new(Reply::Good),
            seen: Mutex::default(),
            requests: AtomicUsize::new(0),
            connections: AtomicUsize::new(0),
            open: AtomicUsize::new(0),
            sent_bytes: AtomicUsize::new(0),
            goodbye: Notify::new(),
        });
        let accepting = tokio::spawn({
            let state = Arc::clone(&state);
            async move {
                let mut connections = tokio::task::JoinSet::new();
                while let Ok((stream, _)) = listener.accept().await {
                    let state = Arc::clone(&state);
                    connections.spawn(async move {
                        state.open.fetch_add(1, SeqCst);
                        serve(stream, Arc::clone(&state), streams_max).await;
                        state.open.fetch_sub(1, SeqCst);
                    });
                }
            }
        });
        Self { address, state, accepting }
    }

    pub(crate) fn now(&self, reply: Reply) {
        *self.state.reply.lock().unwrap() = reply;
    }

    pub(crate) fn requests(&self) -> usize {
        self.state.requests.load(SeqCst)
    }

    pub(crate) fn connections(&self) -> usize {
        self.state.connections.load(SeqCst)
    }

    /// Connections that have not ended.
    pub(crate) fn open(&self) -> usize {
        self.state.open.load(SeqCst)
    }

    pub(crate) fn sent_bytes(&self) -> usize {
        self.state.sent_bytes.load(SeqCst)
    }

    pub(crate) fn last(&self) -> Seen {
        self.state.seen.lock().unwrap().last().cloned().expect("a request")
    }

    /// GOAWAY on all connections.
    pub(crate) fn say_goodbye(&self) {
        self.state.goodbye.notify_waiters();
    }
}

impl Drop for H2Origin {
    fn drop(&mut self) {
        self.accepting.abort();
    }
}

async fn serve(stream: TcpStream, state: Arc<State>, streams_max: u32) {
    state.connections.fetch_add(1, SeqCst);
    stream.set_nodelay(true).unwrap();
    let service = service_fn({
        let state = Arc::clone(&state);
        move |request| answer(Arc::clone(&state), request)
    });
    let mut builder = http2::Builder::new(TokioExecutor::new());
    let connection =
        builder.max_concurrent_streams(streams_max).serve_connection(TokioIo::new(stream), service);
    let mut connection = std::pin::pin!(connection);
    let goodbye = state.goodbye.notified();
    tokio::select! {
        _ = connection.as_mut() => return,
        () = goodbye => connection.as_mut().graceful_shutdown(),
    }
    let _ = connection.await;
}

async fn answer(
    state: Arc<State>,
    request: Request<Incoming>,
) -> Result<Response<BoxBody<Bytes, io::Error>>, h2::Error> {
    state.requests.fetch_add(1, SeqCst);
    let reply = *state.reply.lock().unwrap();
    let (pieces, body) = mpsc::channel(1);
    let response = Response::builder();
    let (parts, incoming) = request.into_parts();
    if reply == Reply::Echo {
        tokio::spawn(echo(incoming, pieces));
        let response = response.header("content-type", "application/grpc");
        return Ok(response.body(Channel(body).boxed()).unwrap());
    }
    match reply {
        Reply::Refuse => return Err(h2::Reason::REFUSED_STREAM.into()),
        Reply::Reset(code) => return Err(h2::Reason::from(code).into()),
        Reply::Hang => return std::future::pending().await,
        Reply::Slow(wait) => time::sleep(wait).await,
        _ => {}
    }
    let received = incoming.collect().await.unwrap_or_default();
    let trailers = received.trailers().cloned().unwrap_or_default();
    let received = received.to_bytes().to_vec();
    let seen = Seen { uri: parts.uri.to_string(), headers: parts.headers, body: received.clone(), trailers };
    state.seen.lock().unwrap().push(seen);
    let whole = |text: &[u8]| {
        let text = Bytes::copy_from_slice(text);
        http_body_util::Full::new(text).map_err(|never: Infallible| match never {}).boxed()
    };
    Ok(match reply {
        Reply::Status(status) => response.status(status).body(whole(state.name.as_bytes())).unwrap(),
        Reply::BreakOff => {
            let broken = io::Error::other(h2::Error::from(h2::Reason::INTERNAL_ERROR));
            tokio::spawn(send(pieces, [Ok(Frame::data(Bytes::from_static(b"half"))), Err(broken)]));
            response.body(Channel(body).boxed()).unwrap()
        }
        Reply::Zeros(length) => {
            let state = Arc::clone(&state);
            tokio::spawn(async move {
                let piece = Bytes::from(vec![0; 16 * 1024]);
                for _ in 0..length / piece.len() {
                    pieces.send(Ok(Frame::data(piece.clone()))).await.ok()?;
                    state.sent_bytes.fetch_add(piece.len(), SeqCst);
                }
                Some(())
            });
            response.body(Channel(body).boxed()).unwrap()
        }
        Reply::Grpc(status) => {
            let fields = [("grpc-status", status), ("x-trailer", "kept"), ("content-length", "5")];
            let trailers = fields.iter().map(|(name, value)| (name.parse().unwrap(), value.parse().unwrap()));
            let trailers = Ok(Frame::trailers(HeaderMap::from_iter(trailers)));
            tokio::spawn(send(pieces, [Ok(Frame::data(received.into())), trailers]));
            response.header("content-type", "application/grpc").body(Channel(body).boxed()).unwrap()
        }
        Reply::GrpcAtOnce(status) => {
            let response = response.header("content-type", "application/grpc");
            response.header("grpc-status", status).body(whole(b"")).unwrap()
        }
        _ => response.header("x-origin", state.name).body(whole(state.name.as_bytes())).unwrap(),
    })
}

async fn send<const N: usize>(
    pieces: mpsc::Sender<Result<Frame<Bytes>, io::Error>>,
    frames: [Result<Frame<Bytes>, io::Error>; N],
) {
    for frame in frames {
        if pieces.send(frame).await.is_err() {
            return;
        }
    }
}

async fn echo(mut incoming: Incoming, pieces: mpsc::Sender<Result<Frame<Bytes>, io::Error>>) {
    while let Some(Ok(frame)) = incoming.frame().await {
        if pieces.send(Ok(frame)).await.is_err() {
            return;
        }
    }
    let trailers = HeaderMap::from_iter([("grpc-status".parse().unwrap(), "0".parse().unwrap())]);
    let _ = pieces.send(Ok(Frame::trailers(trailers))).await;
}

// === impl Channel ===

impl Body for Channel {
    type Data = Bytes;
    type Error = io::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, io::Error>>> {
        self.0.poll_recv(cx)
    }
}

// === impl Call ===

impl Call {
    pub(crate) const fn get(path: &'static str) -> Self {
        Self { method: "GET", path, headers: &[], body: b"" }
    }

    pub(crate) const fn grpc(body: &'static [u8]) -> Self {
        let headers = &[("content-type", "application/grpc"), ("te", "trailers")];
        Self { method: "POST", path: "/blog.Blog/Get", headers, body }
    }

    fn request(&self, body: BoxBody<Bytes, io::Error>) -> Request<BoxBody<Bytes, io::Error>> {
        let uri = format!("http://blog{}", self.path);
        let mut request = Request::builder().method(self.method).uri(uri);
        for (name, value) in self.headers {
            request = request.header(*name, *value);
        }
        request.body(body).unwrap()
    }
}

// === impl H2Client ===

impl H2Client {
    pub(crate) async fn connect(address: SocketAddr) -> Self {
        let stream = TcpStream::connect(address).await.unwrap();
        stream.set_nodelay(true).unwrap();
        let io = TokioIo::new(stream);
        let (sender, connection) =
            hyper::client::conn::http2::handshake(TokioExecutor::new(), io).await.unwrap();
        tokio::spawn(connection);
        Self { sender }
    }

    /// Whether the router has said goodbye.
    pub(crate) fn is_closed(&self) -> bool {
        self.sender.is_closed()
    }

    /// One request with a known body, and its whole answer.
    pub(crate) fn call(&self, call: Call) -> impl Future<Output = hyper::Result<H2Answer>> + use<> {
        let mut sender = self.sender.clone();
        async move {
            let pieces = match call.method {
                "GET" | "HEAD" => Vec::new(),
                _ => vec![Ok(Frame::data(Bytes::from_static(call.body)))],
            };
            let (sending, body) = mpsc::channel(1);
            let body = match pieces.is_empty() {
                true => http_body_util::Empty::new().map_err(|never: Infallible| match never {}).boxed(),
                false => Channel(body).boxed(),
            };
            tokio::spawn(async move {
                for piece in pieces {
                    let _ = sending.send(piece).await;
                }
            });
            let response = sender.send_request(call.request(body)).await?;
            let (parts, body) = response.into_parts();
            let body = body.collect().await?;
            let trailers = body.trailers().cloned().unwrap_or_default();
            let (status, headers) = (parts.status.as_u16(), parts.headers);
            Ok(H2Answer { status, headers, body: body.to_bytes().to_vec(), trailers })
        }
    }

    /// A call whose body is sent, and whose answer is read, piece by piece.
    pub(crate) async fn stream(&self, call: Call) -> H2Stream {
        let (pieces, body) = mpsc::channel(1);
        let body = if call.method == "GET" {
            http_body_util::Empty::new().map_err(|never: Infallible| match never {}).boxed()
        } else {
            Channel(body).boxed()
        };
        let response = self.sender.clone().send_request(call.request(body)).await.unwrap();
        assert_eq!(response.status(), 200);
        H2Stream { pieces, answer: response.into_body(), received: Vec::new() }
    }
}

// === impl H2Answer ===

impl H2Answer {
    /// Where gRPC's status is: in the trailers, or in a head that is its own trailers.
    pub(crate) fn grpc_status(&self) -> &str {
        let status = self.trailers.get("grpc-status").or_else(|| self.headers.get("grpc-status"));
        status.expect("grpc-status").to_str().unwrap()
    }
}

// === impl H2Stream ===

impl H2Stream {
    pub(crate) async fn send(&self, bytes: &[u8]) {
        self.pieces.send(Ok(Frame::data(Bytes::copy_from_slice(bytes)))).await.unwrap();
    }

    pub(crate) async fn receive(&mut self, count: usize) -> Vec<u8> {
        while self.received.len() < count {
            let frame =
                time::timeout(Duration::from_secs(5), self.answer.frame()).await.expect("an answer in time");
            self.received.extend_from_slice(&frame.unwrap().unwrap().into_data().unwrap());
        }
        self.received.drain(..count).collect()
    }

    /// Ends the request, and reads the answer to its end.
    pub(crate) async fn finish(self) -> HeaderMap {
        drop(self.pieces);
        let rest = self.answer.collect().await.unwrap();
        rest.trailers().cloned().unwrap_or_default()
    }
}
