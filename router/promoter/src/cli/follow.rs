//! Showing a release as it changes, and waiting for its end.

use super::args::{Goal, Output};
use super::client::{Client, Found};
use super::status;
use super::style::{self, Style};
use super::{Failure, print};
use crate::canary::Canary;
use jiff::Timestamp;
use release::{Duration, Outcome, Phase};
use std::io::{self, IsTerminal as _, Write as _};
use tokio::time::{self, Instant};

/// How long nobody may answer; a promoter or an API server may be restarting.
const SILENCE_LIMIT: Duration = Duration::from_secs(15);

/// What is shown and waited for.
#[derive(Clone, Copy, Debug)]
pub(super) struct Settings {
    pub(super) output: Output,
    pub(super) watch: bool,
    pub(super) wait: Option<Goal>,
    pub(super) timeout: Option<Duration>,
}

/// The screen or the lines that are shown.
struct Shown {
    settings: Settings,
    lines: usize,
    last: String,
}

/// Follows a release until its goal is reached, for ever where there is none.
pub(super) async fn follow(client: &Client, name: Option<String>, settings: Settings) -> Result<(), Failure> {
    let mut shown = Shown { settings, lines: 0, last: String::new() };
    let mut waits_for = "nothing is known yet".to_owned();
    let followed = async {
        let mut feed = client.follow(name).await?;
        // Who waits may have begun before the promoter.
        let mut heard = settings.wait.is_some().then(Instant::now);
        loop {
            match feed.next().await {
                Ok(found) => {
                    heard = Some(Instant::now());
                    shown.show(&found)?;
                    waits_for = line(&found.canary);
                    let reached = settings.wait.and_then(|goal| reached(goal, &found.canary));
                    if let Some(reached) = reached
                        && client.is_current(&found).await?
                    {
                        return finish(settings, &found, reached);
                    }
                }
                Err(failure @ Failure::Unavailable(_)) => {
                    if heard.is_none_or(|heard| heard.elapsed() >= SILENCE_LIMIT.get()) {
                        return Err(failure);
                    }
                }
                Err(failure) => return Err(failure),
            }
            feed.pause().await;
        }
    };
    let Some(limit) = settings.timeout else { return followed.await };
    match time::timeout(limit.get(), followed).await {
        Ok(done) => done,
        Err(_) => Err(Failure::Timeout(format!("not within {limit}: {waits_for}"))),
    }
}

// === impl Shown ===

impl Shown {
    fn show(&mut self, found: &Found) -> Result<(), Failure> {
        let Found { canary, object } = found;
        if !self.settings.watch {
            return Ok(());
        }
        let mut out = io::stdout();
        if self.settings.output == Output::Table && out.is_terminal() {
            return Ok(self.redraw(canary)?);
        }
        let line = match self.settings.output {
            Output::Table => line(canary),
            Output::Json => serde_json::to_string(object).map_err(io::Error::from)?,
            Output::Yaml => format!("---\n{}", serde_saphyr::to_string(object).map_err(io::Error::other)?),
        };
        if line != self.last {
            let now = Timestamp::now();
            match self.settings.output {
                Output::Table => writeln!(out, "{now:.0} {line}{}", requests(canary, now))?,
                Output::Json | Output::Yaml => writeln!(out, "{line}")?,
            }
            out.flush()?;
            self.last = line;
        }
        Ok(())
    }

    /// Draws over what was drawn before.
    fn redraw(&mut self, canary: &Canary) -> io::Result<()> {
        let mut out = io::stdout().lock();
        let (rows, width) = match rustix::termios::tcgetwinsize(&out) {
            Ok(size) if size.ws_col > 0 => (usize::from(size.ws_row), usize::from(size.ws_col)),
            _ => (24, 80),
        };
        let text = status::details(canary, Timestamp::now(), Style::of_stdout());
        let lines: Vec<String> =
            text.lines().take(rows.saturating_sub(1)).map(|line| style::cut(line, width)).collect();
        if self.lines > 0 {
            // Up to where the last drawing began, and everything below away.
            write!(out, "\x1b[{}A\x1b[J", self.lines)?;
        }
        self.lines = lines.len();
        writeln!(out, "{}", lines.join("\n"))?;
        out.flush()
    }
}

/// Everything that matters in a line.
fn line(canary: &Canary) -> String {
    let status = &canary.status.release;
    let mut parts = vec![format!("{} {}", canary.metadata.name, status::phase(canary))];
    if let Some(release) = status.release() {
        parts.push(format!("step {} at {}", status::step(canary), status.route.weight));
        let tally = release.total.canary;
        parts.push(format!("{} of {} failed", tally.errors, tally.requests));
        parts.push(format!("e-value {}", status::evidence(canary, release)));
    }
    match (&status.phase, &status.hold) {
        (Phase::Failed { cause, .. }, _) => parts.push(format!("{:?}: {}", cause.reason, cause.message)),
        (_, Some(hold)) => parts.push(format!("{}: {}", hold.reason, hold.message)),
        (Phase::Stable, None) => {
            parts.extend(status.stable.as_ref().map(|stable| format!("{stable} is stable")));
        }
        _ => {}
    }
    parts.extend(canary.status.conditions.iter().map(|note| format!("{}: {}", note.reason, note.message)));
    parts.join(", ")
}

/// What is needed and when it will have come; a line is not repeated for it alone.
fn requests(canary: &Canary, now: Timestamp) -> String {
    let hold = canary.status.release.hold.as_ref();
    hold.and_then(|hold| status::progress(hold, now))
        .map_or_else(String::new, |progress| format!(", {progress}"))
}

/// Whether the goal is reached, or can no longer be; none while it is open.
fn reached(goal: Goal, canary: &Canary) -> Option<bool> {
    let status = &canary.status.release;
    let settled = status.phase == Phase::Stable
        && status.hold.is_none()
        && status.stable.as_ref() == Some(&canary.status.template);
    let failed = matches!(status.phase, Phase::Failed { .. });
    let promoted = status.history.last().is_some_and(|last| {
        last.outcome == Outcome::Promoted && Some(&last.candidate) == status.stable.as_ref()
    });
    match goal {
        Goal::Promoted if settled => Some(promoted),
        Goal::Failed if settled => Some(false),
        Goal::Stable if settled => Some(true),
        Goal::Failed if failed => Some(true),
        Goal::Promoted | Goal::Stable if failed => Some(false),
        Goal::Promoted | Goal::Failed | Goal::Stable => None,
    }
}

fn finish(settings: Settings, found: &Found, reached: bool) -> Result<(), Failure> {
    let Found { canary, object } = found;
    if !settings.watch {
        print(settings.output, object, || line(canary) + "\n")?;
    }
    if reached {
        Ok(())
    } else {
        Err(Failure::Otherwise(format!("something else has come: {}", line(canary))))
    }
}
