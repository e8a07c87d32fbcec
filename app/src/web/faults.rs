//! Faults on purpose, for demonstrations of a release that goes wrong. Off unless a flag asks for them.

use std::time::Duration;

use rand::RngExt as _;

/// Which faults pages have. Probes, metrics and assets never have any: a version that fails its readers while its
/// probes are well is the case that a judged release exists for.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Faults {
    /// Share of pages answered with 500, 0 to 1.
    pub error_rate: f64,
    /// Share of pages that wait first, 0 to 1.
    pub slow_rate: f64,
    /// How long those wait.
    pub slow: Duration,
}

/// What happens to one request.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Fate {
    /// How long it waits first.
    pub delay: Option<Duration>,
    /// Whether it is answered with 500.
    pub fails: bool,
}

impl Faults {
    /// Whether any page can have a fault.
    #[must_use]
    pub fn are_on(&self) -> bool {
        self.error_rate > 0.0 || self.slow_rate > 0.0
    }

    /// Draws the fate of one request.
    #[must_use]
    pub fn draw(&self, rng: &mut impl rand::Rng) -> Fate {
        Fate {
            delay: (rng.random::<f64>() < self.slow_rate).then_some(self.slow),
            fails: rng.random::<f64>() < self.error_rate,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{Fate, Faults};
    use rand::SeedableRng as _;
    use std::time::Duration;

    #[test]
    fn no_request_has_a_fault_by_default_and_a_rate_of_one_hits_all() {
        let mut rng = rand::rngs::StdRng::seed_from_u64(1);
        let all = Faults { error_rate: 1.0, slow_rate: 1.0, slow: Duration::from_millis(800) };
        for _ in 0..1000 {
            assert_eq!(Faults::default().draw(&mut rng), Fate { delay: None, fails: false });
            assert_eq!(all.draw(&mut rng), Fate { delay: Some(Duration::from_millis(800)), fails: true });
        }
    }

    #[test]
    fn a_share_of_the_requests_fails() {
        let mut rng = rand::rngs::StdRng::seed_from_u64(2);
        let some = Faults { error_rate: 0.3, ..Faults::default() };
        let failed = (0..10_000).filter(|_| some.draw(&mut rng).fails).count();
        assert!((2_800..3_200).contains(&failed), "{failed}");
    }
}
