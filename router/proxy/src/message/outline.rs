use super::spare::{self, Lines};
use std::ops::Range;

/// Where the parts of a head are in its bytes.
#[derive(Clone, Debug, Default)]
pub(crate) struct Outline {
    pub(crate) method: Place,
    pub(crate) target: Place,
    pub(crate) is_http11: bool,
    /// Names and values.
    pub(crate) lines: Lines,
}

/// A part of a buffer that is far smaller than 4 GiB.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Place {
    begin: u32,
    end: u32,
}

// === impl Outline ===

impl Outline {
    /// Begins anew.
    pub(crate) fn clear(&mut self) {
        self.lines.clear();
    }

    pub(crate) fn add(&mut self, name: Place, value: Place) {
        if self.lines.capacity() == 0 {
            self.lines = spare::lines();
        }
        self.lines.push((name, value));
    }
}

// === impl Place ===

impl Place {
    /// The part of the bytes in which `part` begins at `begin`.
    pub(crate) fn of(begin: usize, part: &[u8]) -> Self {
        Self::from(begin..begin + part.len())
    }

    /// What is there; nothing, where the buffer is another one.
    pub(crate) fn in_bytes(self, bytes: &[u8]) -> &[u8] {
        bytes.get(self.range()).unwrap_or_default()
    }

    pub(super) const fn range(self) -> Range<usize> {
        self.begin as usize..self.end as usize
    }
}

impl From<Range<usize>> for Place {
    fn from(Range { start, end }: Range<usize>) -> Self {
        let number = |number| u32::try_from(number).unwrap_or(u32::MAX);
        Self { begin: number(start), end: number(end) }
    }
}
