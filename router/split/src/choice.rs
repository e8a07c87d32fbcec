use crate::{Shares, Split, Track};
use std::{fmt, str::FromStr};

/// What a request says about itself.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Hints<'a> {
    /// The value of the route's override header.
    pub header: Option<Override>,
    /// The value of the route's override cookie.
    pub cookie: Option<Override>,
    /// The client's sticky key: the value of a header or a cookie, or its address.
    pub key: Option<&'a [u8]>,
}

/// A request's own wish.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Override {
    /// The canary, even at weight 0.
    Always,
    /// Stable, even at a canary weight of 100 %.
    Never,
}

/// Where a request goes, and why.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Choice {
    /// Position of the backend in the list that the [`Shares`] were made from.
    pub backend: usize,
    /// The track of that backend.
    pub track: Track,
    /// What decided.
    pub reason: Reason,
}

/// What decided on the track, in order of precedence.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reason {
    /// The override header.
    Header,
    /// The override cookie.
    Cookie,
    /// The hash of the sticky key.
    Sticky,
    /// The sequence of the [`Split`].
    Weight,
}

// === impl Split ===

impl Split {
    /// Chooses a backend: header override, else cookie override, else sticky key, else weight.
    ///
    /// `route` is part of the sticky hash. An override for a track without backends is ignored. `None` means
    /// that all weights are zero and no override applies: nothing may be forwarded.
    pub fn choose(&self, shares: &Shares, route: &str, hints: Hints<'_>) -> Option<Choice> {
        let Hints { header, cookie, key } = hints;
        let overridden = |wish: Option<Override>, reason| {
            let track = wish?.track();
            let backend = self.within(shares, track)?;
            Some(Choice { backend, track, reason })
        };
        overridden(header, Reason::Header).or_else(|| overridden(cookie, Reason::Cookie)).or_else(|| {
            if shares.total() == 0 {
                return None;
            }
            match key {
                Some(key) => sticky(shares, key, route),
                None => self.by_weight(shares),
            }
        })
    }

    /// Chooses a backend of `track` by its weight within the track: the way to a second attempt elsewhere.
    /// Where all its weights are zero, the first one. `None` means that the track has no backend.
    pub fn within(&self, shares: &Shares, track: Track) -> Option<usize> {
        let links = &shares.group(track).links;
        let (last, others) = links.split_last()?;
        if shares.total_of(track) == 0 {
            return links.first().map(|link| link.backend);
        }
        // Each backend but the last has a word of its own, counted from 1; positions are unique over both tracks.
        let chosen = others.iter().find(|link| self.next(link.backend + 1, link.share));
        Some(chosen.unwrap_or(last).backend)
    }

    fn by_weight(&self, shares: &Shares) -> Option<Choice> {
        let track = if self.next(0, shares.canary_share()) { Track::Canary } else { Track::Stable };
        let backend = self.within(shares, track)?;
        Some(Choice { backend, track, reason: Reason::Weight })
    }
}

/// Canary when `hash(key, route) < canary share`; within the track the same hash chooses among its backends.
fn sticky(shares: &Shares, key: &[u8], route: &str) -> Option<Choice> {
    // The high half of the product scales the hash to 0..total: `hash < canary / total` without a division.
    let scaled = (u128::from(hash(key, route)) * u128::from(shares.total())) >> 64;
    let point = u64::try_from(scaled).ok()?;
    let canary = shares.total_of(Track::Canary);
    let (track, point) =
        if point < canary { (Track::Canary, point) } else { (Track::Stable, point - canary) };
    let backend = shares.group(track).backend_at(point)?;
    Some(Choice { backend, track, reason: Reason::Sticky })
}

