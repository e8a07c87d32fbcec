use super::{
    field::{Field, Name},
    huffman,
    table::{Entry, Table},
};
use bytes::Bytes;

/// Reads the header blocks of one connection, one after the other.
pub(in super::super) struct Decoder {
    table: Table,
    /// What the client may make of the table at most.
    table_max: usize,
    scratch: Vec<u8>,
}

/// A block that can't be read: what follows it can't be read either.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in super::super) struct Undecodable;

/// No block of an allowed length refers to a number beyond this, or has a longer string.
const NUMBER_MAX: usize = 1 << 24;

// === impl Decoder ===

impl Decoder {
    pub(in super::super) fn new(table_max: usize) -> Self {
        Self { table: Table::new(table_max), table_max, scratch: Vec::new() }
    }

    /// Calls `take` with each field of a whole block, and with its size as RFC 9113 §10.5.1 counts it.
    pub(in super::super) fn decode(
        &mut self,
        mut block: &[u8],
        mut take: impl FnMut(&Field, usize),
    ) -> Result<(), Undecodable> {
        let mut is_begun = false;
        while let Some(&first) = block.first() {
            if first & 0xE0 == 0x20 {
                let size = number(&mut block, 5)?;
                if is_begun || size > self.table_max {
                    return Err(Undecodable);
                }
                self.table.resize(size);
                continue;
            }
            is_begun = true;
            if first & 0x80 > 0 {
                let entry = self.table.get(number(&mut block, 7)?).ok_or(Undecodable)?;
                take(&entry.field, entry.size);
                continue;
            }
            let is_kept = first & 0x40 > 0;
            let name = self.name(&mut block, if is_kept { 6 } else { 4 })?;
            let value = self.string(&mut block)?;
            let entry = Entry::new(name, value);
            take(&entry.field, entry.size);
            if is_kept {
                self.table.insert(entry);
            }
        }
        Ok(())
    }

    fn name(&mut self, block: &mut &[u8], prefix: u8) -> Result<Name, Undecodable> {
        match number(block, prefix)? {
            0 => Ok(Name::parse(&self.string(block)?)),
            index => self.table.get(index).map(|entry| entry.name.clone()).ok_or(Undecodable),
        }
    }

    fn string(&mut self, block: &mut &[u8]) -> Result<Bytes, Undecodable> {
        let is_coded = block.first().ok_or(Undecodable)? & 0x80 > 0;
        let length = number(block, 7)?;
        let (text, rest) = block.split_at_checked(length).ok_or(Undecodable)?;
        *block = rest;
        if !is_coded {
            return Ok(Bytes::copy_from_slice(text));
        }
        self.scratch.clear();
        huffman::decode(text, &mut self.scratch).ok_or(Undecodable)?;
        Ok(Bytes::copy_from_slice(&self.scratch))
    }
}

