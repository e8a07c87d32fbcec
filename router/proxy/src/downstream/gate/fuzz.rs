//! The gate beside other readers: whatever it lets through, httparse and a reader that knows nothing but lines
//! understand alike. Cases that once failed are kept in `proptest-regressions`.

use super::{
    chunked::Chunked,
    head::{self, Framing, Head},
};
use crate::message::{Outline, Request};
use proptest::{prelude::*, sample::select};

const HEADS: [&str; 8] = [
    "GET / HTTP/1.1\r\nHost: a\r\nX: y\r\n\r\n",
    "POST /x?y HTTP/1.1\r\nHost: a:80\r\nContent-Length: 5\r\n\r\nhello",
    "POST http://a/ HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
    "GET / HTTP/1.0\r\nConnection: keep-alive\r\nAccept: */*\r\n\r\n",
    "GET http://a?x HTTP/1.1\r\nHost: a\r\n\r\n",
    "GET http://[::1]:80/x HTTP/1.0\r\n\r\n",
    "OPTIONS * HTTP/1.1\r\nHost: a\r\n\r\n",
    "GET /a/b.c/%2e.x?y=../z HTTP/1.1\r\nHost: a\r\n\r\n",
];

const BODIES: [&str; 3] = [
    "5\r\nhello\r\n0\r\n\r\n",
    "A;x=\"y z\"\r\n0123456789\r\n000\r\nX-A: 1\r\nB:\r\n\r\n",
    "1\r\na\r\n1;x\r\nb\r\n0;y\r\n\r\nGET / HTTP/1.1\r\n",
];

/// What attackers put where it does not belong.
const PIECES: [&str; 36] = [
    "\r",
    "\n",
    "\r\n",
    "\0",
    " ",
    "\t",
    "\x0b",
    "\x7f",
    ":",
    ";",
    ",",
    "\"",
    "#",
    "5",
    "0",
    "+",
    "-",
    "_",
    "\u{e4}",
    "x",
    "\r\n ",
    "\r\n\r\n",
    "Host: b\r\n",
    "Content-Length: 6\r\n",
    "Transfer-Encoding: chunked\r\n",
    "Transfer-Encoding: x\r\n",
    "chunked",
    "0\r\n\r\n",
    "/",
    "?",
    ".",
    "..",
    "%2e",
    "\\",
    "http://",
    "*",
];

/// A text with up to three pieces put in or over it.
fn spoiled(texts: &'static [&'static str]) -> impl Strategy<Value = Vec<u8>> {
    let spoilings =
        proptest::collection::vec((any::<prop::sample::Index>(), 0..3_usize, select(&PIECES[..])), 0..4);
    (select(texts), spoilings).prop_map(|(text, spoilings)| {
        let mut bytes = text.as_bytes().to_vec();
        for (at, removed, piece) in spoilings {
            let at = at.index(bytes.len() + 1);
            let end = (at + removed).min(bytes.len());
            bytes.splice(at..end, piece.bytes());
        }
        bytes
    })
}

/// The request as hyper makes it of a head, if it does.
fn by_hyper(head: &[u8], outline: &Outline) -> Option<Request> {
    let version = if outline.is_http11 { hyper::Version::HTTP_11 } else { hyper::Version::HTTP_10 };
    let request = hyper::Request::builder()
        .method(outline.method.in_bytes(head))
        .uri(outline.target.in_bytes(head))
        .version(version);
    let lines = outline.lines.iter();
    let request = lines
        .fold(request, |request, (name, value)| request.header(name.in_bytes(head), value.in_bytes(head)));
    Some(request.body(()).ok()?.into_parts().0.into())
}

/// The head of a request in its simplest form.
pub(in super::super) fn plain_head(request: &Request) -> Vec<u8> {
    let mut head = format!("{} {} HTTP/1.1\r\n", request.method, request.target()).into_bytes();
    for (name, value) in request.fields.iter() {
        head.extend([name, b": ", value, b"\r\n"].concat());
    }
    head.extend(b"\r\n");
    head
}

/// The values of a field, read line by line.
fn values(head: &str, name: &str) -> Vec<String> {
    let lines = head.split("\r\n").skip(1).filter_map(|line| line.split_once(':'));
    let of_name = lines.filter(|(found, _)| found.eq_ignore_ascii_case(name));
    of_name.map(|(_, value)| value.trim_matches([' ', '\t']).to_ascii_lowercase()).collect()
}

