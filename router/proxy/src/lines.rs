//! The lines of a head of HTTP/1.1, read as strictly as RFC 9112 allows: whatever two parties could read differently is
//! an error.

use crate::message::Place;

/// Why something is no line.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Malformed {
    /// It does not end with CR LF.
    End,
    /// It is no name, colon and value.
    Field,
}

/// The line from `at` on without its end, and where the next one begins; `None` where its end is missing.
pub(crate) fn line_at(bytes: &[u8], at: usize) -> Result<Option<(&[u8], usize)>, Malformed> {
    let rest = bytes.get(at..).unwrap_or_default();
    let Some(length) = memchr::memchr(b'\n', rest) else { return Ok(None) };
    match rest.get(..length).and_then(|line| line.strip_suffix(b"\r")) {
        Some(line) => Ok(Some((line, at + length + 1))),
        None => Err(Malformed::End),
    }
}

/// Name and value of a line that begins at `at`, with their places.
pub(crate) fn field(line: &[u8], at: usize) -> Result<[(&[u8], Place); 2], Malformed> {
    let name_end = line.iter().position(|&byte| !is_token(byte)).ok_or(Malformed::Field)?;
    // A name that is empty, begins with white space (a folded line) or ends with it is no token.
    let (name, [b':', value @ ..]) = line.split_at(name_end) else { return Err(Malformed::Field) };
    if name.is_empty() {
        return Err(Malformed::Field);
    }
    // Without an early exit this loop is done many bytes at a time.
    let is_malformed =
        value.iter().fold(false, |bad, &byte| bad | (byte < b' ' && byte != b'\t') | (byte == 0x7F));
    if is_malformed {
        return Err(Malformed::Field);
    }
    let value = value.trim_ascii_start();
    let begin = at + line.len() - value.len();
    let value = value.trim_ascii_end();
    Ok([(name, Place::of(at, name)), (value, Place::of(begin, value))])
}

/// What stands between the commas of a value.
pub(crate) fn tokens(value: &[u8]) -> impl DoubleEndedIterator<Item = &[u8]> + Clone {
    value.split(|&byte| byte == b',').map(<[u8]>::trim_ascii)
}

/// RFC 9110 §5.6.2.
pub(crate) const fn is_token(byte: u8) -> bool {
    TOKEN[byte as usize]
}

/// One load instead of several comparisons for each byte of a name.
const TOKEN: [bool; 256] = {
    let mut table = [false; 256];
    let mut byte = 0;
    while byte < 128 {
        table[byte as usize] = is_token_by_rule(byte);
        byte += 1;
    }
    table
};

const fn is_token_by_rule(byte: u8) -> bool {
    matches!(byte, b'!' | b'#' | b'$' | b'%' | b'&' | b'\'' | b'*' | b'+' | b'-' | b'.' | b'^' | b'_' | b'`' | b'|' | b'~'
        | b'0'..=b'9' | b'A'..=b'Z' | b'a'..=b'z')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_has_a_name_and_a_value_without_the_space_around_it() {
        let bytes = b"x\r\nHost:\t a b \r\n";
        let (line, next) = line_at(bytes, 3).unwrap().unwrap();
        let [(name, name_at), (value, value_at)] = field(line, 3).unwrap();
        assert_eq!((name, value, next), (&b"Host"[..], &b"a b"[..], bytes.len()));
        assert_eq!((name_at.in_bytes(bytes), value_at.in_bytes(bytes)), (name, value));
        let [_, (value, at)] = field(b"a: ", 0).unwrap();
        assert_eq!((value, at.in_bytes(bytes)), (&b""[..], &b""[..]));
    }

    #[test]
    fn what_could_be_read_in_two_ways_is_no_line() {
        assert_eq!(line_at(b"a: b\n", 0), Err(Malformed::End));
        assert_eq!(line_at(b"a: b\r", 0), Ok(None));
        for line in ["a", ": b", "a : b", " a: b", "a: b\rc", "a: \0", "a: \x7f", "\u{e4}: b"] {
            assert_eq!(field(line.as_bytes(), 0), Err(Malformed::Field), "{line:?}");
        }
    }
}
