//! Ours beside an implementation by somebody else: connections of many header blocks, in which each field is written in
//! any form that HPACK has. What a field means to us is tested elsewhere.

use super::{
    decode::Decoder,
    encode::{put, put_status},
    field::Name,
    table::FIELDS,
};
use bytes::Bytes;
use httlib_hpack as other;
use hyper::{StatusCode, header::HeaderName};
use proptest::{collection::vec, prelude::*, sample::select};

/// A name, a value, and how the other encoder is to write them.
type Sent = (Vec<u8>, Vec<u8>, u8);

/// Changes of the table's size, and the fields that follow.
type Block = (Vec<u32>, Vec<Sent>);

/// The part of the table that a connection fills, as far as one byte can refer to it.
const DYNAMIC: std::ops::Range<u8> = 62..127;

/// What the table may hold until somebody says otherwise (RFC 9113 §6.5.2).
const TABLE_BYTES: u32 = 4096;

fn block() -> impl Strategy<Value = Block> {
    // Often room for few fields only, so that many are forgotten.
    let size = prop_oneof![0..=300_u32, 0..=TABLE_BYTES];
    let sizes = prop_oneof![4 => Just(Vec::new()), 1 => vec(size, 1..3)];
    (sizes, vec((name(), value(), flags()), 0..12))
}

fn name() -> impl Strategy<Value = Vec<u8>> {
    let fixed: Vec<_> = FIELDS.iter().map(|(name, _)| name.as_bytes().to_vec()).collect();
    prop_oneof![
        4 => select(vec![":path", ":authority", "cookie", "x-request-id", "Malformed", ""]).prop_map(Vec::from),
        3 => select(fixed),
        1 => "[a-z0-9!#$%&'*+.^_`|~-]{1,200}".prop_map(String::into_bytes),
    ]
}

fn value() -> impl Strategy<Value = Vec<u8>> {
    let fixed: Vec<_> = FIELDS.iter().map(|(_, value)| value.as_bytes().to_vec()).collect();
    prop_oneof![
        4 => select(fixed),
        4 => select(vec!["a", "b", "/c?d=e", "text/html; charset=utf-8"]).prop_map(Vec::from),
        2 => "[ -~]{0,80}".prop_map(String::into_bytes),
        1 => vec(0x80..=u8::MAX, 0..40),
        1 => vec(any::<u8>(), 0..400),
    ]
}

/// Whether a field is kept, whether it may refer to the table, and which of its strings are in Huffman's code.
fn flags() -> impl Strategy<Value = u8> {
    use other::Encoder;
    let kept =
        prop_oneof![3 => Just(Encoder::WITH_INDEXING), 1 => Just(Encoder::NEVER_INDEXED), 1 => Just(0)];
    let refers = prop_oneof![3 => Just(Encoder::BEST_FORMAT), 1 => Just(0)];
    let coded = 0..=(Encoder::HUFFMAN_NAME | Encoder::HUFFMAN_VALUE);
    (kept, refers, coded).prop_map(|(kept, refers, coded)| kept | refers | coded)
}

/// What our decoder tells of a field, if it understands it.
fn meant((name, value, _): &Sent) -> (String, usize) {
    let field = Name::parse(name).with(Bytes::copy_from_slice(value));
    (format!("{field:?}"), name.len() + value.len() + 32)
}

/// How much of the table our decoder has.
fn kept(decoder: &mut Decoder) -> usize {
    DYNAMIC.take_while(|index| decoder.decode(&[0x80 | index], |_, _| {}).is_ok()).count()
}

fn knows(encoder: &other::Encoder<'_>, index: u8) -> bool {
    encoder.encode_indexed(index.into(), &mut Vec::new()).is_ok()
}

proptest! {
    #[test]
    fn what_another_encoder_writes_is_read_as_it_was_meant(blocks in vec(block(), 1..12)) {
        let mut encoder = other::Encoder::with_dynamic_size(TABLE_BYTES);
        let mut decoder = Decoder::new(TABLE_BYTES as usize);
        for (sizes, fields) in blocks {
            let mut block = Vec::new();
            for size in sizes {
                encoder.update_max_dynamic_size(size, &mut block).unwrap();
            }
            for field in &fields {
                encoder.encode(field.clone(), &mut block).unwrap();
            }
            let mut read = Vec::new();
            let result = decoder.decode(&block, |field, size| read.push((format!("{field:?}"), size)));
            prop_assert_eq!(result, Ok(()));
            prop_assert_eq!(read, fields.iter().map(meant).collect::<Vec<_>>());
            prop_assert_eq!(kept(&mut decoder), DYNAMIC.take_while(|&index| knows(&encoder, index)).count());
        }
    }

    #[test]
    fn what_our_encoder_writes_is_read_by_another_decoder_and_not_kept(
        blocks in vec((100..=999_u16, vec((name(), value()), 0..12)), 1..6),
    ) {
        let mut decoder = other::Decoder::with_dynamic_size(0);
        for (status, lines) in blocks {
            let (mut block, mut read) = (Vec::new(), Vec::new());
            put_status(&mut block, StatusCode::from_u16(status).unwrap());
            let mut written = vec![(b":status".to_vec(), status.to_string().into_bytes(), 0)];
            for (name, value) in lines {
                let Ok(line) = HeaderName::from_bytes(&name) else { continue };
                put(&mut block, line.as_str().as_bytes(), &value);
                written.push((line.as_str().as_bytes().to_vec(), value, 0));
            }
            decoder.decode(&mut block, &mut read).unwrap();
            prop_assert_eq!(read, written);
        }
    }
}
