//! What a proxy must take out of and put into a message (RFC 9110 §7.6).

use hyper::{
    HeaderMap, Version,
    header::{self, HeaderName, HeaderValue},
    http::request,
};
use std::net::IpAddr;

/// A message that can't be passed on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(super) enum Refusal {
    #[error("exactly one Host header is needed\n")]
    Host,
    #[error("the target and the Host header disagree\n")]
    Authority,
    #[error("CONNECT is not for this server\n")]
    Connect,
}

const KEEP_ALIVE: HeaderName = HeaderName::from_static("keep-alive");
const PROXY_CONNECTION: HeaderName = HeaderName::from_static("proxy-connection");
const X_FORWARDED_FOR: HeaderName = HeaderName::from_static("x-forwarded-for");
const X_FORWARDED_HOST: HeaderName = HeaderName::from_static("x-forwarded-host");
const X_FORWARDED_PROTO: HeaderName = HeaderName::from_static("x-forwarded-proto");
const X_REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");

/// Meant for the next hop only, named in `Connection` or not.
const HOP_BY_HOP: [HeaderName; 7] = [
    header::CONNECTION,
    KEEP_ALIVE,
    PROXY_CONNECTION,
    header::PROXY_AUTHENTICATE,
    header::PROXY_AUTHORIZATION,
    header::TRANSFER_ENCODING,
    header::UPGRADE,
];

/// Makes a request fit for a backend; `host` stays as the client wrote it.
pub(super) fn prepare_request(parts: &mut request::Parts, client: IpAddr) -> Result<(), Refusal> {
    check_target(parts)?;
    let wants_trailers = parts.headers.get(header::TE).is_some_and(names_trailers);
    strip_hop_by_hop(&mut parts.headers);
    parts.headers.remove(header::TE);
    if wants_trailers {
        parts.headers.insert(header::TE, HeaderValue::from_static("trailers"));
    }
    forwarded(&mut parts.headers, client);
    let via = match parts.version {
        Version::HTTP_10 => "1.0 huidu",
        Version::HTTP_2 => "2.0 huidu",
        _ => "1.1 huidu",
    };
    append_to_list(&mut parts.headers, &header::VIA, via);
    if !parts.headers.contains_key(X_REQUEST_ID) {
        let id = format!("{:032x}", rand::random::<u128>());
        insert(&mut parts.headers, X_REQUEST_ID, id);
    }
    parts.version = Version::HTTP_11;
    Ok(())
}

/// Makes a response fit for a client.
pub(super) fn prepare_response(headers: &mut HeaderMap) {
    strip_hop_by_hop(headers);
}

/// The host without its port, as routes match it.
pub(super) fn host_of(headers: &HeaderMap) -> &str {
    let host = headers.get(header::HOST).and_then(|host| host.to_str().ok()).unwrap_or_default();
    match host.rsplit_once(':') {
        // The colons of an IPv6 address are inside of brackets.
        Some((name, port)) if !port.ends_with(']') => name,
        _ => host,
    }
}

/// Puts the target into origin form. An absolute target decides the host, and must not contradict it.
fn check_target(parts: &mut request::Parts) -> Result<(), Refusal> {
    if parts.method == hyper::Method::CONNECT {
        return Err(Refusal::Connect);
    }
    let mut hosts = parts.headers.get_all(header::HOST).iter();
    let host = match (hosts.next(), hosts.next()) {
        (Some(host), None) => host,
        (None, None) if parts.version == Version::HTTP_10 => return Ok(()),
        _ => return Err(Refusal::Host),
    };
    if let Some(authority) = parts.uri.authority() {
        if !host.as_bytes().eq_ignore_ascii_case(authority.as_str().as_bytes()) {
            return Err(Refusal::Authority);
        }
        let path = parts.uri.path_and_query().map_or("/", |path| path.as_str());
        parts.uri = path.parse().map_err(|_| Refusal::Authority)?;
    }
    Ok(())
}

fn strip_hop_by_hop(headers: &mut HeaderMap) {
    if headers.contains_key(header::CONNECTION) {
        let lines = headers.get_all(header::CONNECTION).iter();
        let tokens = lines.flat_map(|line| line.as_bytes().split(|&byte| byte == b','));
        let named: Vec<HeaderName> =
            tokens.filter_map(|token| HeaderName::from_bytes(token.trim_ascii()).ok()).collect();
        for name in named {
            // A client must not be able to take away what the backend or the split rely on.
            if name != header::HOST && name != header::TE {
                headers.remove(name);
            }
        }
    }
    for name in HOP_BY_HOP {
        headers.remove(name);
    }
}

