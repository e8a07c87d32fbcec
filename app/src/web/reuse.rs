//! Pages used again: 304 for a browser that has the page, and whole pages kept for the next reader.
//!
//! One number, the content version, says whether anything that readers see has changed, in whichever process it was
//! written. It is part of every key and of every `ETag`, so nothing is ever stale and nothing is ever purged by name.
//! Signed-in visitors always get a fresh page.

use std::collections::hash_map::DefaultHasher;
use std::hash::{Hash as _, Hasher as _};
use std::sync::Arc;

use axum::body::{Body, to_bytes};
use axum::extract::{Request, State};
use axum::http::{HeaderMap, HeaderValue, Method, StatusCode, header};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use bytes::Bytes;

use super::app::{Shared, now};
use super::bounded::Bounded;
use super::visitor::{Manner, SESSION_COOKIE, cookie};

/// A larger page is not kept.
const PAGE_BYTES_MAX: usize = 512 << 10;

/// Rides on a page whose reading counts as a view of a post.
#[derive(Clone, Copy, Debug)]
pub(crate) struct ViewOf(pub(crate) i64);

/// Whole pages, by everything that they depend on.
pub(crate) type PageCache = Bounded<u64, Kept>;

/// A page as it was answered.
#[derive(Clone, Debug)]
pub(crate) struct Kept {
    headers: HeaderMap,
    body: Bytes,
    view: Option<ViewOf>,
}

impl Kept {
    /// Its bytes with a guess at its headers and places in the maps.
    fn size(&self) -> usize {
        self.body.len() + 1024
    }

    fn answer(self, status: StatusCode) -> Response {
        let body = if status == StatusCode::NOT_MODIFIED { Body::empty() } else { Body::from(self.body) };
        let mut response = (status, body).into_response();
        *response.headers_mut() = self.headers;
        response
    }
}

/// Answers from what is kept, or keeps what the page answers.
pub(crate) async fn reuse(State(app): State<Shared>, mut request: Request, next: Next) -> Response {
    let plain = *request.method() == Method::GET && cookie(request.headers(), SESSION_COOKIE).is_none();
    // When the database is away, the page itself says so.
    let site = if plain { app.site().await.ok() } else { None };
    let Some(site) = site else { return next.run(request).await };
    let key = key(&app, &request, site.stamp());
    // The page is made from the very content that it is kept under.
    request.extensions_mut().insert(Arc::clone(&site));
    let etag = format!("W/\"{key:016x}\"");
    let modified = last_modified(site.seen_at, now());
    let has_it = has_it(request.headers(), &etag, modified.as_ref());
    let agent = request
        .headers()
        .get(header::USER_AGENT)
        .and_then(|value| value.to_str().ok())
        .unwrap_or("")
        .to_owned();
    let kept = match app.pages.get(&key) {
        Some(kept) => kept,
        None => match keep(&app, key, &etag, next.run(request).await).await {
            Ok(kept) => kept,
            Err(response) => return *response,
        },
    };
    if let Some(ViewOf(post)) = kept.view {
        app.views.count(post, &agent);
    }
    let mut response = kept.answer(if has_it { StatusCode::NOT_MODIFIED } else { StatusCode::OK });
    if let Some(modified) = modified {
        response.headers_mut().insert(header::LAST_MODIFIED, modified);
    }
    response
}

/// The moment at which this process first saw the content; for readers of feeds that know no `ETag`. A second that is
/// not over yet could still bring another change under the same name, so it is not told.
fn last_modified(seen_at: i64, now: i64) -> Option<HeaderValue> {
    let at = jiff::Timestamp::from_second(seen_at).ok().filter(|_| seen_at < now)?;
    let text = jiff::fmt::rfc2822::DateTimePrinter::new().timestamp_to_rfc9110_string(&at).ok()?;
    HeaderValue::from_str(&text).ok()
}

