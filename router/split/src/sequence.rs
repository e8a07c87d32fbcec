use crate::MAX_BACKENDS;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

/// The state that makes shares exact. One per route, shared by all threads and kept across weight changes.
///
/// See the crate's documentation for the bounds and why they hold.
#[derive(Debug)]
pub struct Split {
    /// The first word chooses the track, the others a backend within a track.
    words: [AtomicU64; MAX_BACKENDS + 1],
}

/// The share of the first of two sides, in units of 2⁻³⁰.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Share(u32);

/// Position in the Weyl sequence and debt towards the first side, together in one atomic word.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Word {
    /// A point on the circle, in units of 2⁻³².
    position: u32,
    /// Requests that the first side should have had minus those it got, in units of 2⁻³⁰.
    debt: i32,
}

/// 1/φ in units of 2⁻³², odd, so that all 2³² positions are visited before one comes again.
const GOLDEN_RATIO: u32 = 0x9E37_79B9;

/// One request in the units of [`Share`] and [`Word::debt`].
const ONE: i32 = 1 << 30;

/// The greatest debt in either direction: a thousandth less than one request, so that the rounding of shares
/// can't carry a window of up to a million requests to a whole 2.
const DEBT_MAX: i32 = ONE - ONE / 1024;

// === impl Split ===

impl Split {
    /// A split whose sequence begins at `start` of 2³². Give each process a random one, so that several
    /// routers do not send their first request to the same track.
    #[must_use]
    pub fn new(start: u32) -> Self {
        Self { words: std::array::from_fn(|_| AtomicU64::new(Word { position: start, debt: 0 }.pack())) }
    }

    /// Whether the next request that meets choice number `word` belongs to the first side.
    pub(crate) fn next(&self, word: usize, share: Share) -> bool {
        let Some(cell) = self.words.get(word) else { return false };
        let mut seen = cell.load(Relaxed);
        loop {
            let (first, next) = Word::unpack(seen).step(share);
            match cell.compare_exchange_weak(seen, next.pack(), Relaxed, Relaxed) {
                Ok(_) => return first,
                Err(actual) => seen = actual,
            }
        }
    }
}

// === impl Share ===

impl Share {
    /// The share of `first` among `first + second`, rounded to the nearest unit; 0 where both are 0.
    ///
    /// A weight above zero never becomes a share of zero: one in sixteen millions is still 67 units.
    pub(crate) fn of(first: u64, second: u64) -> Self {
        let sum = first + second;
        if sum == 0 {
            return Self(0);
        }
        let rounded =
            (u128::from(first) * u128::from(ONE.unsigned_abs()) + u128::from(sum / 2)) / u128::from(sum);
        Self(u32::try_from(rounded).unwrap_or(ONE.unsigned_abs()))
    }
}

// === impl Word ===

impl Word {
    /// Whether this request belongs to the first side, and the word after it.
    fn step(self, Share(share): Share) -> (bool, Self) {
        let share = share.cast_signed();
        let owed = self.debt + share;
        // The debt moves the threshold by up to half of the smaller side, so that the hard limit, which falls
        // on the same phase of the share again and again, is met seldom.
        let nudge = (i64::from(share.min(ONE - share)) * i64::from(self.debt)) >> 31;
        let by_sequence = i64::from(self.position >> 2) < i64::from(share) + nudge;
        let first = owed > DEBT_MAX || (by_sequence && owed - ONE >= -DEBT_MAX);
        let debt = if first { owed - ONE } else { owed };
        (first, Self { position: self.position.wrapping_add(GOLDEN_RATIO), debt })
    }

    const fn pack(self) -> u64 {
        (self.position as u64) << 32 | self.debt.cast_unsigned() as u64
    }

