use serde::{Deserialize, Serialize};
use std::fmt;

/// A host that requests are for: `example.com`, or `*.example.com` for every host below it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String")]
pub struct Hostname(String);

/// The beginning of a path, whole segments only.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String")]
pub struct PathPrefix(String);

/// The name of a header, in lower case.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct HeaderName(hyper::header::HeaderName);

/// A header that filters may change: not the host, and nothing that frames the message or belongs to a connection.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct EditableHeader(HeaderName);

/// The value of a header.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct HeaderValue(hyper::header::HeaderValue);

/// The method of a request.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Method(hyper::Method);

/// Why a text is none of the above.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NameError {
    /// Not a host.
    #[error(
        "hostname {0:?} is not usable; write a host without a port, like \"example.com\" or \"*.example.com\""
    )]
    Hostname(String),
    /// Not a path.
    #[error("pathPrefix {0:?} is not usable; begin it with '/', without '?', '#', spaces or empty segments")]
    PathPrefix(String),
    /// Not for a filter.
    #[error("header {0:?} frames or routes the message; it can't be changed by a filter")]
    NotEditable(String),
    /// Not printable.
    #[error("header value {0:?} is not usable; write visible ASCII characters")]
    HeaderValue(String),
    /// Not a token.
    #[error("method {0:?} is not usable; write it like GET or POST")]
    Method(String),
    /// Not a regular expression.
    #[error("pattern {0:?} is not usable: {1}")]
    Pattern(String, String),
    /// Not a token.
    #[error("header name {0:?} is not usable; write letters, digits and '-'")]
    HeaderName(String),
}

/// Whether `name` can be a metric label value and a segment of a path as it is.
pub(crate) fn is_name(name: &str) -> bool {
    (1..=253).contains(&name.len())
        && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'_' | b'-'))
}

// === impl Hostname ===

impl Hostname {
    /// Lower case, with its leading `*.` where it has one.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl TryFrom<String> for Hostname {
    type Error = NameError;

    fn try_from(text: String) -> Result<Self, NameError> {
        let host = text.strip_prefix("*.").unwrap_or(&text);
        let is_label = |label: &str| {
            (1..=63).contains(&label.len())
                && label.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_'))
        };
        if host.len() > 253 || !host.split('.').all(is_label) {
            return Err(NameError::Hostname(text));
        }
        Ok(Self(text.to_ascii_lowercase()))
    }
}

// === impl PathPrefix ===

impl PathPrefix {
    /// As it was written.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The prefix without the slash at its end; the root is the empty text.
    #[must_use]
    pub fn trimmed(&self) -> &str {
        self.0.trim_end_matches('/')
    }
}

impl Default for PathPrefix {
    fn default() -> Self {
        Self("/".to_owned())
    }
}

impl TryFrom<String> for PathPrefix {
    type Error = NameError;

    fn try_from(text: String) -> Result<Self, NameError> {
        let plain = text.bytes().all(|byte| byte.is_ascii_graphic() && !matches!(byte, b'?' | b'#'));
        if !text.starts_with('/') || !plain || text.contains("//") || text.len() > 1024 {
            return Err(NameError::PathPrefix(text));
        }
        Ok(Self(text))
    }
}

// === impl HeaderName ===

impl HeaderName {
    /// The name as hyper looks it up.
    #[must_use]
    pub const fn get(&self) -> &hyper::header::HeaderName {
        &self.0
    }
}

impl fmt::Display for HeaderName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.0.as_str())
    }
}

impl TryFrom<String> for HeaderName {
    type Error = NameError;

    fn try_from(text: String) -> Result<Self, NameError> {
        text.parse().map(Self).map_err(|_| NameError::HeaderName(text))
    }
}

impl From<HeaderName> for String {
    fn from(name: HeaderName) -> Self {
        name.to_string()
    }
}

// === impl EditableHeader ===

impl EditableHeader {
    /// The name as hyper looks it up.
    #[must_use]
    pub const fn get(&self) -> &hyper::header::HeaderName {
        self.0.get()
    }
}

impl TryFrom<String> for EditableHeader {
    type Error = NameError;

    fn try_from(text: String) -> Result<Self, NameError> {
        let name = HeaderName::try_from(text.clone())?;
        let is_fixed = crate::exchange::is_hop_by_hop(name.get().as_str().as_bytes())
            || matches!(name.get().as_str(), "host" | "content-length" | "te" | "trailer");
        if is_fixed { Err(NameError::NotEditable(text)) } else { Ok(Self(name)) }
    }
}

impl From<EditableHeader> for String {
    fn from(name: EditableHeader) -> Self {
        name.0.to_string()
    }
}

// === impl HeaderValue ===

impl HeaderValue {
    /// The value as hyper writes it.
    #[must_use]
    pub const fn get(&self) -> &hyper::header::HeaderValue {
        &self.0
    }
}

impl TryFrom<String> for HeaderValue {
    type Error = NameError;

    fn try_from(text: String) -> Result<Self, NameError> {
        let value = hyper::header::HeaderValue::from_str(&text).ok().filter(|value| value.to_str().is_ok());
        value.map(Self).ok_or(NameError::HeaderValue(text))
    }
}

impl From<HeaderValue> for String {
    fn from(value: HeaderValue) -> Self {
        value.0.to_str().unwrap_or_default().to_owned()
    }
}

// === impl Method ===

impl Method {
    /// The method as hyper knows it.
    #[must_use]
    pub const fn get(&self) -> &hyper::Method {
        &self.0
    }
}

impl TryFrom<String> for Method {
    type Error = NameError;

    fn try_from(text: String) -> Result<Self, NameError> {
        let is_usual = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_uppercase() || byte == b'-');
        let method = text.parse().ok().filter(|_| is_usual);
        method.map(Self).ok_or(NameError::Method(text))
    }
}

impl From<Method> for String {
    fn from(method: Method) -> Self {
        method.0.as_str().to_owned()
    }
}
