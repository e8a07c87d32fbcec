//! The lines of a head, sharing its buffer.

use bytes::Bytes;
use hyper::header::{HeaderName, HeaderValue};
use std::mem::MaybeUninit;

/// Room for as many parsed lines, which costs nothing before it is used.
pub(crate) type Room<'a, const COUNT: usize> = [MaybeUninit<httparse::Header<'a>>; COUNT];

/// Such a room, empty.
pub(crate) const fn room<'a, const COUNT: usize>() -> Room<'a, COUNT> {
    [const { MaybeUninit::uninit() }; COUNT]
}

/// A line that was parsed from `head`; `None` when it is none that HTTP knows.
pub(crate) fn line(head: &Bytes, line: &httparse::Header<'_>) -> Option<(HeaderName, HeaderValue)> {
    let name = HeaderName::from_bytes(line.name.as_bytes()).ok()?;
    let value = HeaderValue::from_maybe_shared(head.slice_ref(line.value)).ok()?;
    Some((name, value))
}
