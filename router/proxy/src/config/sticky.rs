use super::{Duration, names};
use serde::{Deserialize, Serialize};

/// What a client is known by; exactly one of header, cookie and address.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", try_from = "RawSticky", into = "RawSticky")]
pub enum StickySpec {
    /// The value of this header.
    Header(names::HeaderName),
    /// The value of this cookie, which the service sets.
    Cookie(String),
    /// The value of a cookie that the router sets itself.
    Issued(IssuedCookie),
    /// The address that the connection comes from.
    Address,
}

/// A cookie that holds for one release: with another epoch every client is drawn anew, so that the same ones are not
/// always the first to meet a new version.
#[derive(Clone, Debug, PartialEq)]
pub struct IssuedCookie {
    /// The name of the cookie.
    pub name: String,
    /// What the release is called.
    pub epoch: String,
    /// How long a browser keeps it; default 24h.
    pub max_age: Duration,
}

/// Why a sticky key can't be used.
#[derive(Debug, thiserror::Error)]
pub(super) enum StickyError {
    #[error("sticky needs exactly one of header, cookie or address: true")]
    NotOne,
    #[error("epoch and maxAge are for a cookie that the router sets; write both beside cookie, or none")]
    NoCookie,
    #[error("{0} {1:?} is not usable; write 1 to 64 letters, digits, '.', '_' or '-'")]
    Word(&'static str, String),
}

#[derive(Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct RawSticky {
    #[serde(skip_serializing_if = "Option::is_none")]
    header: Option<names::HeaderName>,
    #[serde(skip_serializing_if = "Option::is_none")]
    cookie: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    epoch: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    max_age: Option<Duration>,
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    address: bool,
}

// === impl StickySpec ===

impl TryFrom<RawSticky> for StickySpec {
    type Error = StickyError;

    fn try_from(raw: RawSticky) -> Result<Self, StickyError> {
        if raw.cookie.is_none() && raw.epoch.is_some() || raw.epoch.is_none() && raw.max_age.is_some() {
            return Err(StickyError::NoCookie);
        }
        match (raw.header, raw.cookie, raw.address) {
            (Some(header), None, false) => Ok(Self::Header(header)),
            (None, Some(cookie), false) => {
                let name = word("cookie", cookie)?;
                let Some(epoch) = raw.epoch else { return Ok(Self::Cookie(name)) };
                let max_age =
                    raw.max_age.unwrap_or_else(|| std::time::Duration::from_secs(24 * 3_600).into());
                Ok(Self::Issued(IssuedCookie { name, epoch: word("epoch", epoch)?, max_age }))
            }
            (None, None, true) => Ok(Self::Address),
            _ => Err(StickyError::NotOne),
        }
    }
}

fn word(what: &'static str, text: String) -> Result<String, StickyError> {
    if text.len() <= 64 && names::is_name(&text) { Ok(text) } else { Err(StickyError::Word(what, text)) }
}

impl From<StickySpec> for RawSticky {
    fn from(sticky: StickySpec) -> Self {
        match sticky {
            StickySpec::Header(header) => Self { header: Some(header), ..Self::default() },
            StickySpec::Cookie(cookie) => Self { cookie: Some(cookie), ..Self::default() },
            StickySpec::Issued(IssuedCookie { name, epoch, max_age }) => {
                Self { cookie: Some(name), epoch: Some(epoch), max_age: Some(max_age), ..Self::default() }
            }
            StickySpec::Address => Self { address: true, ..Self::default() },
        }
    }
}

// === impl IssuedCookie ===

impl IssuedCookie {
    /// Whether a client's cookie is of this release.
    #[must_use]
    pub fn holds(&self, value: &[u8]) -> bool {
        let key = value.strip_prefix(self.epoch.as_bytes()).and_then(|rest| rest.strip_prefix(b"."));
        key.is_some_and(|key| key.len() == 16 && key.iter().all(u8::is_ascii_hexdigit))
    }

    /// The value for a client that has none.
    #[must_use]
    pub fn value(&self, random: u64) -> String {
        format!("{}.{random:016x}", self.epoch)
    }

    /// The header that gives it to the client.
    #[must_use]
    pub fn header(&self, value: &str, scheme: &str) -> Option<hyper::header::HeaderValue> {
        let (name, seconds) = (&self.name, self.max_age.get().as_secs());
        let secure = if scheme == "https" { "; Secure" } else { "" };
        let text = format!("{name}={value}; Path=/; Max-Age={seconds}; HttpOnly; SameSite=Lax{secure}");
        hyper::header::HeaderValue::from_str(&text).ok()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(yaml: &str) -> Result<StickySpec, String> {
        serde_saphyr::from_str(yaml).map_err(|error| error.to_string())
    }

    #[test]
    fn a_sticky_key_is_exactly_one_thing() {
        for (yaml, why) in [
            ("{}", "exactly one"),
            ("{header: a, address: true}", "exactly one"),
            ("{cookie: a, header: b}", "exactly one"),
            ("{header: a, epoch: '1'}", "beside cookie"),
            ("{cookie: a, maxAge: 1h}", "beside cookie"),
            ("{cookie: 'a;b'}", "cookie \"a;b\""),
            ("{cookie: a, epoch: 'a b'}", "epoch \"a b\""),
        ] {
            let error = read(yaml).unwrap_err();
            assert!(error.contains(why), "{yaml}: {error}");
        }
    }

    #[test]
    fn a_cookie_of_the_router_holds_for_its_release_only() {
        let StickySpec::Issued(cookie) = read("{cookie: track, epoch: v2, maxAge: 1h}").unwrap() else {
            panic!()
        };
        let value = cookie.value(0xAB);
        assert_eq!(value, "v2.00000000000000ab");
        assert!(cookie.holds(value.as_bytes()));
        for other in ["v1.00000000000000ab", "v2.", "v2.00000000000000a", "v2x00000000000000ab", ""] {
            assert!(!cookie.holds(other.as_bytes()), "{other}");
        }
        let header = cookie.header(&value, "https").unwrap();
        assert_eq!(header, "track=v2.00000000000000ab; Path=/; Max-Age=3600; HttpOnly; SameSite=Lax; Secure");
    }
}
