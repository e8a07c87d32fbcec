use super::{
    Refusal,
    target::{self, is_authority},
};
use crate::{
    lines::{self, Malformed, is_token},
    message::{Outline, Place},
};
use hyper::StatusCode;

/// What the bytes at the beginning of a message are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Head {
    /// Not all there yet.
    Incomplete,
    /// An empty line before the request, which RFC 9112 §2.2 asks to ignore.
    EmptyLine(usize),
    /// A head that every party reads alike.
    Complete { length: usize, framing: Framing, wants_upgrade: bool },
}

/// How the end of the body is told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Framing {
    None,
    Length(u64),
    Chunked,
}

/// What the lines of a head add up to.
#[derive(Default)]
struct Fields<'a> {
    host: Option<&'a [u8]>,
    length: Option<u64>,
    is_chunked: bool,
    connection_upgrade: bool,
    upgrade: bool,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Version {
    Http10,
    Http11,
}

/// The longest head: more than browsers with many cookies send.
pub(crate) const HEAD_BYTES_MAX: usize = 32 * 1024;

/// The longest target, as RFC 9110 §4.1 recommends at least.
pub(crate) const TARGET_BYTES_MAX: usize = 8 * 1024;

/// The most header lines.
pub(crate) const LINES_MAX: usize = 100;

pub(crate) const MALFORMED_LINE: Refusal = Refusal::bad("a header line is malformed");
pub(crate) const EXPECTATION: Refusal =
    Refusal { status: StatusCode::EXPECTATION_FAILED, why: "only 100-continue can be expected" };
const REPEATED_FRAMING: Refusal = Refusal::bad("the length of the body is stated twice");
const HOST: Refusal = Refusal::bad("exactly one valid Host header is needed");

/// Checks the head that `bytes` begin with, and notes where its parts are.
pub(super) fn check(bytes: &[u8], outline: &mut Outline) -> Result<Head, Refusal> {
    outline.clear();
    if let Some(empty) = bytes.strip_prefix(b"\r\n") {
        // One is a habit of old clients; more are noise.
        return if empty.starts_with(b"\r") { Err(MALFORMED_LINE) } else { Ok(Head::EmptyLine(2)) };
    }
    let Some((line, mut at)) = lines::line_at(bytes, 0)? else { return incomplete(bytes) };
    let (method, target, version) = request_line(line)?;
    outline.is_http11 = version == Version::Http11;
    outline.method = Place::of(0, method);
    outline.target = Place::of(method.len() + 1, target);
    let mut fields = Fields::default();
    for _ in 0..=LINES_MAX {
        let Some((line, next)) = lines::line_at(bytes, at)? else { return incomplete(bytes) };
        if next > HEAD_BYTES_MAX {
            return Err(too_large());
        }
        if line.is_empty() {
            return complete(next, (method, target, version), &fields);
        }
        let [(name, name_at), (value, value_at)] = lines::field(line, at)?;
        fields.note(name, value, version)?;
        outline.add(name_at, value_at);
        at = next;
    }
    Err(too_large())
}

fn incomplete(bytes: &[u8]) -> Result<Head, Refusal> {
    if bytes.len() > HEAD_BYTES_MAX { Err(too_large()) } else { Ok(Head::Incomplete) }
}

const fn too_large() -> Refusal {
    Refusal {
        status: StatusCode::REQUEST_HEADER_FIELDS_TOO_LARGE,
        why: "the head of the request is too large",
    }
}

