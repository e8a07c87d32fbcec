//! Readers: requests through a NodePort, each on a connection of its own, as strangers' requests are.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::time::Duration;

use anyhow::Context as _;
use bytes::Bytes;
use http_body_util::{BodyExt as _, Full};
use hyper::Request;
use hyper::header::HeaderValue;
use hyper_util::rt::TokioIo;
use tokio::net::TcpStream;
use tokio::sync::oneshot;
use tokio::task::{JoinHandle, JoinSet};

/// A request that takes longer has failed.
const REQUEST_TIMEOUT: Duration = Duration::from_secs(10);
/// Readers that nobody stops go home.
const READING_MAX: Duration = Duration::from_secs(300);

/// What a server said.
#[derive(Clone, Debug)]
pub struct Answer {
    /// The status code.
    pub status: u16,
    /// The header x-app-version; empty where there is none.
    pub version: String,
    /// The body.
    pub body: String,
    /// The cookies it sets.
    pub cookies: Vec<String>,
}

/// Asks for a page once.
///
/// # Errors
/// As [`send`].
pub async fn get(address: SocketAddr, path: &str) -> anyhow::Result<Answer> {
    send(address, Request::get(path).header("host", address.to_string()).body(Full::default())?).await
}

/// Sends a request over a connection of its own.
///
/// # Errors
/// When there is no whole answer within ten seconds. A status of any kind is an answer.
pub async fn send(address: SocketAddr, request: Request<Full<Bytes>>) -> anyhow::Result<Answer> {
    let answer = async {
        let stream = TcpStream::connect(address).await.context("no connection")?;
        let (mut sender, connection) = hyper::client::conn::http1::handshake(TokioIo::new(stream)).await?;
        tokio::spawn(connection);
        let (head, body) = sender.send_request(request).await.context("no answer")?.into_parts();
        let text = |value: &HeaderValue| String::from_utf8_lossy(value.as_bytes()).into_owned();
        Ok(Answer {
            status: head.status.as_u16(),
            version: head.headers.get("x-app-version").map(text).unwrap_or_default(),
            cookies: head.headers.get_all("set-cookie").iter().map(text).collect(),
            body: String::from_utf8_lossy(&body.collect().await.context("half an answer")?.to_bytes())
                .into_owned(),
        })
    };
    tokio::time::timeout(REQUEST_TIMEOUT, answer).await.context("no answer within 10 s")?
}

/// Readers that ask for a page at a steady rate until they are told to stop.
#[derive(Debug)]
pub struct Readers {
    stop: oneshot::Sender<()>,
    reading: JoinHandle<Seen>,
}

/// What readers saw, in the order of the answers.
#[derive(Clone, Debug, Default)]
pub struct Seen(pub Vec<Reading>);

/// One request: the version that answered it with status 200, or what went wrong.
pub type Reading = Result<String, String>;

// === impl Readers ===

impl Readers {
    /// Starts reading: `rate` requests a second, whatever the answers take.
    #[must_use]
    pub fn start(address: SocketAddr, path: &'static str, rate: u32) -> Self {
        let (stop, stopped) = oneshot::channel();
        Self { stop, reading: tokio::spawn(read(address, path, (rate, stopped))) }
    }

    /// Stops reading and tells what was seen.
    ///
    /// # Errors
    /// When the readers themselves broke.
    pub async fn stop(self) -> anyhow::Result<Seen> {
        // Readers that went home by themselves have nobody to hear it.
        let _ = self.stop.send(());
        Ok(self.reading.await?)
    }
}

async fn read(
    address: SocketAddr,
    path: &'static str,
    (rate, stopped): (u32, oneshot::Receiver<()>),
) -> Seen {
    let mut requests = JoinSet::new();
    let mut ticks = tokio::time::interval(Duration::from_secs(1) / rate.max(1));
    let ask = async {
        loop {
            ticks.tick().await;
            requests.spawn(look(address, path));
        }
    };
    tokio::select! {
        () = ask => {}
        _ = stopped => {}
        () = tokio::time::sleep(READING_MAX) => {}
    }
    // In the order in which they ended.
    Seen(requests.join_all().await)
}

async fn look(address: SocketAddr, path: &'static str) -> Reading {
    match get(address, path).await {
        Ok(Answer { status: 200, version, .. }) => Ok(version),
        Ok(Answer { status, version, .. }) => Err(format!("{status} from {version}")),
        Err(error) => Err(format!("{error:#}")),
    }
}

// === impl Seen ===

impl Seen {
    /// How many requests each version answered.
    #[must_use]
    pub fn versions(&self) -> BTreeMap<&str, usize> {
        let mut versions = BTreeMap::new();
        for version in self.0.iter().flatten() {
            *versions.entry(version.as_str()).or_default() += 1;
        }
        versions
    }

    /// What went wrong.
    #[must_use]
    pub fn failures(&self) -> Vec<&str> {
        self.0.iter().filter_map(|reading| reading.as_ref().err().map(String::as_str)).collect()
    }

    /// Whether each of these versions answered some requests, nothing else any, and nothing went wrong.
    ///
    /// # Errors
    /// What was seen instead.
    pub fn only(&self, versions: &[&str]) -> anyhow::Result<()> {
        let (answered, failures) = (self.versions(), self.failures());
        anyhow::ensure!(
            failures.is_empty() && answered.keys().eq(versions.iter()),
            "expected {versions:?} alone and no failure, saw {answered:?} and {} failures: {:?}",
            failures.len(),
            failures.iter().take(5).collect::<Vec<_>>()
        );
        Ok(())
    }
}
