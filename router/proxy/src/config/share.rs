use serde::{Deserialize, Serialize};
use std::{fmt, str::FromStr};

/// A part of all requests, from 0 % to 100 %.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Share {
    percent: f64,
}

/// The text is no [`Share`].
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0:?} is no share: write it like 1% or 0.5%, at most 100%")]
pub struct ShareError(String);

// === impl Share ===

impl Share {
    /// From 0 to 1.
    #[must_use]
    pub const fn get(self) -> f64 {
        self.percent / 100.0
    }
}

impl FromStr for Share {
    type Err = ShareError;

    fn from_str(text: &str) -> Result<Self, ShareError> {
        let number =
            text.strip_suffix('%').filter(|number| number.bytes().all(|b| b.is_ascii_digit() || b == b'.'));
        let percent = number.and_then(|number| number.parse().ok());
        let percent = percent.filter(|percent| (0.0..=100.0).contains(percent));
        percent.map(|percent| Self { percent }).ok_or_else(|| ShareError(text.to_owned()))
    }
}

impl fmt::Display for Share {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}%", self.percent)
    }
}

impl TryFrom<String> for Share {
    type Error = ShareError;

    fn try_from(text: String) -> Result<Self, ShareError> {
        text.parse()
    }
}

impl From<Share> for String {
    fn from(share: Share) -> Self {
        share.to_string()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_share_is_a_percentage() {
        assert_eq!("1%".parse::<Share>().unwrap().get(), 0.01);
        assert_eq!("100%".parse::<Share>().unwrap().get(), 1.0);
        assert_eq!("0.7%".parse::<Share>().unwrap().to_string(), "0.7%");
        for text in ["", "%", "1", "101%", "-1%", "1e1%", "inf%", "NaN%"] {
            assert!(text.parse::<Share>().is_err(), "{text:?}");
        }
    }
}