fn request_line(line: &[u8]) -> Result<(&[u8], &[u8], Version), Refusal> {
    const MALFORMED: Refusal = Refusal::bad("the request line is malformed");
    let method_end = memchr::memchr(b' ', line).ok_or(MALFORMED)?;
    let (method, rest) = line.split_at(method_end);
    let target_end = memchr::memrchr(b' ', rest).filter(|&end| end > 0).ok_or(MALFORMED)?;
    let (target, version) = rest.split_at(target_end);
    let target = target.get(1..).unwrap_or_default();
    let version = match version {
        b" HTTP/1.1" => Version::Http11,
        b" HTTP/1.0" => Version::Http10,
        _ if version.starts_with(b" HTTP/") => {
            return Err(Refusal {
                status: StatusCode::HTTP_VERSION_NOT_SUPPORTED,
                why: "only HTTP/1.0, HTTP/1.1 and HTTP/2 are spoken here",
            });
        }
        _ => return Err(MALFORMED),
    };
    if method.is_empty() || method.len() > 32 || !method.iter().all(|&byte| is_token(byte)) {
        return Err(MALFORMED);
    }
    if target.len() > TARGET_BYTES_MAX {
        return Err(Refusal {
            status: StatusCode::URI_TOO_LONG,
            why: "the target of the request is too long",
        });
    }
    target::check_characters(target)?;
    Ok((method, target, version))
}

// === impl Fields ===

impl<'a> Fields<'a> {
    fn note(&mut self, name: &[u8], value: &'a [u8], version: Version) -> Result<(), Refusal> {
        let is = |expected: &[u8]| name.eq_ignore_ascii_case(expected);
        match name.len() {
            4 if is(b"host") && self.host.replace(value).is_some() => return Err(HOST),
            6 if is(b"expect") && !value.eq_ignore_ascii_case(b"100-continue") => return Err(EXPECTATION),
            7 if is(b"upgrade") => self.upgrade = true,
            10 if is(b"connection") => {
                self.connection_upgrade |=
                    lines::tokens(value).any(|token| token.eq_ignore_ascii_case(b"upgrade"));
            }
            14 if is(b"content-length") => {
                if self.length.is_some() || self.is_chunked {
                    return Err(REPEATED_FRAMING);
                }
                self.length = Some(length(value)?);
            }
            17 if is(b"transfer-encoding") => {
                if self.length.is_some() || self.is_chunked {
                    return Err(REPEATED_FRAMING);
                }
                if version == Version::Http10 {
                    return Err(Refusal::bad("HTTP/1.0 has no transfer codings"));
                }
                self.is_chunked = chunked(value)?;
            }
            // Backends that see headers as variables (CGI, WSGI) take '_' for '-'.
            14 if is(b"content_length") => return Err(MALFORMED_LINE),
            17 if is(b"transfer_encoding") => return Err(MALFORMED_LINE),
            _ => {}
        }
        Ok(())
    }
}

impl From<Malformed> for Refusal {
    fn from(malformed: Malformed) -> Self {
        match malformed {
            Malformed::End => Self::bad("lines must end with CR LF"),
            Malformed::Field => MALFORMED_LINE,
        }
    }
}

/// The one number that `Content-Length` may be.
pub(crate) fn length(value: &[u8]) -> Result<u64, Refusal> {
    let digits =
        std::str::from_utf8(value).ok().filter(|text| text.bytes().all(|byte| byte.is_ascii_digit()));
    // The greatest lengths mean "unknown" to some parsers; nobody sends an exabyte.
    let length = digits.and_then(|text| text.parse().ok()).filter(|&length: &u64| length < 1 << 60);
    length.ok_or(Refusal::bad("Content-Length must be one number"))
}

/// The value of `Transfer-Encoding`: `chunked` once and at the end, and nothing that other readers leave out.
fn chunked(value: &[u8]) -> Result<bool, Refusal> {
    let is_chunked = |coding: &[u8]| coding.eq_ignore_ascii_case(b"chunked");
    if is_chunked(value) {
        return Ok(true);
    }
    let codings = lines::tokens(value);
    let is_clear = codings.clone().all(|coding| !coding.is_empty())
        && codings.clone().filter(|coding| is_chunked(coding)).count() == 1
        && codings.last().is_some_and(is_chunked);
    Err(if is_clear {
        Refusal { status: StatusCode::NOT_IMPLEMENTED, why: "no transfer coding but chunked is known here" }
    } else {
        Refusal::bad("the last transfer coding must be chunked, and no other one")
    })
}

