use super::field::{Field, Name};
use bytes::Bytes;
use std::{cell::OnceCell, collections::VecDeque, rc::Rc};

/// What a client referred to and may refer to again.
pub(super) struct Table {
    fixed: Rc<[Entry]>,
    /// The latest first.
    entries: VecDeque<Entry>,
    size: usize,
    size_max: usize,
}

/// A field, its name, and its size as it is counted.
#[derive(Clone)]
pub(super) struct Entry {
    pub(super) name: Name,
    pub(super) field: Field,
    pub(super) size: usize,
}

/// What each field is counted for beyond its bytes (RFC 7541 §4.1).
const OVERHEAD: usize = 32;

thread_local! {
    static FIXED: OnceCell<Rc<[Entry]>> = const { OnceCell::new() };
}

// === impl Table ===

impl Table {
    pub(super) fn new(size_max: usize) -> Self {
        let fixed = FIXED.with(|fixed| Rc::clone(fixed.get_or_init(fixed_entries)));
        Self { fixed, entries: VecDeque::new(), size: 0, size_max }
    }

    /// Indexes begin with one; the fixed part comes first.
    pub(super) fn get(&self, index: usize) -> Option<&Entry> {
        let index = index.checked_sub(1)?;
        match index.checked_sub(self.fixed.len()) {
            None => self.fixed.get(index),
            Some(index) => self.entries.get(index),
        }
    }

    pub(super) fn insert(&mut self, entry: Entry) {
        self.size += entry.size;
        self.entries.push_front(entry);
        self.shrink();
    }

    pub(super) fn resize(&mut self, size_max: usize) {
        self.size_max = size_max;
        self.shrink();
    }

    fn shrink(&mut self) {
        while self.size > self.size_max {
            let Some(entry) = self.entries.pop_back() else { break };
            self.size -= entry.size;
        }
    }
}

// === impl Entry ===

impl Entry {
    pub(super) fn new(name: Name, value: Bytes) -> Self {
        let size = name.len() + value.len() + OVERHEAD;
        Self { field: name.with(value), name, size }
    }
}

fn fixed_entries() -> Rc<[Entry]> {
    let entry = |&(name, value): &(&'static str, &'static str)| {
        Entry::new(Name::parse(name.as_bytes()), Bytes::from_static(value.as_bytes()))
    };
    FIELDS.iter().map(entry).collect()
}

/// RFC 7541, Appendix A.
pub(super) const FIELDS: [(&str, &str); 61] = [
    (":authority", ""),
    (":method", "GET"),
    (":method", "POST"),
    (":path", "/"),
    (":path", "/index.html"),
    (":scheme", "http"),
    (":scheme", "https"),
    (":status", "200"),
    (":status", "204"),
    (":status", "206"),
    (":status", "304"),
    (":status", "400"),
    (":status", "404"),
    (":status", "500"),
    ("accept-charset", ""),
    ("accept-encoding", "gzip, deflate"),
    ("accept-language", ""),
    ("accept-ranges", ""),
    ("accept", ""),
    ("access-control-allow-origin", ""),
    ("age", ""),
    ("allow", ""),
    ("authorization", ""),
    ("cache-control", ""),
    ("content-disposition", ""),
    ("content-encoding", ""),
    ("content-language", ""),
    ("content-length", ""),
    ("content-location", ""),
    ("content-range", ""),
    ("content-type", ""),
    ("cookie", ""),
    ("date", ""),
    ("etag", ""),
    ("expect", ""),
    ("expires", ""),
    ("from", ""),
    ("host", ""),
    ("if-match", ""),
    ("if-modified-since", ""),
    ("if-none-match", ""),
    ("if-range", ""),
    ("if-unmodified-since", ""),
    ("last-modified", ""),
    ("link", ""),
    ("location", ""),
    ("max-forwards", ""),
    ("proxy-authenticate", ""),
    ("proxy-authorization", ""),
    ("range", ""),
    ("referer", ""),
    ("refresh", ""),
    ("retry-after", ""),
    ("server", ""),
    ("set-cookie", ""),
    ("strict-transport-security", ""),
    ("transfer-encoding", ""),
    ("user-agent", ""),
    ("vary", ""),
    ("via", ""),
    ("www-authenticate", ""),
];
