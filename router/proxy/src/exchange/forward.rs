//! What a proxy must take out of and put into a request (RFC 9110 §7.6).

use super::text::{Address, hex};
use crate::{
    config::HeaderEdits,
    lines,
    message::{Fields, Request},
    routes,
};
use hyper::{
    Method, StatusCode, Uri, Version,
    header::{HeaderName, HeaderValue},
};
use std::net::IpAddr;

/// Who asks, and by which way.
#[derive(Clone, Copy, Debug)]
pub(super) struct Hop<'a> {
    /// Where the connection comes from.
    pub(super) client: IpAddr,
    /// `http` or `https`.
    pub(super) scheme: &'static str,
    /// For the backend: as the client wrote it, unless a filter changed it.
    pub(super) host: &'a [u8],
    /// As the client wrote it.
    pub(super) forwarded_host: &'a [u8],
    /// A protocol to change to, where the route allows it.
    pub(super) upgrade: Option<&'a [u8]>,
    /// Random, for a request id where the client sent none.
    pub(super) id: u128,
    /// Begin a trace where the client has none, and whether to record it.
    pub(super) trace: Option<Recorded>,
    /// Proxies in front of us whose word on the client is taken.
    pub(super) trusted_hops: usize,
    /// What the operator changes of the head, for the route and then for the backend. It has the last word.
    pub(super) edits: [&'a [HeaderEdits]; 2],
}

/// Whether a trace that begins here is recorded: the sampled flag of W3C Trace Context.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Recorded {
    Yes,
    No,
}

/// How the body of a request is framed towards a backend.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Framing {
    None,
    /// `Content-Length` is among the headers.
    Length,
    Chunked,
}

/// Meant for the next hop only, named in `Connection` or not. `Proxy-Authorization` is for a forward proxy, and
/// `HTTP2-Settings` belongs to an upgrade that is not made.
pub(crate) fn is_hop_by_hop(name: &[u8]) -> bool {
    HOP_BY_HOP.iter().any(|known| name.eq_ignore_ascii_case(known))
}

const HOP_BY_HOP: [&[u8]; 8] = [
    b"connection",
    b"keep-alive",
    b"proxy-connection",
    b"proxy-authenticate",
    b"proxy-authorization",
    b"transfer-encoding",
    b"upgrade",
    b"http2-settings",
];

/// The protocol that a client wants to change to. `h2c` and TLS would change what the router itself speaks.
pub(super) fn upgrade(request: &Request) -> Option<&[u8]> {
    let protocol = request.fields.get("upgrade")?;
    let mut tokens = request.fields.get_all("connection").flat_map(lines::tokens);
    let is_asked_for = tokens.any(|token| token.eq_ignore_ascii_case(b"upgrade"));
    let is_ours =
        |offer: &[u8]| offer.eq_ignore_ascii_case(b"h2c") || offer.to_ascii_lowercase().starts_with(b"tls");
    let is_wanted =
        request.version == Version::HTTP_11 && is_asked_for && !lines::tokens(protocol).any(is_ours);
    is_wanted.then_some(protocol)
}

/// The address that a client is known by: of the connection, or what the last trusted proxy says.
pub(super) fn client_address(fields: &Fields, peer: IpAddr, trusted_hops: usize) -> IpAddr {
    let Some(skipped) = trusted_hops.checked_sub(1) else { return peer };
    let items: Vec<_> = fields.get_all("x-forwarded-for").flat_map(lines::tokens).collect();
    let item = items.iter().rev().nth(skipped).and_then(|item| std::str::from_utf8(item).ok());
    item.and_then(|item| item.parse().ok()).map_or(peer, |address: IpAddr| address.to_canonical())
}

