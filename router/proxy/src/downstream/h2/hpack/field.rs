use bytes::Bytes;
use hyper::{
    Method,
    header::{HeaderName, HeaderValue},
};

/// One line of a header block, checked.
#[derive(Clone, Debug)]
pub(in super::super) enum Field {
    Method(Method),
    Scheme,
    Authority(HeaderValue),
    Path(Bytes),
    Line(HeaderName, HeaderValue),
    /// No field that a request may have.
    Malformed,
}

/// What a field is called.
#[derive(Clone, Debug)]
pub(super) enum Name {
    Method,
    Scheme,
    Authority,
    Path,
    Line(HeaderName),
    /// None that a request may have; so many bytes.
    Malformed(usize),
}

// === impl Name ===

impl Name {
    pub(super) fn parse(bytes: &[u8]) -> Self {
        match bytes {
            b":method" => Self::Method,
            b":scheme" => Self::Scheme,
            b":authority" => Self::Authority,
            b":path" => Self::Path,
            // No upper case (RFC 9113 §8.2.1), and no other field that begins with a colon.
            _ => HeaderName::from_lowercase(bytes).map_or(Self::Malformed(bytes.len()), Self::Line),
        }
    }

    pub(super) fn len(&self) -> usize {
        match self {
            Self::Method | Self::Scheme => 7,
            Self::Authority => 10,
            Self::Path => 5,
            Self::Line(name) => name.as_str().len(),
            Self::Malformed(length) => *length,
        }
    }

    pub(super) fn with(&self, value: Bytes) -> Field {
        match self {
            Self::Method => Method::from_bytes(&value).map_or(Field::Malformed, Field::Method),
            Self::Scheme if is_scheme(&value) => Field::Scheme,
            // An authority of nothing is no authority.
            Self::Authority if !value.is_empty() => {
                HeaderValue::from_maybe_shared(value).map_or(Field::Malformed, Field::Authority)
            }
            Self::Path => Field::Path(value),
            Self::Line(name) => HeaderValue::from_maybe_shared(value)
                .map_or(Field::Malformed, |value| Field::Line(name.clone(), value)),
            Self::Scheme | Self::Authority | Self::Malformed(_) => Field::Malformed,
        }
    }
}

/// RFC 3986 §3.1.
fn is_scheme(value: &[u8]) -> bool {
    value.first().is_some_and(u8::is_ascii_alphabetic)
        && value.len() <= 64
        && value.iter().all(|&byte| byte.is_ascii_alphanumeric() || matches!(byte, b'+' | b'-' | b'.'))
}
