//! A small HTTP client with limits on time and size.

use bytes::Bytes;
use http_body_util::{BodyExt, Full, Limited};
use hyper::{Method, Request, StatusCode, Uri, header};
use hyper_util::client::legacy::Client as Pool;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::TokioExecutor;
use std::time::Duration;

/// The largest answer that is read; a page of metrics of a large router has some hundred kilobytes.
const BODY_LIMIT: usize = 16 * 1024 * 1024;

/// A client for plain HTTP.
#[derive(Clone, Debug)]
pub struct Client {
    pool: Pool<HttpConnector, Full<Bytes>>,
    timeout: Duration,
}

/// An answer, whole.
#[derive(Clone, Debug)]
pub struct Answer {
    /// The status.
    pub status: StatusCode,
    /// The body.
    pub body: Bytes,
}

/// Why there is no answer.
#[derive(Debug, thiserror::Error)]
pub enum HttpError {
    /// The text is not an address.
    #[error("`{0}` is not an address; write it as http://127.0.0.1:8090")]
    Address(String),
    /// The connection failed or broke.
    #[error("{0}")]
    Connection(String),
    /// The answer took too long.
    #[error("no answer within {0:?}")]
    Timeout(Duration),
}

// === impl Client ===

impl Client {
    /// A client that keeps connections for the next request.
    pub fn new(timeout: Duration) -> Self {
        Self { pool: Pool::builder(TokioExecutor::new()).build_http(), timeout }
    }

    /// A client that opens a connection for each request, as a kubelet's probe does.
    pub fn without_reuse(timeout: Duration) -> Self {
        let pool = Pool::builder(TokioExecutor::new()).pool_max_idle_per_host(0).build_http();
        Self { pool, timeout }
    }

    /// Gets `uri`.
    ///
    /// # Errors
    /// Where no answer comes in time.
    pub async fn get(&self, uri: &str) -> Result<Answer, HttpError> {
        self.send(Method::GET, uri, None).await
    }

    /// Posts JSON to `uri`.
    ///
    /// # Errors
    /// Where no answer comes in time.
    pub async fn post(&self, uri: &str, json: String) -> Result<Answer, HttpError> {
        self.send(Method::POST, uri, Some(json)).await
    }

    async fn send(&self, method: Method, uri: &str, json: Option<String>) -> Result<Answer, HttpError> {
        let address: Uri = uri.parse().map_err(|_| HttpError::Address(uri.to_owned()))?;
        let mut request = Request::builder().method(method).uri(address);
        if json.is_some() {
            request = request.header(header::CONTENT_TYPE, "application/json");
        }
        let body = Full::new(Bytes::from(json.unwrap_or_default()));
        let request = request.body(body).map_err(|_| HttpError::Address(uri.to_owned()))?;
        let answer = async {
            let response = self.pool.request(request).await.map_err(|error| connection(&error))?;
            let (parts, body) = response.into_parts();
            let body = Limited::new(body, BODY_LIMIT).collect().await;
            let body = body.map_err(|error| HttpError::Connection(error.to_string()))?;
            Ok(Answer { status: parts.status, body: body.to_bytes() })
        };
        tokio::time::timeout(self.timeout, answer).await.map_err(|_| HttpError::Timeout(self.timeout))?
    }
}

/// The innermost cause says it best: "Connection refused (os error 111)".
fn connection(error: &hyper_util::client::legacy::Error) -> HttpError {
    let mut cause: &dyn std::error::Error = error;
    while let Some(deeper) = cause.source() {
        cause = deeper;
    }
    let text = if std::ptr::addr_eq(cause, error) { error.to_string() } else { cause.to_string() };
    let text = text.split(" (os error").next().unwrap_or_default();
    HttpError::Connection(text.to_lowercase())
}
