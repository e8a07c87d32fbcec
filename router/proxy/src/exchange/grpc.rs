//! What gRPC says beside HTTP: its status is in the trailers, and HTTP's is 200 whatever happened.

use super::body::Body;
use crate::metrics::Class;
use hyper::{
    HeaderMap, Method, Response, StatusCode,
    header::{self, HeaderName, HeaderValue},
    http::request,
};

const STATUS: HeaderName = HeaderName::from_static("grpc-status");
const MESSAGE: HeaderName = HeaderName::from_static("grpc-message");

/// Whether a request is a call of gRPC; gRPC-Web is another protocol, which tells its status in the body.
pub(super) fn is_call(parts: &request::Parts) -> bool {
    parts.method == Method::POST
        && parts.headers.get(header::CONTENT_TYPE).is_some_and(|value| {
            let rest = value.as_bytes().strip_prefix(b"application/grpc");
            rest.is_some_and(|rest| matches!(rest.first(), None | Some(b'+' | b';')))
        })
}

/// What a call is counted as, where `grpc-status` is among the fields.
///
/// The codes that are a server's fault are those of OpenTelemetry's conventions for gRPC: UNKNOWN, DEADLINE_EXCEEDED,
/// UNIMPLEMENTED, INTERNAL, UNAVAILABLE and DATA_LOSS.
pub(super) fn class_of(fields: &HeaderMap) -> Option<Class> {
    Some(match fields.get(STATUS)?.as_bytes() {
        b"0" => Class::Status(2),
        b"2" | b"4" | b"12" | b"13" | b"14" | b"15" => Class::Status(5),
        _ => Class::Status(4),
    })
}

/// An answer of the router as a client of gRPC reads it: a head that is its own trailers.
pub(super) fn answer(response: &mut Response<Body>, why: &'static str) {
    let code = code(response.status());
    *response.status_mut() = StatusCode::OK;
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/grpc"));
    headers.insert(STATUS, HeaderValue::from_static(code));
    headers.insert(MESSAGE, HeaderValue::from_static(why.trim_ascii()));
}

/// What a client reads after an answer that the backend broke off: UNAVAILABLE.
pub(super) fn broken_off() -> HeaderMap {
    HeaderMap::from_iter([
        (STATUS, HeaderValue::from_static("14")),
        (MESSAGE, HeaderValue::from_static("the service broke its answer off")),
    ])
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
    use hyper::Request;

    #[test]
    fn calls_are_told_by_their_content_type() {
        for (content_type, expected) in [
            ("application/grpc", true),
            ("application/grpc+proto", true),
            ("application/grpc;x=y", true),
            ("application/grpc-web+proto", false),
            ("application/json", false),
        ] {
            let request = Request::post("/").header("content-type", content_type).body(()).unwrap();
            assert_eq!(is_call(&request.into_parts().0), expected, "{content_type}");
        }
    }

    #[test]
    fn codes_that_are_the_servers_fault_are_errors() {
        for (code, is_error) in
            [("0", false), ("1", false), ("2", true), ("5", false), ("14", true), ("x", false)]
        {
            let fields = HeaderMap::from_iter([(STATUS, code.parse().unwrap())]);
            assert_eq!(class_of(&fields).unwrap().is_error(), is_error, "{code}");
        }
        assert_eq!(class_of(&HeaderMap::new()), None);
    }
}
