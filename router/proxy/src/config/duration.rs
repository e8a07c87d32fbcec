use serde::{Deserialize, Serialize};
use std::{fmt, str::FromStr, time};

/// A length of time as the Gateway API writes it: one to four numbers of up to five digits with the units
/// `h`, `m`, `s` or `ms`, like `10s`, `1m30s` or `500ms` ([GEP-2257](https://gateway-api.sigs.k8s.io/geps/gep-2257/)).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Duration(time::Duration);

/// The text is no [`Duration`].
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0:?} is not a duration: write it like \"10s\", \"1m30s\" or \"500ms\"")]
pub struct DurationError(String);

// === impl Duration ===

impl Duration {
    /// The length as the standard library counts it.
    #[must_use]
    pub const fn get(self) -> time::Duration {
        self.0
    }
}

impl From<time::Duration> for Duration {
    fn from(duration: time::Duration) -> Self {
        Self(duration)
    }
}

impl FromStr for Duration {
    type Err = DurationError;

    fn from_str(text: &str) -> Result<Self, DurationError> {
        let error = || DurationError(text.to_owned());
        let mut rest = text;
        let mut total = time::Duration::ZERO;
        for _ in 0..4 {
            let digits = rest.bytes().take_while(u8::is_ascii_digit).count();
            let (number, after) = rest.split_at(digits);
            let units = after.bytes().take_while(u8::is_ascii_alphabetic).count();
            let (unit, after) = after.split_at(units);
            if !(1..=5).contains(&digits) {
                return Err(error());
            }
            let number: u64 = number.parse().map_err(|_| error())?;
            total += match unit {
                "h" => time::Duration::from_secs(number * 3_600),
                "m" => time::Duration::from_secs(number * 60),
                "s" => time::Duration::from_secs(number),
                "ms" => time::Duration::from_millis(number),
                _ => return Err(error()),
            };
            rest = after;
            if rest.is_empty() {
                return Ok(Self(total));
            }
        }
        Err(error())
    }
}

impl fmt::Display for Duration {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let seconds = self.0.as_secs();
        let parts = [
            (u128::from(seconds / 3_600), "h"),
            (u128::from(seconds / 60 % 60), "m"),
            (u128::from(seconds % 60), "s"),
            (u128::from(self.0.subsec_millis()), "ms"),
        ];
        if parts.iter().all(|&(number, _)| number == 0) {
            return f.write_str("0s");
        }
        parts
            .iter()
            .filter(|&&(number, _)| number > 0)
            .try_for_each(|(number, unit)| write!(f, "{number}{unit}"))
    }
}

impl TryFrom<String> for Duration {
    type Error = DurationError;

    fn try_from(text: String) -> Result<Self, DurationError> {
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
    fn durations_read_back_as_they_are_written() {
        for (text, millis) in
            [("10s", 10_000), ("1m30s", 90_000), ("500ms", 500), ("1h2m3s4ms", 3_723_004), ("0s", 0)]
        {
            let duration: Duration = text.parse().unwrap();
            assert_eq!(duration.get(), time::Duration::from_millis(millis));
            assert_eq!(duration.to_string(), text);
        }
    }

    #[test]
    fn nonsense_is_refused() {
        for text in ["", "10", "-1s", "1.5s", "s", "100000s", "1d", "1s1s1s1s1s", "1 s", "NaN", "１s"] {
            assert_eq!(text.parse::<Duration>(), Err(DurationError(text.to_owned())), "{text:?}");
        }
    }
}
