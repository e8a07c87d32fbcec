//! Compressed headers (RFC 7541).

#[cfg(test)]
mod compared;
mod decode;
mod encode;
mod field;
mod huffman;
mod table;

pub(super) use decode::{Decoder, Undecodable};
pub(super) use encode::{put, put_status};
pub(super) use field::Field;
