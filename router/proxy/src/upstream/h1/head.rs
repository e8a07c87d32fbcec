use crate::{
    downstream::gate,
    exchange::is_hop_by_hop,
    lines::{self, Malformed},
    message::{Fields, Outline},
    upstream::Trouble,
};
use hyper::StatusCode;

/// The head of a response without what concerns the connection only.
pub(crate) struct ResponseHead {
    pub(crate) status: StatusCode,
    pub(crate) fields: Fields,
    /// `Content-Length`.
    pub(super) length: Option<u64>,
    /// `Transfer-Encoding: chunked`.
    pub(super) is_chunked: bool,
    /// The backend will close the connection.
    pub(super) closes: bool,
    /// `Upgrade`, as far as it is an answer to one.
    pub(crate) upgrade: Option<Box<[u8]>>,
    /// What `Connection` names, in lower case.
    pub(super) named: Vec<String>,
}

/// What the lines of a head add up to.
struct Lines<'a> {
    is_http_10: bool,
    /// Those that are passed on.
    outline: Outline,
    length: Option<u64>,
    is_chunked: bool,
    closes: bool,
    upgrade: Option<&'a [u8]>,
    /// What `Connection` names.
    named: Vec<String>,
}

/// The most header lines of a response.
const LINES_MAX: usize = 100;

/// The longest head of a response.
const BYTES_MAX: usize = 64 * 1024;

// === impl ResponseHead ===

impl ResponseHead {
    /// The head that `input` begins with, and how long it is. `None`: it is not all there yet.
    pub(super) fn parse(input: &[u8]) -> Result<Option<(Self, usize)>, Trouble> {
        let Some((line, mut at)) = lines::line_at(input, 0)? else {
            return if may_begin(input) { partial(input) } else { Err(Trouble::Malformed) };
        };
        let (status, is_http_10) = status_line(line).ok_or(Trouble::Malformed)?;
        let mut lines = Lines::new(is_http_10);
        for _ in 0..=LINES_MAX {
            let Some((line, next)) = lines::line_at(input, at)? else { return partial(input) };
            if next > BYTES_MAX {
                break;
            }
            if line.is_empty() {
                let head = lines.head(status, input.get(..next).unwrap_or_default())?;
                return Ok(Some((head, next)));
            }
            lines.add(line, at)?;
            at = next;
        }
        Err(Trouble::Malformed)
    }
}

/// More may come, as long as there is not too much already.
const fn partial(input: &[u8]) -> Result<Option<(ResponseHead, usize)>, Trouble> {
    if input.len() <= BYTES_MAX { Ok(None) } else { Err(Trouble::Malformed) }
}

/// Whether a status line may begin with these bytes.
fn may_begin(input: &[u8]) -> bool {
    let begin = b"HTTP/1.";
    let common = input.len().min(begin.len());
    input.get(..common) == begin.get(..common)
}

/// RFC 9112 §4, without statuses that nobody knows how to read. Whether it is of HTTP/1.0.
fn status_line(line: &[u8]) -> Option<(StatusCode, bool)> {
    let (version, rest) = line.split_at_checked(9)?;
    let is_http_10 = match version {
        b"HTTP/1.1 " => false,
        b"HTTP/1.0 " => true,
        _ => return None,
    };
    let (code, reason) = rest.split_at_checked(3)?;
    let status = StatusCode::from_bytes(code).ok().filter(|status| status.as_u16() < 600)?;
    let is_reason = reason.first().is_none_or(|&byte| byte == b' ')
        && reason.iter().all(|&byte| byte == b'\t' || (byte >= b' ' && byte != 0x7F));
    is_reason.then_some((status, is_http_10))
}

impl From<Malformed> for Trouble {
    fn from(_: Malformed) -> Self {
        Self::Malformed
    }
}

// === impl Lines ===

impl<'a> Lines<'a> {
    fn new(is_http_10: bool) -> Self {
        let (outline, named) = (Outline::default(), Vec::new());
        Self {
            is_http_10,
            outline,
            length: None,
            is_chunked: false,
            closes: is_http_10,
            upgrade: None,
            named,
        }
    }

