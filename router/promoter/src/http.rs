//! A small HTTP client with limits on time and size.

use bytes::Bytes;
use http_body_util::{BodyExt, Full, Limited};
use hyper::header::{HeaderName, HeaderValue};
use hyper::{Method, Request, StatusCode, Uri, header};
use hyper_rustls::{HttpsConnector, HttpsConnectorBuilder};
use hyper_util::client::legacy::Client as Pool;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::TokioExecutor;
use std::time::Duration;

/// The largest answer that is read; a page of metrics of a large router has some hundred kilobytes.
const BODY_LIMIT: usize = 16 * 1024 * 1024;
/// The largest answer of a stranger: a word and a sentence.
const STRANGERS_LIMIT: usize = 64 * 1024;

/// A client.
#[derive(Clone, Debug)]
pub struct Client {
    pool: Connections,
    timeout: Duration,
    limit: usize,
}

#[derive(Clone, Debug)]
enum Connections {
    /// To programs of this machine or of this cluster.
    Plain(Pool<HttpConnector, Full<Bytes>>),
    /// To anybody.
    Tls(Pool<HttpsConnector<HttpConnector>, Full<Bytes>>),
}

/// A header; a value that was marked as sensitive is never printed.
pub type Header = (HeaderName, HeaderValue);

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
        let pool = Connections::Plain(Pool::builder(TokioExecutor::new()).build_http());
        Self { pool, timeout, limit: BODY_LIMIT }
    }

    /// A client of http and https that reads little, and follows no redirect. It trusts the certificates of the
    /// machine (`SSL_CERT_FILE` and `SSL_CERT_DIR` name others), and where there are none, Mozilla's.
    pub fn to_strangers(timeout: Duration) -> Self {
        let trusting = HttpsConnectorBuilder::new().with_native_roots();
        let trusting = trusting.unwrap_or_else(|_| HttpsConnectorBuilder::new().with_webpki_roots());
        let pool = Pool::builder(TokioExecutor::new()).build(trusting.https_or_http().enable_http1().build());
        Self { pool: Connections::Tls(pool), timeout, limit: STRANGERS_LIMIT }
    }

    /// A client that opens a connection for each request, as a kubelet's probe does.
    pub fn without_reuse(timeout: Duration) -> Self {
        let pool = Pool::builder(TokioExecutor::new()).pool_max_idle_per_host(0).build_http();
        Self { pool: Connections::Plain(pool), timeout, limit: BODY_LIMIT }
    }

    /// Gets `uri`.
    ///
    /// # Errors
    /// Where no answer comes in time.
    pub async fn get(&self, uri: &str) -> Result<Answer, HttpError> {
        self.send(Method::GET, uri, None, None).await
    }

    /// Posts JSON to `uri`.
    ///
    /// # Errors
    /// Where no answer comes in time.
    pub async fn post(&self, uri: &str, json: String) -> Result<Answer, HttpError> {
        self.send(Method::POST, uri, Some(json), None).await
    }

    /// Posts JSON to `uri` with one more header.
    ///
    /// # Errors
    /// Where no answer comes in time.
    pub async fn post_with(
        &self,
        uri: &str,
        json: String,
        proof: Option<Header>,
    ) -> Result<Answer, HttpError> {
        self.send(Method::POST, uri, Some(json), proof).await
    }

    async fn send(
        &self,
        method: Method,
        uri: &str,
        json: Option<String>,
        proof: Option<Header>,
    ) -> Result<Answer, HttpError> {
        let address: Uri = uri.parse().map_err(|_| HttpError::Address(uri.to_owned()))?;
        let mut request = Request::builder().method(method).uri(address);
        if let Some((name, value)) = proof {
            request = request.header(name, value);
        }
        if json.is_some() {
            request = request.header(header::CONTENT_TYPE, "application/json");
        }
        let body = Full::new(Bytes::from(json.unwrap_or_default()));
        let request = request.body(body).map_err(|_| HttpError::Address(uri.to_owned()))?;
        let answer = async {
            let response = match &self.pool {
                Connections::Plain(pool) => pool.request(request).await,
                Connections::Tls(pool) => pool.request(request).await,
            };
            let (parts, body) = response.map_err(|error| connection(&error))?.into_parts();
            let body = Limited::new(body, self.limit).collect().await;
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
