use serde::{Deserialize, Deserializer, Serialize, Serializer, de};
use std::{fmt, str::FromStr};

/// The canary's share of requests: 0 % to 100 % in steps of 0.01 % (one basis point).
///
/// Written as `"5%"`, `"0.5%"` or `"33.33%"`; a bare number is read as percent, so `5`, `0.5` and `"5"` do as well.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Weight(u16);

/// Why a text or a number is no [`Weight`].
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum WeightError {
    /// Below 0 % or above 100 %.
    #[error("weight {0} is outside 0% to 100%")]
    OutOfRange(String),
    /// More than two decimals.
    #[error("weight {0} is finer than 0.01%: write at most two decimals")]
    TooFine(String),
    /// Not a number at all.
    #[error("weight {0:?} is not a percentage: write it like \"5%\" or \"0.5%\"")]
    NotANumber(String),
}

// === impl Weight ===

impl Weight {
    /// Nothing by weight.
    pub const ZERO: Self = Self(0);
    /// Everything.
    pub const FULL: Self = Self(Self::BASIS_POINTS);
    /// The basis points of [`Weight::FULL`].
    pub const BASIS_POINTS: u16 = 10_000;

    /// A weight of `basis_points` hundredths of a percent.
    ///
    /// # Errors
    /// [`WeightError::OutOfRange`] above 10,000.
    pub fn from_basis_points(basis_points: u16) -> Result<Self, WeightError> {
        if basis_points > Self::BASIS_POINTS {
            return Err(WeightError::OutOfRange(format!("{}%", f64::from(basis_points) / 100.0)));
        }
        Ok(Self(basis_points))
    }

    /// A weight of `basis_points` hundredths of a percent, or [`Weight::FULL`] where there are more.
    #[must_use]
    pub const fn from_basis_points_saturating(basis_points: u16) -> Self {
        if basis_points > Self::BASIS_POINTS { Self::FULL } else { Self(basis_points) }
    }

    /// Hundredths of a percent, 0 to 10,000.
    #[must_use]
    pub const fn basis_points(self) -> u16 {
        self.0
    }

    /// The share as a fraction, 0.0 to 1.0.
    #[must_use]
    pub fn fraction(self) -> f64 {
        f64::from(self.0) / f64::from(Self::BASIS_POINTS)
    }

    /// What is left for the other track.
    #[must_use]
    pub const fn rest(self) -> Self {
        Self(Self::BASIS_POINTS - self.0)
    }

    /// Whether nothing arrives by weight.
    #[must_use]
    pub const fn is_zero(self) -> bool {
        self.0 == 0
    }
}

impl fmt::Display for Weight {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (whole, hundredths) = (self.0 / 100, self.0 % 100);
        let text = match (hundredths, hundredths % 10) {
            (0, _) => format!("{whole}%"),
            (_, 0) => format!("{whole}.{}%", hundredths / 10),
            _ => format!("{whole}.{hundredths:02}%"),
        };
        f.pad(&text)
    }
}

impl FromStr for Weight {
    type Err = WeightError;

    fn from_str(text: &str) -> Result<Self, WeightError> {
        let number = text.trim().trim_end_matches('%').trim_end();
        let digits = number.strip_prefix(['-', '+']).unwrap_or(number);
        let (whole, decimals) = digits.split_once('.').unwrap_or((digits, ""));
        let is_digits = |part: &str| part.bytes().all(|byte| byte.is_ascii_digit());
        let percent_signs = text.matches('%').count();
        if whole.is_empty()
            || !is_digits(whole)
            || !is_digits(decimals)
            || percent_signs > 1
            || digits.ends_with('.')
        {
            return Err(WeightError::NotANumber(text.to_owned()));
        }
        let decimals = decimals.trim_end_matches('0');
        if decimals.len() > 2 {
            return Err(WeightError::TooFine(text.to_owned()));
        }
        let out_of_range = || WeightError::OutOfRange(text.to_owned());
        // Padding to two decimals turns percent into basis points by reading the digits as one integer.
        let value: u64 = format!("{whole}{decimals:0<2}").parse().map_err(|_| out_of_range())?;
        if number.starts_with('-') && value > 0 {
            return Err(out_of_range());
        }
        u16::try_from(value)
            .ok()
            .and_then(|value| Self::from_basis_points(value).ok())
            .ok_or_else(out_of_range)
    }
}

impl Serialize for Weight {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Weight {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(Visitor)
    }
}

struct Visitor;

impl de::Visitor<'_> for Visitor {
    type Value = Weight;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a percentage from 0% to 100%, like \"5%\" or 0.5")
    }

    fn visit_str<E: de::Error>(self, text: &str) -> Result<Weight, E> {
        text.parse().map_err(E::custom)
    }

    fn visit_u64<E: de::Error>(self, number: u64) -> Result<Weight, E> {
        self.visit_str(&number.to_string())
    }

    fn visit_i64<E: de::Error>(self, number: i64) -> Result<Weight, E> {
        self.visit_str(&number.to_string())
    }

    fn visit_f64<E: de::Error>(self, number: f64) -> Result<Weight, E> {
        // The shortest decimal text of a float is what was written, so 0.1 stays 0.1; NaN and infinity are no digits.
        self.visit_str(&number.to_string())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_weight_reads_back_as_it_is_written() {
        for basis_points in 0..=Weight::BASIS_POINTS {
            let weight = Weight::from_basis_points(basis_points).unwrap();
            assert_eq!(weight.to_string().parse(), Ok(weight));
            let json = serde_json::to_string(&weight).unwrap();
            assert_eq!(serde_json::from_str::<Weight>(&json).unwrap(), weight);
            let number = (f64::from(basis_points) / 100.0).to_string();
            assert_eq!(serde_json::from_str::<Weight>(&number).unwrap(), weight, "{number}");
        }
    }

    #[test]
    fn weights_are_written_the_short_way() {
        for (basis_points, text) in [
            (0, "0%"),
            (1, "0.01%"),
            (50, "0.5%"),
            (105, "1.05%"),
            (3333, "33.33%"),
            (500, "5%"),
            (10_000, "100%"),
        ] {
            assert_eq!(Weight::from_basis_points(basis_points).unwrap().to_string(), text);
        }
    }

    #[test]
    fn common_spellings_are_accepted() {
        for text in ["5%", "5", " 5 % ", "5.0%", "05.00%", "+5%"] {
            assert_eq!(text.parse(), Weight::from_basis_points(500), "{text:?}");
        }
        assert_eq!("-0%".parse(), Ok(Weight::ZERO));
    }

    #[test]
    fn nonsense_is_refused_with_a_reason() {
        for text in ["101%", "100.01%", "-1%", "99999999999999999999999%"] {
            assert_eq!(text.parse::<Weight>(), Err(WeightError::OutOfRange(text.to_owned())));
        }
        for text in ["", "%", "NaN", "inf", "5%%", "5.%", ".5%", "1e2", "five", "5 000", "1%2", "0x5", "--5"]
        {
            assert_eq!(text.parse::<Weight>(), Err(WeightError::NotANumber(text.to_owned())));
        }
        assert_eq!("0.001%".parse::<Weight>(), Err(WeightError::TooFine("0.001%".to_owned())));
        for json in ["101", "-1", "1.001", "null", "[]", "true", "\"NaN\"", "1e300"] {
            assert!(serde_json::from_str::<Weight>(json).is_err(), "{json}");
        }
    }
}
