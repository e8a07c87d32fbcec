//! Judges recorded counts with the engine that judges releases, on the clock of the recording.

mod counts;
mod world;

pub use counts::{CountsError, RecordedTick, read_counts};

use crate::platform::turn;
use crate::yaml::{self, FileError};
use release::{Phase, Spec};
use std::fmt::Write as _;
use std::path::PathBuf;
use world::World;

/// Judges recorded counts and prints the verdict of each tick.
///
/// Exit status: 0 promoted, 1 taken back, 2 undecided when the counts end, 64 where a file makes no sense.
#[derive(Clone, Debug, clap::Args)]
pub struct ReplayArgs {
    /// The spec, as under `canary` in a configuration; by default the default one.
    #[arg(long, value_name = "FILE")]
    pub spec: Option<PathBuf>,
    /// The counts of each tick, with the header
    /// `tick,canary_requests,canary_errors,stable_requests,stable_errors`.
    #[arg(long, value_name = "FILE.csv")]
    pub counts: PathBuf,
}

/// Why nothing was judged.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ReplayError {
    /// The spec is refused.
    #[error(transparent)]
    Spec(#[from] FileError),
    /// The counts are refused.
    #[error(transparent)]
    Counts(#[from] CountsError),
}

/// How the recording ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ending {
    /// The candidate became stable.
    Promoted,
    /// The candidate was taken back.
    TakenBack,
    /// The counts ended first.
    Undecided,
}

// === impl ReplayArgs ===

impl ReplayArgs {
    /// The report and how the recording ended.
    ///
    /// # Errors
    /// Where a file is refused.
    pub async fn run(self) -> Result<(String, Ending), ReplayError> {
        let Self { spec, counts } = self;
        let spec = spec.map(|path| yaml::read(&path)).transpose()?.unwrap_or_default();
        let ticks = read_counts(&counts)?;
        Ok(replay(spec, &ticks).await)
    }
}

// === impl Ending ===

impl Ending {
    /// The exit status.
    pub fn exit_code(self) -> u8 {
        match self {
            Self::Promoted => 0,
            Self::TakenBack => 1,
            Self::Undecided => 2,
        }
    }
}

/// Runs a release through `ticks`.
pub async fn replay(spec: Spec, ticks: &[RecordedTick]) -> (String, Ending) {
    let mut text = format!(
        "{:>6}  {:>6}  {:>14}  {:>16}  {:>9}  verdict\n",
        "tick", "weight", "candidate", "stable", "e-value"
    );
    let mut world = World::new(spec.on_paper());
    world.begin().await;
    for tick in ticks {
        let weight = world.weight();
        world.pass(*tick);
        // This platform cannot fail.
        let Ok(()) = turn(&mut world).await;
        let counts = tick.counts;
        let (verdict, e_value) = world.verdict();
        let told = |tally: release::Tally| format!("{}/{}", tally.errors, tally.requests);
        // Writing to a string does not fail.
        let _ = writeln!(
            text,
            "{:>6}  {:>6}  {:>14}  {:>16}  {e_value:>9.2}  {verdict}",
            tick.tick,
            weight.to_string(),
            told(counts.canary),
            told(counts.stable)
        );
        if let Some(ending) = world.ending() {
            let _ = writeln!(text, "{}", last_line(&world, Some(tick.tick)));
            return (text, ending);
        }
    }
    let _ = writeln!(text, "{}", last_line(&world, None));
    (text, Ending::Undecided)
}

fn last_line(world: &World, tick: Option<u64>) -> String {
    let status = world.state();
    match (&status.phase, tick) {
        (Phase::Failed { cause, .. }, Some(tick)) => {
            format!("end: taken back at tick {tick}, {:?}: {}", cause.reason, cause.message)
        }
        (_, Some(tick)) => format!("end: promoted at tick {tick}"),
        (phase, None) => {
            let waits = status.hold.as_ref().map(|hold| format!("{}: {}", hold.reason, hold.message));
            format!("end: undecided when the counts end, {}, {}", phase.name(), waits.unwrap_or_default())
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use release::{Counts, Tally};

    fn ticks(counts: &[[u64; 4]]) -> Vec<RecordedTick> {
        let tick = |(index, [m_c, k_c, m_s, k_s]): (usize, &[u64; 4])| RecordedTick {
            tick: u64::try_from(index).unwrap() + 1,
            counts: Counts { canary: Tally::new(*m_c, *k_c), stable: Tally::new(*m_s, *k_s) },
        };
        counts.iter().enumerate().map(tick).collect()
    }

    #[tokio::test]
    async fn good_counts_promote_and_each_tick_has_its_verdict() {
        let (text, ending) = replay(Spec::default(), &ticks(&[[300, 0, 900, 4]; 5])).await;
        assert_eq!(ending, Ending::Promoted, "{text}");
        assert!(text.contains("     1      1%           0/300             4/900"), "{text}");
        assert!(text.ends_with("end: promoted at tick 5\n"), "{text}");
    }

    #[tokio::test]
    async fn bad_counts_are_taken_back_with_the_reason() {
        let (text, ending) = replay(Spec::default(), &ticks(&[[10, 1, 990, 5], [50, 25, 950, 5]])).await;
        assert_eq!(ending, Ending::TakenBack, "{text}");
        assert!(
            text.contains("end: taken back at tick 2, FailFast: in one tick, candidate 25 of 50"),
            "{text}"
        );
    }

    #[tokio::test]
    async fn no_counts_are_no_verdict() {
        let (text, ending) = replay(Spec::default(), &ticks(&[[0, 0, 500, 2]; 3])).await;
        assert_eq!(ending, Ending::Undecided, "{text}");
        assert!(text.contains("NoTraffic"), "{text}");
    }
}