/// The scheme that a client uses: of the connection, or what trusted proxies say. Most of them replace what the one
/// before said, so that there may be fewer items than proxies.
pub(super) fn client_scheme(fields: &Fields, own: &'static str, trusted_hops: usize) -> &'static str {
    if trusted_hops == 0 {
        return own;
    }
    let items = fields.get_all("x-forwarded-proto").rev().flat_map(|line| lines::tokens(line).rev());
    match items.take(trusted_hops).last() {
        Some(item) if item.eq_ignore_ascii_case(b"https") => "https",
        Some(item) if item.eq_ignore_ascii_case(b"http") => "http",
        _ => own,
    }
}

/// Counts `Max-Forwards` down (RFC 9110 §7.6.2). At zero the request ends here, with an answer of our own.
pub(super) fn last_hop(request: &mut Request) -> Option<StatusCode> {
    if !matches!(request.method, Method::OPTIONS | Method::TRACE) {
        return None;
    }
    let left: u64 = request.fields.get_str("max-forwards")?.parse().ok()?;
    match left.checked_sub(1) {
        Some(left) => {
            request.fields.insert("max-forwards", left.to_string().as_bytes());
            None
        }
        // What a router is asked directly is not repeated: it could hold what only a backend may see.
        None if request.method == Method::TRACE => Some(StatusCode::METHOD_NOT_ALLOWED),
        None => Some(StatusCode::NO_CONTENT),
    }
}

/// Writes the head of a request as a backend that speaks HTTP/1.1 is to get it.
pub(super) fn encode(request: &Request, hop: &Hop<'_>, framing: Framing, out: &mut Vec<u8>) {
    out.reserve(HEAD_USUAL);
    for part in [request.method.as_str(), " ", request.target(), " HTTP/1.1\r\n"] {
        out.extend_from_slice(part.as_bytes());
    }
    visit(request, hop, |name, value| {
        for part in [name, b": ", value, b"\r\n"] {
            out.extend_from_slice(part);
        }
    });
    match (hop.upgrade, framing) {
        (Some(protocol), _) => {
            for part in [b"connection: upgrade\r\nupgrade: ", protocol, b"\r\n\r\n"] {
                out.extend_from_slice(part);
            }
        }
        (None, Framing::Chunked) => out.extend_from_slice(b"transfer-encoding: chunked\r\n\r\n"),
        // Without it some servers wait for a body.
        (None, Framing::None)
            if is_usually_with_body(&request.method) && !request.fields.contains("content-length") =>
        {
            out.extend_from_slice(b"content-length: 0\r\n\r\n");
        }
        (None, _) => out.extend_from_slice(b"\r\n"),
    }
}

/// The head of a request as it is sent to a backend that speaks HTTP/2. `None`: its host is none that HTTP/2 can name.
pub(super) fn to_h2(request: &Request, hop: &Hop<'_>) -> Option<hyper::Request<()>> {
    let uri =
        Uri::builder().scheme("http").authority(hop.host).path_and_query(request.target()).build().ok()?;
    let mut sent = hyper::Request::new(());
    *sent.method_mut() = request.method.clone();
    *sent.uri_mut() = uri;
    *sent.version_mut() = Version::HTTP_2;
    let headers = sent.headers_mut();
    headers.reserve(request.fields.len() + 4);
    visit(request, hop, |name, value| {
        // What a client expects is the business of the connection that it has; the host is in the target.
        if let (false, Ok(name), Ok(value)) = (
            matches!(name, b"host" | b"expect"),
            HeaderName::from_bytes(name),
            HeaderValue::from_bytes(value),
        ) {
            headers.append(name, value);
        }
    });
    Some(sent)
}

/// What the names of all headers begin with that proxies made up to tell of the client.
const FORWARDED: &[u8] = b"x-forwarded-";

/// Usual heads are shorter.
const HEAD_USUAL: usize = 1_000;

/// Calls `put` with every header that the backend gets, but those of the framing.
fn visit(request: &Request, hop: &Hop<'_>, mut put: impl FnMut(&[u8], &[u8])) {
    if hop.edits.iter().all(|edits| edits.is_empty()) {
        return pass(request, hop, put);
    }
    // Edited last, so that neither the client nor the router undoes what the operator says.
    let mut fields = Fields::with_room();
    pass(request, hop, |name, value| {
        if let Ok(name) = std::str::from_utf8(name) {
            fields.append(name, value);
        }
    });
    hop.edits.into_iter().flatten().for_each(|edits| routes::edit(edits, &mut fields));
    fields.iter().for_each(|(name, value)| put(name, value));
}

/// Calls `put` with what is passed on, and with what the router adds.
fn pass(request: &Request, hop: &Hop<'_>, mut put: impl FnMut(&[u8], &[u8])) {
    put(b"host", hop.host);
    let named = Named::by_connection(&request.fields);
    let is_trusted = hop.trusted_hops > 0;
    let mut said = Said::default();
    for (name, value) in request.fields.iter() {
        match name {
            b"host" => continue,
            b"x-forwarded-for" if is_trusted => {
                join(&mut said.forwarded_for, value, b", ");
                continue;
            }
            b"x-forwarded-proto" if is_trusted => said.has_proto = true,
            b"x-forwarded-host" if is_trusted => said.has_host = true,
            b"forwarded" if is_trusted => {
                join(&mut said.forwarded, value, b", ");
                continue;
            }
            // Whoever is not a trusted proxy could claim to be anybody.
            b"x-real-ip" | b"forwarded" => continue,
            [b'x', ..] if !is_trusted && name.starts_with(FORWARDED) => continue,
            b"te" if !names_trailers(value) => continue,
            b"te" => {
                put(b"te", b"trailers");
                continue;
            }
            _ if named.contains(name) => continue,
            // In one line, at whose end the router stands.
            b"via" => {
                join(&mut said.via, value, b", ");
                continue;
            }
            b"x-request-id" => said.has_id = true,
            b"traceparent" => said.has_trace = true,
            // HTTP/2 may send a line for each cookie (RFC 9113 §8.2.3).
            b"cookie" if request.version == Version::HTTP_2 => {
                join(&mut said.cookies, value, b"; ");
                continue;
            }
            [b'x', ..] if is_disguised(name) => continue,
            _ if is_hop_by_hop(name) => continue,
            _ => {}
        }
        put(name, value);
    }
    said.complete(via(request.version), hop, put);
}

/// What the lines of a request said that the router says as well.
#[derive(Default)]
struct Said {
    forwarded_for: Vec<u8>,
    forwarded: Vec<u8>,
    via: Vec<u8>,
    cookies: Vec<u8>,
    has_proto: bool,
    has_host: bool,
    has_id: bool,
    has_trace: bool,
}

// === impl Said ===

impl Said {
    /// Calls `put` with what is missing.
    fn complete(mut self, via: &[u8], hop: &Hop<'_>, mut put: impl FnMut(&[u8], &[u8])) {
        let address = Address::of(hop.client);
        if self.forwarded_for.is_empty() {
            put(b"x-forwarded-for", address.text());
        } else {
            join(&mut self.forwarded_for, address.text(), b", ");
            put(b"x-forwarded-for", &self.forwarded_for);
        }
        if !self.has_proto {
            put(b"x-forwarded-proto", hop.scheme.as_bytes());
        }
        if !self.has_host {
            put(b"x-forwarded-host", hop.forwarded_host);
        }
        if self.via.is_empty() {
            put(b"via", via);
        } else {
            join(&mut self.via, via, b", ");
            put(b"via", &self.via);
        }
        if !self.cookies.is_empty() {
            put(b"cookie", &self.cookies);
        }
        if !self.has_id {
            put(b"x-request-id", &hex(hop.id));
        }
        if !self.forwarded.is_empty() {
            join(&mut self.forwarded, &forwarded_element(hop), b", ");
            put(b"forwarded", &self.forwarded);
        }
        if let Some(recorded) = hop.trace.filter(|_| !self.has_trace) {
            put(b"traceparent", &traceparent(hop.id, recorded));
        }
    }
}

/// What a trusted proxy began is gone on with (RFC 7239): addresses of IPv6 and hosts with a port are quoted.
fn forwarded_element(hop: &Hop<'_>) -> Vec<u8> {
    let client = match hop.client {
        IpAddr::V4(address) => address.to_string(),
        IpAddr::V6(address) => format!("\"[{address}]\""),
    };
    let mut element = format!("for={client};proto={}", hop.scheme).into_bytes();
    // What could end the quotes is no host.
    if !hop.forwarded_host.is_empty() && !hop.forwarded_host.iter().any(|byte| matches!(byte, b'"' | b'\\')) {
        for part in [b";host=\"", hop.forwarded_host, b"\""] {
            element.extend_from_slice(part);
        }
    }
    element
}

/// Version 00 of W3C Trace Context. The trace has the number that the request id has where the client sent none.
fn traceparent(id: u128, recorded: Recorded) -> Vec<u8> {
    let (trace, parent) = (hex(id), hex(id.rotate_left(64) ^ id >> 3));
    let flags: &[u8] = if recorded == Recorded::Yes { b"01" } else { b"00" };
    [b"00-", &trace[..], b"-", parent.get(..16).unwrap_or_default(), b"-", flags].concat()
}

fn join(list: &mut Vec<u8>, item: &[u8], separator: &[u8]) {
    if !list.is_empty() {
        list.extend_from_slice(separator);
    }
    list.extend_from_slice(item);
}

const fn via(version: Version) -> &'static [u8] {
    match version {
        Version::HTTP_10 => b"1.0 huidu",
        Version::HTTP_2 => b"2.0 huidu",
        _ => b"1.1 huidu",
    }
}

