//! "At my traffic, how long does a release take, and what would be caught?"

use crate::yaml::{self, FileError};
use rand::rngs::StdRng;
use rand::{RngExt as _, SeedableRng as _};
use release::{CauseReason, Duration, End, Simulated, Spec, Traffic, simulate};
use split::Weight;
use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::path::PathBuf;

/// How much worse than stable the candidates are where none is asked for.
const TIMES: [f64; 5] = [1.0, 2.0, 3.0, 5.0, 10.0];

/// Simulates releases at given traffic: how long they take, and what would be caught.
///
/// It runs the engine that judges real releases, in a world where replicas are ready and routers confirm at once.
#[derive(Clone, Debug, clap::Args)]
pub struct SimulateArgs {
    /// The spec, as under `canary` in a configuration; by default the default one.
    #[arg(long, value_name = "FILE")]
    pub spec: Option<PathBuf>,
    /// Requests per second, over both versions; 0.01 to 10000.
    #[arg(long, value_parser = rate)]
    pub rps: f64,
    /// The share of stable's requests that fail.
    #[arg(long, value_name = "SHARE", default_value = "0.5%")]
    pub stable_errors: Weight,
    /// The share of the candidate's requests that fail; by default several multiples of stable's.
    #[arg(long, value_name = "SHARE")]
    pub canary_errors: Option<Weight>,
    /// How many releases of each candidate.
    #[arg(long, default_value_t = 1000, value_parser = clap::value_parser!(u32).range(1..=100_000))]
    pub releases: u32,
    /// How long a release may take before it counts as undecided.
    #[arg(long, value_name = "DURATION", default_value = "24h")]
    pub within: Duration,
    /// The same seed gives the same answer.
    #[arg(long, default_value_t = 1)]
    pub seed: u64,
}

/// What came of the releases of one candidate.
#[derive(Default)]
struct Outcomes {
    promoted: Vec<std::time::Duration>,
    taken_back: Vec<std::time::Duration>,
    /// The candidate's failed requests until it was taken back.
    failed: Vec<u64>,
    reasons: BTreeMap<CauseReason, u32>,
    /// The last holds of the undecided ones.
    holds: Vec<String>,
}

// === impl SimulateArgs ===

impl SimulateArgs {
    /// The report.
    ///
    /// # Errors
    /// Where the spec is refused.
    pub fn run(self) -> Result<String, FileError> {
        let Self { spec, rps, stable_errors, canary_errors, releases, within, seed } = self;
        let spec: Spec = spec.map(|path| yaml::read(&path)).transpose()?.unwrap_or_default();
        let spec = spec.on_paper();
        let stable = stable_errors.fraction();
        let candidates = match canary_errors {
            Some(share) => vec![stable, share.fraction()],
            None => TIMES.iter().map(|times| (stable * times).min(1.0)).chain([0.5]).collect(),
        };
        let mut text = format!(
            "{rps} requests/s, {} of stable's fail, judged every {}; {releases} releases of each candidate, seed {seed}\n\n",
            percent(stable),
            spec.analysis.interval
        );
        // Writing to a string does not fail.
        let _ = writeln!(
            text,
            "{:>9}  {:>9}  {:>10}  {:>9}  {:>8}  {:>8}  {:>13}  reasons",
            "CANDIDATE", "PROMOTED", "TAKEN BACK", "UNDECIDED", "MEDIAN", "P95", "FAILED BEFORE"
        );
        for share in candidates {
            let mut rng = StdRng::seed_from_u64(seed);
            let traffic = Traffic { rps, stable_errors: stable, canary_errors: share };
            let mut outcomes = Outcomes::default();
            for _ in 0..releases {
                outcomes.add(simulate(&spec, |_| traffic, within.get(), || rng.random()));
            }
            let _ = writeln!(text, "{:>9}  {}", percent(share), outcomes.row(releases));
        }
        text.push_str(
            "\nMEDIAN and P95 are of the end that came more often. FAILED BEFORE is the median number of the \
             candidate's requests that had failed when it was taken back; stable answers those that may be repeated.\n",
        );
        Ok(text)
    }
}

