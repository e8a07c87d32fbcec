//! Nothing is put into the client's table, so that no state is kept; fixed names are referred to.

use hyper::{
    StatusCode,
    header::{self, HeaderName},
};

/// A line of a head.
pub(in super::super) fn put(out: &mut Vec<u8>, name: &HeaderName, value: &[u8]) {
    match fixed(name) {
        0 => {
            out.push(0);
            put_string(out, name.as_str().as_bytes());
        }
        index => put_number(out, 0, 4, index),
    }
    put_string(out, value);
}

/// How a request was answered.
pub(in super::super) fn put_status(out: &mut Vec<u8>, status: StatusCode) {
    let index = match status.as_u16() {
        200 => 8,
        204 => 9,
        206 => 10,
        304 => 11,
        400 => 12,
        404 => 13,
        500 => 14,
        _ => {
            out.push(8);
            put_string(out, status.as_str().as_bytes());
            return;
        }
    };
    out.push(0x80 | index);
}

fn put_string(out: &mut Vec<u8>, text: &[u8]) {
    put_number(out, 0, 7, text.len());
    out.extend_from_slice(text);
}

/// RFC 7541 §5.1.
fn put_number(out: &mut Vec<u8>, flags: u8, prefix: u8, number: usize) {
    let max = (1 << prefix) - 1;
    match u8::try_from(number) {
        Ok(number) if number < max => out.push(flags | number),
        _ => {
            out.push(flags | max);
            let mut rest = number - usize::from(max);
            loop {
                let [low, ..] = rest.to_le_bytes();
                rest >>= 7;
                if rest == 0 {
                    out.push(low);
                    break;
                }
                out.push(low | 0x80);
            }
        }
    }
}

/// The place of a name in the fixed table (RFC 7541, Appendix A) as far as answers have it; zero where it has none.
fn fixed(name: &HeaderName) -> usize {
    match *name {
        header::CONTENT_LENGTH => 28,
        header::CONTENT_TYPE => 31,
        header::DATE => 33,
        header::CACHE_CONTROL => 24,
        header::ETAG => 34,
        header::VARY => 59,
        header::SERVER => 54,
        header::SET_COOKIE => 55,
        header::LAST_MODIFIED => 44,
        header::CONTENT_ENCODING => 26,
        header::LOCATION => 46,
        header::VIA => 60,
        header::ACCEPT_RANGES => 18,
        header::ACCESS_CONTROL_ALLOW_ORIGIN => 20,
        header::AGE => 21,
        header::ALLOW => 22,
        header::CONTENT_DISPOSITION => 25,
        header::CONTENT_LANGUAGE => 27,
        header::CONTENT_RANGE => 30,
        header::EXPIRES => 36,
        header::LINK => 45,
        header::RETRY_AFTER => 53,
        header::STRICT_TRANSPORT_SECURITY => 56,
        header::WWW_AUTHENTICATE => 61,
        _ => 0,
    }
}

#[cfg(test)]
mod tests {
    use super::{super::table::FIELDS, *};

    #[test]
    fn fixed_names_are_those_of_the_table() {
        for (index, (name, _)) in (1..).zip(FIELDS) {
            let Ok(name) = HeaderName::from_bytes(name.as_bytes()) else { continue };
            assert!([0, index].contains(&fixed(&name)), "{name}");
        }
    }

    #[test]
    fn numbers_are_written_as_in_the_rfc() {
        let number = |prefix, number| {
            let mut out = Vec::new();
            put_number(&mut out, 0, prefix, number);
            out
        };
        assert_eq!(number(5, 10), [10]);
        assert_eq!(number(5, 1337), [31, 154, 10]);
        assert_eq!(number(7, 127), [127, 0]);
    }

    #[test]
    fn an_answer_is_written_as_fields_that_leave_no_trace() {
        let mut out = Vec::new();
        put_status(&mut out, StatusCode::OK);
        put(&mut out, &header::CONTENT_TYPE, b"a");
        put(&mut out, &HeaderName::from_static("x-b"), b"c");
        assert_eq!(out, [&[0x88, 0x0f, 16, 1, b'a', 0, 3][..], b"x-b", &[1, b'c']].concat());
        out.clear();
        put_status(&mut out, StatusCode::IM_A_TEAPOT);
        assert_eq!(out, [8, 3, b'4', b'1', b'8']);
    }
}