/// Whether the client has this very page. `If-Modified-Since` counts only without `If-None-Match` (RFC 9110, section
/// 13.1.3), and only as the exact text that was sent: another process may have seen the content at another moment.
fn has_it(headers: &HeaderMap, etag: &str, modified: Option<&HeaderValue>) -> bool {
    match headers.get(header::IF_NONE_MATCH) {
        Some(tags) => matches(tags, etag),
        None => modified.is_some() && headers.get(header::IF_MODIFIED_SINCE) == modified,
    }
}

/// A page with its `ETag`, kept; anything else than a page that everybody may see comes back as it is.
async fn keep(app: &Shared, key: u64, etag: &str, response: Response) -> Result<Kept, Box<Response>> {
    let (mut parts, body) = response.into_parts();
    if parts.status != StatusCode::OK || parts.headers.contains_key(header::SET_COOKIE) {
        return Err(Box::new(Response::from_parts(parts, body)));
    }
    let Ok(body) = to_bytes(body, PAGE_BYTES_MAX.max(64 << 20)).await else {
        return Err(Box::new(StatusCode::INTERNAL_SERVER_ERROR.into_response()));
    };
    if let Ok(etag) = HeaderValue::from_str(etag) {
        parts.headers.insert(header::ETAG, etag);
    }
    parts.headers.remove(header::CONTENT_LENGTH);
    let kept = Kept { headers: parts.headers, body, view: parts.extensions.get::<ViewOf>().copied() };
    if kept.body.len() <= PAGE_BYTES_MAX {
        app.pages.put(key, kept.clone(), kept.size());
    }
    Ok(kept)
}

/// Everything that a page for an unknown reader depends on. The version is part of it, because another version may
/// draw the same content otherwise.
fn key(app: &Shared, request: &Request, content: (i64, usize)) -> u64 {
    let manner = Manner::of(app, request.headers(), request.uri());
    let encodings = request.headers().get(header::ACCEPT_ENCODING).map_or(&b""[..], HeaderValue::as_bytes);
    let mut hasher = DefaultHasher::new();
    (content, &manner.here, &manner.origin, manner.lang, manner.theme, encodings).hash(&mut hasher);
    (&app.options.version, &app.assets.css, &app.assets.accent).hash(&mut hasher);
    hasher.finish()
}

/// Whether an `If-None-Match` header names the tag (RFC 9110, section 13.1.2: weak comparison).
fn matches(header: &HeaderValue, etag: &str) -> bool {
    let opaque = etag.trim_start_matches("W/");
    header.to_str().is_ok_and(|value| {
        value.split(',').map(str::trim).any(|tag| tag == "*" || tag.trim_start_matches("W/") == opaque)
    })
}

#[cfg(test)]
mod tests {
    use super::{has_it, last_modified, matches};
    use axum::http::{HeaderMap, HeaderValue, header};

    #[test]
    fn a_moment_counts_when_its_second_is_over_and_no_tag_says_otherwise() {
        assert_eq!(last_modified(1_700_000_000, 1_700_000_000), None);
        let at = last_modified(1_700_000_000, 1_700_000_001).unwrap();
        assert_eq!(at, "Tue, 14 Nov 2023 22:13:20 GMT");
        let mut headers = HeaderMap::new();
        headers.insert(header::IF_MODIFIED_SINCE, at.clone());
        assert!(has_it(&headers, "W/\"a\"", Some(&at)) && !has_it(&headers, "W/\"a\"", None));
        headers.insert(header::IF_NONE_MATCH, HeaderValue::from_static("W/\"b\""));
        assert!(!has_it(&headers, "W/\"a\"", Some(&at)));
    }

    #[test]
    fn tags_are_compared_weakly() {
        for header in ["W/\"ab\"", "\"ab\"", "\"x\", W/\"ab\"", "*"] {
            assert!(matches(&HeaderValue::from_static(header), "W/\"ab\""), "{header}");
        }
        assert!(!matches(&HeaderValue::from_static("\"abc\""), "W/\"ab\""));
    }
}
