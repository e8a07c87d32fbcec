//! What gRPC says beside HTTP: its status is in the trailers, and HTTP's is 200 whatever happened.

use super::body::Body;
use crate::{
    message::{Request, Response},
    metrics::Class,
};
use hyper::{HeaderMap, Method, StatusCode, header::HeaderValue};

pub(super) const STATUS: &str = "grpc-status";
const MESSAGE: &str = "grpc-message";

/// Whether a request is a call of gRPC; gRPC-Web is another protocol, which tells its status in the body.
pub(super) fn is_call(request: &Request) -> bool {
    request.method == Method::POST
        && request.fields.get("content-type").is_some_and(|value| {
            let rest = value.strip_prefix(b"application/grpc");
            rest.is_some_and(|rest| matches!(rest.first(), None | Some(b'+' | b';')))
        })
}

/// What a call with this `grpc-status` is counted as.
///
/// The codes that are a server's fault are those of OpenTelemetry's conventions for gRPC: UNKNOWN, DEADLINE_EXCEEDED,
/// UNIMPLEMENTED, INTERNAL, UNAVAILABLE and DATA_LOSS.
pub(super) const fn class_of(status: &[u8]) -> Class {
    match status {
        b"0" => Class::Status(2),
        b"2" | b"4" | b"12" | b"13" | b"14" | b"15" => Class::Status(5),
        _ => Class::Status(4),
    }
}

/// An answer of the router as a client of gRPC reads it: a head that is its own trailers.
pub(super) fn answer(response: &mut Response<Body>, why: &'static str) {
    let code = code(response.status);
    response.status = StatusCode::OK;
    response.fields.insert("content-type", b"application/grpc");
    response.fields.insert(STATUS, code.as_bytes());
    response.fields.insert(MESSAGE, why.trim_ascii().as_bytes());
}

/// What a client reads after an answer that the backend broke off: UNAVAILABLE.
pub(super) fn broken_off() -> HeaderMap {
    let mut trailers = HeaderMap::new();
    trailers.insert(STATUS, HeaderValue::from_static("14"));
    trailers.insert(MESSAGE, HeaderValue::from_static("the service broke its answer off"));
    trailers
}

/// gRPC's own mapping (doc/http-grpc-status-mapping.md), and DEADLINE_EXCEEDED where the router waited in vain.
const fn code(status: StatusCode) -> &'static str {
    match status {
        StatusCode::BAD_REQUEST | StatusCode::INTERNAL_SERVER_ERROR => "13",
        StatusCode::UNAUTHORIZED => "16",
        StatusCode::FORBIDDEN => "7",
        StatusCode::NOT_FOUND => "12",
        StatusCode::GATEWAY_TIMEOUT => "4",
        StatusCode::TOO_MANY_REQUESTS | StatusCode::BAD_GATEWAY | StatusCode::SERVICE_UNAVAILABLE => "14",
        _ => "2",
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::message::Fields;
    use hyper::Version;

    #[test]
    fn calls_are_told_by_their_content_type() {
        for (content_type, expected) in [
            ("application/grpc", true),
            ("application/grpc+proto", true),
            ("application/grpc;x=y", true),
            ("application/grpc-web+proto", false),
            ("application/json", false),
        ] {
            let mut fields = Fields::default();
            fields.append("content-type", content_type.as_bytes());
            let request = Request::new(Method::POST, b"/", Version::HTTP_2, fields).unwrap();
            assert_eq!(is_call(&request), expected, "{content_type}");
        }
    }

    #[test]
    fn codes_that_are_the_servers_fault_are_errors() {
        for (code, is_error) in
            [("0", false), ("1", false), ("2", true), ("5", false), ("14", true), ("x", false)]
        {
            assert_eq!(class_of(code.as_bytes()).is_error(), is_error, "{code}");
        }
    }
}
