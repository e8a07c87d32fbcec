//! What the terminal shows: a live line where there is one, plain lines elsewhere, and the table at the end.

use super::acts::Outcome;
use super::story::Story;
use crate::Second;
use jiff::Timestamp;
use jiff::tz::TimeZone;
use promoter::canary::Canary;
use release::{Counts, Outcome as End, Phase, Status};
use std::io::{IsTerminal, Write, stdout};
use std::path::Path;
use std::time::Duration;
use tokio::time::Instant;

/// Without a terminal, a line is printed when something changed, and otherwise this often.
const PLAIN_EVERY: Duration = Duration::from_secs(5);

/// The terminal.
pub(super) struct Show {
    live: bool,
    last: Option<(String, Instant)>,
}

// === impl Show ===

impl Show {
    pub(super) fn new() -> Self {
        Self { live: stdout().is_terminal(), last: None }
    }

    /// A sentence of its own.
    pub(super) fn say(&self, text: &str) {
        let clear = if self.live { "\r\x1b[K" } else { "" };
        print(&format!("{clear}{}  {text}\n", clock(Timestamp::now())));
    }

    /// Where the release is.
    pub(super) fn live(&mut self, canary: &Canary, second: Option<&Second>, version: &str) {
        let status = &canary.status.release;
        let place = place(status);
        let now = Instant::now();
        let changed = self.last.as_ref().is_none_or(|(last, _)| *last != place);
        let due = self.last.as_ref().is_none_or(|(_, at)| now.duration_since(*at) >= PLAIN_EVERY);
        if !self.live && !changed && !due {
            return;
        }
        let line = line(canary, second, version);
        if self.live {
            let fits: String = line.chars().take(columns()).collect();
            print(&format!("\r\x1b[K{fits}"));
        } else {
            print(&format!("{line}\n"));
        }
        self.last = Some((place, now));
    }
}

/// What makes a new plain line worth its place.
fn place(status: &Status) -> String {
    let stage = match &status.phase {
        Phase::Progressing { release, stage } => format!("{} {stage:?}", release.step),
        Phase::Promoting { task, .. } => format!("{task:?}"),
        Phase::RollingBack { task, .. } => format!("{task:?}"),
        _ => String::new(),
    };
    let hold = status.hold.as_ref().map(|hold| hold.reason);
    format!("{} {stage} {} {hold:?}", status.phase.name(), status.route.weight)
}

fn line(canary: &Canary, second: Option<&Second>, version: &str) -> String {
    let status = &canary.status.release;
    let weight = status.route.weight;
    let mut parts = vec![format!("{}  {version} {} {weight}", clock(Timestamp::now()), status.phase.name())];
    if let (Some(release), Phase::Progressing { .. } | Phase::Promoting { .. }) =
        (status.release(), &status.phase)
    {
        let Counts { canary, stable } = release.total;
        let tally = |tally: release::Tally| format!("{} requests {} errors", tally.requests, tally.errors);
        parts.push(format!("candidate {}, stable {}", tally(canary), tally(stable)));
        parts.push(format!("e-value {:.2} of 100", release.evidence.e()));
    }
    if let Some(second) = second {
        parts.push(format!("readers {} failed", second.total.failures));
    }
    if let Some(hold) = &status.hold {
        parts.push(format!("{} until {}: {}", hold.reason, clock(hold.deadline), hold.message));
    }
    parts.join(" | ")
}

/// Prints the table; answers whether everything came out as it should.
pub(super) fn summary(story: &Story, outcomes: &[Outcome], report: &Path) -> bool {
    print("\nversion  end          took    candidate's requests  its errors  readers' failures\n");
    for outcome in outcomes {
        let record = &outcome.record;
        let end = match record.outcome {
            End::Promoted => "promoted",
            End::RolledBack => "rolled back",
        };
        let took = record.ended.duration_since(record.started).as_millis() / 100;
        let canary = record.total.canary;
        print(&format!(
            "{:<8} {end:<11} {:>4}.{} s  {:>20}  {:>10}  {:>17}\n",
            outcome.version,
            took / 10,
            took % 10,
            canary.requests,
            canary.errors,
            outcome.failures
        ));
        if let Some(cause) = &record.cause {
            print(&format!("         {:?}: {}\n", cause.reason, cause.message));
        }
        for wrong in &outcome.wrong {
            print(&format!("         NOT AS IT SHOULD BE: {wrong}\n"));
        }
    }
    let total = story.total();
    let count = |end| outcomes.iter().filter(|outcome| outcome.record.outcome == end).count();
    print(&format!(
        "\n{} requests, {} sent once more on a new connection after one broke, {} not sent for lack of time\nreport: {}\n",
        total.requests,
        total.retried,
        total.dropped,
        report.display()
    ));
    let (promoted, back) = (count(End::Promoted), count(End::RolledBack));
    print(&format!("demo: {promoted} promoted, {back} rolled back, {} failed requests\n", total.failures));
    total.failures == 0 && total.dropped == 0 && outcomes.iter().all(|outcome| outcome.wrong.is_empty())
}

fn clock(at: Timestamp) -> String {
    at.to_zoned(TimeZone::system()).strftime("%H:%M:%S").to_string()
}

/// The terminal's width; 120 where it does not say.
fn columns() -> usize {
    rustix::termios::tcgetwinsize(stdout()).map_or(120, |size| usize::from(size.ws_col)).max(40) - 1
}

fn print(text: &str) {
    // Where nobody reads any more, the report and the exit status still tell.
    let mut out = stdout().lock();
    let _ = out.write_all(text.as_bytes());
    let _ = out.flush();
}
