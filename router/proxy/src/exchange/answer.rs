//! Answers that the router gives itself.

use super::{body::Body, grpc};
use crate::downstream::Busy;
use bytes::Bytes;
use hyper::{HeaderMap, Response, StatusCode, Version, header, header::HeaderValue, http::request};

/// The status and why, as the client of this request reads it.
pub(super) fn to(
    parts: &request::Parts,
    (status, why): (StatusCode, &'static str),
    busy: Busy,
) -> Response<Body> {
    if grpc::is_call(parts) {
        let mut response = with(status, HeaderMap::new(), busy);
        grpc::answer(&mut response, why);
        return response;
    }
    text(status, why, busy)
}

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

/// The last answer on a connection. HTTP/2 ends its connections in its own way.
pub(super) fn last(mut response: Response<Body>, version: Version) -> Response<Body> {
    if version != Version::HTTP_2 {
        response.headers_mut().insert(header::CONNECTION, HeaderValue::from_static("close"));
    }
    response
}
