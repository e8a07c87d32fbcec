use super::names::{self, NameError};
use serde::{Deserialize, Serialize};

/// What a request must look like; all that is stated must hold. The shape is that of the Gateway API's
/// `HTTPRouteMatch`.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct MatchSpec {
    /// The path; every path where it is not stated.
    pub path: PathMatch,
    /// Headers, all of them.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub headers: Vec<ValueMatch<names::HeaderName>>,
    /// Parameters of the query, all of them; of a repeated one the first.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub query_params: Vec<ValueMatch<String>>,
    /// The method.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub method: Option<names::Method>,
}

/// How a path is compared.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "type", content = "value", deny_unknown_fields)]
pub enum PathMatch {
    /// The path and nothing else.
    Exact(names::PathPrefix),
    /// The path up to a `/` or its end.
    PathPrefix(names::PathPrefix),
    /// A pattern that the whole path must fit.
    RegularExpression(Pattern),
}

/// A header or a parameter, and what its value must be.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(try_from = "RawValueMatch<N>", into = "RawValueMatch<N>")]
#[serde(bound(serialize = "N: Clone + Serialize", deserialize = "N: Deserialize<'de>"))]
pub struct ValueMatch<N> {
    /// The name.
    pub name: N,
    /// What its value must be.
    pub value: ValuePattern,
}

/// How a value is compared.
#[derive(Clone, Debug, PartialEq)]
pub enum ValuePattern {
    /// Byte by byte.
    Exact(String),
    /// The whole value must fit.
    RegularExpression(Pattern),
}

#[derive(Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct RawValueMatch<N> {
    name: N,
    value: String,
    #[serde(rename = "type", default)]
    kind: Kind,
}

#[derive(Clone, Copy, Default, Serialize, Deserialize)]
enum Kind {
    #[default]
    Exact,
    RegularExpression,
}

/// A regular expression (syntax of the crate `regex`, bytes instead of Unicode), anchored at both ends.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Pattern {
    text: String,
    compiled: regex::bytes::Regex,
}

/// A pattern may take this much memory when compiled; more is a mistake or an attack.
const PATTERN_BYTES_MAX: usize = 256 * 1024;

// === impl PathMatch ===

impl Default for PathMatch {
    fn default() -> Self {
        Self::PathPrefix(names::PathPrefix::default())
    }
}

// === impl ValueMatch ===

impl<N> TryFrom<RawValueMatch<N>> for ValueMatch<N> {
    type Error = NameError;

    fn try_from(RawValueMatch { name, value, kind }: RawValueMatch<N>) -> Result<Self, NameError> {
        let value = match kind {
            Kind::Exact => ValuePattern::Exact(value),
            Kind::RegularExpression => ValuePattern::RegularExpression(Pattern::new(&value)?),
        };
        Ok(Self { name, value })
    }
}

impl<N> From<ValueMatch<N>> for RawValueMatch<N> {
    fn from(ValueMatch { name, value }: ValueMatch<N>) -> Self {
        let (value, kind) = match value {
            ValuePattern::Exact(value) => (value, Kind::Exact),
            ValuePattern::RegularExpression(pattern) => (pattern.text, Kind::RegularExpression),
        };
        Self { name, value, kind }
    }
}

impl ValuePattern {
    /// Whether a value is as it must be.
    #[must_use]
    pub fn fits(&self, bytes: &[u8]) -> bool {
        match self {
            Self::Exact(exact) => exact.as_bytes() == bytes,
            Self::RegularExpression(pattern) => pattern.fits(bytes),
        }
    }
}

// === impl Pattern ===

impl Pattern {
    /// Compiles a pattern.
    ///
    /// # Errors
    /// The syntax is wrong, or it would take too much memory.
    pub fn new(text: &str) -> Result<Self, NameError> {
        let compile = |pattern: &str| {
            let builder = &mut regex::bytes::RegexBuilder::new(pattern);
            let compiled = builder.unicode(false).size_limit(PATTERN_BYTES_MAX).build();
            compiled.map_err(|error| NameError::Pattern(text.to_owned(), error.to_string()))
        };
        // By itself first: a parenthesis of its own could end the one that the anchors stand around.
        compile(text)?;
        Ok(Self { text: text.to_owned(), compiled: compile(&format!("^(?:{text})$"))? })
    }

    /// Whether the whole of `bytes` fits.
    #[must_use]
    pub fn fits(&self, bytes: &[u8]) -> bool {
        self.compiled.is_match(bytes)
    }

    /// The pattern as it was written.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.text
    }
}

impl PartialEq for Pattern {
    fn eq(&self, other: &Self) -> bool {
        self.text == other.text
    }
}

impl TryFrom<String> for Pattern {
    type Error = NameError;

    fn try_from(text: String) -> Result<Self, NameError> {
        Self::new(&text)
    }
}

impl From<Pattern> for String {
    fn from(pattern: Pattern) -> Self {
        pattern.text
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pattern_is_one_by_itself_and_can_not_leave_its_anchors() {
        for text in ["/a)|(?:/b", "(", "/a)"] {
            assert!(Pattern::new(text).is_err(), "{text}");
        }
        for text in ["/a|/b", "(?m)/a$"] {
            let pattern = Pattern::new(text).unwrap_or_else(|error| panic!("{text}: {error}"));
            assert!(pattern.fits(b"/a"), "{text}");
            for other in [&b"/axyz"[..], b"/x/a", b"/a\n/c"] {
                assert!(!pattern.fits(other), "{text}");
            }
        }
    }
}