/// A number that begins in the lower bits of a byte (RFC 7541 §5.1).
fn number(block: &mut &[u8], prefix: u8) -> Result<usize, Undecodable> {
    let (&first, mut rest) = block.split_first().ok_or(Undecodable)?;
    let max = (1 << prefix) - 1;
    let mut value = usize::from(first) & max;
    if value == max {
        for shift in (0..).step_by(7) {
            let (&byte, after) = rest.split_first().ok_or(Undecodable)?;
            rest = after;
            if shift > 28 {
                return Err(Undecodable);
            }
            value += usize::from(byte & 0x7F) << shift;
            if byte & 0x80 == 0 {
                break;
            }
        }
    }
    *block = rest;
    if value > NUMBER_MAX { Err(Undecodable) } else { Ok(value) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn read(decoder: &mut Decoder, block: &[u8]) -> Result<Vec<String>, Undecodable> {
        let mut lines = Vec::new();
        decoder.decode(block, |field, _| {
            lines.push(match field {
                Field::Method(method) => method.to_string(),
                Field::Scheme => "scheme".to_owned(),
                Field::Authority(host) => host.to_str().unwrap().to_owned(),
                Field::Path(path) => String::from_utf8(path.to_vec()).unwrap(),
                Field::Line(name, value) => format!("{name}: {}", value.to_str().unwrap()),
                Field::Malformed => "malformed".to_owned(),
            });
        })?;
        Ok(lines)
    }

    #[test]
    fn the_requests_of_the_rfc_are_read() {
        // RFC 7541, C.4.
        let mut decoder = Decoder::new(4096);
        let host = [0xf1, 0xe3, 0xc2, 0xe5, 0xf2, 0x3a, 0x6b, 0xa0, 0xab, 0x90, 0xf4, 0xff];
        let first = [&[0x82, 0x86, 0x84, 0x41, 0x8c][..], &host].concat();
        assert_eq!(read(&mut decoder, &first).unwrap(), ["GET", "scheme", "/", "www.example.com"]);
        let cache = [0x82, 0x86, 0x84, 0xbe, 0x58, 0x86, 0xa8, 0xeb, 0x10, 0x64, 0x9c, 0xbf];
        let second = read(&mut decoder, &cache).unwrap();
        assert_eq!(second, ["GET", "scheme", "/", "www.example.com", "cache-control: no-cache"]);
        let custom = [
            &[0x82, 0x87, 0x85, 0xbf, 0x40, 0x88, 0x25, 0xa8, 0x49, 0xe9, 0x5b, 0xa9, 0x7d, 0x7f, 0x89][..],
            &[0x25, 0xa8, 0x49, 0xe9, 0x5b, 0xb8, 0xe8, 0xb4, 0xbf],
        ];
        let third = read(&mut decoder, &custom.concat()).unwrap();
        assert_eq!(third, ["GET", "scheme", "/index.html", "www.example.com", "custom-key: custom-value"]);
    }

    #[test]
    fn the_table_forgets_what_does_not_fit() {
        let mut decoder = Decoder::new(4096);
        let field = [&[0x40, 1, b'x', 1, b'y'][..]; 1].concat();
        read(&mut decoder, &field).unwrap();
        assert_eq!(read(&mut decoder, &[0xbe]).unwrap(), ["x: y"]);
        // Room for one field of 34 bytes, then for none.
        assert_eq!(read(&mut decoder, &[0x20 | 31, 3, 0xbe]).unwrap(), ["x: y"]);
        assert_eq!(read(&mut decoder, &[0x20, 0xbe]), Err(Undecodable));
    }

    #[test]
    fn what_is_no_block_is_told_apart_from_a_field_that_is_malformed() {
        for block in [
            &[0x80][..],
            &[0xff, 0xff, 0xff, 0xff, 0xff, 0xff],
            &[0xbe],
            &[0x40, 5, b'x'],
            &[0x82, 0x20],
            &[0x20 | 31, 0xe2, 0x1f],
            &[0x00, 0x81, 0x00],
        ] {
            assert_eq!(read(&mut Decoder::new(4096), block), Err(Undecodable), "{block:x?}");
        }
        for block in [&[0x00, 1, b'X', 0][..], &[0x00, 1, b'x', 1, b'\n'], &[0x00, 0, 0], &[0x88]] {
            assert_eq!(read(&mut Decoder::new(4096), block).unwrap(), ["malformed"], "{block:x?}");
        }
    }

    proptest! {
        #[test]
        fn any_bytes_are_read_or_refused(block in proptest::collection::vec(any::<u8>(), 0..400)) {
            let mut decoder = Decoder::new(4096);
            for piece in block.chunks(40) {
                let _ = decoder.decode(piece, |_, size| assert!(size >= 32));
            }
            let kept: usize = (62..).map_while(|index| decoder.table.get(index)).map(|entry| entry.size).sum();
            prop_assert!(kept <= 4096);
        }
    }
}