/// FNV-1a over `key`, a separator and `route`, finished by the mixer of SplitMix64 so that all bits depend on all.
///
/// It must never change: users would change sides. Sources: <http://www.isthe.com/chongo/tech/comp/fnv/>,
/// <https://prng.di.unimi.it/splitmix64.c>.
fn hash(key: &[u8], route: &str) -> u64 {
    // 0xFF is in no UTF-8 text, so ("ab", "c") and ("a", "bc") differ.
    let bytes = key.iter().chain(&[0xFF]).chain(route.as_bytes());
    let fnv = bytes.fold(0xCBF2_9CE4_8422_2325_u64, |hash, &byte| {
        (hash ^ u64::from(byte)).wrapping_mul(0x0000_0100_0000_01B3)
    });
    let mixed = (fnv ^ fnv >> 30).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    let mixed = (mixed ^ mixed >> 27).wrapping_mul(0x94D0_49BB_1331_11EB);
    mixed ^ mixed >> 31
}

// === impl Override ===

impl Override {
    /// The track that is wished for.
    #[must_use]
    pub const fn track(self) -> Track {
        match self {
            Self::Always => Track::Canary,
            Self::Never => Track::Stable,
        }
    }

    /// Reads the value of a header or cookie; anything but `always` and `never` is no wish.
    #[must_use]
    pub fn from_bytes(value: &[u8]) -> Option<Self> {
        match value {
            b"always" => Some(Self::Always),
            b"never" => Some(Self::Never),
            _ => None,
        }
    }
}

impl FromStr for Override {
    type Err = ();

    fn from_str(text: &str) -> Result<Self, ()> {
        Self::from_bytes(text.as_bytes()).ok_or(())
    }
}

// === impl Reason ===

