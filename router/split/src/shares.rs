use crate::{Track, sequence::Share};

/// The most backends that one route may have: the limit of `backendRefs` in the Kubernetes Gateway API.
pub const MAX_BACKENDS: usize = 16;

/// The greatest weight of one backend, as in the Kubernetes Gateway API.
pub const MAX_BACKEND_WEIGHT: u32 = 1_000_000;

/// One backend of a route: its track and its integer weight. Its share is the weight over the sum of all weights.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BackendWeight {
    /// The track that the backend serves.
    pub track: Track,
    /// 0 to [`MAX_BACKEND_WEIGHT`].
    pub weight: u32,
}

/// The weights of a route's backends, ready for one decision per request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Shares {
    canary: Group,
    stable: Group,
    canary_share: Share,
}

/// Why weights make no [`Shares`].
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SharesError {
    /// A weight above [`MAX_BACKEND_WEIGHT`].
    #[error("weight {weight} is above {MAX_BACKEND_WEIGHT}")]
    WeightTooLarge {
        /// Position of the backend, from 0.
        backend: usize,
        /// The weight as given.
        weight: u32,
    },
    /// More than [`MAX_BACKENDS`] backends.
    #[error("{0} backends are more than {MAX_BACKENDS}")]
    TooManyBackends(usize),
}

/// The backends of one track as a chain of choices: this one, or one of those after it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Group {
    pub(crate) links: Vec<Link>,
    pub(crate) total: u64,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Link {
    /// Position of the backend in the list that [`Shares::new`] got.
    pub(crate) backend: usize,
    /// The share of this backend among itself and those after it.
    pub(crate) share: Share,
    /// The weights up to and including this backend.
    pub(crate) cumulative: u64,
}

// === impl Shares ===

impl Shares {
    /// Compiles the weights; positions in `backends` are what [`Choice::backend`](crate::Choice) gives back.
    ///
    /// # Errors
    /// A weight above [`MAX_BACKEND_WEIGHT`], or more than [`MAX_BACKENDS`] backends.
    pub fn new(backends: &[BackendWeight]) -> Result<Self, SharesError> {
        if backends.len() > MAX_BACKENDS {
            return Err(SharesError::TooManyBackends(backends.len()));
        }
        for (backend, &BackendWeight { weight, .. }) in backends.iter().enumerate() {
            if weight > MAX_BACKEND_WEIGHT {
                return Err(SharesError::WeightTooLarge { backend, weight });
            }
        }
        let [stable, canary] = Track::ALL.map(|track| Group::new(track, backends));
        let canary_share = Share::of(canary.total, stable.total);
        Ok(Self { canary, stable, canary_share })
    }

    /// The sum of all weights; 0 means that no request can be forwarded by weight.
    #[must_use]
    pub const fn total(&self) -> u64 {
        self.canary.total + self.stable.total
    }

    /// The sum of the weights of a track.
    #[must_use]
    pub const fn total_of(&self, track: Track) -> u64 {
        self.group(track).total
    }

    pub(crate) const fn canary_share(&self) -> Share {
        self.canary_share
    }

    pub(crate) const fn group(&self, track: Track) -> &Group {
        match track {
            Track::Stable => &self.stable,
            Track::Canary => &self.canary,
        }
    }
}

// === impl Group ===

impl Group {
    fn new(track: Track, backends: &[BackendWeight]) -> Self {
        let of_track = || backends.iter().enumerate().filter(|(_, backend)| backend.track == track);
        let total = of_track().map(|(_, backend)| u64::from(backend.weight)).sum();
        let mut cumulative = 0;
        let links = of_track()
            .map(|(position, backend)| {
                let weight = u64::from(backend.weight);
                cumulative += weight;
                Link { backend: position, share: Share::of(weight, total - cumulative), cumulative }
            })
            .collect();
        Self { links, total }
    }

    /// The backend at `point`, a number below [`Group::total`].
    pub(crate) fn backend_at(&self, point: u64) -> Option<usize> {
        self.links.iter().find(|link| point < link.cumulative).map(|link| link.backend)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn weights_beyond_the_gateway_api_are_refused() {
        let backend = BackendWeight { track: Track::Stable, weight: MAX_BACKEND_WEIGHT };
        assert_eq!(Shares::new(&[backend; MAX_BACKENDS]).unwrap().total(), 16_000_000);
        assert_eq!(Shares::new(&[backend; MAX_BACKENDS + 1]), Err(SharesError::TooManyBackends(17)));
        let heavy = BackendWeight { weight: MAX_BACKEND_WEIGHT + 1, ..backend };
        let error = Shares::new(&[backend, heavy]).unwrap_err();
        assert_eq!(error, SharesError::WeightTooLarge { backend: 1, weight: 1_000_001 });
        assert_eq!(error.to_string(), "weight 1000001 is above 1000000");
    }
}
