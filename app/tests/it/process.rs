//! The program itself: processes that a test starts, asks, and ends.

use std::net::SocketAddr;
use std::path::Path;
use std::process::{ExitStatus, Stdio};
use std::time::Duration;

use axum::http::{Method, Request, header};
use bytes::Bytes;
use http_body_util::{BodyExt as _, Full};
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::TokioExecutor;
use tokio::io::{AsyncBufReadExt as _, AsyncWriteExt as _, BufReader};
use tokio::process::{Child, Command};

use crate::support::BROWSER;

/// The password of `ada`.
const PASSWORD: &str = "correct horse battery";

/// `blog serve`, killed with its test.
pub(crate) struct Process {
    pub(crate) address: SocketAddr,
    /// Where the metrics are, if asked for.
    pub(crate) metrics: Option<SocketAddr>,
    child: Child,
    /// What it logs after its start; a full pipe would stop it.
    log: tokio::task::JoinHandle<String>,
}

fn blog(database: &Path) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_blog"));
    command.arg("--database-url").arg(format!("sqlite:{}", database.display())).kill_on_drop(true);
    for keys in ["AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SHARED_CREDENTIALS_FILE"] {
        command.env_remove(keys);
    }
    command
}

/// Runs a subcommand to its end, whatever that is.
pub(crate) async fn output(database: &Path, arguments: &[&str], input: &str) -> std::process::Output {
    let mut command = blog(database);
    command.args(arguments).stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn().unwrap();
    child.stdin.take().unwrap().write_all(input.as_bytes()).await.unwrap();
    child.wait_with_output().await.unwrap()
}

/// Runs a subcommand that ends well.
pub(crate) async fn run(database: &Path, arguments: &[&str], input: &str) {
    let output = output(database, arguments, input).await;
    assert!(output.status.success(), "{arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
}

impl Process {
    /// A process on a new database with the account `ada`.
    pub(crate) async fn with_author(database: &Path, flags: &[&str]) -> Self {
        run(database, &["migrate"], "").await;
        run(database, &["user", "create", "ada"], PASSWORD).await;
        Self::start(database, flags).await
    }

    /// A process on a database that is there.
    pub(crate) async fn start(database: &Path, flags: &[&str]) -> Self {
        let mut child = blog(database)
            .args(["serve", "--listen", "127.0.0.1:0", "--plain-http"])
            .args(flags)
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let mut lines = BufReader::new(child.stderr.take().unwrap()).lines();
        let (mut metrics, mut said) = (None, String::new());
        let address = loop {
            let line = lines.next_line().await.unwrap();
            let line = line.unwrap_or_else(|| panic!("it ended at its start: {said}"));
            said.push_str(&line);
            if let Some((_, address)) = line.split_once("metrics at http://") {
                metrics = Some(address.split('/').next().unwrap().parse().unwrap());
            } else if let Some((_, address)) = line.split_once("serves http://") {
                break address.split_whitespace().next().unwrap().parse().unwrap();
            }
        };
        let log = tokio::spawn(async move {
            while let Ok(Some(line)) = lines.next_line().await {
                said.push_str(&line);
                said.push('\n');
            }
            said
        });
        Self { address, metrics, child, log }
    }

    /// Bytes that it has read so far, wherever from.
    pub(crate) fn bytes_read(&self) -> u64 {
        let counted = std::fs::read_to_string(format!("/proc/{}/io", self.child.id().unwrap())).unwrap();
        counted.lines().find_map(|line| line.strip_prefix("rchar: ")).unwrap().parse().unwrap()
    }

    /// `kill -9`.
    pub(crate) async fn kill(mut self) {
        self.child.kill().await.unwrap();
    }

    /// SIGTERM, and the end.
    pub(crate) async fn terminate(mut self) -> ExitStatus {
        let pid = self.child.id().unwrap().to_string();
        assert!(Command::new("kill").args(["-TERM", &pid]).status().await.unwrap().success());
        tokio::time::timeout(Duration::from_secs(30), self.child.wait()).await.unwrap().unwrap()
    }

    /// Kills it; everything that it logged.
    pub(crate) async fn log(mut self) -> String {
        self.child.kill().await.unwrap();
        self.log.await.unwrap()
    }
}

/// An answer over a socket.
pub(crate) struct Reply {
    pub(crate) status: u16,
    pub(crate) version: String,
    pub(crate) body: String,
    cookie: String,
}

/// Somebody with a browser, signed in as `ada`.
#[derive(Clone)]
pub(crate) struct Visitor {
    client: Client<HttpConnector, Full<Bytes>>,
    address: SocketAddr,
    cookie: String,
}

impl Visitor {
    /// Nobody in particular.
    pub(crate) fn stranger(address: SocketAddr) -> Self {
        let client = Client::builder(TokioExecutor::new()).build_http();
        Self { client, address, cookie: String::new() }
    }

    pub(crate) async fn signed_in(address: SocketAddr) -> Self {
        let mut visitor = Self::stranger(address);
        let form = [("username", "ada"), ("password", PASSWORD)];
        let answer = visitor.post("/login", &form).await.unwrap();
        assert_eq!(answer.status, 303, "{}", answer.body);
        visitor.cookie = answer.cookie;
        visitor
    }

    /// The same one at another process.
    pub(crate) fn at(&self, address: SocketAddr) -> Self {
        Self { address, ..self.clone() }
    }

    /// `None` when there was no answer.
    pub(crate) async fn get(&self, path: &str) -> Option<Reply> {
        self.send(Method::GET, path, Bytes::new()).await
    }

    pub(crate) async fn post(&self, path: &str, form: &[(&str, &str)]) -> Option<Reply> {
        let encode = |text: &str| blog::text::url_segment(text);
        let pairs: Vec<_> = form.iter().map(|(name, value)| format!("{name}={}", encode(value))).collect();
        self.send(Method::POST, path, pairs.join("&").into()).await
    }

    async fn send(&self, method: Method, path: &str, body: Bytes) -> Option<Reply> {
        let request = Request::builder()
            .method(method)
            .uri(format!("http://{}{path}", self.address))
            .header(header::USER_AGENT, BROWSER)
            .header(header::ORIGIN, format!("http://{}", self.address))
            .header(header::COOKIE, &self.cookie)
            .header(header::CONTENT_TYPE, "application/x-www-form-urlencoded")
            .body(Full::from(body))
            .unwrap();
        let (parts, body) = self.client.request(request).await.ok()?.into_parts();
        let body = body.collect().await.ok()?.to_bytes();
        let header = |name: &str| parts.headers.get(name).map_or("", |value| value.to_str().unwrap());
        Some(Reply {
            status: parts.status.as_u16(),
            version: header("x-app-version").to_owned(),
            cookie: header("set-cookie").split(';').next().unwrap().to_owned(),
            body: String::from_utf8_lossy(&body).into_owned(),
        })
    }
}
