//! What happens around every handler, from the outside in.

use std::time::Instant;

use axum::Router;
use axum::body::{Body, to_bytes};
use axum::extract::{MatchedPath, Request, State};
use axum::http::{HeaderName, HeaderValue, Method, StatusCode, header};
use axum::middleware::{Next, from_fn, from_fn_with_state};
use axum::response::{IntoResponse, Response};
use tower_http::CompressionLevel;
use tower_http::catch_panic::CatchPanicLayer;
use tower_http::compression::CompressionLayer;
use tower_http::csrf::{CsrfLayer, ProtectionError};
use tower_http::timeout::TimeoutLayer;

use super::api;
use super::app::Shared;
use super::error::{Error, ErrorDetail};
use super::i18n::Text;
use super::layout::error_page;
use super::visitor::Manner;

/// Names the version that answered.
const X_APP_VERSION: HeaderName = HeaderName::from_static("x-app-version");

/// No script and no style but our own files, no frame around us, forms to ourselves only. Pictures may come from
/// other sites, because posts link to them.
const CONTENT_SECURITY_POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; \
     img-src 'self' data: https:; media-src 'self' https:; font-src 'self'; connect-src 'self'; form-action 'self'; \
     base-uri 'none'; frame-ancestors 'none'; manifest-src 'self'";

/// Bytes of what an extractor says about a request that it could not read.
const DETAIL_BYTES_MAX: usize = 4 << 10;

/// Wraps the routes. The last layer is the outermost.
pub(crate) fn wrap(routes: Router<Shared>, app: &Shared) -> Router {
    routes
        .layer(CsrfLayer::new())
        .layer(from_fn(refuse_nul))
        .layer(from_fn(secure))
        .layer(TimeoutLayer::with_status_code(StatusCode::SERVICE_UNAVAILABLE, app.options.request_timeout))
        .layer(CatchPanicLayer::custom(panicked))
        .layer(from_fn_with_state(app.clone(), error_pages))
        .layer(from_fn_with_state(app.clone(), observe))
        .with_state(app.clone())
}

/// Pages for readers: compressed first, then kept, so that a kept page costs no compression again.
pub(crate) fn reused(routes: Router<Shared>, app: &Shared) -> Router<Shared> {
    compressed(routes).layer(from_fn_with_state(app.clone(), super::reuse::reuse))
}

/// Fail on purpose where the flags say so. Forms have this inside of what keeps their text.
pub(crate) fn faulty(routes: Router<Shared>, app: &Shared) -> Router<Shared> {
    routes.layer(from_fn_with_state(app.clone(), inject_faults))
}

/// Everything else.
pub(crate) fn compressed(routes: Router<Shared>) -> Router<Shared> {
    routes.layer(CompressionLayer::new().quality(CompressionLevel::Fastest))
}

/// Measures every answer, names the version on it, and lets go of connections while draining.
async fn observe(State(app): State<Shared>, request: Request, next: Next) -> Response {
    let started = Instant::now();
    let method = method_label(request.method());
    let pattern = request.extensions().get::<MatchedPath>().cloned();
    app.metrics.in_flight.inc();
    let _guard = InFlight(&app);
    let mut response = next.run(request).await;
    if let Ok(version) = HeaderValue::from_str(&app.options.version) {
        response.headers_mut().insert(X_APP_VERSION, version);
    }
    if app.is_draining() {
        response.headers_mut().insert(header::CONNECTION, HeaderValue::from_static("close"));
    }
    let path = pattern.as_ref().map_or("other", |pattern| pattern.as_str());
    app.metrics.observe((method, path), response.status().as_u16(), started.elapsed());
    response
}

/// Counts down also when the client goes away and the future is dropped.
struct InFlight<'a>(&'a Shared);

impl Drop for InFlight<'_> {
    fn drop(&mut self) {
        self.0.metrics.in_flight.dec();
    }
}

/// Gives every error a page in the reader's language. A handler that wrote its own page or JSON keeps it; what an
/// extractor says in plain text becomes part of the page.
async fn error_pages(State(app): State<Shared>, request: Request, next: Next) -> Response {
    let manner = Manner::of(&app, request.headers(), request.uri());
    let is_probe = is_probe(request.uri().path());
    let is_api = request.uri().path().starts_with(api::PREFIX);
    let response = next.run(request).await;
    let status = response.status();
    let is_error = status.is_client_error() || status.is_server_error();
    let is_page = response
        .headers()
        .get(header::CONTENT_TYPE)
        .is_some_and(|kind| !kind.as_bytes().starts_with(b"text/plain"));
    if !is_error || is_page || is_probe {
        return response;
    }
    let (mut parts, body) = response.into_parts();
    let said = to_bytes(body, DETAIL_BYTES_MAX).await.unwrap_or_default();
    let detail = match parts.extensions.get::<ErrorDetail>() {
        Some(detail) => detail.0.clone(),
        None => String::from_utf8_lossy(&said).into_owned(),
    };
    let forged = parts.extensions.get::<ProtectionError>().is_some();
    let (title, help) = words(manner.text(), status, forged);
    if is_api {
        return problem(&parts, status, &detail);
    }
    let help = if detail.is_empty() || status.is_server_error() { help } else { &detail };
    let html = error_page(&app, &manner, (title, help)).unwrap_or_else(|_| title.to_owned());
    parts.headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("text/html; charset=utf-8"));
    parts.headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    parts.headers.remove(header::CONTENT_LENGTH);
    Response::from_parts(parts, Body::from(html))
}