fn names_trailers(value: &[u8]) -> bool {
    lines::tokens(value).any(|token| token.eq_ignore_ascii_case(b"trailers"))
}

/// Backends that see headers as variables (CGI, WSGI) take '_' for '-'; what only a proxy may say must not come in
/// that way.
fn is_disguised(name: &[u8]) -> bool {
    name.contains(&b'_') && {
        let plain: Vec<_> = name.iter().map(|&byte| if byte == b'_' { b'-' } else { byte }).collect();
        is_claim(&plain)
    }
}

/// What only a proxy may say about a client.
pub(crate) fn is_claim(name: &[u8]) -> bool {
    matches!(name, b"x-real-ip" | b"forwarded") || name.starts_with(FORWARDED)
}

const fn is_usually_with_body(method: &Method) -> bool {
    matches!(*method, Method::POST | Method::PUT | Method::PATCH)
}

/// What `Connection` names, in lower case, for whoever needs it after the head.
pub(super) fn named(fields: &Fields) -> Vec<String> {
    let named = Named::by_connection(fields).0;
    named.into_iter().map(|name| String::from_utf8_lossy(name).to_ascii_lowercase()).collect()
}

/// What `Connection` names: usually nothing.
struct Named<'a>(Vec<&'a [u8]>);

// === impl Named ===

