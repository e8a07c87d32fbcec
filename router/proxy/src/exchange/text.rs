//! Addresses and numbers as text, by hand: formatting would cost more than all the rest of a head.

use std::{io::Write, net::IpAddr};

/// An address as text, which needs no memory of its own.
pub(super) struct Address {
    bytes: [u8; Self::BYTES_MAX],
    length: usize,
}

// === impl Address ===

impl Address {
    /// IPv6 with an IPv4 address at its end.
    const BYTES_MAX: usize = 45;

    pub(super) fn of(address: IpAddr) -> Self {
        let mut text = Self { bytes: [0; Self::BYTES_MAX], length: 0 };
        match address {
            IpAddr::V4(address) => {
                for (index, octet) in address.octets().into_iter().enumerate() {
                    if index > 0 {
                        text.push(b'.');
                    }
                    if octet >= 100 {
                        text.push(b'0' + octet / 100);
                    }
                    if octet >= 10 {
                        text.push(b'0' + octet / 10 % 10);
                    }
                    text.push(b'0' + octet % 10);
                }
            }
            IpAddr::V6(address) => {
                let mut rest = &mut text.bytes[..];
                // It has room for every address.
                let _ = write!(rest, "{address}");
                text.length = Self::BYTES_MAX - rest.len();
            }
        }
        text
    }

    pub(super) fn text(&self) -> &[u8] {
        self.bytes.get(..self.length).unwrap_or_default()
    }

    fn push(&mut self, byte: u8) {
        if let Some(place) = self.bytes.get_mut(self.length) {
            *place = byte;
            self.length += 1;
        }
    }
}

/// All 32 digits.
pub(super) fn hex(number: u128) -> [u8; 32] {
    let digit = |nibble: u8| if nibble < 10 { b'0' + nibble } else { b'a' + nibble - 10 };
    let mut text = [0; 32];
    for (pair, byte) in text.as_chunks_mut().0.iter_mut().zip(number.to_be_bytes()) {
        *pair = [digit(byte >> 4), digit(byte & 0xF)];
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_and_numbers_are_written_as_the_standard_library_writes_them() {
        for address in ["0.0.0.0", "9.10.99.100", "255.1.20.199", "2001:db8::1"] {
            assert_eq!(Address::of(address.parse().unwrap()).text(), address.as_bytes());
        }
        for number in [0, 0xAB, 0x0123_4567_89AB_CDEF, u128::MAX] {
            assert_eq!(hex(number)[..], *format!("{number:032x}").as_bytes());
        }
    }
}
