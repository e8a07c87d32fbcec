//! Lengths of time, written as the Gateway API writes them.

use std::{fmt, str::FromStr, time::Duration};

use serde::{Deserialize, Deserializer, de::Error as _};

/// A length of time in the form of [GEP-2257](https://gateway-api.sigs.k8s.io/geps/gep-2257/):
/// one to four numbers of up to five digits, each with `h`, `m`, `s` or `ms`. Never negative.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Span(Duration);

/// Text that is not a [`Span`].
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "`{0}` is not a duration: write numbers with h, m, s or ms, such as 30s, 1m30s or 500ms; it cannot be negative"
)]
pub struct SpanError(String);

impl Span {
    /// The same length as the standard library's type.
    pub const fn get(self) -> Duration {
        self.0
    }
}

impl From<Duration> for Span {
    fn from(duration: Duration) -> Self {
        Self(duration)
    }
}

impl FromStr for Span {
    type Err = SpanError;

    fn from_str(text: &str) -> Result<Self, SpanError> {
        let refuse = || SpanError(text.to_owned());
        let mut rest = text;
        let mut sum = Duration::ZERO;
        let mut parts = 0;
        while !rest.is_empty() {
            let digits = rest.len() - rest.trim_start_matches(|c: char| c.is_ascii_digit()).len();
            let (number, tail) = rest.split_at(digits);
            let letters = tail.len() - tail.trim_start_matches(|c: char| c.is_ascii_lowercase()).len();
            let (unit, tail) = tail.split_at(letters);
            if digits > 5 || parts == 4 {
                return Err(refuse());
            }
            let number: u64 = number.parse().map_err(|_| refuse())?;
            sum += match unit {
                "h" => Duration::from_secs(number * 3600),
                "m" => Duration::from_secs(number * 60),
                "s" => Duration::from_secs(number),
                "ms" => Duration::from_millis(number),
                _ => return Err(refuse()),
            };
            parts += 1;
            rest = tail;
        }
        if parts == 0 { Err(refuse()) } else { Ok(Self(sum)) }
    }
}

impl fmt::Display for Span {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let total_ms = self.0.as_millis();
        if total_ms == 0 {
            return write!(f, "0s");
        }
        let units = [("h", 3_600_000), ("m", 60_000), ("s", 1_000), ("ms", 1)];
        let mut rest = total_ms;
        for (unit, size) in units {
            if rest >= size {
                write!(f, "{}{unit}", rest / size)?;
                rest %= size;
            }
        }
        Ok(())
    }
}

impl<'de> Deserialize<'de> for Span {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        text.parse().map_err(D::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_forms_of_gep_2257_are_read_and_written() {
        for (text, ms) in
            [("0s", 0), ("500ms", 500), ("90s", 90_000), ("1m30s", 90_000), ("1h1ms", 3_600_001)]
        {
            assert_eq!(text.parse::<Span>().map(|span| span.get().as_millis()), Ok(ms), "{text}");
        }
        assert_eq!(Span(Duration::from_millis(90_500)).to_string(), "1m30s500ms");
        assert_eq!(Span(Duration::ZERO).to_string(), "0s");
    }

    #[test]
    fn everything_else_is_refused_with_the_remedy() {
        for text in ["", "5", "-5s", "1.5s", "5 s", "5d", "s", "123456s", "1s1s1s1s1s", "5S", "１s"] {
            let error = text.parse::<Span>().unwrap_err().to_string();
            assert!(error.contains("such as 30s") && error.contains(text), "{error}");
        }
    }
}
