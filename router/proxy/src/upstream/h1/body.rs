use super::{ResponseHead, input::Input};
use crate::{
    lines,
    upstream::{Trouble, body::may_trail},
};
use bytes::Bytes;
use hyper::{
    HeaderMap, Method, StatusCode,
    body::Frame,
    header::{HeaderName, HeaderValue},
};

/// Takes the framing off a response.
#[derive(Debug)]
pub(super) enum Decoder {
    Done,
    Length(u64),
    Chunked(Chunk),
    UntilClose,
}

#[derive(Debug)]
pub(super) enum Chunk {
    Size,
    Data(u64),
    /// The end of the line after the data of a chunk.
    DataEnd,
    Trailers,
}

/// One step of decoding.
pub(super) enum Chunks {
    Frame(Frame<Bytes>),
    More,
    End,
}

/// The longest line of a chunk's size with its extension.
const SIZE_LINE_MAX: usize = 256;

/// The longest trailer section.
const TRAILERS_MAX: usize = 8 * 1024;

// === impl Decoder ===

impl Decoder {
    pub(super) fn new(head: &ResponseHead, method: &Method) -> Self {
        let has_none = method == Method::HEAD
            || matches!(head.status, StatusCode::NO_CONTENT | StatusCode::NOT_MODIFIED)
            || head.status.is_informational();
        match head.length {
            _ if has_none => Self::Done,
            _ if head.is_chunked => Self::Chunked(Chunk::Size),
            Some(0) => Self::Done,
            Some(length) => Self::Length(length),
            None => Self::UntilClose,
        }
    }

    pub(super) const fn remaining(&self) -> Option<u64> {
        match self {
            Self::Done => Some(0),
            Self::Length(length) => Some(*length),
            Self::Chunked(_) | Self::UntilClose => None,
        }
    }

    /// Takes the next piece from `input`.
    pub(super) fn decode(&mut self, input: &mut Input) -> Result<Chunks, Trouble> {
        match self {
            Self::Done => Ok(Chunks::End),
            Self::UntilClose if input.is_empty() => Ok(Chunks::More),
            Self::UntilClose => Ok(data(input.take(usize::MAX))),
            Self::Length(_) if input.is_empty() => Ok(Chunks::More),
            Self::Length(left) => {
                let taken = take(input, left);
                if *left == 0 {
                    *self = Self::Done;
                }
                Ok(data(taken))
            }
            Self::Chunked(chunk) => {
                let step = chunk.decode(input)?;
                if matches!(&step, Chunks::End)
                    || matches!(&step, Chunks::Frame(frame) if frame.is_trailers())
                {
                    *self = Self::Done;
                }
                Ok(step)
            }
        }
    }
}

// === impl Chunk ===

impl Chunk {
    fn decode(&mut self, input: &mut Input) -> Result<Chunks, Trouble> {
        loop {
            match self {
                Self::Size => {
                    let Some(length) = line(input, SIZE_LINE_MAX)? else { return Ok(Chunks::More) };
                    let size = size(input.get(..length).unwrap_or_default())?;
                    input.advance(length + 2);
                    *self = match size {
                        0 => Self::Trailers,
                        size => Self::Data(size),
                    };
                }
                Self::Data(_) if input.is_empty() => return Ok(Chunks::More),
                Self::Data(left) => {
                    let taken = take(input, left);
                    if *left == 0 {
                        *self = Self::DataEnd;
                    }
                    return Ok(data(taken));
                }
                Self::DataEnd => match line(input, 0)? {
                    Some(_) => {
                        input.advance(2);
                        *self = Self::Size;
                    }
                    None => return Ok(Chunks::More),
                },
                Self::Trailers => return trailers(input),
            }
        }
    }
}

/// How long the line is that comes next, without its end, which is CR LF; at most `max` bytes.
fn line(input: &[u8], max: usize) -> Result<Option<usize>, Trouble> {
    let Some(end) = memchr::memchr(b'\n', input) else {
        return if input.len() > max + 1 { Err(Trouble::Malformed) } else { Ok(None) };
    };
    let length = end.checked_sub(1).filter(|&length| length <= max && input.get(length) == Some(&b'\r'));
    length.map(Some).ok_or(Trouble::Malformed)
}

fn size(line: &[u8]) -> Result<u64, Trouble> {
    let end = memchr::memchr(b';', line).unwrap_or(line.len());
    let (digits, extension) = line.split_at(end);
    let is_hex = (1..=15).contains(&digits.len()) && digits.iter().all(u8::is_ascii_hexdigit);
    let is_text = extension.iter().all(|&byte| byte == b'\t' || (byte >= b' ' && byte != 0x7F));
    let text = std::str::from_utf8(digits).ok().filter(|_| is_hex && is_text);
    text.and_then(|text| u64::from_str_radix(text, 16).ok()).ok_or(Trouble::Malformed)
}

