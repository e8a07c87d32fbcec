//! Answers that the router gives itself.

use super::{body::Body, grpc};
use crate::{
    downstream::Busy,
    message::{Fields, Request, Response},
};
use bytes::Bytes;
use hyper::{StatusCode, Version};

/// The status and why, as the client of this request reads it.
pub(super) fn to(request: &Request, (status, why): (StatusCode, &'static str), busy: Busy) -> Response<Body> {
    if grpc::is_call(request) {
        let mut response = with(status, Fields::default(), busy);
        grpc::answer(&mut response, why);
        return response;
    }
    text(status, why, busy)
}

/// A sentence for a person with a browser or curl.
pub(super) fn text(status: StatusCode, text: &'static str, busy: Busy) -> Response<Body> {
    let mut response = Response::new(status, Body::full(Bytes::from_static(text.as_bytes()), busy));
    response.fields.append("content-type", b"text/plain; charset=utf-8");
    if status == StatusCode::SERVICE_UNAVAILABLE {
        response.fields.append("retry-after", b"1");
    }
    response
}

/// An answer of a filter, without a body.
pub(super) fn with(status: StatusCode, fields: Fields, busy: Busy) -> Response<Body> {
    Response { status, fields, body: Body::full(Bytes::new(), busy) }
}

/// The last answer on a connection. HTTP/2 ends its connections in its own way.
pub(super) fn last(mut response: Response<Body>, version: Version) -> Response<Body> {
    if version != Version::HTTP_2 {
        response.fields.insert("connection", b"close");
    }
    response
}
