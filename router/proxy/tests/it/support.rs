//! Origins that behave well or badly, a router in this process, and a client that sees raw bytes.

use clap::Parser;
use proxy::{args::Args, run::Router};
use std::{
    collections::HashMap,
    net::SocketAddr,
    sync::{
        Arc, Mutex,
        atomic::{AtomicUsize, Ordering::SeqCst},
    },
    time::Duration,
};
use tokio::{
    io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader},
    net::{TcpListener, TcpStream},
    task::JoinHandle,
    time,
};

/// What an origin does with a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Behaviour {
    /// Answers 200 with its name.
    Good,
    /// Answers with this status and its name.
    Status(u16),
    /// Closes the connection with a reset when it has read the request.
    Reset,
    /// Never answers.
    Hang,
    /// Promises 1,000 bytes and sends ten.
    Truncate,
    /// Promises so many bytes, sends so many, and closes.
    Length(usize, usize),
    /// Sends so many bytes in a chunk, and closes before the last one.
    Chunks(usize),
    /// Answers garbage.
    Garbage,
    /// Sends its answer after a while.
    Slow(Duration),
    /// Answers once and closes without saying so.
    CloseAfter,
}

/// A server on loopback that counts requests and notes them.
pub(crate) struct Origin {
    pub(crate) address: SocketAddr,
    behaviour: Arc<Mutex<Behaviour>>,
    requests: Arc<AtomicUsize>,
    heads: Arc<Mutex<Vec<String>>>,
    accepting: JoinHandle<()>,
    connections: Arc<Mutex<Vec<JoinHandle<()>>>>,
}

/// An answer as it came over the wire.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) headers: HashMap<String, String>,
    pub(crate) body: Vec<u8>,
}

/// A keep-alive connection of a client.
pub(crate) struct Client {
    stream: BufReader<TcpStream>,
}

pub(crate) const GET: &str = "GET / HTTP/1.1\r\nHost: blog\r\n\r\n";
pub(crate) const POST: &str = "POST / HTTP/1.1\r\nHost: blog\r\nContent-Length: 2\r\n\r\nhi";

/// Starts a router for `yaml`.
pub(crate) async fn router(yaml: &str) -> Router {
    router_with(yaml, &[]).await
}

/// Starts a router with further flags. The routes are put in force before it returns.
pub(crate) async fn router_with(yaml: &str, flags: &[&str]) -> Router {
    let base =
        ["router", "--listen=127.0.0.1:0", "--admin-listen=127.0.0.1:0", "--workers=2", "--drain-delay=0s"];
    let name = |flag: &str| flag.split('=').next().unwrap_or_default().to_owned();
    let is_default = |flag: &&&str| !flags.iter().any(|other| name(other) == name(flag));
    let args = Args::try_parse_from(base.iter().filter(is_default).chain(flags)).unwrap();
    let router = Router::start(args).await.unwrap();
    if !yaml.is_empty() {
        router.control.apply("test", proxy::config::from_yaml("test", yaml).unwrap()).await;
    }
    router
}

/// A route `blog` with a stable and a canary backend.
pub(crate) fn routes(stable: (&[&Origin], u32), canary: (&[&Origin], u32), rest: &str) -> String {
    let list = |origins: &[&Origin]| {
        origins.iter().map(|origin| format!("\"{}\"", origin.address)).collect::<Vec<_>>().join(", ")
    };
    format!(
        "generation: 1\nroutes:\n  - name: blog\n    backends:\n      \
         - {{name: blog-stable, track: stable, weight: {}, endpoints: [{}]}}\n      \
         - {{name: blog-canary, track: canary, weight: {}, endpoints: [{}]}}\n    {rest}\n",
        stable.1,
        list(stable.0),
        canary.1,
        list(canary.0),
    )
}

// === impl Origin ===

impl Origin {
    pub(crate) async fn start(name: &'static str, behaviour: Behaviour) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let behaviour = Arc::new(Mutex::new(behaviour));
        let (requests, heads, connections) =
            <(Arc<AtomicUsize>, Arc<Mutex<_>>, Arc<Mutex<Vec<_>>>)>::default();
        let accepting = tokio::spawn({
            let (behaviour, requests, heads) = (behaviour.clone(), requests.clone(), heads.clone());
            let connections: Arc<Mutex<Vec<JoinHandle<()>>>> = connections.clone();
            async move {
                while let Ok((stream, _)) = listener.accept().await {
                    let serving = serve(name, stream, behaviour.clone(), requests.clone(), heads.clone());
                    connections.lock().unwrap().push(tokio::spawn(serving));
                }
            }
        });
        Self { address, behaviour, requests, heads, accepting, connections }
    }

    pub(crate) async fn good(name: &'static str) -> Self {
        Self::start(name, Behaviour::Good).await
    }

    pub(crate) fn now(&self, behaviour: Behaviour) {
        *self.behaviour.lock().unwrap() = behaviour;
    }