impl<'a> Named<'a> {
    fn by_connection(fields: &'a Fields) -> Self {
        let tokens = fields.get_all("connection").flat_map(lines::tokens);
        // The length of the body is not for the client to take away.
        let is_name = |token: &&[u8]| {
            let usual: [&[u8]; 3] = [b"keep-alive", b"close", b"content-length"];
            !usual.iter().any(|usual| token.eq_ignore_ascii_case(usual))
        };
        Self(tokens.filter(is_name).collect())
    }

    fn contains(&self, name: &[u8]) -> bool {
        self.0.iter().any(|named| named.eq_ignore_ascii_case(name))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use hyper::{Request as Builder, http::request};

    fn built(request: request::Builder) -> Request {
        request.body(()).unwrap().into_parts().0.into()
    }

    fn encoded(request: request::Builder, trusted_hops: usize) -> String {
        let request = built(request);
        let mut out = Vec::new();
        encode(&request, &hop(&request, trusted_hops), Framing::None, &mut out);
        String::from_utf8(out).unwrap()
    }

    fn hop(request: &Request, trusted_hops: usize) -> Hop<'_> {
        let client = [192, 0, 2, 1].into();
        let host = request.fields.get("host").unwrap_or_default();
        Hop {
            client,
            scheme: "http",
            host,
            forwarded_host: host,
            upgrade: None,
            id: 0xAB,
            trace: None,
            trusted_hops,
            edits: [&[], &[]],
        }
    }

