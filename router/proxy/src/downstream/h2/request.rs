use super::hpack::Field;
use crate::{
    downstream::gate::{self, Refusal},
    message::{Fields, Request},
};
use bytes::Bytes;
use hyper::{HeaderMap, Method, StatusCode, Version, header::HeaderValue};

/// The fields of a header block, as they come.
#[derive(Default)]
pub(super) struct Reading {
    method: Option<Method>,
    has_scheme: bool,
    authority: Option<HeaderValue>,
    path: Option<Bytes>,
    lines: Fields,
    /// As RFC 9113 §10.5.1 counts it.
    size: usize,
    is_malformed: bool,
}

/// Why a header block is no request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Unfit {
    /// Larger than the limit: the client is told so.
    TooLarge,
    /// RFC 9113 §8.1.1.
    Malformed,
}

// === impl Reading ===

impl Reading {
    pub(super) fn add(&mut self, field: &Field, size: usize) {
        self.size += size;
        if self.size > gate::HEAD_BYTES_MAX {
            return;
        }
        // What is said about the request comes before its lines, each of it once.
        let is_repeated = match field {
            Field::Method(method) => self.method.replace(method.clone()).is_some(),
            Field::Scheme => std::mem::replace(&mut self.has_scheme, true),
            Field::Authority(host) => self.authority.replace(host.clone()).is_some(),
            Field::Path(path) => self.path.replace(path.clone()).is_some(),
            Field::Line(name, value) => {
                self.is_malformed |= concerns_connection(name.as_str(), value);
                if self.lines.is_empty() {
                    self.lines = Fields::with_room();
                }
                self.lines.append(name.as_str(), value.as_bytes());
                return;
            }
            Field::Malformed => true,
        };
        self.is_malformed |= is_repeated || !self.lines.is_empty();
    }

    /// The request that the fields are the head of, and the length of its body where it is stated.
    pub(super) fn request(self) -> Result<(Request, Option<u64>), Unfit> {
        if self.size > gate::HEAD_BYTES_MAX {
            Err(Unfit::TooLarge)
        } else {
            self.read().ok_or(Unfit::Malformed)
        }
    }

    /// What came after a body; `None` when it is malformed.
    pub(super) fn trailers(self) -> Option<HeaderMap> {
        let is_plain = self.method.is_none() && !self.has_scheme && self.authority.is_none();
        let is_good = is_plain && self.path.is_none() && !self.is_malformed;
        (is_good && self.size <= gate::HEAD_BYTES_MAX).then(|| self.lines.to_map())
    }

    fn read(self) -> Option<(Request, Option<u64>)> {
        let Self { method, has_scheme, authority, path, lines: mut fields, is_malformed, .. } = self;
        let method = method.filter(|_| !is_malformed)?;
        let target = if method == Method::CONNECT {
            // It has an authority and nothing else (RFC 9113 §8.5).
            authority.as_ref().filter(|_| !has_scheme && path.is_none())?;
            Bytes::from_static(b"/")
        } else {
            path.filter(|_| has_scheme)?
        };
        if let Some(authority) = authority {
            name_host(&mut fields, authority.as_bytes());
        }
        let length = match fields.get("content-length") {
            Some(length) => Some(gate::length(length).ok()?),
            None => None,
        };
        Some((Request::new(method, &target, Version::HTTP_2, fields)?, length))
    }
}

/// The host is where HTTP/1.1 has it. Where two are named that disagree, both are kept, and [`check`] refuses them.
fn name_host(fields: &mut Fields, authority: &[u8]) {
    let mut hosts = fields.get_all("host");
    let is_same =
        hosts.next().is_none_or(|host| host.eq_ignore_ascii_case(authority)) && hosts.next().is_none();
    drop(hosts);
    if is_same {
        fields.insert("host", authority);
    } else {
        fields.append("host", authority);
    }
}

/// RFC 9113 §8.2.2.
fn concerns_connection(name: &str, value: &HeaderValue) -> bool {
    match name {
        "connection" | "keep-alive" | "proxy-connection" | "transfer-encoding" | "upgrade" => true,
        "te" => value != "trailers",
        _ => false,
    }
}

