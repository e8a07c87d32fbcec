use super::{
    outline::{Outline, Place},
    spare::{self, Lines},
};
use hyper::header::{HeaderMap, HeaderName, HeaderValue};

/// The lines of a head in their order, names in lower case.
#[derive(Clone, Default)]
pub struct Fields {
    /// Names and values, and whatever stood between them.
    pub(super) text: Vec<u8>,
    lines: Lines,
}

// === impl Fields ===

impl Fields {
    /// No lines yet, and room for as many as usual heads have.
    #[must_use]
    pub fn with_room() -> Self {
        Self { text: spare::text(), lines: spare::lines() }
    }

    /// The lines that `outline` finds in `head`, which is copied as a whole.
    pub(crate) fn of_head(head: &[u8], outline: &mut Outline) -> Self {
        let mut text = spare::text();
        text.extend_from_slice(head);
        for (name, _) in &outline.lines {
            text.get_mut(name.range()).unwrap_or_default().make_ascii_lowercase();
        }
        Self { text, lines: std::mem::take(&mut outline.lines) }
    }

    /// All lines, name and value.
    pub fn iter(&self) -> impl DoubleEndedIterator<Item = (&[u8], &[u8])> {
        self.lines.iter().map(|(name, value)| (name.in_bytes(&self.text), value.in_bytes(&self.text)))
    }

    /// The values of all lines of that name, which is in lower case.
    pub fn get_all(&self, name: &str) -> impl DoubleEndedIterator<Item = &[u8]> {
        self.iter().filter(move |(known, _)| *known == name.as_bytes()).map(|(_, value)| value)
    }

    /// The value of the first line of that name, which is in lower case.
    #[must_use]
    pub fn get(&self, name: &str) -> Option<&[u8]> {
        self.get_all(name).next()
    }

    /// The same, as far as it is text that can be shown.
    #[must_use]
    pub fn get_str(&self, name: &str) -> Option<&str> {
        let value = self.get(name)?;
        let is_shown = value.iter().all(|&byte| byte == b'\t' || (b' '..0x7F).contains(&byte));
        std::str::from_utf8(value).ok().filter(|_| is_shown)
    }

    /// Whether there is a line of that name, which is in lower case.
    #[must_use]
    pub fn contains(&self, name: &str) -> bool {
        self.get(name).is_some()
    }

    /// How many lines there are.
    #[must_use]
    pub const fn len(&self) -> usize {
        self.lines.len()
    }

    /// Whether there are none.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.lines.is_empty()
    }

    /// Adds a line. Whoever calls this knows that both are what HTTP allows, and the name in lower case.
    pub fn append(&mut self, name: &str, value: &[u8]) {
        let name = self.put(name.as_bytes());
        let value = self.put(value);
        self.lines.push((name, value));
    }

    /// Replaces all lines of that name by one.
    pub fn insert(&mut self, name: &str, value: &[u8]) {
        self.remove(name);
        self.append(name, value);
    }

    /// Removes all lines of that name, which is in lower case.
    pub fn remove(&mut self, name: &str) {
        let text = &self.text;
        self.lines.retain(|(known, _)| known.in_bytes(text) != name.as_bytes());
    }

    /// The same for hyper; what it does not take is left out.
    #[must_use]
    pub fn to_map(&self) -> HeaderMap {
        let mut map = HeaderMap::with_capacity(self.lines.len());
        for (name, value) in self.iter() {
            if let (Ok(name), Ok(value)) = (HeaderName::from_bytes(name), HeaderValue::from_bytes(value)) {
                map.append(name, value);
            }
        }
        map
    }

    /// Adds text that is no line.
    pub(super) fn put(&mut self, text: &[u8]) -> Place {
        let begin = self.text.len();
        self.text.extend_from_slice(text);
        Place::of(begin, text)
    }
}

impl From<&HeaderMap> for Fields {
    fn from(map: &HeaderMap) -> Self {
        let mut fields = Self::with_room();
        for (name, value) in map {
            fields.append(name.as_str(), value.as_bytes());
        }
        fields
    }
}

impl Drop for Fields {
    fn drop(&mut self) {
        spare::keep(std::mem::take(&mut self.text), std::mem::take(&mut self.lines));
    }
}

impl std::fmt::Debug for Fields {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let text = |bytes| String::from_utf8_lossy(bytes);
        f.debug_map().entries(self.iter().map(|(name, value)| (text(name), text(value)))).finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_are_found_changed_and_keep_their_order() {
        let mut fields = Fields::default();
        for (name, value) in [("a", "1"), ("b", "2"), ("a", "3")] {
            fields.append(name, value.as_bytes());
        }
        assert_eq!(fields.get("a"), Some(&b"1"[..]));
        assert_eq!(fields.get_all("a").collect::<Vec<_>>(), [b"1", b"3"]);
        assert!(fields.contains("b") && !fields.contains("A"));
        fields.insert("a", b"4");
        fields.append("c", b"");
        fields.remove("b");
        assert_eq!(fields.iter().collect::<Vec<_>>(), [(&b"a"[..], &b"4"[..]), (b"c", b"")]);
        assert_eq!(Fields::from(&fields.to_map()).len(), 2);
    }

    #[test]
    fn a_value_that_can_t_be_shown_is_no_text() {
        let mut fields = Fields::default();
        fields.append("a", "\u{e4}".as_bytes());
        assert_eq!((fields.get_str("a"), fields.get_str("b")), (None, None));
    }
}