    #[test]
    fn a_trace_goes_on_or_begins_here() {
        assert_eq!(
            traceparent(0xAB, Recorded::No),
            b"00-000000000000000000000000000000ab-00000000000000ab-00"
        );
        assert!(traceparent(1 << 127, Recorded::Yes).ends_with(b"-01"));
        let passed =
            encoded(Builder::get("/").header("traceparent", "00-1-2-01").header("tracestate", "a=b"), 0);
        assert!(passed.contains("\r\ntraceparent: 00-1-2-01\r\ntracestate: a=b\r\n"), "{passed}");
    }

    #[test]
    fn forwarded_is_gone_on_with_where_a_trusted_proxy_began_it() {
        let request = || Builder::get("/").header("host", "a:80").header("forwarded", "for=10.0.0.1");
        let trusted = encoded(request(), 1);
        let line = "\r\nforwarded: for=10.0.0.1, for=192.0.2.1;proto=http;host=\"a:80\"\r\n";
        assert!(trusted.contains(line), "{trusted}");
        assert!(!encoded(request(), 0).contains("\r\nforwarded:"));
    }

    #[test]
    fn hop_by_hop_headers_and_what_connection_names_end_here() {
        let request = Builder::get("/")
            .header("host", "a")
            .header("connection", "close, X-Secret")
            .header("connection", "x-other, x-forwarded-for, host, content-length")
            .header("x-secret", "1")
            .header("x-other", "1")
            .header("keep-alive", "timeout=5")
            .header("proxy-connection", "keep-alive")
            .header("proxy-authorization", "Basic x")
            .header("te", "gzip, trailers")
            .header("upgrade", "h2c")
            .header("http2-settings", "x")
            .header("content-length", "0")
            .header("x-kept", "1");
        let expected = "GET / HTTP/1.1\r\nhost: a\r\nte: trailers\r\ncontent-length: 0\r\nx-kept: 1\r\n\
                        x-forwarded-for: 192.0.2.1\r\nx-forwarded-proto: http\r\nx-forwarded-host: a\r\n\
                        via: 1.1 huidu\r\nx-request-id: 000000000000000000000000000000ab\r\n\r\n";
        assert_eq!(encoded(request, 0), expected);
    }

    #[test]
    fn what_connection_names_ends_here_but_for_what_proxies_need() {
        let request = || {
            Builder::get("/")
                .header("host", "a")
                .header(
                    "connection",
                    "x-request-id, traceparent, via, cookie, host, te, x-forwarded-for, forwarded",
                )
                .header("x-request-id", "given")
                .header("traceparent", "00-1-2-01")
                .header("via", "1.0 first")
                .header("cookie", "a=1")
                .header("te", "trailers")
                .header("x-forwarded-for", "198.51.100.7")
        };
        let expected = "GET / HTTP/1.1\r\nhost: a\r\nte: trailers\r\nx-forwarded-for: 192.0.2.1\r\n\
                        x-forwarded-proto: http\r\nx-forwarded-host: a\r\nvia: 1.1 huidu\r\n\
                        x-request-id: 000000000000000000000000000000ab\r\n\r\n";
        assert_eq!(encoded(request(), 0), expected);
        let trusted = encoded(request(), 1);
        assert!(trusted.contains("\r\nx-forwarded-for: 198.51.100.7, 192.0.2.1\r\n"), "{trusted}");
    }

    #[test]
    fn the_router_is_the_last_that_via_names() {
        let request = Builder::get("/").header("via", "1.0 a").header("via", "1.1 b, 2.0 c");
        let text = encoded(request, 0);
        assert!(text.contains("\r\nvia: 1.0 a, 1.1 b, 2.0 c, 1.1 huidu\r\n"), "{text}");
        assert_eq!(text.matches("via").count(), 1, "{text}");
    }

