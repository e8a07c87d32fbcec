use crate::message::{Outline, Request};

/// The request whose head this is, as the gate has passed it. `None`: it is not simple.
pub(super) fn simple(head: &[u8], outline: &mut Outline) -> Option<Request> {
    let is_simple = outline.is_http11
        && !matches!(outline.method.in_bytes(head), b"HEAD" | b"CONNECT")
        && !outline
            .lines
            .iter()
            .any(|(name, value)| concerns_connection(name.in_bytes(head), value.in_bytes(head)));
    if is_simple { Request::of_head(head, outline) } else { None }
}

/// What changes how the answer is sent, or what follows it.
fn concerns_connection(name: &[u8], value: &[u8]) -> bool {
    match name.len() {
        2 => name.eq_ignore_ascii_case(b"te"),
        6 => name.eq_ignore_ascii_case(b"expect"),
        7 => name.eq_ignore_ascii_case(b"upgrade"),
        10 => name.eq_ignore_ascii_case(b"connection") && !value.eq_ignore_ascii_case(b"keep-alive"),
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::downstream::gate::{Gate, Verdict};
    use hyper::Method;

    fn taken(head: &str) -> Option<Request> {
        let mut gate = Gate::new();
        let is_passed = matches!(gate.admit(head.as_bytes(), usize::MAX), Verdict::Pass(_));
        simple(head.as_bytes(), &mut gate.outline).filter(|_| is_passed)
    }

    #[test]
    fn a_simple_request_is_taken_as_it_is() {
        let request =
            taken("GET /a%2Fb?q HTTP/1.1\r\nHost: a\r\nConnection: keep-alive\r\nX: 1\r\nx: 2\r\n\r\n")
                .unwrap();
        assert_eq!((&request.method, request.path(), request.query()), (&Method::GET, "/a%2Fb", Some("q")));
        assert_eq!(request.fields.get_all("x").collect::<Vec<_>>(), [b"1", b"2"]);
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
