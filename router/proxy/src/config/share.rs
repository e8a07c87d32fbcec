use std::str::FromStr;

/// A part of all requests, from 0 % to 100 %.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Share(f64);

/// The text is no [`Share`].
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0:?} is no share: write it like 1% or 0.5%, at most 100%")]
pub struct ShareError(String);

// === impl Share ===

impl Share {
    /// From 0 to 1.
    #[must_use]
    pub const fn get(self) -> f64 {
        self.0
    }
}

impl FromStr for Share {
    type Err = ShareError;

    fn from_str(text: &str) -> Result<Self, ShareError> {
        let number =
            text.strip_suffix('%').filter(|number| number.bytes().all(|b| b.is_ascii_digit() || b == b'.'));
        let percent: Option<f64> = number.and_then(|number| number.parse().ok());
        let share = percent.map(|percent| percent / 100.0).filter(|share| (0.0..=1.0).contains(share));
        share.map(Self).ok_or_else(|| ShareError(text.to_owned()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_share_is_a_percentage() {
        assert_eq!("1%".parse::<Share>().unwrap().get(), 0.01);
        assert_eq!("100%".parse::<Share>().unwrap().get(), 1.0);
        for text in ["", "%", "1", "101%", "-1%", "1e1%", "inf%", "NaN%"] {
            assert!(text.parse::<Share>().is_err(), "{text:?}");
        }
    }
}
