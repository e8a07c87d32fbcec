//! Spans of time as Kubernetes' Gateway API writes them
//! ([GEP-2257](https://gateway-api.sigs.k8s.io/geps/gep-2257/)).

#[cfg(feature = "schema")]
mod schema;

use serde::{Deserialize, Serialize};
use std::fmt;
use std::str::FromStr;

/// A span of time, written as in GEP-2257: `1h30m`, `10s`, `500ms`.
///
/// At most four parts of at most five digits, each with a unit of `h`, `m`, `s` or `ms`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Duration(std::time::Duration);

/// Why a text is not a duration.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is not a duration: write it as 10s, 1m30s, 500ms or 2h (GEP-2257)")]
pub struct InvalidDuration(String);

// === impl Duration ===

impl Duration {
    /// No time at all.
    pub const ZERO: Self = Self(std::time::Duration::ZERO);

    /// A span of whole seconds.
    pub const fn from_secs(secs: u64) -> Self {
        Self(std::time::Duration::from_secs(secs))
    }

    /// A span of whole milliseconds.
    pub const fn from_millis(millis: u64) -> Self {
        Self(std::time::Duration::from_millis(millis))
    }

    /// The span as the standard library has it.
    pub const fn get(self) -> std::time::Duration {
        self.0
    }

    /// Whether the span is empty.
    pub const fn is_zero(self) -> bool {
        self.0.is_zero()
    }
}

impl From<std::time::Duration> for Duration {
    fn from(duration: std::time::Duration) -> Self {
        Self(duration)
    }
}

impl FromStr for Duration {
    type Err = InvalidDuration;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let invalid = || InvalidDuration(text.to_owned());
        let mut rest = text;
        let mut millis = 0u64;
        let mut parts = 0;
        while !rest.is_empty() {
            let digits = rest.find(|c: char| !c.is_ascii_digit()).ok_or_else(invalid)?;
            let (number, tail) = rest.split_at(digits);
            let letters = tail.find(|c: char| c.is_ascii_digit()).unwrap_or(tail.len());
            let (unit, tail) = tail.split_at(letters);
            let scale = match unit {
                "h" => 3_600_000,
                "m" => 60_000,
                "s" => 1_000,
                "ms" => 1,
                _ => return Err(invalid()),
            };
            parts += 1;
            if parts > 4 || number.len() > 5 {
                return Err(invalid());
            }
            millis += number.parse::<u64>().map_err(|_| invalid())? * scale;
            rest = tail;
        }
        if parts == 0 { Err(invalid()) } else { Ok(Self::from_millis(millis)) }
    }
}

impl fmt::Display for Duration {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let millis = self.0.as_millis();
        if millis == 0 {
            return f.write_str("0s");
        }
        let parts = [
            (millis / 3_600_000, "h"),
            (millis / 60_000 % 60, "m"),
            (millis / 1_000 % 60, "s"),
            (millis % 1_000, "ms"),
        ];
        for (number, unit) in parts.into_iter().filter(|(number, _)| *number > 0) {
            write!(f, "{number}{unit}")?;
        }
        Ok(())
    }
}

impl TryFrom<String> for Duration {
    type Error = InvalidDuration;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        text.parse()
    }
}

impl From<Duration> for String {
    fn from(duration: Duration) -> Self {
        duration.to_string()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_unit_is_read_and_written_back() {
        for text in ["10s", "1m30s", "500ms", "2h", "1h1m1s1ms", "0s"] {
            assert_eq!(text.parse::<Duration>().unwrap().to_string(), text);
        }
        assert_eq!("90s".parse::<Duration>().unwrap().to_string(), "1m30s");
    }

    #[test]
    fn what_gep_2257_does_not_allow_is_refused_by_name() {
        for text in ["", "10", "-1s", "1.5s", "1d", "s", "5S", "1 s", "100000s", "1h1m1s1ms1s", "NaN", "１s"]
        {
            let error = text.parse::<Duration>().unwrap_err().to_string();
            assert!(error.starts_with(&format!("`{text}` is not a duration")), "{error}");
        }
    }
}
