use crate::{lines, upstream::Trouble};
use bytes::{Bytes, BytesMut};
use httparse::ParserConfig;
use hyper::{
    HeaderMap, StatusCode,
    header::{self, HeaderName, HeaderValue},
};

/// The head of a response without what concerns the connection only.
pub(crate) struct ResponseHead {
    pub(crate) status: StatusCode,
    pub(crate) headers: HeaderMap,
    /// `Content-Length`.
    pub(super) length: Option<u64>,
    /// `Transfer-Encoding: chunked`.
    pub(super) is_chunked: bool,
    /// The backend will close the connection.
    pub(super) closes: bool,
    /// `Upgrade`, as far as it is an answer to one.
    pub(crate) upgrade: Option<HeaderValue>,
}

/// The most header lines of a response.
const LINES_MAX: usize = 100;

/// The longest head of a response.
const BYTES_MAX: usize = 64 * 1024;

// === impl ResponseHead ===

impl ResponseHead {
    /// Takes a head from the front of `input`. `None`: it is not all there yet.
    pub(super) fn parse(input: &mut BytesMut) -> Result<Option<Self>, Trouble> {
        // httparse takes bare line feeds and empty lines before the response.
        if input.first().is_some_and(|&byte| byte != b'H') {
            return Err(Trouble::Malformed);
        }
        let Some(end) = memchr::memmem::find(input, b"\r\n\r\n") else {
            let is_partial = input.len() <= BYTES_MAX && Self::may_become_one(input);
            return if is_partial { Ok(None) } else { Err(Trouble::Malformed) };
        };
        let length = end + 4;
        if length > BYTES_MAX {
            return Err(Trouble::Malformed);
        }
        let bytes = input.split_to(length).freeze();
        let mut room = lines::room::<LINES_MAX>();
        let mut response = httparse::Response::new(&mut []);
        let parsed =
            ParserConfig::default().parse_response_with_uninit_headers(&mut response, &bytes, &mut room);
        if parsed != Ok(httparse::Status::Complete(length)) || has_bare_line_feed(&bytes) {
            return Err(Trouble::Malformed);
        }
        Self::collect(&response, &bytes).map(Some)
    }

    /// Whether a whole head may begin with `bytes`, in which no head ends.
    fn may_become_one(bytes: &[u8]) -> bool {
        let mut room = lines::room::<LINES_MAX>();
        let mut response = httparse::Response::new(&mut []);
        let parsed =
            ParserConfig::default().parse_response_with_uninit_headers(&mut response, bytes, &mut room);
        parsed == Ok(httparse::Status::Partial)
    }

    fn collect(response: &httparse::Response<'_, '_>, bytes: &Bytes) -> Result<Self, Trouble> {
        let code = response.code.and_then(|code| StatusCode::from_u16(code).ok());
        let status = code.filter(|status| status.as_u16() < 600).ok_or(Trouble::Malformed)?;
        let is_http_10 = response.version == Some(0);
        let headers = HeaderMap::with_capacity(response.headers.len());
        let (length, is_chunked, upgrade) = (None, false, None);
        let mut head = Self { status, headers, length, is_chunked, closes: is_http_10, upgrade };
        let mut named: Vec<HeaderName> = Vec::new();
        for line in response.headers.iter() {
            let (name, value) = lines::line(bytes, line).ok_or(Trouble::Malformed)?;
            head.add(name, value, is_http_10, &mut named)?;
        }
        for name in named {
            head.headers.remove(name);
        }
        if head.is_chunked && head.length.is_some() {
            return Err(Trouble::Malformed);
        }
        // Some servers state one (RFC 9110 §8.6 forbids it), and some clients wait for it.
        if head.status == StatusCode::NO_CONTENT {
            head.headers.remove(header::CONTENT_LENGTH);
        }
        Ok(head)
    }

