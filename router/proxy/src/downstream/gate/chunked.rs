/// Follows a chunked body (RFC 9112 §7.1) byte by byte and takes nothing but its grammar.
#[derive(Debug)]
pub(super) struct Chunked {
    state: State,
    /// Bytes of extensions and trailers so far.
    extra: usize,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    /// The number of digits seen and their value.
    Size(u8, u64),
    Extension(u64),
    /// Within quotes, and after a backslash there.
    Quoted(u64),
    Escaped(u64),
    SizeLf(u64),
    Data(u64),
    DataCr,
    DataLf,
    /// At the beginning of a trailer line, or of the empty line at the end.
    Trailer,
    TrailerName,
    TrailerValue,
    TrailerLf,
    EndLf,
    Done,
}

/// More than any client sends; chunk extensions without limit were an attack on several servers.
const EXTRA_BYTES_MAX: usize = 8 * 1024;

/// 15 digits are a petabyte, and can't overflow.
const DIGITS_MAX: u8 = 15;

// === impl Chunked ===

impl Chunked {
    pub(super) const fn new() -> Self {
        Self { state: State::Size(0, 0), extra: 0 }
    }

    pub(super) const fn is_done(&self) -> bool {
        matches!(self.state, State::Done)
    }

    /// How many of `bytes` belong to the body; `None` where they break the grammar.
    pub(super) fn advance(&mut self, bytes: &[u8]) -> Option<usize> {
        let mut at = 0;
        while at < bytes.len() && self.state != State::Done {
            if let State::Data(left) = self.state {
                let rest = bytes.len() - at;
                let taken = usize::try_from(left).map_or(rest, |left| left.min(rest));
                at += taken;
                let left = left - taken as u64;
                self.state = if left == 0 { State::DataCr } else { State::Data(left) };
            } else {
                self.state = self.step(*bytes.get(at)?)?;
                at += 1;
            }
        }
        Some(at)
    }

    fn step(&mut self, byte: u8) -> Option<State> {
        let next = match (self.state, byte) {
            (State::Size(digits, size), _) if byte.is_ascii_hexdigit() => {
                let digit = char::from(byte).to_digit(16)?;
                if digits == DIGITS_MAX {
                    return None;
                }
                State::Size(digits + 1, size << 4 | u64::from(digit))
            }
            (State::Size(1.., size), b'\r') => State::SizeLf(size),
            (State::Size(1.., size), b';') => State::Extension(size),
            (State::Extension(size), b'\r') => State::SizeLf(size),
            (State::Extension(size), b'"') => State::Quoted(size),
            (State::Extension(size), _) if is_text(byte) => State::Extension(size),
            (State::Quoted(size), b'"') => State::Extension(size),
            (State::Quoted(size), b'\\') => State::Escaped(size),
            (State::Quoted(size) | State::Escaped(size), _) if is_text(byte) => State::Quoted(size),
            (State::SizeLf(0), b'\n') => State::Trailer,
            (State::SizeLf(size), b'\n') => State::Data(size),
            (State::DataCr, b'\r') => State::DataLf,
            (State::DataLf, b'\n') => State::Size(0, 0),
            (State::Trailer, b'\r') => State::EndLf,
            (State::Trailer, _) if crate::lines::is_token(byte) => State::TrailerName,
            (State::TrailerName, b':') => State::TrailerValue,
            (State::TrailerName, _) if crate::lines::is_token(byte) => State::TrailerName,
            (State::TrailerValue, b'\r') => State::TrailerLf,
            (State::TrailerValue, _) if is_text(byte) => State::TrailerValue,
            (State::TrailerLf, b'\n') => State::Trailer,
            (State::EndLf, b'\n') => State::Done,
            _ => return None,
        };
        let is_extra = matches!(
            next,
            State::Extension(_)
                | State::Quoted(_)
                | State::Escaped(_)
                | State::TrailerName
                | State::TrailerValue
        );
        if is_extra {
            self.extra += 1;
            if self.extra > EXTRA_BYTES_MAX {
                return None;
            }
        }
        Some(next)
    }
}

/// Visible characters, space, tab and what is not ASCII.
const fn is_text(byte: u8) -> bool {
    byte == b'\t' || (byte >= b' ' && byte != 0x7F)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_grammar_and_nothing_else_is_taken() {
        for good in [
            "0\r\n\r\n",
            "5\r\nabcde\r\n0\r\n\r\n",
            "1;a=\"\\\"b;\\\\\";c\r\nx\r\n0\r\n\r\n",
            "A;a=\"b c\"\r\n0123456789\r\n00\r\nX-A: \t1\r\nB:\r\n\r\n",
        ] {
            let mut chunked = Chunked::new();
            assert_eq!(chunked.advance(good.as_bytes()), Some(good.len()), "{good:?}");
            assert!(chunked.is_done(), "{good:?}");
        }
        for bad in [
            "\r\n",
            "0\n",
            "0\r\r\n",
            "5 \r\n",
            " 5\r\n",
            "+5\r\n",
            "0x5\r\n",
            "5\nabcde\r\n",
            "5\r\nabcdef",
            "5\r\nabcde\n",
            "5;\n",
            "5;a\rb\r\n",
            "5;\0\r\n",
            "5;a=\"b\r\n",
            "5;a=\"b\\\"\r\n",
            "-1\r\n",
            ";\r\n",
            "fffffffffffffffff\r\n",
            "0\r\nX\r\n",
            "0\r\n X: y\r\n",
            "0\r\nX : y\r\n",
            "0\r\nX: y\n",
            "0\r\n\n",
            "0\r\nX: \0\r\n",
            "0\r\n: x\r\n",
        ] {
            assert_eq!(Chunked::new().advance(bad.as_bytes()), None, "{bad:?}");
        }
    }

    #[test]
    fn extensions_and_trailers_have_a_limit() {
        let endless = format!("1;{}", "a".repeat(EXTRA_BYTES_MAX + 1));
        assert_eq!(Chunked::new().advance(endless.as_bytes()), None);
        let spread = "1;a\r\nx\r\n".repeat(EXTRA_BYTES_MAX);
        assert_eq!(Chunked::new().advance(spread.as_bytes()), None);
        let trailers = format!("0\r\n{}", "X: y\r\n".repeat(EXTRA_BYTES_MAX / 3));
        assert_eq!(Chunked::new().advance(trailers.as_bytes()), None);
    }
}