/// What HTTP/2 allows and a backend could read differently (RFC 9113 §8.3).
pub(in crate::downstream) fn check(request: &Request) -> Result<(), Refusal> {
    if request.method == Method::CONNECT {
        return Err(Refusal {
            status: StatusCode::METHOD_NOT_ALLOWED,
            why: "CONNECT is not for this server; a WebSocket needs HTTP/1.1 here",
        });
    }
    let mut hosts = request.fields.get_all("host");
    if !hosts.next().is_some_and(gate::is_authority) || hosts.next().is_some() {
        return Err(Refusal::bad("exactly one valid :authority or Host is needed, and they must agree"));
    }
    if request.target() == "*" && request.method != Method::OPTIONS {
        return Err(Refusal::bad(":path must begin with '/'"));
    }
    if request.target().len() > gate::TARGET_BYTES_MAX {
        return Err(Refusal {
            status: StatusCode::URI_TOO_LONG,
            why: "the target of the request is too long",
        });
    }
    gate::check_path(request.target().as_bytes())?;
    check_fields(&request.fields)
}

fn check_fields(fields: &Fields) -> Result<(), Refusal> {
    if fields.get_all("content-length").nth(1).is_some() {
        return Err(Refusal::bad("Content-Length must be one number"));
    }
    let mut lines = 0;
    for (name, value) in fields.iter() {
        match name {
            // Browsers send a line for each cookie; the backend gets one.
            b"cookie" => {}
            b"content_length" | b"transfer_encoding" => return Err(gate::MALFORMED_LINE),
            b"expect" if !value.eq_ignore_ascii_case(b"100-continue") => {
                return Err(gate::EXPECTATION);
            }
            _ => lines += 1,
        }
        // RFC 9113 §8.2.1; NUL, CR and LF are no part of a value anyway.
        if value.trim_ascii().len() != value.len() {
            return Err(Refusal::bad("a field value begins or ends with white space"));
        }
    }
    // The host is named apart from the lines.
    if lines > gate::LINES_MAX {
        return Err(Refusal {
            status: StatusCode::REQUEST_HEADER_FIELDS_TOO_LARGE,
            why: "the head of the request is too large",
        });
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::{
        super::hpack::{Decoder, put},
        *,
    };

    /// `GET / HTTP/1.1` with these lines, of which `:authority` is one.
    fn request(lines: &[(&'static str, &str)]) -> Result<(Request, Option<u64>), Unfit> {
        let mut block = vec![0x82, 0x86, 0x84];
        for (name, value) in lines {
            if *name == ":authority" {
                block.extend([0x01, u8::try_from(value.len()).unwrap()]);
                block.extend(value.as_bytes());
            } else {
                put(&mut block, name.as_bytes(), value.as_bytes());
            }
        }
        let mut read = Reading::default();
        Decoder::new(0).decode(&block, |field, size| read.add(field, size)).unwrap();
        read.request()
    }

    #[test]
    fn the_host_is_where_http_1_has_it() {
        let (read, length) = request(&[(":authority", "a:80"), ("x", "1"), ("x", "2")]).unwrap();
        assert_eq!((read.method.as_str(), read.path(), length), ("GET", "/", None));
        assert_eq!(read.fields.get_str("host"), Some("a:80"));
        assert_eq!(read.fields.get_all("x").count(), 2);
        assert!(check(&read).is_ok());
        let (read, length) = request(&[("host", "a"), ("content-length", "5")]).unwrap();
        assert_eq!((check(&read).is_ok(), length), (true, Some(5)));
    }

    #[test]
    fn hosts_that_disagree_go_nowhere() {
        for lines in [
            &[(":authority", "a"), ("host", "b")][..],
            &[(":authority", "a"), ("host", "a"), ("host", "a")],
            &[],
        ] {
            let (read, _) = request(lines).unwrap();
            assert!(check(&read).is_err(), "{lines:?}");
        }
        let (read, _) = request(&[(":authority", "a"), ("host", "A")]).unwrap();
        assert!(check(&read).is_ok());
    }

    #[test]
    fn what_concerns_a_connection_or_is_too_large_is_no_request() {
        for line in [("connection", "close"), ("te", "gzip"), ("upgrade", "h2c"), ("content-length", "+1")] {
            assert_eq!(request(&[(":authority", "a"), line]).err(), Some(Unfit::Malformed), "{line:?}");
        }
        let long = "y".repeat(gate::HEAD_BYTES_MAX);
        assert_eq!(request(&[(":authority", "a"), ("x", &long)]).err(), Some(Unfit::TooLarge));
        assert!(request(&[(":authority", "a"), ("te", "trailers")]).is_ok());
    }
}