/// An error of the layers around the API, as programs read it; its headers (`Allow`, `Retry-After`) stay.
fn problem(parts: &axum::http::response::Parts, status: StatusCode, detail: &str) -> Response {
    let mut response = api::problem::Problem::outside(status, detail).into_response();
    for (name, value) in &parts.headers {
        response.headers_mut().entry(name).or_insert(value.clone());
    }
    response.headers_mut().remove(header::CONTENT_LENGTH);
    response
}

/// Title and help of an error page.
fn words(text: &'static Text, status: StatusCode, forged: bool) -> (&'static str, &'static str) {
    match status {
        StatusCode::NOT_FOUND => (text.error_404, text.error_404_help),
        StatusCode::FORBIDDEN if forged => (text.error_403, text.error_csrf_help),
        StatusCode::FORBIDDEN => (text.error_403, text.error_403_help),
        StatusCode::PAYLOAD_TOO_LARGE => (text.error_413, text.error_413_help),
        StatusCode::TOO_MANY_REQUESTS => (text.error_429, text.error_429_help),
        StatusCode::SERVICE_UNAVAILABLE => (text.error_503, text.error_503_help),
        _ if status.is_server_error() => (text.error_500, text.error_500_help),
        _ => (text.error_400, ""),
    }
}

/// Headers that keep a page from being framed, sniffed or scripted.
async fn secure(request: Request, next: Next) -> Response {
    let mut response = next.run(request).await;
    let headers = response.headers_mut();
    for (name, value) in [
        (header::CONTENT_SECURITY_POLICY, CONTENT_SECURITY_POLICY),
        (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
        (header::X_FRAME_OPTIONS, "DENY"),
        (header::REFERRER_POLICY, "strict-origin-when-cross-origin"),
        (HeaderName::from_static("cross-origin-opener-policy"), "same-origin"),
        (HeaderName::from_static("permissions-policy"), "camera=(), geolocation=(), microphone=()"),
    ] {
        headers.entry(name).or_insert(HeaderValue::from_static(value));
    }
    response
}

/// No name of ours holds NUL, and PostgreSQL would call the question an error of the server.
async fn refuse_nul(request: Request, next: Next) -> Response {
    if request.uri().path().contains("%00") {
        return Error::BadRequest("The address holds the character NUL (%00).".to_owned()).into_response();
    }
    next.run(request).await
}

/// Pages fail or wait as the flags say; probes and assets never do.
async fn inject_faults(State(app): State<Shared>, request: Request, next: Next) -> Response {
    let path = request.uri().path();
    let spared = path.starts_with("/assets/") || is_probe(path) || path == "/favicon.ico";
    if spared || !app.options.faults.are_on() {
        return next.run(request).await;
    }
    let fate = app.options.faults.draw(&mut rand::rng());
    if let Some(delay) = fate.delay {
        tokio::time::sleep(delay).await;
    }
    if fate.fails {
        return StatusCode::INTERNAL_SERVER_ERROR.into_response();
    }
    next.run(request).await
}

#[expect(clippy::needless_pass_by_value, reason = "the layer asks for a function that takes the box")]
fn panicked(panic: Box<dyn std::any::Any + Send>) -> Response {
    let text = panic
        .downcast_ref::<String>()
        .map(String::as_str)
        .or_else(|| panic.downcast_ref::<&str>().copied())
        .unwrap_or("no message");
    Error::Internal(format!("a handler panicked: {text}")).into_response()
}

fn is_probe(path: &str) -> bool {
    matches!(path, "/healthz" | "/readyz" | "/startupz" | "/version")
}

/// A stranger may invent methods; labels stay few.
fn method_label(method: &Method) -> &'static str {
    match *method {
        Method::GET => "GET",
        Method::HEAD => "HEAD",
        Method::POST => "POST",
        Method::PUT => "PUT",
        Method::PATCH => "PATCH",
        Method::DELETE => "DELETE",
        Method::OPTIONS => "OPTIONS",
        _ => "OTHER",
    }
}