/// Where a chunked body ends as httparse reads its lines.
fn end_by_httparse(bytes: &[u8]) -> Option<usize> {
    let mut at = 0;
    loop {
        let Ok(httparse::Status::Complete((line, size))) = httparse::parse_chunk_size(&bytes[at..]) else {
            return None;
        };
        at += line;
        if size == 0 {
            let mut trailers = [httparse::EMPTY_HEADER; 64];
            return match httparse::parse_headers(&bytes[at..], &mut trailers) {
                Ok(httparse::Status::Complete((length, _))) => Some(at + length),
                _ => None,
            };
        }
        at += usize::try_from(size).ok()?;
        if bytes.get(at..at + 2)? != b"\r\n" {
            return None;
        }
        at += 2;
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2_000))]

    #[test]
    fn a_head_that_passes_is_read_alike_by_others(bytes in spoiled(&HEADS)) {
        let mut outline = Outline::default();
        let Ok(Head::Complete { length, framing, .. }) = head::check(&bytes, &mut outline) else { return Ok(()) };
        let mut lines = [httparse::EMPTY_HEADER; head::LINES_MAX];
        let mut request = httparse::Request::new(&mut lines);
        prop_assert_eq!(request.parse(&bytes), Ok(httparse::Status::Complete(length)));
        let count = request.headers.len();
        let ours = outline.lines.iter().map(|(name, value)| (name.in_bytes(&bytes), value.in_bytes(&bytes)));
        let theirs = request.headers.iter().map(|line| (line.name.as_bytes(), line.value.trim_ascii()));
        prop_assert_eq!(ours.collect::<Vec<_>>(), theirs.collect::<Vec<_>>());
        prop_assert_eq!(Some(outline.method.in_bytes(&bytes)), request.method.map(str::as_bytes));
        prop_assert_eq!(Some(outline.target.in_bytes(&bytes)), request.path.map(str::as_bytes));

        let text = String::from_utf8_lossy(&bytes[..length]).into_owned();
        let end = memchr::memmem::find(&bytes[..length], b"\r\n\r\n").map(|at| at + 4);
        prop_assert_eq!(end, Some(length), "the first empty line is the end");
        prop_assert_eq!(text.matches('\n').count(), count + 2, "lines end with CR LF and nothing else");
        prop_assert_eq!(text.matches('\r').count(), count + 2);
        prop_assert!(values(&text, "host").len() <= 1);
        let (lengths, codings) = (values(&text, "content-length"), values(&text, "transfer-encoding"));
        let expected = match (lengths.as_slice(), codings.as_slice()) {
            ([], []) => Some(Framing::None),
            ([length], []) if length.parse() == Ok(0_u64) => Some(Framing::None),
            ([length], []) => length.parse().ok().map(Framing::Length),
            ([], [coding]) if coding == "chunked" => Some(Framing::Chunked),
            _ => None,
        };
        prop_assert_eq!(Some(framing), expected);
    }

    #[test]
    fn a_request_that_passes_means_the_same_to_the_next_reader(bytes in spoiled(&HEADS)) {
        let mut outline = Outline::default();
        let Ok(Head::Complete { length, framing, wants_upgrade }) = head::check(&bytes, &mut outline) else {
            return Ok(());
        };
        let head = &bytes[..length];
        let Some(request) = by_hyper(head, &outline) else { return Ok(()) };
        let target = outline.target.in_bytes(head);
        let is_path = target.starts_with(b"/") || target == b"*";
        let absolute = format!("http://{}{}", request.fields.get_str("host").unwrap_or_default(), request.target());
        let is_same = if is_path {
            request.target().as_bytes() == target
        } else {
            let target = String::from_utf8_lossy(target).to_ascii_lowercase().replacen("https:", "http:", 1);
            // Of an empty path nothing but the slash is new.
            [absolute.to_ascii_lowercase(), absolute.to_ascii_lowercase().replacen("/?", "?", 1)].contains(&target)
                || format!("{target}/") == absolute.to_ascii_lowercase()
        };
        prop_assert!(is_same, "{:?}", request);
        if request.fields.contains("host") {
            let again = plain_head(&request);
            let complete = Head::Complete { length: again.len(), framing, wants_upgrade };
            let is_http11 = outline.is_http11;
            let checked = head::check(&again, &mut outline);
            prop_assert!(checked == Ok(complete) || !is_http11 && checked.is_ok(), "{:?}", checked);
            prop_assert_eq!(outline.target.in_bytes(&again), request.target().as_bytes());
            let simple = Request::of_head(&again, &mut outline);
            prop_assert!(simple.is_none_or(|simple| simple.target() == request.target()));
        }
    }

    #[test]
    fn a_chunked_body_that_passes_ends_where_others_see_its_end(bytes in spoiled(&BODIES)) {
        let mut chunked = Chunked::new();
        let Some(length) = chunked.advance(&bytes) else { return Ok(()) };
        if chunked.is_done() {
            prop_assert_eq!(end_by_httparse(&bytes), Some(length));
        }
    }
}