    #[expect(
        clippy::cast_possible_truncation,
        reason = "the two halves of a word are taken apart on purpose"
    )]
    const fn unpack(word: u64) -> Self {
        Self { position: (word >> 32) as u32, debt: (word as u32).cast_signed() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const THOUSAND: u32 = 1_000;

    /// The greatest distance between requests of the first side and its share, over all windows of the run.
    fn worst_window(split: &Split, basis_points: u64, length: u32) -> f64 {
        let share = Share::of(basis_points, 10_000 - basis_points);
        let (mut count, mut lowest, mut highest) = (0_i64, 0_i64, 0_i64);
        for sent in 1..=i64::from(length) {
            count += i64::from(split.next(0, share));
            let off = count * 10_000 - sent * basis_points.cast_signed();
            lowest = lowest.min(off);
            highest = highest.max(off);
        }
        f64::from(i32::try_from(highest - lowest).unwrap()) / 10_000.0
    }

    #[test]
    fn every_weight_is_less_than_two_requests_off_in_every_window() {
        let split = Split::new(0);
        for basis_points in 0..=10_000 {
            let worst = worst_window(&split, basis_points, THOUSAND);
            assert!(worst < 2.0, "{basis_points} basis points: {worst} requests off");
        }
    }

    proptest! {
        #[test]
        fn it_does_not_matter_where_the_sequence_starts(start: u32, basis_points in 1_u64..10_000) {
            let split = Split::new(start);
            prop_assert!(worst_window(&split, basis_points, 3 * THOUSAND) < 2.0);
        }

        #[test]
        fn changing_the_weight_at_every_request_loses_nothing(
            start: u32,
            weights in proptest::collection::vec(0_u64..=10_000, 1..2_000),
        ) {
            let split = Split::new(start);
            let mut off = 0_i64;
            for weight in weights {
                off += weight.cast_signed();
                off -= 10_000 * i64::from(split.next(0, Share::of(weight, 10_000 - weight)));
                prop_assert!(off.abs() < 10_000, "{off} basis points of a request");
            }
        }
    }

    #[test]
    fn nothing_and_everything_are_exact_after_any_other_weight() {
        let split = Split::new(7);
        for basis_points in 1..10_000 {
            split.next(0, Share::of(basis_points, 10_000 - basis_points));
            assert!(!split.next(0, Share::of(0, 1)), "weight 0 after {basis_points} basis points");
            assert!(split.next(0, Share::of(1, 0)), "weight 100 % after {basis_points} basis points");
        }
    }

    #[test]
    fn eight_threads_sharing_it_are_as_exact_as_one() {
        let split = Split::new(0xDEAD_BEEF);
        for basis_points in [1, 10, 100, 3_333, 5_000, 9_999] {
            let share = Share::of(basis_points, 10_000 - basis_points);
            let count: u64 = std::thread::scope(|scope| {
                let run = || (0..12_500).map(|_| u64::from(split.next(0, share))).sum::<u64>();
                let threads: Vec<_> = (0..8).map(|_| scope.spawn(run)).collect();
                threads.into_iter().map(|thread| thread.join().unwrap()).sum()
            });
            let off = (count * 10_000).abs_diff(100_000 * basis_points);
            assert!(off < 20_000, "{count} of 100,000 at {basis_points} basis points");
        }
    }

    /// Every second, third … request alone also gets its share: a page and its pictures, fetched in turn,
    /// do not always meet the same track.
    #[test]
    fn a_client_that_repeats_a_pattern_still_meets_both_tracks() {
        for stride in 2..=12 {
            for percent in [1_u32, 5, 10, 20, 25, 33, 50, 75, 90] {
                let split = Split::new(1 << 31);
                let share = Share::of(u64::from(percent), u64::from(100 - percent));
                let mut met = vec![0_u32; stride];
                let rounds = 20_000;
                for _ in 0..rounds {
                    met.iter_mut().for_each(|count| *count += u32::from(split.next(0, share)));
                }
                let expected = f64::from(rounds * percent) / 100.0;
                for count in met {
                    let relative = f64::from(count) / expected;
                    // Round robin would give 0 to some and `stride` times the share to others.
                    assert!(
                        (0.4..1.5).contains(&relative),
                        "stride {stride}, {percent} %: {relative} of its share"
                    );
                }
            }
        }
    }

    /// The reason for the debt. The discrepancy of a point set over all arcs of the circle is
    /// `1 + max(i − N·xᵢ) − min(i − N·xᵢ)` over the sorted points (Niederreiter 1992, theorem 2.7).
    #[test]
    fn the_plain_sequence_alone_would_be_off_by_more_than_three() {
        let mut points: Vec<u32> = Vec::new();
        let mut worst: f64 = 0.0;
        for n in 1..=THOUSAND {
            let point = GOLDEN_RATIO.wrapping_mul(n);
            points.insert(points.partition_point(|&other| other < point), point);
            let offsets = (0_u32..)
                .zip(&points)
                .map(|(i, &x)| f64::from(i) - f64::from(n) * f64::from(x) / 4_294_967_296.0);
            let (lowest, highest) =
                offsets.fold((f64::MAX, f64::MIN), |(low, high), offset| (low.min(offset), high.max(offset)));
            worst = worst.max(1.0 + highest - lowest);
        }
        assert!((3.68..3.70).contains(&worst), "{worst}");
    }
}
