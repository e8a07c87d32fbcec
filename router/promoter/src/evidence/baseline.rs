//! The difference of two readings.

use super::{Counters, Reading};
use jiff::Timestamp;
use release::{Counts, Sample, Window};
use std::collections::BTreeMap;

/// The reading that the next one is compared with.
#[derive(Clone, Debug, Default)]
pub struct Baseline(Option<(Timestamp, BTreeMap<String, Counters>)>);

// === impl Baseline ===

impl Baseline {
    /// What came between the reading before and this one, which becomes the next baseline; none for the first one.
    ///
    /// A router of the baseline that cannot be read, or that began anew, takes the counts since its last reading with
    /// it. They fell on both tracks alike, but how many they were is unknown: so the whole window is given up, and
    /// the routers that can be read make the next baseline. From then on they are judged without the lost one: what
    /// they count is evidence enough to take a bad candidate out, and since the lost router does not confirm its
    /// weight either, nothing is promoted without it.
    pub fn advance(&mut self, reading: Reading) -> Option<Sample> {
        let Reading { at, routers } = reading;
        let (mut readable, mut problems) = (BTreeMap::new(), Vec::new());
        for (router, answer) in routers {
            match answer {
                Ok(counters) => {
                    readable.insert(router, counters);
                }
                Err(why) => problems.push(why),
            }
        }
        let before = self.0.take();
        let told = !problems.is_empty();
        let sample = if readable.is_empty() {
            Some(Sample::Unavailable(problems.join("; ")))
        } else {
            before.map(|(from, before)| match difference(&before, &readable) {
                Ok(counts) => Sample::Window(Window { from, to: at, counts }),
                // One that cannot be read has been told already.
                Err(lost) if told && !readable.contains_key(&lost.0) => {
                    Sample::Unavailable(problems.join("; "))
                }
                Err((router, why)) => {
                    problems.push(format!("{router} {why}"));
                    Sample::Unavailable(problems.join("; "))
                }
            })
        };
        if !readable.is_empty() {
            self.0 = Some((at, readable));
        }
        sample
    }

    /// Forgets the baseline: the next reading is one.
    pub fn reset(&mut self) {
        self.0 = None;
    }

    /// When the baseline was read.
    pub fn at(&self) -> Option<Timestamp> {
        self.0.as_ref().map(|(at, _)| *at)
    }
}

/// An error is a router and what happened to it.
fn difference(
    before: &BTreeMap<String, Counters>,
    now: &BTreeMap<String, Counters>,
) -> Result<Counts, (String, &'static str)> {
    let mut counts = Counts::default();
    for (router, before) in before {
        let lost = |why| (router.clone(), why);
        let now =
            now.get(router).ok_or_else(|| lost("is no longer there; the others are counted from now"))?;
        counts += now.since(before).ok_or_else(|| lost("began anew; counting goes on from now"))?;
    }
    Ok(counts)
}

#[cfg(test)]
mod tests {
    use super::super::Series;
    use super::*;
    use release::Tally;
    use split::Track;

    fn at(second: i64) -> Timestamp {
        Timestamp::from_second(second).unwrap()
    }

    /// A router that has counted so many requests and failures of the canary.
    fn router(instance: &str, ok: u64, failed: u64) -> Result<Counters, String> {
        let series = |requests| Series { requests, in_time: requests };
        Ok(Counters {
            instance: instance.to_owned(),
            series: [
                ((Track::Canary, "2xx".to_owned()), series(ok)),
                ((Track::Canary, "5xx".to_owned()), series(failed)),
            ]
            .into(),
        })
    }

    fn reading(second: i64, routers: &[(&str, Result<Counters, String>)]) -> Reading {
        let routers = routers.iter().map(|(name, counters)| ((*name).to_owned(), counters.clone())).collect();
        Reading { at: at(second), routers }
    }

    fn canary(sample: Option<Sample>) -> Tally {
        match sample {
            Some(Sample::Window(window)) => window.counts.canary,
            other => panic!("no window: {other:?}"),
        }
    }

