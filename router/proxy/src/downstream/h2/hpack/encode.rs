//! Nothing is put into the client's table, so that no state is kept; fixed names are referred to.

use hyper::StatusCode;

/// A line of a head.
pub(in super::super) fn put(out: &mut Vec<u8>, name: &[u8], value: &[u8]) {
    match fixed(name) {
        0 => {
            out.push(0);
            put_string(out, name);
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
const fn fixed(name: &[u8]) -> usize {
    match name {
        b"content-length" => 28,
        b"content-type" => 31,
        b"date" => 33,
        b"cache-control" => 24,
        b"etag" => 34,
        b"vary" => 59,
        b"server" => 54,
        b"set-cookie" => 55,
        b"last-modified" => 44,
        b"content-encoding" => 26,
        b"location" => 46,
        b"via" => 60,
        b"accept-ranges" => 18,
        b"access-control-allow-origin" => 20,
        b"age" => 21,
        b"allow" => 22,
        b"content-disposition" => 25,
        b"content-language" => 27,
        b"content-range" => 30,
        b"expires" => 36,
        b"link" => 45,
        b"retry-after" => 53,
        b"strict-transport-security" => 56,
        b"www-authenticate" => 61,
        _ => 0,
    }
}

#[cfg(test)]
mod tests {
    use super::{super::table::FIELDS, *};

    #[test]
    fn fixed_names_are_those_of_the_table() {
        for (index, (name, _)) in (1..).zip(FIELDS) {
            assert!([0, index].contains(&fixed(name.as_bytes())), "{name}");
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
        put(&mut out, b"content-type", b"a");
        put(&mut out, b"x-b", b"c");
        assert_eq!(out, [&[0x88, 0x0f, 16, 1, b'a', 0, 3][..], b"x-b", &[1, b'c']].concat());
        out.clear();
        put_status(&mut out, StatusCode::IM_A_TEAPOT);
        assert_eq!(out, [8, 3, b'4', b'1', b'8']);
    }
}