    fn add(&mut self, line: &'a [u8], at: usize) -> Result<(), Trouble> {
        let [(name, name_at), (value, value_at)] = lines::field(line, at)?;
        let is = |expected: &[u8]| name.eq_ignore_ascii_case(expected);
        match name.len() {
            7 if is(b"upgrade") => {
                self.upgrade = Some(value);
                return Ok(());
            }
            10 if is(b"connection") => {
                self.note_connection(value);
                return Ok(());
            }
            14 if is(b"content-length") => self.note_length(value)?,
            17 if is(b"transfer-encoding") => {
                if self.is_chunked || self.is_http_10 || !value.eq_ignore_ascii_case(b"chunked") {
                    return Err(Trouble::Malformed);
                }
                self.is_chunked = true;
                return Ok(());
            }
            _ if is_hop_by_hop(name) => return Ok(()),
            _ => {}
        }
        self.outline.add(name_at, value_at);
        Ok(())
    }

    fn note_length(&mut self, value: &[u8]) -> Result<(), Trouble> {
        let length = gate::length(value).map_err(|_| Trouble::Malformed)?;
        if self.length.replace(length).is_some() { Err(Trouble::Malformed) } else { Ok(()) }
    }

    fn note_connection(&mut self, value: &[u8]) {
        for token in lines::tokens(value) {
            if token.eq_ignore_ascii_case(b"close") {
                self.closes = true;
            } else if ![&b"keep-alive"[..], b"content-length"]
                .iter()
                .any(|kept| token.eq_ignore_ascii_case(kept))
            {
                self.named.push(String::from_utf8_lossy(token).to_ascii_lowercase());
            }
        }
    }

