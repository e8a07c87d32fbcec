use super::{EndpointAddress, names};
use serde::{Deserialize, Serialize};
use std::num::{NonZeroU16, NonZeroU32};

/// What is done to requests and answers of a route. The shapes are those of the Gateway API's `HTTPRouteFilter`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum FilterSpec {
    /// Changes headers of the request.
    RequestHeaderModifier(HeaderEdits),
    /// Changes headers of the answer.
    ResponseHeaderModifier(HeaderEdits),
    /// Changes host or path towards the backend.
    UrlRewrite(UrlRewrite),
    /// Answers with another place.
    RequestRedirect(RequestRedirect),
    /// Sends a copy elsewhere and ignores the answer.
    RequestMirror(RequestMirror),
    /// Lets pages of other origins read answers.
    Cors(Cors),
}

/// Set, then add, then remove.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct HeaderEdits {
    /// In place of whatever is there.
    pub set: Vec<HeaderValueSpec>,
    /// Besides whatever is there.
    pub add: Vec<HeaderValueSpec>,
    /// Gone.
    pub remove: Vec<names::EditableHeader>,
}

/// A header and its value.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct HeaderValueSpec {
    /// The name.
    pub name: names::EditableHeader,
    /// The value.
    pub value: names::HeaderValue,
}

/// Another host or path for the backend.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct UrlRewrite {
    /// In place of the host that the client wrote.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub hostname: Option<names::Hostname>,
    /// In place of the path.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub path: Option<PathEdit>,
}

/// How a path is changed. The query stays.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum PathEdit {
    /// This instead of the whole path.
    ReplaceFullPath(names::PathPrefix),
    /// This instead of the prefix that matched.
    ReplacePrefixMatch(names::PathPrefix),
}

/// Another place. What is not stated stays.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct RequestRedirect {
    /// `http` or `https`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub scheme: Option<Scheme>,
    /// The host.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub hostname: Option<names::Hostname>,
    /// The path.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub path: Option<PathEdit>,
    /// The port.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub port: Option<NonZeroU16>,
    /// 301, 302, 303, 307 or 308; default 302.
    pub status_code: RedirectStatus,
}

/// What a URI begins with.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Scheme {
    /// Port 80.
    Http,
    /// Port 443.
    Https,
}

/// The status of a redirect.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "u16", into = "u16")]
pub struct RedirectStatus(pub u16);

/// Where copies go.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct RequestMirror {
    /// One of these gets the copy.
    pub endpoints: Vec<EndpointAddress>,
    /// How many requests of a hundred are copied; default 100.
    #[serde(default = "all")]
    pub percent: Percent,
    /// How many are copied where a hundredth is too coarse; it counts instead of the percent.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub fraction: Option<Fraction>,
}

/// A part of all requests, at most 1.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "RawFraction", into = "RawFraction")]
pub struct Fraction {
    numerator: u32,
    denominator: NonZeroU32,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct RawFraction {
    numerator: u32,
    #[serde(default = "hundred")]
    denominator: NonZeroU32,
}

/// 0 to 100.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "u8", into = "u8")]
pub struct Percent(u8);

/// Who may read answers from pages of other origins (Fetch standard, CORS protocol).
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct Cors {
    /// Like `https://example.com`, `https://*.example.com` or `*`.
    pub allow_origins: Vec<String>,
    /// Like `GET`, or `*`.
    pub allow_methods: Vec<String>,
    /// Like `content-type`, or `*`.
    pub allow_headers: Vec<String>,
    /// What a page may read beyond the usual.
    pub expose_headers: Vec<String>,
    /// Whether cookies are sent along.
    pub allow_credentials: bool,
    /// How many seconds the answer to a preflight holds; default 5.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub max_age: Option<u32>,
}

/// A number out of its range.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum RangeError {
    /// No redirect.
    #[error("statusCode {0} is no redirect; write 301, 302, 303, 307 or 308")]
    Redirect(u16),
    /// No share.
    #[error("percent {0} is more than 100")]
    Percent(u8),
    /// No share.
    #[error("fraction {0}/{1} is more than 1")]
    Fraction(u32, NonZeroU32),
}

// === impl HeaderEdits ===

impl HeaderEdits {
    /// Whether nothing is changed.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        let Self { set, add, remove } = self;
        set.is_empty() && add.is_empty() && remove.is_empty()
    }
}

// === impl RequestRedirect ===

impl Default for RequestRedirect {
    fn default() -> Self {
        Self { scheme: None, hostname: None, path: None, port: None, status_code: RedirectStatus(302) }
    }
}

impl TryFrom<u16> for RedirectStatus {
    type Error = RangeError;

    fn try_from(status: u16) -> Result<Self, RangeError> {
        if matches!(status, 301 | 302 | 303 | 307 | 308) {
            Ok(Self(status))
        } else {
            Err(RangeError::Redirect(status))
        }
    }
}

impl From<RedirectStatus> for u16 {
    fn from(status: RedirectStatus) -> Self {
        status.0
    }
}

// === impl RequestMirror ===

impl RequestMirror {
    /// How many of how many requests are copied.
    #[must_use]
    pub fn share(&self) -> (u32, NonZeroU32) {
        let percent = || (u32::from(self.percent.0), hundred());
        self.fraction.map_or_else(percent, |Fraction { numerator, denominator }| (numerator, denominator))
    }
}

// === impl Fraction ===

impl TryFrom<RawFraction> for Fraction {
    type Error = RangeError;

    fn try_from(RawFraction { numerator, denominator }: RawFraction) -> Result<Self, RangeError> {
        if numerator <= denominator.get() {
            Ok(Self { numerator, denominator })
        } else {
            Err(RangeError::Fraction(numerator, denominator))
        }
    }
}

impl From<Fraction> for RawFraction {
    fn from(Fraction { numerator, denominator }: Fraction) -> Self {
        Self { numerator, denominator }
    }
}

fn hundred() -> NonZeroU32 {
    NonZeroU32::MIN.saturating_add(99)
}

// === impl Percent ===

impl Percent {
    /// 0 to 100.
    #[must_use]
    pub const fn get(self) -> u8 {
        self.0
    }
}

impl TryFrom<u8> for Percent {
    type Error = RangeError;

    fn try_from(percent: u8) -> Result<Self, RangeError> {
        if percent <= 100 { Ok(Self(percent)) } else { Err(RangeError::Percent(percent)) }
    }
}

impl From<Percent> for u8 {
    fn from(percent: Percent) -> Self {
        percent.0
    }
}

const fn all() -> Percent {
    Percent(100)
}
