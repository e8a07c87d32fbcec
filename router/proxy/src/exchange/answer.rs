//! Answers that the router gives itself.

use super::body::Body;
use crate::downstream::Busy;
use bytes::Bytes;
use hyper::{HeaderMap, Response, StatusCode, header, header::HeaderValue};

/// A sentence for a person with a browser or curl.
pub(super) fn text(status: StatusCode, text: &'static str, busy: Busy) -> Response<Body> {
    let mut response = Response::new(Body::full(Bytes::from_static(text.as_bytes()), busy));
    *response.status_mut() = status;
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("text/plain; charset=utf-8"));
    if status == StatusCode::SERVICE_UNAVAILABLE {
        headers.insert(header::RETRY_AFTER, HeaderValue::from_static("1"));
    }
    response
}

/// An answer of a filter, without a body.
pub(super) fn with(status: StatusCode, headers: HeaderMap, busy: Busy) -> Response<Body> {
    let mut response = Response::new(Body::full(Bytes::new(), busy));
    *response.status_mut() = status;
    *response.headers_mut() = headers;
    response
}

/// The last answer on a connection.
pub(super) fn close(mut response: Response<Body>) -> Response<Body> {
    response.headers_mut().insert(header::CONNECTION, HeaderValue::from_static("close"));
    response
}