// === impl Outcomes ===

impl Outcomes {
    fn add(&mut self, release: Simulated) {
        let Simulated { end, took, total, .. } = release;
        match end {
            End::Promoted => self.promoted.push(took),
            End::RolledBack(cause) => {
                self.taken_back.push(took);
                self.failed.push(total.canary.errors);
                *self.reasons.entry(cause.reason).or_default() += 1;
            }
            End::Undecided(hold) => self.holds.push(hold),
        }
    }

    fn row(mut self, releases: u32) -> String {
        let share =
            |count: usize| percent(f64::from(u32::try_from(count).unwrap_or(u32::MAX)) / f64::from(releases));
        let shares = [&self.promoted, &self.taken_back].map(Vec::len).map(share);
        let times = if self.promoted.len() >= self.taken_back.len() {
            &mut self.promoted
        } else {
            &mut self.taken_back
        };
        times.sort_unstable();
        self.failed.sort_unstable();
        let time =
            |at: usize| times.get(times.len() * at / 100).map_or_else(|| "-".to_owned(), |time| told(*time));
        let failed = self.failed.get(self.failed.len() / 2).map_or_else(|| "-".to_owned(), u64::to_string);
        let reasons: Vec<_> =
            self.reasons.iter().map(|(reason, count)| format!("{reason:?} {count}")).collect();
        let hold = self.holds.first().map(|hold| format!("undecided: {hold}"));
        let reasons = reasons.into_iter().chain(hold).collect::<Vec<_>>().join(", ");
        format!(
            "{:>9}  {:>10}  {:>9}  {:>8}  {:>8}  {failed:>13}  {reasons}",
            shares[0],
            shares[1],
            share(self.holds.len()),
            time(50),
            time(95)
        )
        .trim_end()
        .to_owned()
    }
}

/// Seconds are exact enough for an hour.
fn told(time: std::time::Duration) -> String {
    let millis = u64::try_from(time.as_millis()).unwrap_or(u64::MAX);
    Duration::from_millis(if millis < 10_000 { millis } else { millis / 1000 * 1000 }).to_string()
}

fn percent(share: f64) -> String {
    let text = format!("{:.2}", share * 100.0);
    format!("{} %", text.trim_end_matches('0').trim_end_matches('.'))
}

fn rate(text: &str) -> Result<f64, String> {
    let number: f64 = text.parse().map_err(|_| format!("`{text}` is not a number; write it as 50 or 0.5"))?;
    if (0.01..=10_000.0).contains(&number) {
        Ok(number)
    } else {
        Err(format!("{number} is not between 0.01 and 10000"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn args(canary: &str, seed: u64) -> SimulateArgs {
        SimulateArgs {
            spec: None,
            rps: 50.0,
            stable_errors: "0.5%".parse().unwrap(),
            canary_errors: Some(canary.parse().unwrap()),
            releases: 40,
            within: Duration::from_secs(3600),
            seed,
        }
    }

    #[test]
    fn an_equal_candidate_is_promoted_and_a_broken_one_taken_back() {
        let report = args("50%", 7).run().unwrap();
        let rows: Vec<&str> = report.lines().filter(|line| line.contains(" %  ")).collect();
        assert_eq!(rows.len(), 2, "{report}");
        assert!(rows[0].trim_start().starts_with("0.5 %") && rows[0].contains("100 %"), "{report}");
        let cells: Vec<&str> = rows[1].split_whitespace().collect();
        assert_eq!(&cells[..6], ["50", "%", "0", "%", "100", "%"], "{report}");
        assert!(rows[1].contains("ErrorRate") || rows[1].contains("FailFast"), "{report}");
    }

    #[test]
    fn the_same_seed_gives_the_same_answer() {
        assert_eq!(args("3%", 3).run().unwrap(), args("3%", 3).run().unwrap());
    }

    #[test]
    fn a_rate_that_is_none_is_refused() {
        for text in ["0", "-5", "NaN", "inf", "many", "10001"] {
            assert!(rate(text).is_err(), "{text}");
        }
    }
}