impl Reason {
    /// The lower-case name, as in logs.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Header => "header",
            Self::Cookie => "cookie",
            Self::Sticky => "sticky",
            Self::Weight => "weight",
        }
    }
}

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::BackendWeight;
    use proptest::prelude::*;

    fn shares(weights: &[(Track, u32)]) -> Shares {
        let backends: Vec<_> =
            weights.iter().map(|&(track, weight)| BackendWeight { track, weight }).collect();
        Shares::new(&backends).unwrap()
    }

    fn two(stable: u32, canary: u32) -> Shares {
        shares(&[(Track::Stable, stable), (Track::Canary, canary)])
    }

    #[test]
    fn header_beats_cookie_beats_sticky_beats_weight() {
        use {Override::*, Reason::*, Track::*};
        let low = two(9_999, 1);
        let high = two(1, 9_999);
        let zero = two(1, 0);
        let full = two(0, 1);
        // With one key the low share leaves its user on stable, and the high share takes it to the canary.
        let key: &[u8] = b"user";
        let cases = [
            // shares, header, cookie, sticky key, expected track, decided by
            (&low, Some(Always), Some(Never), Some(key), Canary, Header),
            (&high, Some(Never), Some(Always), Some(key), Stable, Header),
            (&low, None, Some(Always), Some(key), Canary, Cookie),
            (&high, None, Some(Never), Some(key), Stable, Cookie),
            (&low, None, None, Some(key), Stable, Sticky),
            (&high, None, None, Some(key), Canary, Sticky),
            (&zero, None, None, None, Stable, Weight),
            (&full, None, None, None, Canary, Weight),
            (&zero, Some(Always), None, None, Canary, Header),
            (&full, Some(Never), None, None, Stable, Header),
            (&zero, None, Some(Always), Some(key), Canary, Cookie),
            (&full, None, Some(Never), Some(key), Stable, Cookie),
            (&zero, None, None, Some(key), Stable, Sticky),
            (&full, None, None, Some(key), Canary, Sticky),
        ];
        for (shares, header, cookie, key, track, reason) in cases {
            let hints = Hints { header, cookie, key };
            let choice = Split::new(0).choose(shares, "blog", hints).unwrap();
            assert_eq!((choice.track, choice.reason), (track, reason), "{hints:?}");
        }
    }

    #[test]
    fn only_two_words_are_a_wish() {
        assert_eq!("always".parse(), Ok(Override::Always));
        assert_eq!("never".parse(), Ok(Override::Never));
        for other in ["", "Always", "true", "1", "always "] {
            assert_eq!(Override::from_bytes(other.as_bytes()), None, "{other:?}");
        }
    }

    #[test]
    fn all_zero_forwards_nothing_unless_a_request_insists() {
        let split = Split::new(0);
        let zero = two(0, 0);
        assert_eq!(split.choose(&zero, "blog", Hints::default()), None);
        assert_eq!(split.choose(&zero, "blog", Hints { key: Some(b"user"), ..Hints::default() }), None);
        let insisting = Hints { header: Some(Override::Always), ..Hints::default() };
        assert_eq!(split.choose(&zero, "blog", insisting).map(|choice| choice.backend), Some(1));
    }

    #[test]
    fn a_wish_for_a_track_without_backends_is_ignored() {
        let only_stable = shares(&[(Track::Stable, 1)]);
        let hints = Hints { header: Some(Override::Always), ..Hints::default() };
        let choice = Split::new(0).choose(&only_stable, "blog", hints).unwrap();
        assert_eq!((choice.track, choice.reason), (Track::Stable, Reason::Weight));
        assert_eq!(Split::new(0).choose(&shares(&[]), "blog", hints), None);
    }

    #[test]
    fn the_hash_never_changes() {
        // Computed by a separate program in Python from the two published algorithms.
        assert_eq!(hash(b"", ""), 0x4F2D_B50F_1240_40CD);
        assert_eq!(hash(b"user-1", "blog"), 0x4BA8_1619_C8F6_0EFD);
        assert_ne!(hash(b"ab", "c"), hash(b"a", "bc"));
    }

    #[test]
    fn sticky_users_are_as_many_as_the_weight_says() {
        for basis_points in [10_u32, 100, 1_000, 3_333, 9_000] {
            let shares = two(10_000 - basis_points, basis_points);
            let users = 200_000_u32;
            let on_canary = (0..users)
                .filter(|user| {
                    sticky(&shares, user.to_string().as_bytes(), "blog").unwrap().track == Track::Canary
                })
                .count();
            let share = f64::from(basis_points) / 10_000.0;
            let expected = f64::from(users) * share;
            // Four standard deviations of a binomial: the keys are fixed, so this is a fact and not a chance.
            let tolerance = 4.0 * (expected * (1.0 - share)).sqrt();
            let off = f64::from(u32::try_from(on_canary).unwrap()) - expected;
            assert!(off.abs() < tolerance, "{on_canary} of {users} at {basis_points} basis points");
        }
    }

    proptest! {
        #[test]
        fn raising_a_weight_never_moves_anyone_back_to_stable(
            key: Vec<u8>,
            low in 0_u32..=10_000,
            high in 0_u32..=10_000,
            scale in 1_u32..=100,
        ) {
            let (low, high) = (low.min(high), low.max(high));
            let before = sticky(&two(10_000 - low, low), &key, "blog").unwrap().track;
            // The same share of a different sum must decide alike, too.
            let after = sticky(&two((10_000 - high) * scale, high * scale), &key, "blog").unwrap().track;
            prop_assert!(before == Track::Stable || after == Track::Canary);
        }

        #[test]
        fn any_integer_weights_on_many_backends_keep_their_shares(
            start: u32,
            backends in proptest::collection::vec((any::<bool>(), 0_u32..=1_000_000), 1..=16),
        ) {
            let weights: Vec<_> = backends
                .iter()
                .map(|&(canary, weight)| (if canary { Track::Canary } else { Track::Stable }, weight))
                .collect();
            let shares = shares(&weights);
            prop_assume!(shares.total() > 0);
            let split = Split::new(start);
            let mut counts = vec![0_u32; weights.len()];
            let requests = 1_000_u32;
            for _ in 0..requests {
                counts[split.choose(&shares, "blog", Hints::default()).unwrap().backend] += 1;
            }
            for (&(_, weight), count) in weights.iter().zip(counts) {
                let expected = f64::from(requests) * f64::from(weight) / shares.total() as f64;
                let off = (f64::from(count) - expected).abs();
                prop_assert!(off < 2.0 * weights.len() as f64 && (weight > 0 || count == 0), "{off}");
                prop_assert!(weights.len() > 2 || off < 2.0);
            }
        }
    }
}