fn trailers(input: &mut Input) -> Result<Chunks, Trouble> {
    let (mut map, mut at) = (HeaderMap::new(), 0);
    loop {
        let Some((line, next)) = lines::line_at(input, at)? else {
            return if input.len() <= TRAILERS_MAX { Ok(Chunks::More) } else { Err(Trouble::Malformed) };
        };
        if next > TRAILERS_MAX {
            return Err(Trouble::Malformed);
        }
        if line.is_empty() {
            input.advance(next);
            return Ok(if map.is_empty() { Chunks::End } else { Chunks::Frame(Frame::trailers(map)) });
        }
        let [(name, _), (value, _)] = lines::field(line, at)?;
        let name = HeaderName::from_bytes(name).map_err(|_| Trouble::Malformed)?;
        let value = HeaderValue::from_bytes(value).map_err(|_| Trouble::Malformed)?;
        if may_trail(&name) {
            map.append(name, value);
        }
        at = next;
    }
}

fn take(input: &mut Input, left: &mut u64) -> Bytes {
    let length = usize::try_from(*left).map_or(input.len(), |left| left.min(input.len()));
    *left -= length as u64;
    input.take(length)
}

fn data(bytes: Bytes) -> Chunks {
    Chunks::Frame(Frame::data(bytes))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// Feeds `text` in pieces; the data, the names of trailers, and what is left over.
    fn decode(text: &[u8], piece: usize) -> Result<(Vec<u8>, Vec<String>, usize), Trouble> {
        let mut decoder = Decoder::Chunked(Chunk::Size);
        let (mut input, mut data, mut names) = (Input::default(), Vec::new(), Vec::new());
        for piece in text.chunks(piece) {
            input.extend(piece);
            loop {
                match decoder.decode(&mut input)? {
                    Chunks::More => break,
                    Chunks::End => return Ok((data, names, input.len())),
                    Chunks::Frame(frame) => match frame.into_data() {
                        Ok(bytes) => data.extend_from_slice(&bytes),
                        Err(frame) => {
                            names.extend(frame.into_trailers().unwrap().keys().map(HeaderName::to_string));
                        }
                    },
                }
            }
        }
        Err(Trouble::Broken)
    }

    const BODY: &[u8] =
        b"5\r\nhello\r\n6;x=\"y\"\r\n world\r\n0\r\nGrpc-Status: 0\r\nContent-Length: 5\r\n\r\n";

    #[test]
    fn chunks_and_trailers_are_read_however_they_are_cut() {
        for piece in 1..=BODY.len() {
            let (data, names, left) = decode(BODY, piece).unwrap();
            assert_eq!((data.as_slice(), left), (&b"hello world"[..], 0), "pieces of {piece}");
            assert_eq!(names, ["grpc-status"], "framing does not come after the body");
        }
    }

    #[test]
    fn loose_framing_is_malformed() {
        for bad in [
            "5\nhello",
            "5 \r\nhello",
            "+5\r\nhello",
            "\r\n",
            "g\r\n",
            "5\r\nhello\n",
            "5\r\nhelloX\r\n",
            "0x5\r\n",
            "-1\r\n",
            "fffffffffffffffff\r\n",
            "0\r\nX : y\r\n\r\n",
            "0\r\n\n",
            "0\r\nX: y\n\n",
            "0\r\nX: y\r\n\n",
            "0\r\nX: y\r\n z\r\n\r\n",
            "0\r\nX: \0\r\n\r\n",
            "0\r\nX\r\n\r\n",
            "5;a\rb\r\nhello",
            "5;\0\r\nhello",
            "5;\x7f\r\nhello",
        ] {
            assert!(matches!(decode(bad.as_bytes(), bad.len()), Err(Trouble::Malformed)), "{bad:?}");
        }
        let endless = format!("5;{}", "x".repeat(SIZE_LINE_MAX));
        assert!(matches!(decode(endless.as_bytes(), 16), Err(Trouble::Malformed)));
        let trailers = format!("0\r\nX: {}", "y".repeat(TRAILERS_MAX));
        assert!(matches!(decode(trailers.as_bytes(), 1_000), Err(Trouble::Malformed)));
    }

    proptest! {
        #[test]
        fn any_bytes_are_read_alike_however_they_are_cut(
            junk in proptest::collection::vec(any::<u8>(), 0..20),
            at in 0..BODY.len(),
            piece in 1_usize..20,
        ) {
            let mut bytes = BODY.to_vec();
            bytes.splice(at..at, junk);
            let whole = decode(&bytes, bytes.len()).ok().map(|(data, names, _)| (data, names));
            let cut = decode(&bytes, piece).ok().map(|(data, names, _)| (data, names));
            prop_assert_eq!(whole, cut);
        }
    }
}