fn names_trailers(value: &HeaderValue) -> bool {
    value
        .as_bytes()
        .split(|&byte| byte == b',')
        .any(|token| token.trim_ascii().eq_ignore_ascii_case(b"trailers"))
}

fn forwarded(headers: &mut HeaderMap, client: IpAddr) {
    append_to_list(headers, &X_FORWARDED_FOR, &client.to_string());
    headers.insert(X_FORWARDED_PROTO, HeaderValue::from_static("http"));
    if let Some(host) = headers.get(header::HOST).cloned() {
        headers.insert(X_FORWARDED_HOST, host);
    }
}

fn append_to_list(headers: &mut HeaderMap, name: &HeaderName, item: &str) {
    let mut list: Vec<u8> = Vec::new();
    for value in headers.get_all(name) {
        list.extend_from_slice(value.as_bytes());
        list.extend_from_slice(b", ");
    }
    list.extend_from_slice(item.as_bytes());
    insert(headers, name.clone(), list);
}

/// Inserts a value made of checked parts; if it were not valid after all, the header is left out.
fn insert(headers: &mut HeaderMap, name: HeaderName, value: impl Into<bytes::Bytes>) {
    if let Ok(value) = HeaderValue::from_maybe_shared(value.into()) {
        headers.insert(name, value);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use hyper::Request;

    fn prepare(request: request::Builder) -> Result<request::Parts, Refusal> {
        let (mut parts, ()) = request.body(()).unwrap().into_parts();
        prepare_request(&mut parts, [192, 0, 2, 1].into()).map(|()| parts)
    }

    fn names(parts: &request::Parts) -> Vec<&str> {
        let mut names: Vec<_> = parts.headers.keys().map(HeaderName::as_str).collect();
        names.sort_unstable();
        names
    }

    #[test]
    fn hop_by_hop_headers_and_what_connection_names_end_here() {
        let request = Request::get("/")
            .header("host", "a")
            .header("connection", "close, X-Secret")
            .header("connection", "x-other, host")
            .header("x-secret", "1")
            .header("x-other", "1")
            .header("keep-alive", "timeout=5")
            .header("proxy-connection", "keep-alive")
            .header("proxy-authorization", "Basic x")
            .header("te", "gzip, trailers")
            .header("upgrade", "h2c")
            .header("x-kept", "1");
        let parts = prepare(request).unwrap();
        let kept =
            ["host", "te", "via", "x-forwarded-for", "x-forwarded-host", "x-forwarded-proto", "x-kept"];
        assert_eq!(names(&parts), [&kept[..], &["x-request-id"]].concat());
        assert_eq!(parts.headers["te"], "trailers");
    }

    #[test]
    fn host_and_origin_pass_unchanged_and_the_client_is_told_of() {
        let request = Request::get("/")
            .header("host", "Blog.Example.com:8080")
            .header("origin", "http://Blog.Example.com:8080")
            .header("x-forwarded-for", "198.51.100.7")
            .header("x-forwarded-proto", "https")
            .header("x-request-id", "given");
        let parts = prepare(request).unwrap();
        assert_eq!(parts.headers["host"], "Blog.Example.com:8080");
        assert_eq!(parts.headers["origin"], "http://Blog.Example.com:8080");
        assert_eq!(parts.headers["x-forwarded-for"], "198.51.100.7, 192.0.2.1");
        assert_eq!(parts.headers["x-forwarded-proto"], "http");
        assert_eq!(parts.headers["x-request-id"], "given");
        assert_eq!(host_of(&parts.headers), "Blog.Example.com");
    }

    #[test]
    fn an_absolute_target_must_agree_with_the_host() {
        let agreeing = prepare(Request::get("http://a.example/x?y").header("host", "A.example")).unwrap();
        assert_eq!(agreeing.uri, "/x?y");
        let other = prepare(Request::get("http://a.example/").header("host", "b.example"));
        assert_eq!(other.unwrap_err(), Refusal::Authority);
    }

    #[test]
    fn there_is_exactly_one_host() {
        assert_eq!(prepare(Request::get("/")).unwrap_err(), Refusal::Host);
        let two = Request::get("/").header("host", "a").header("host", "a");
        assert_eq!(prepare(two).unwrap_err(), Refusal::Host);
        assert!(prepare(Request::get("/").version(Version::HTTP_10)).is_ok());
    }
}
