use crate::downstream::gate::{self, Refusal};
use hyper::{Method, StatusCode, header, http::request};

/// What h2 lets through and a backend could read differently (RFC 9113 §8.3). h2 itself resets streams whose fields
/// are malformed, concern the connection, or lack a pseudo header, and those whose length is not the stated one.
pub(in crate::downstream) fn check(parts: &request::Parts) -> Result<(), Refusal> {
    if parts.method == Method::CONNECT {
        return Err(Refusal {
            status: StatusCode::METHOD_NOT_ALLOWED,
            why: "CONNECT is not for this server; a WebSocket needs HTTP/1.1 here",
        });
    }
    let mut hosts = parts.headers.get_all(header::HOST).iter();
    let (host, other) = (hosts.next().map(header::HeaderValue::as_bytes), hosts.next());
    let authority = parts.uri.authority().map(|authority| authority.as_str().as_bytes());
    let named = authority.or(host).filter(|named| other.is_none() && gate::is_authority(named));
    let named = named.ok_or(Refusal::bad("exactly one valid :authority or Host is needed"))?;
    if host.is_some_and(|host| !host.eq_ignore_ascii_case(named)) {
        return Err(Refusal::bad(":authority and Host disagree"));
    }
    let path = parts.uri.path();
    if !(path.starts_with('/') || path == "*" && parts.method == Method::OPTIONS) {
        return Err(Refusal::bad(":path must begin with '/'"));
    }
    if parts.uri.path_and_query().is_some_and(|target| target.as_str().len() > gate::TARGET_BYTES_MAX) {
        return Err(Refusal {
            status: StatusCode::URI_TOO_LONG,
            why: "the target of the request is too long",
        });
    }
    // Browsers send a line for each cookie; the backend gets one.
    let cookies = parts.headers.get_all(header::COOKIE).iter().count();
    if parts.headers.len() - cookies >= gate::LINES_MAX {
        return Err(Refusal {
            status: StatusCode::REQUEST_HEADER_FIELDS_TOO_LARGE,
            why: "the head of the request is too large",
        });
    }
    check_fields(parts)
}

fn check_fields(parts: &request::Parts) -> Result<(), Refusal> {
    let mut lengths = parts.headers.get_all(header::CONTENT_LENGTH).iter();
    let (length, other) = (lengths.next(), lengths.next());
    if other.is_some() || length.is_some_and(|length| gate::length(length.as_bytes()).is_err()) {
        return Err(Refusal::bad("Content-Length must be one number"));
    }
    for (name, value) in &parts.headers {
        match name.as_str() {
            "content_length" | "transfer_encoding" => return Err(gate::MALFORMED_LINE),
            "expect" if !value.as_bytes().eq_ignore_ascii_case(b"100-continue") => {
                return Err(gate::EXPECTATION);
            }
            _ => {}
        }
        // RFC 9113 §8.2.1; NUL, CR and LF are no part of a value anyway.
        if value.as_bytes().trim_ascii().len() != value.len() {
            return Err(Refusal::bad("a field value begins or ends with white space"));
        }
    }
    Ok(())
}