    fn unavailable(sample: Option<Sample>) -> String {
        match sample {
            Some(Sample::Unavailable(why)) => why,
            other => panic!("not unavailable: {other:?}"),
        }
    }

    #[test]
    fn two_readings_make_a_window_of_all_routers() {
        let mut baseline = Baseline::default();
        assert_eq!(
            baseline.advance(reading(0, &[("a", router("1", 10, 1)), ("b", router("1", 5, 0))])),
            None
        );
        let sample = baseline.advance(reading(10, &[("a", router("1", 30, 2)), ("b", router("1", 6, 3))]));
        let Some(Sample::Window(window)) = sample else { panic!("no window: {sample:?}") };
        assert_eq!((window.from, window.to), (at(0), at(10)));
        assert_eq!(window.counts.canary, Tally::new(25, 4));
    }

    #[test]
    fn a_counter_that_goes_backwards_never_gives_negative_counts() {
        let mut baseline = Baseline::default();
        baseline.advance(reading(0, &[("a", router("1", 100, 50))]));
        let why = unavailable(baseline.advance(reading(10, &[("a", router("1", 99, 60))])));
        assert!(why.contains("a began anew"), "{why}");
        assert_eq!(canary(baseline.advance(reading(20, &[("a", router("1", 109, 60))]))), Tally::new(10, 0));
    }

    #[test]
    fn a_router_that_restarted_between_readings_is_told_by_its_instance() {
        let mut baseline = Baseline::default();
        baseline.advance(reading(0, &[("a", router("1", 10, 0))]));
        unavailable(baseline.advance(reading(10, &[("a", router("2", 500, 0))])));
        assert_eq!(canary(baseline.advance(reading(20, &[("a", router("2", 501, 0))]))), Tally::new(1, 0));
    }

    #[test]
    fn a_series_that_vanished_is_a_restart() {
        let mut baseline = Baseline::default();
        baseline.advance(reading(0, &[("a", router("", 10, 1))]));
        let mut fresh = router("", 20, 0).unwrap();
        fresh.series.retain(|(_, class), _| class == "2xx");
        unavailable(baseline.advance(reading(10, &[("a", Ok(fresh))])));
    }

    #[test]
    fn when_a_router_dies_its_window_is_given_up_and_the_others_go_on() {
        let mut baseline = Baseline::default();
        let dead = || Err("http://b/metrics: connection refused".to_owned());
        baseline.advance(reading(0, &[("a", router("1", 10, 0)), ("b", router("1", 10, 0))]));
        let why = unavailable(baseline.advance(reading(10, &[("a", router("1", 20, 0)), ("b", dead())])));
        assert!(why.contains("http://b/metrics: connection refused"), "{why}");
        let sample = baseline.advance(reading(20, &[("a", router("1", 24, 0)), ("b", dead())]));
        assert_eq!(canary(sample), Tally::new(4, 0));
        // The one that is back has a baseline first: what it counted before is not part of the window.
        let sample = baseline.advance(reading(30, &[("a", router("1", 25, 0)), ("b", router("2", 900, 9))]));
        assert_eq!(canary(sample), Tally::new(1, 0));
        let sample = baseline.advance(reading(40, &[("a", router("1", 25, 0)), ("b", router("2", 902, 10))]));
        assert_eq!(canary(sample), Tally::new(3, 1));
    }

    #[test]
    fn a_router_that_is_gone_without_a_word_is_named() {
        let mut baseline = Baseline::default();
        baseline.advance(reading(0, &[("a", router("1", 10, 0)), ("b", router("1", 10, 0))]));
        let why = unavailable(baseline.advance(reading(10, &[("a", router("1", 20, 0))])));
        assert_eq!(why, "b is no longer there; the others are counted from now");
    }

    #[test]
    fn slow_requests_are_errors_where_a_bound_is_set() {
        let counters = |requests, in_time| Counters {
            series: [((Track::Stable, "2xx".to_owned()), Series { requests, in_time })].into(),
            ..Counters::default()
        };
        let counts = counters(100, 80).since(&counters(10, 10)).unwrap();
        assert_eq!(counts.stable, Tally::new(90, 20));
    }
}