    /// Requests that arrived, answered or not.
    pub(crate) fn requests(&self) -> usize {
        self.requests.load(SeqCst)
    }

    /// Counts from zero again.
    pub(crate) fn forget(&self) {
        self.requests.store(0, SeqCst);
    }

    /// Connections that are open.
    pub(crate) fn open(&self) -> usize {
        self.connections.lock().unwrap().iter().filter(|connection| !connection.is_finished()).count()
    }

    /// The head of the last request.
    pub(crate) fn last_head(&self) -> String {
        self.heads.lock().unwrap().last().cloned().unwrap_or_default()
    }

    /// Like SIGKILL: the port is closed and so are all connections, at once.
    pub(crate) async fn kill(&self) {
        self.accepting.abort();
        self.connections.lock().unwrap().iter().for_each(JoinHandle::abort);
        // Aborted tasks drop their sockets when the runtime gets to them.
        while !self.accepting.is_finished() {
            time::sleep(Duration::from_millis(1)).await;
        }
    }
}

impl Drop for Origin {
    fn drop(&mut self) {
        self.accepting.abort();
    }
}

async fn serve(
    name: &'static str,
    stream: TcpStream,
    behaviour: Arc<Mutex<Behaviour>>,
    requests: Arc<AtomicUsize>,
    heads: Arc<Mutex<Vec<String>>>,
) {
    let mut stream = BufReader::new(stream);
    while let Some(head) = read_head(&mut stream).await {
        requests.fetch_add(1, SeqCst);
        let length = content_length(&head);
        let is_head = head.starts_with("HEAD ");
        heads.lock().unwrap().push(head);
        let mut body = vec![0; length];
        if stream.read_exact(&mut body).await.is_err() {
            return;
        }
        let behaviour = *behaviour.lock().unwrap();
        let answer = |status: u16| {
            let length = name.len();
            let body = if is_head { "" } else { name };
            format!("HTTP/1.1 {status} X\r\nContent-Length: {length}\r\nX-Origin: {name}\r\n\r\n{body}")
        };
        let text = match behaviour {
            Behaviour::Good | Behaviour::CloseAfter => answer(200),
            Behaviour::Status(status) => answer(status),
            Behaviour::Slow(wait) => {
                time::sleep(wait).await;
                answer(200)
            }
            Behaviour::Hang => return std::future::pending().await,
            Behaviour::Garbage => "SSH-2.0-OpenSSH_9.2\r\n".to_owned(),
            Behaviour::Truncate => "HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n0123456789".to_owned(),
            Behaviour::Length(stated, sent) => {
                format!("HTTP/1.1 200 OK\r\nContent-Length: {stated}\r\n\r\n{}", "x".repeat(sent))
            }
            Behaviour::Chunks(sent) => {
                let head = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n";
                format!("{head}{sent:x}\r\n{}\r\n", "x".repeat(sent))
            }
            Behaviour::Reset => {
                stream.get_ref().set_zero_linger().unwrap();
                return;
            }
        };
        if stream.write_all(text.as_bytes()).await.is_err()
            || !matches!(behaviour, Behaviour::Good | Behaviour::Status(_) | Behaviour::Slow(_))
        {
            return;
        }
    }
}

/// Answers every request with so many zeros.
pub(crate) async fn stream_of(length: usize) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            tokio::spawn(async move {
                let mut stream = BufReader::new(stream);
                while read_head(&mut stream).await.is_some() {
                    let head = format!("HTTP/1.1 200 OK\r\nContent-Length: {length}\r\n\r\n");
                    stream.write_all(head.as_bytes()).await.ok()?;
                    let zeros = vec![0; 1 << 16];
                    let mut left = length;
                    while left > 0 {
                        let piece = left.min(zeros.len());
                        stream.write_all(&zeros[..piece]).await.ok()?;
                        left -= piece;
                    }
                }
                Some(())
            });
        }
    });
    address
}

// === impl Client ===

impl Client {
    pub(crate) async fn connect(address: SocketAddr) -> Self {
        Self { stream: BufReader::new(TcpStream::connect(address).await.unwrap()) }
    }

    /// So many clients, each of which has sent `bytes`.
    pub(crate) async fn each(address: SocketAddr, count: usize, bytes: &str) -> Vec<Self> {
        let mut clients = Vec::new();
        for _ in 0..count {
            let mut client = Self::connect(address).await;
            client.send(bytes).await;
            clients.push(client);
        }
        clients
    }

    pub(crate) async fn send(&mut self, bytes: impl AsRef<[u8]>) {
        self.stream.write_all(bytes.as_ref()).await.unwrap();
    }

    pub(crate) async fn try_send(&mut self, bytes: impl AsRef<[u8]>) -> std::io::Result<()> {
        self.stream.write_all(bytes.as_ref()).await
    }

    /// So many bytes that are no HTTP.
    pub(crate) async fn bytes(&mut self, count: usize) -> Vec<u8> {
        let mut bytes = vec![0; count];
        time::timeout(Duration::from_secs(10), self.stream.read_exact(&mut bytes)).await.unwrap().unwrap();
        bytes
    }

