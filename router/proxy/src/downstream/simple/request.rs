use crate::{downstream::gate::LINES_MAX, lines};
use bytes::Bytes;
use hyper::{HeaderMap, Method, Request, Uri, header, http::request::Parts};

/// The request whose head this is, all of it and nothing more, as the gate has passed it. `None`: it is not simple.
pub(super) fn parse(head: &Bytes) -> Option<Parts> {
    let mut room = lines::room::<LINES_MAX>();
    let mut request = httparse::Request::new(&mut []);
    let parsed = request.parse_with_uninit_headers(head, &mut room).ok()?;
    let (method, target) = (request.method?, request.path?);
    let is_simple = parsed == httparse::Status::Complete(head.len())
        && request.version == Some(1)
        && !matches!(method, "HEAD" | "CONNECT")
        && target.starts_with('/')
        && request.headers.iter().all(|line| !concerns_connection(line));
    if !is_simple {
        return None;
    }
    let (mut parts, ()) = Request::new(()).into_parts();
    parts.method = Method::from_bytes(method.as_bytes()).ok()?;
    parts.uri = Uri::from_maybe_shared(head.slice_ref(target.as_bytes())).ok()?;
    parts.headers = HeaderMap::with_capacity(request.headers.len());
    for line in request.headers {
        let (name, value) = lines::line(head, line)?;
        parts.headers.append(name, value);
    }
    Some(parts)
}

/// What changes how the answer is sent, or what follows it.
fn concerns_connection(line: &httparse::Header<'_>) -> bool {
    let name = line.name;
    match name.len() {
        2 => name.eq_ignore_ascii_case("te"),
        6 => name.eq_ignore_ascii_case("expect"),
        7 => name.eq_ignore_ascii_case("upgrade"),
        10 => {
            name.eq_ignore_ascii_case(header::CONNECTION.as_str())
                && !line.value.eq_ignore_ascii_case(b"keep-alive")
        }
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn taken(head: &str) -> Option<Parts> {
        parse(&Bytes::copy_from_slice(head.as_bytes()))
    }

    #[test]
    fn a_simple_request_is_taken_as_it_is() {
        let parts =
            taken("GET /a%2Fb?q HTTP/1.1\r\nHost: a\r\nConnection: keep-alive\r\nX: 1\r\nx: 2\r\n\r\n")
                .unwrap();
        assert_eq!((parts.method, parts.uri.path(), parts.uri.query()), (Method::GET, "/a%2Fb", Some("q")));
        assert_eq!(parts.headers.get_all("x").iter().collect::<Vec<_>>(), ["1", "2"]);
    }

    #[test]
    fn whatever_concerns_the_connection_is_left() {
        for line in [
            "Connection: close",
            "connection: Keep-Alive, x",
            "TE: trailers",
            "Expect: 100-continue",
            "Upgrade: x",
        ] {
            assert!(taken(&format!("GET / HTTP/1.1\r\nHost: a\r\n{line}\r\n\r\n")).is_none(), "{line}");
        }
        for line in [
            "HEAD / HTTP/1.1",
            "GET / HTTP/1.0",
            "GET http://a/ HTTP/1.1",
            "OPTIONS * HTTP/1.1",
            "CONNECT a:1 HTTP/1.1",
        ] {
            assert!(taken(&format!("{line}\r\nHost: a\r\n\r\n")).is_none(), "{line}");
        }
    }
}
