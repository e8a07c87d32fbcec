//! Answers that the router gives itself.

use super::body::Body;
use crate::downstream::Busy;
use bytes::Bytes;
use hyper::{Response, StatusCode, header, header::HeaderValue};

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

/// The last answer on a connection.
pub(super) fn close(mut response: Response<Body>) -> Response<Body> {
    response.headers_mut().insert(header::CONNECTION, HeaderValue::from_static("close"));
    response
}
