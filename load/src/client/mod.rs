//! One request and what came of it, over kept-alive connections to the target.

mod connection;

use std::{sync::Mutex, time::Duration};

use bytes::Bytes;
use http_body_util::{BodyExt, Full};
use hyper::{
    Method, Request, StatusCode,
    body::Incoming,
    header::{self, HeaderMap, HeaderName, HeaderValue},
};

use self::connection::Connection;
use crate::target::Target;

/// Sends requests to one target and to nothing else.
pub struct Client {
    target: Target,
    settings: Settings,
    idle: Mutex<Vec<Connection>>,
}

/// What a request may take and how it is answered for.
#[derive(Clone, Copy, Debug)]
pub struct Settings {
    /// Longest time from sending to the last byte of the answer, a second attempt included.
    pub timeout: Duration,
    /// What happens when a connection closes before any byte of the answer.
    pub retry: Retry,
}

/// The retry rule.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Retry {
    /// As browsers do: a request with an idempotent method whose connection closed before any byte of the
    /// answer is sent once more, on a new connection (RFC 9110 §9.2.2, RFC 9112 §9.3.1).
    Idempotent,
    /// Never: the first close is a failure.
    Never,
}

/// How an attempt failed on the wire.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Failure {
    /// No connection could be opened.
    Connect,
    /// The connection was closed in order before any byte of the answer.
    Closed,
    /// The connection was reset before any byte of the answer.
    Reset,
    /// The answer did not end in time.
    Timeout,
    /// The connection ended in the middle of the answer.
    Truncated,
    /// The answer is not HTTP.
    Malformed,
}

/// What came of one request.
#[derive(Debug)]
pub struct Exchange {
    /// The status of a whole answer, or why there is none.
    pub outcome: Result<StatusCode, Failure>,
    /// The header fields of an answer that began.
    pub headers: Option<HeaderMap>,
    /// The body, at most the first MiB of it.
    pub body: Vec<u8>,
    /// Whether it was sent a second time.
    pub retried: bool,
}

/// How much of a body is kept for finding links; the rest is read and dropped.
const BODY_KEPT_MAX: usize = 1024 * 1024;

/// What is known of an exchange while it goes on, and stays known if time runs out.
#[derive(Default)]
struct Progress {
    headers: Option<HeaderMap>,
    body: Vec<u8>,
    retried: bool,
}

// === impl Failure ===

impl Failure {
    /// A short stable name for tables and JSON.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Connect => "connect",
            Self::Closed => "closed",
            Self::Reset => "reset",
            Self::Timeout => "timeout",
            Self::Truncated => "truncated",
            Self::Malformed => "malformed",
        }
    }

    /// No byte of an answer came, so the request may not have been processed.
    const fn is_before_answer(self) -> bool {
        matches!(self, Self::Closed | Self::Reset)
    }
}

// === impl Client ===

impl Client {
    /// A client without connections.
    pub fn new(target: Target, settings: Settings) -> Self {
        Self { target, settings, idle: Mutex::default() }
    }

    /// The address of the requests.
    pub fn target(&self) -> &Target {
        &self.target
    }

    /// Sends the request and reads the answer to its end. The URI must be a path: `Host` and the connection
    /// are the target's.
    pub async fn exchange(&self, request: Request<Full<Bytes>>) -> Exchange {
        let mut progress = Progress::default();
        let attempts = self.attempts(request, &mut progress);
        let in_time = tokio::time::timeout(self.settings.timeout, attempts).await;
        let outcome = in_time.unwrap_or(Err(Failure::Timeout));
        let Progress { headers, body, retried } = progress;
        Exchange { outcome, headers, body, retried }
    }

    async fn attempts(
        &self,
        mut request: Request<Full<Bytes>>,
        progress: &mut Progress,
    ) -> Result<StatusCode, Failure> {
        if !request.headers().contains_key(header::HOST) {
            let host = HeaderValue::from_str(self.target.authority());
            request.headers_mut().extend(host.ok().map(|host| (header::HOST, host)));
        }
        let may_retry = self.settings.retry == Retry::Idempotent && is_idempotent(request.method());
        let connection = self.connection().await?;
        match self.attempt(connection, request.clone(), progress).await {
            Err(failure) if may_retry && failure.is_before_answer() => {
                progress.retried = true;
                let connection = Connection::open(&self.target).await?;
                self.attempt(connection, request, progress).await
            }
            outcome => outcome,
        }
    }

    async fn attempt(
        &self,
        mut connection: Connection,
        request: Request<Full<Bytes>>,
        progress: &mut Progress,
    ) -> Result<StatusCode, Failure> {
        let (head, body) = connection.send(request).await?.into_parts();
        progress.headers = Some(head.headers);
        read_body(body, &mut progress.body).await?;
        self.lock_idle().push(connection);
        Ok(head.status)
    }

    /// The connection used last, as it is the likeliest to be open, or a new one. One that was closed while
    /// idle is passed over: nothing was sent on it.
    async fn connection(&self) -> Result<Connection, Failure> {
        while let Some(mut connection) = self.take_idle() {
            if connection.is_ready().await {
                return Ok(connection);
            }
        }
        Connection::open(&self.target).await
    }

    fn take_idle(&self) -> Option<Connection> {
        self.lock_idle().pop()
    }

    fn lock_idle(&self) -> std::sync::MutexGuard<'_, Vec<Connection>> {
        self.idle.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
    }
}

/// Methods that may be repeated (RFC 9110 §9.2.2).
fn is_idempotent(method: &Method) -> bool {
    [Method::GET, Method::HEAD, Method::OPTIONS, Method::TRACE, Method::PUT, Method::DELETE].contains(method)
}

async fn read_body(mut body: Incoming, kept: &mut Vec<u8>) -> Result<(), Failure> {
    while let Some(frame) = body.frame().await {
        let frame = frame.map_err(|error| connection::failure(&error, connection::Answered::Partly))?;
        if let Some(data) = frame.data_ref() {
            let room = BODY_KEPT_MAX - kept.len();
            kept.extend_from_slice(&data[..data.len().min(room)]);
        }
    }
    Ok(())
}

/// A header field of a request, as names and values are written on the command line and in scenarios.
///
/// # Errors
/// A sentence with the remedy where the name or the value cannot be sent, or where the name is one that the
/// driver itself has to write.
pub fn header_field(name: &str, value: &str) -> Result<(HeaderName, HeaderValue), String> {
    let parsed: HeaderName = name.parse().map_err(|_| {
        format!("`{name}` is not the name of a header field; use letters, digits and hyphens, such as x-user")
    })?;
    if ["connection", "content-length", "transfer-encoding", "upgrade"].contains(&parsed.as_str()) {
        return Err(format!("`{name}` is written by the driver itself; leave it out"));
    }
    let value = HeaderValue::from_str(value).map_err(|_| {
        format!("the value of `{name}` has characters that cannot be sent; use visible ASCII")
    })?;
    Ok((parsed, value))
}