    /// Reads until the connection ends; how many bytes came.
    pub(crate) async fn read_all(&mut self) -> usize {
        let mut buffer = vec![0; 1 << 16];
        let mut total = 0;
        while let Ok(Ok(read @ 1..)) =
            time::timeout(Duration::from_secs(5), self.stream.read(&mut buffer)).await
        {
            total += read;
        }
        total
    }

    /// The next answer; `None` when the connection ends before a whole one.
    pub(crate) async fn answer(&mut self) -> Option<Answer> {
        self.answer_to("GET").await
    }

    /// The next answer to a request with this method.
    pub(crate) async fn answer_to(&mut self, method: &str) -> Option<Answer> {
        time::timeout(Duration::from_secs(10), self.read_answer(method))
            .await
            .expect("an answer within ten seconds")
    }

    async fn read_answer(&mut self, method: &str) -> Option<Answer> {
        let head = read_head(&mut self.stream).await?;
        let status = head.split(' ').nth(1)?.parse().ok()?;
        let lines = head.lines().skip(1).filter_map(|line| line.split_once(": "));
        let headers: HashMap<_, _> =
            lines.map(|(name, value)| (name.to_lowercase(), value.to_owned())).collect();
        let mut body = Vec::new();
        if method == "HEAD" || status == 304 || status == 204 || status < 200 {
        } else if headers.get("transfer-encoding").is_some_and(|coding| coding == "chunked") {
            loop {
                let mut line = String::new();
                self.stream.read_line(&mut line).await.ok()?;
                let size = usize::from_str_radix(line.trim(), 16).ok()?;
                let mut chunk = vec![0; size + 2];
                self.stream.read_exact(&mut chunk).await.ok()?;
                if size == 0 {
                    break;
                }
                body.extend_from_slice(&chunk[..size]);
            }
        } else if let Some(length) = headers.get("content-length") {
            body = vec![0; length.parse().ok()?];
            self.stream.read_exact(&mut body).await.ok()?;
        } else {
            self.stream.read_to_end(&mut body).await.ok()?;
        }
        Some(Answer { status, headers, body })
    }

    pub(crate) async fn get(&mut self) -> Answer {
        self.send(GET).await;
        self.answer().await.expect("an answer")
    }

    /// Whether the router closes the connection within a few seconds.
    pub(crate) async fn is_closed(&mut self) -> bool {
        let mut byte = [0];
        matches!(time::timeout(Duration::from_secs(5), self.stream.read(&mut byte)).await, Ok(Ok(0) | Err(_)))
    }
}

// === impl Answer ===

impl Answer {
    pub(crate) fn text(&self) -> &str {
        std::str::from_utf8(&self.body).unwrap()
    }
}

/// One request on a connection of its own.
pub(crate) async fn once(address: SocketAddr, request: &str) -> Answer {
    let mut client = Client::connect(address).await;
    client.send(request).await;
    let method = request.split(' ').next().unwrap();
    client.answer_to(method).await.expect("an answer")
}

pub(crate) async fn get(address: SocketAddr, path: &str) -> Answer {
    once(address, &format!("GET {path} HTTP/1.1\r\nHost: blog\r\n\r\n")).await
}

pub(crate) async fn put(address: SocketAddr, path: &str, body: &str) -> Answer {
    let length = body.len();
    let head = format!("PUT {path} HTTP/1.1\r\nHost: admin\r\nContent-Length: {length}\r\n\r\n{body}");
    once(address, &head).await
}

/// The value of a series in the metrics, 0 when it is not there.
pub(crate) async fn metric(router: &Router, series: &str) -> f64 {
    let page = get(router.admin_address, "/metrics").await;
    let line =
        page.text().lines().find_map(|line| line.strip_prefix(series)?.strip_prefix(' ').map(str::to_owned));
    line.map_or(0.0, |value| value.parse().unwrap())
}

/// Waits up to five seconds for something to become true.
pub(crate) async fn eventually<F: Future<Output = bool>>(what: &str, condition: impl Fn() -> F) {
    for _ in 0..500 {
        if condition().await {
            return;
        }
        time::sleep(Duration::from_millis(10)).await;
    }
    panic!("{what} did not become true within five seconds");
}

async fn read_head(stream: &mut BufReader<TcpStream>) -> Option<String> {
    let mut head = String::new();
    loop {
        let start = head.len();
        if stream.read_line(&mut head).await.ok()? == 0 {
            return None;
        }
        if &head[start..] == "\r\n" {
            return Some(head);
        }
    }
}

fn content_length(head: &str) -> usize {
    let mut lines = head.lines().filter_map(|line| line.split_once(": "));
    let length = lines.find(|(name, _)| name.eq_ignore_ascii_case("content-length"));
    length.map_or(0, |(_, value)| value.parse().unwrap())
}
