//! Requests of HTTP/2 beside the gate: whatever goes on to a backend of HTTP/1.1 is what the gate would let through.

use super::{
    hpack::Decoder,
    request::{Reading, check},
};
use crate::downstream::gate::{Gate, Verdict, fuzz::plain_head};
use hyper::Method;
use proptest::{prelude::*, sample::select};

/// Those that every request has, and others.
const USUAL: [(&str, &str); 4] =
    [(":method", "GET"), (":scheme", "http"), (":path", "/a?b"), (":authority", "a")];
const OTHERS: [(&str, &str); 8] = [
    ("host", "a"),
    ("content-length", "5"),
    ("x", "y"),
    ("te", "trailers"),
    ("cookie", "a=b"),
    ("expect", "100-continue"),
    (":path", "*"),
    (":method", "TRACE"),
];

/// What attackers put where it does not belong.
const PIECES: [&str; 24] = [
    "",
    " ",
    "\t",
    "\r\n",
    "\n",
    "\0",
    "\x7f",
    ":",
    "/",
    "..",
    "%2e",
    "\\",
    "#",
    "?",
    "@",
    ",",
    "b",
    "B",
    "0",
    "+",
    "_",
    "\u{e4}",
    "http://b",
    "connection",
];

type Field = (Vec<u8>, Vec<u8>);

/// The usual fields and others, some of them in the place of usual ones, with up to three pieces put into them.
fn fields() -> impl Strategy<Value = Vec<Field>> {
    let at = any::<prop::sample::Index>;
    let others = proptest::collection::vec((at(), any::<bool>(), select(&OTHERS[..])), 0..3);
    let spoilings = proptest::collection::vec((at(), 0..6_u8, at(), select(&PIECES[..])), 0..4);
    (others, spoilings).prop_map(|(others, spoilings)| {
        let field = |(name, value): (&str, &str)| (name.as_bytes().to_vec(), value.as_bytes().to_vec());
        let mut fields = USUAL.map(field).to_vec();
        for (at, is_last, other) in others {
            let same = fields.iter().position(|(name, _)| name == other.0.as_bytes());
            match same {
                Some(same) if at.index(2) == 0 => fields[same] = field(other),
                _ if is_last => fields.push(field(other)),
                _ => fields.insert(at.index(fields.len() + 1), field(other)),
            }
        }
        for (field, part, at, piece) in spoilings {
            let length = fields.len();
            let (name, value) = &mut fields[field.index(length)];
            let spoiled = if part == 0 { name } else { value };
            let at = at.index(spoiled.len() + 1);
            spoiled.splice(at..at, piece.bytes());
        }
        fields
    })
}

/// A block of literal fields (RFC 7541 §6.2.2).
fn block(fields: &[Field]) -> Vec<u8> {
    let text = |text: &[u8]| [&[u8::try_from(text.len()).unwrap()][..], text].concat();
    fields.iter().flat_map(|(name, value)| [vec![0], text(name), text(value)].concat()).collect()
}

fn read(block: &[u8]) -> Option<Reading> {
    let mut reading = Reading::default();
    Decoder::new(4096).decode(block, |field, size| reading.add(field, size)).ok()?;
    Some(reading)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(10_000))]

    #[test]
    fn a_request_that_goes_on_is_one_that_the_gate_lets_through(fields in fields()) {
        let reading = read(&block(&fields)).unwrap();
        let Ok((request, length)) = reading.request() else { return Ok(()) };
        // A body of TRACE is refused when it is known that there is one.
        if check(&request).is_err() || request.method == Method::TRACE && length > Some(0) {
            return Ok(());
        }
        let head = plain_head(&request);
        let mut gate = Gate::new();
        prop_assert_eq!(gate.admit(&head, usize::MAX), Verdict::Pass(head.len()), "{:?}", request);
        let body = vec![b'x'; usize::try_from(length.unwrap_or_default()).unwrap().min(100)];
        let next = [&body[..], &head].concat();
        if !body.is_empty() && body.len() < 100 {
            prop_assert_eq!(gate.admit(&next, usize::MAX), Verdict::Pass(body.len()), "the length is the same");
        }
        prop_assert_eq!(request.fields.get_all("host").count(), 1);
    }

    #[test]
    fn any_bytes_are_a_request_trailers_or_refused(block in proptest::collection::vec(any::<u8>(), 0..200)) {
        if let Some(reading) = read(&block) {
            let _ = reading.trailers();
        }
        if let Some(Ok((request, _))) = read(&block).map(Reading::request) {
            let _ = check(&request);
        }
    }
}