fn complete(
    length: usize,
    (method, target, version): (&[u8], &[u8], Version),
    fields: &Fields<'_>,
) -> Result<Head, Refusal> {
    if method == b"CONNECT" || method == super::REFUSED_METHOD.as_bytes() {
        return Err(Refusal {
            status: StatusCode::METHOD_NOT_ALLOWED,
            why: "this method is not for this server",
        });
    }
    match fields.host {
        Some(host) if is_authority(host) => target::check_form(method, target, Some(host))?,
        None if version == Version::Http10 => target::check_form(method, target, None)?,
        _ => return Err(HOST),
    }
    let framing = match fields.length {
        _ if fields.is_chunked => Framing::Chunked,
        Some(0) | None => Framing::None,
        Some(length) => Framing::Length(length),
    };
    let wants_upgrade = fields.upgrade && fields.connection_upgrade && version == Version::Http11;
    if wants_upgrade && framing != Framing::None {
        return Err(Refusal::bad("an upgrade can't have a body"));
    }
    if method == b"TRACE" && framing != Framing::None {
        return Err(Refusal::bad("TRACE can't have a body"));
    }
    Ok(Head::Complete { length, framing, wants_upgrade })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn framing(head: &str) -> Result<Framing, Refusal> {
        match check(head.as_bytes(), &mut Outline::default())? {
            Head::Complete { length, framing, .. } if length == head.len() => Ok(framing),
            other => panic!("{head:?}: {other:?}"),
        }
    }

    fn with(line: &str) -> String {
        format!("POST / HTTP/1.1\r\nHost: a\r\n{line}\r\n\r\n")
    }

    #[test]
    fn good_heads_are_complete_and_framed() {
        assert_eq!(framing("GET / HTTP/1.1\r\nHost: a\r\n\r\n"), Ok(Framing::None));
        assert_eq!(framing("GET / HTTP/1.0\r\n\r\n"), Ok(Framing::None));
        assert_eq!(framing("OPTIONS * HTTP/1.1\r\nHost: [::1]:80\r\n\r\n"), Ok(Framing::None));
        assert_eq!(framing("GET http://A:80/x?y HTTP/1.1\r\nhost: a:80\r\n\r\n"), Ok(Framing::None));
        assert_eq!(framing(&with("Content-Length: 5")), Ok(Framing::Length(5)));
        assert_eq!(framing(&with("Content-Length: 0")), Ok(Framing::None));
        assert_eq!(framing(&with("transfer-encoding:\tChunked ")), Ok(Framing::Chunked));
        assert_eq!(framing(&with("X: \u{e4}\t\"quoted\"")), Ok(Framing::None));
        let check = |bytes| check(bytes, &mut Outline::default());
        assert_eq!(check(b"GET / HTTP/1.1\r\nHost"), Ok(Head::Incomplete));
        assert_eq!(check(b"\r\nGET / "), Ok(Head::EmptyLine(2)));
    }

    #[test]
    fn limits_are_limits() {
        let too_large = StatusCode::REQUEST_HEADER_FIELDS_TOO_LARGE;
        assert_eq!(
            check(&[b'a'; HEAD_BYTES_MAX + 1], &mut Outline::default()).unwrap_err().status,
            too_large
        );
        assert_eq!(
            framing(&with(&format!("X: {}", "y".repeat(HEAD_BYTES_MAX)))).unwrap_err().status,
            too_large
        );
        assert_eq!(framing(&with(&"X: y\r\n".repeat(LINES_MAX))).unwrap_err().status, too_large);
        let long = format!("GET /{} HTTP/1.1\r\nHost: a\r\n\r\n", "x".repeat(TARGET_BYTES_MAX));
        assert_eq!(framing(&long).unwrap_err().status, StatusCode::URI_TOO_LONG);
    }
}
