use serde::{Deserialize, Serialize};
use std::{fmt, str::FromStr};

/// The side of a release that a backend belongs to.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Track {
    /// The version that is known to work.
    #[default]
    Stable,
    /// The version that is being judged.
    Canary,
}

/// The text names no track.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("unknown track {0:?}: write \"stable\" or \"canary\"")]
pub struct UnknownTrack(String);

// === impl Track ===

impl Track {
    /// Both tracks, stable first.
    pub const ALL: [Self; 2] = [Self::Stable, Self::Canary];

    /// The lower-case name, as in YAML and in metric labels.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Stable => "stable",
            Self::Canary => "canary",
        }
    }

    /// The other track.
    #[must_use]
    pub const fn other(self) -> Self {
        match self {
            Self::Stable => Self::Canary,
            Self::Canary => Self::Stable,
        }
    }
}

impl fmt::Display for Track {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

impl FromStr for Track {
    type Err = UnknownTrack;

    fn from_str(text: &str) -> Result<Self, UnknownTrack> {
        Self::ALL
            .into_iter()
            .find(|track| track.as_str() == text)
            .ok_or_else(|| UnknownTrack(text.to_owned()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tracks_read_back_as_they_are_written() {
        for track in Track::ALL {
            assert_eq!(track.to_string().parse(), Ok(track));
            let json = serde_json::to_string(&track).unwrap();
            assert_eq!(json, format!("\"{track}\""));
            assert_eq!(serde_json::from_str::<Track>(&json).unwrap(), track);
        }
        assert!(
            "Stable".parse::<Track>().unwrap_err().to_string().contains("write \"stable\" or \"canary\"")
        );
    }
}