    #[test]
    fn whatever_only_proxies_say_is_dropped_where_none_is_trusted() {
        let request = || {
            let names = ["port", "prefix", "server", "ssl", "scheme", "path", "client-cert"];
            names.iter().fold(Builder::get("/"), |request, name| {
                let disguised = format!("x_forwarded_{}", name.replace('-', "_"));
                request.header(format!("x-forwarded-{name}"), "claim").header(disguised, "disguised")
            })
        };
        let untrusted = encoded(request(), 0);
        assert!(!untrusted.contains("claim") && !untrusted.contains("disguised"), "{untrusted}");
        let trusted = encoded(request(), 1);
        assert!(trusted.matches("claim").count() == 7 && !trusted.contains("disguised"), "{trusted}");
    }

    fn behind_a_proxy() -> request::Builder {
        Builder::get("/")
            .header("host", "Blog.Example:8080")
            .header("origin", "http://Blog.Example:8080")
            .header("x-forwarded-for", "198.51.100.7")
            .header("x-forwarded-proto", "https")
            .header("x-forwarded-host", "public.example")
            .header("x_forwarded_for", "127.0.0.1")
            .header("x-real-ip", "127.0.0.1")
            .header("via", "1.0 first")
            .header("x-request-id", "given")
    }

    #[test]
    fn nobody_is_believed_who_is_not_a_trusted_proxy() {
        let text = encoded(behind_a_proxy(), 0);
        for line in [
            "host: Blog.Example:8080",
            "origin: http://Blog.Example:8080",
            "x-forwarded-for: 192.0.2.1",
            "x-forwarded-proto: http",
            "x-forwarded-host: Blog.Example:8080",
            "via: 1.0 first, 1.1 huidu",
            "x-request-id: given",
        ] {
            assert!(text.contains(&format!("\r\n{line}\r\n")), "{line:?} is not in {text}");
        }
        assert!(!text.contains("198.51") && !text.contains("127.0.0.1"), "{text}");
    }

    #[test]
    fn a_trusted_proxy_is_believed() {
        let text = encoded(behind_a_proxy(), 1);
        for line in [
            "x-forwarded-for: 198.51.100.7, 192.0.2.1",
            "x-forwarded-proto: https",
            "x-forwarded-host: public.example",
        ] {
            assert!(text.contains(&format!("\r\n{line}\r\n")), "{line:?} is not in {text}");
        }
        assert!(!text.contains("x_forwarded_for"), "{text}");
    }

    #[test]
    fn the_client_is_who_the_last_trusted_proxy_says() {
        let peer = [192, 0, 2, 1].into();
        let mut fields = Fields::default();
        fields.append("x-forwarded-for", b"10.9.9.9, 198.51.100.7, 10.0.0.1");
        for (hops, expected) in [(0, "192.0.2.1"), (1, "10.0.0.1"), (2, "198.51.100.7"), (9, "192.0.2.1")] {
            assert_eq!(client_address(&fields, peer, hops).to_string(), expected, "{hops} hops");
        }
    }

    #[test]
    fn cookies_that_http_2_sent_apart_come_together() {
        let request =
            Builder::get("/").version(Version::HTTP_2).header("cookie", "a=1").header("cookie", "b=2");
        assert!(encoded(request, 0).contains("\r\ncookie: a=1; b=2\r\n"));
    }

    #[test]
    fn http_2_gets_the_host_in_the_target_and_nothing_that_concerns_a_connection() {
        let request = Builder::post("/a%2Fb?q")
            .header("host", "Blog.Example:8080")
            .header("connection", "x-hop, upgrade")
            .header("x-hop", "1")
            .header("upgrade", "websocket")
            .header("te", "trailers, deflate")
            .header("expect", "100-continue")
            .header("cookie", "a=1");
        let request = built(request);
        let request = to_h2(&request, &hop(&request, 0)).unwrap();
        assert_eq!(request.uri(), "http://Blog.Example:8080/a%2Fb?q");
        let headers = request.headers();
        assert_eq!(
            (&headers["te"], &headers["cookie"]),
            (&"trailers".parse().unwrap(), &"a=1".parse().unwrap())
        );
        for gone in ["host", "connection", "x-hop", "upgrade", "expect"] {
            assert!(!headers.contains_key(gone), "{gone}");
        }
    }
}