    fn head(mut self, status: StatusCode, head: &[u8]) -> Result<ResponseHead, Trouble> {
        // Nothing but another head follows an interim one (RFC 9112 §6.3).
        let promises_body = self.is_chunked || self.length.is_some_and(|length| length > 0);
        let is_contradiction = status.is_informational() && promises_body;
        if is_contradiction || self.is_chunked && self.length.is_some() {
            return Err(Trouble::Malformed);
        }
        let mut fields = Fields::of_head(head, &mut self.outline);
        for name in &self.named {
            fields.remove(name);
        }
        // Some servers state one (RFC 9110 §8.6 forbids it), and some clients wait for it.
        if status == StatusCode::NO_CONTENT || status.is_informational() {
            fields.remove("content-length");
        }
        let upgrade = self.upgrade.map(Box::from);
        let Self { length, is_chunked, closes, named, .. } = self;
        Ok(ResponseHead { status, fields, length, is_chunked, closes, upgrade, named })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn parse(text: &str) -> Result<Option<(ResponseHead, usize)>, Trouble> {
        ResponseHead::parse(text.as_bytes())
    }

    #[test]
    fn headers_are_kept_and_those_of_the_connection_are_not() {
        let text = "HTTP/1.1 200 OK\r\nContent-Length: 5\r\nConnection: x-hop, close\r\nX-Hop: 1\r\nKeep-Alive: 5\r\n\
                    Set-Cookie: a=1\r\nset-cookie: b=2\r\n\r\nhello";
        let (head, length) = parse(text).unwrap().unwrap();
        assert_eq!((head.status, head.length, head.closes), (StatusCode::OK, Some(5), true));
        assert_eq!(head.fields.get_all("set-cookie").count(), 2);
        assert_eq!(head.fields.len(), 3, "{:?}", head.fields);
        assert_eq!(&text[length..], "hello");
    }

    #[test]
    fn what_can_be_read_in_two_ways_is_malformed() {
        for lines in [
            "Content-Length: 5\r\nContent-Length: 5",
            "Content-Length: 5\r\nTransfer-Encoding: chunked",
            "Transfer-Encoding: chunked\r\nContent-Length: 5",
            "Content-Length: +5",
            "Content-Length: 5, 5",
            "Content-Length: -1",
            "Content-Length: 1152921504606846976",
            "Content-Length:",
            "Transfer-Encoding: gzip, chunked",
            "Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked",
            "Transfer-Encoding: identity",
            "X : y",
            "X: y\r\n folded",
            "X: y\nY: z",
            "X: \0",
            "X",
        ] {
            assert!(parse(&format!("HTTP/1.1 200 OK\r\n{lines}\r\n\r\n")).is_err(), "{lines:?}");
        }
        for text in [
            "HTTP/1.1 600 X\r\n\r\n",
            "HTTP/1.1 99 X\r\n\r\n",
            "HTTP/1.1 100 X\r\nContent-Length: 1\r\n\r\n",
            "HTTP/1.1 101 X\r\nTransfer-Encoding: chunked\r\n\r\n",
            "HTTP/2 200\r\n\r\n",
            "\r\nHTTP/1.1 200 OK\r\n\r\n",
            "SSH-2.0",
        ] {
            assert!(parse(text).is_err(), "{text:?}");
        }
        assert!(parse("HTTP/1.0 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n").is_err());
    }

    #[test]
    fn a_head_has_limits() {
        assert!(matches!(parse("HTTP/1.1 200 OK\r\nX: "), Ok(None)));
        assert!(parse(&format!("HTTP/1.1 200 OK\r\nX: {}", "y".repeat(BYTES_MAX))).is_err());
        assert!(parse(&format!("HTTP/1.1 200 OK\r\n{}\r\n", "X: y\r\n".repeat(LINES_MAX + 1))).is_err());
    }

    proptest! {
        #[test]
        fn any_bytes_are_read_alike_however_they_are_cut(
            junk in proptest::collection::vec(any::<u8>(), 0..6),
            at in 0..HEAD.len(),
            cut in 0..HEAD.len(),
        ) {
            let mut bytes = HEAD.as_bytes().to_vec();
            bytes.splice(at..at, junk);
            let outcome = |head: Result<Option<(ResponseHead, usize)>, Trouble>| {
                head.map(|head| head.map(|(head, length)| {
                    (head.status, head.length, head.is_chunked, format!("{:?}", head.fields), length)
                }))
            };
            let at_once = outcome(ResponseHead::parse(&bytes));
            let in_pieces = match ResponseHead::parse(&bytes[..cut]) {
                Ok(None) => outcome(ResponseHead::parse(&bytes)),
                early => outcome(early),
            };
            prop_assert_eq!(in_pieces, at_once);
        }

        #[test]
        fn httparse_reads_it_alike(junk in "[\\PC\\r\\n :\t]{0,4}", at in 0..HEAD.len()) {
            let mut text = HEAD.to_owned();
            text.insert_str(at, &junk);
            let Ok(Some((head, length))) = parse(&text) else { return Ok(()) };
            let mut lines = [httparse::EMPTY_HEADER; LINES_MAX];
            let mut response = httparse::Response::new(&mut lines);
            prop_assert_eq!(response.parse(text.as_bytes()), Ok(httparse::Status::Complete(length)));
            prop_assert_eq!(response.code, Some(head.status.as_u16()));
            let theirs = response.headers.iter().filter(|line| !is_hop_by_hop(line.name.as_bytes()));
            let theirs: Vec<_> = theirs.map(|line| (line.name.to_ascii_lowercase().into_bytes(), line.value.trim_ascii().to_vec())).collect();
            let ours: Vec<_> = head.fields.iter().map(|(name, value)| (name.to_vec(), value.to_vec())).collect();
            prop_assert_eq!(ours, theirs);
        }

        #[test]
        fn a_head_that_is_taken_has_one_reading(junk in "[\\r\\n :,0-9a-z+-]{0,4}", at in 0..HEAD.len()) {
            let mut text = HEAD.to_owned();
            text.insert_str(at, &junk);
            if let Ok(Some((_, length))) = parse(&text) {
                let taken = &text[..length];
                prop_assert_eq!(taken.find("\r\n\r\n").map(|at| at + 4), Some(taken.len()));
                prop_assert_eq!(taken.matches('\n').count(), taken.matches("\r\n").count());
                let named = |name: &str| taken.to_ascii_lowercase().lines().filter(|line| line.starts_with(name)).count();
                prop_assert!(named("content-length:") + named("transfer-encoding:") <= 1);
            }
        }
    }

    const HEAD: &str = "HTTP/1.1 200 OK\r\nServer: x\r\nContent-Length: 5\r\nVary: a, b\r\n\r\nhello";
}