    fn add(
        &mut self,
        name: HeaderName,
        value: HeaderValue,
        is_http_10: bool,
        named: &mut Vec<HeaderName>,
    ) -> Result<(), Trouble> {
        if name == header::CONTENT_LENGTH {
            let length = value.to_str().ok().filter(|text| text.bytes().all(|byte| byte.is_ascii_digit()));
            let length = length.and_then(|text| text.parse().ok()).ok_or(Trouble::Malformed)?;
            if self.length.replace(length).is_some() {
                return Err(Trouble::Malformed);
            }
        } else if name == header::TRANSFER_ENCODING {
            if self.is_chunked || is_http_10 || !value.as_bytes().eq_ignore_ascii_case(b"chunked") {
                return Err(Trouble::Malformed);
            }
            self.is_chunked = true;
            return Ok(());
        } else if name == header::CONNECTION {
            for token in value.as_bytes().split(|&byte| byte == b',').map(<[u8]>::trim_ascii) {
                if token.eq_ignore_ascii_case(b"close") {
                    self.closes = true;
                } else if !token.eq_ignore_ascii_case(b"keep-alive") {
                    named.extend(
                        HeaderName::from_bytes(token).ok().filter(|name| *name != header::CONTENT_LENGTH),
                    );
                }
            }
            return Ok(());
        } else if name == header::UPGRADE {
            self.upgrade = Some(value);
            return Ok(());
        } else if crate::exchange::is_hop_by_hop(&name) {
            return Ok(());
        }
        self.headers.append(name, value);
        Ok(())
    }
}

/// Every line of a head ends with CR LF.
fn has_bare_line_feed(head: &[u8]) -> bool {
    memchr::memchr_iter(b'\n', head)
        .any(|at| at.checked_sub(1).and_then(|before| head.get(before)) != Some(&b'\r'))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn parse(text: &str) -> Result<Option<ResponseHead>, Trouble> {
        ResponseHead::parse(&mut BytesMut::from(text))
    }

    #[test]
    fn headers_are_kept_and_those_of_the_connection_are_not() {
        let text = "HTTP/1.1 200 OK\r\nContent-Length: 5\r\nConnection: x-hop, close\r\nX-Hop: 1\r\nKeep-Alive: 5\r\n\
                    Set-Cookie: a=1\r\nset-cookie: b=2\r\n\r\nhello";
        let mut input = BytesMut::from(text);
        let head = ResponseHead::parse(&mut input).unwrap().unwrap();
        assert_eq!((head.status, head.length, head.closes), (StatusCode::OK, Some(5), true));
        assert_eq!(head.headers.get_all("set-cookie").iter().count(), 2);
        assert_eq!(head.headers.len(), 3, "{:?}", head.headers);
        assert_eq!(&input[..], b"hello");
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
            let outcome = |head: Result<Option<ResponseHead>, Trouble>, left: &BytesMut| {
                head.map(|head| head.map(|head| (head.status, head.length, head.is_chunked, head.headers, left.len())))
            };
            let mut whole = BytesMut::from(&bytes[..]);
            let at_once = ResponseHead::parse(&mut whole);
            let at_once = outcome(at_once, &whole);
            let mut piece = BytesMut::from(&bytes[..cut]);
            let in_pieces = match ResponseHead::parse(&mut piece) {
                Ok(None) => {
                    piece.extend_from_slice(&bytes[cut..]);
                    let head = ResponseHead::parse(&mut piece);
                    outcome(head, &piece)
                }
                Ok(Some(head)) => {
                    piece.extend_from_slice(&bytes[cut..]);
                    outcome(Ok(Some(head)), &piece)
                }
                Err(trouble) => Err(trouble),
            };
            prop_assert_eq!(in_pieces, at_once);
        }

        #[test]
        fn a_head_that_is_taken_has_one_reading(junk in "[\\r\\n :,0-9a-z+-]{0,4}", at in 0..HEAD.len()) {
            let mut text = HEAD.to_owned();
            text.insert_str(at, &junk);
            let mut input = BytesMut::from(text.as_str());
            if let Ok(Some(_)) = ResponseHead::parse(&mut input) {
                let taken = &text[..text.len() - input.len()];
                prop_assert_eq!(taken.find("\r\n\r\n").map(|at| at + 4), Some(taken.len()));
                prop_assert_eq!(taken.matches('\n').count(), taken.matches("\r\n").count());
                let named = |name: &str| taken.to_ascii_lowercase().lines().filter(|line| line.starts_with(name)).count();
                prop_assert!(named("content-length:") + named("transfer-encoding:") <= 1);
            }
        }
    }

    const HEAD: &str = "HTTP/1.1 200 OK\r\nServer: x\r\nContent-Length: 5\r\nVary: a, b\r\n\r\nhello";
}
