//! What is shown while a run goes on.

use std::{
    io::{IsTerminal, Write},
    time::Duration,
};

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use jiff::Timestamp;
use serde::Serialize;

use crate::{
    drive::Watcher,
    record::Second,
    report::{self, Report},
    schedule::Stage,
};

/// The form of the progress.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub enum Progress {
    /// A bar where standard error is a terminal, plain lines otherwise.
    Auto,
    /// A bar on standard error.
    Bar,
    /// A line on standard error every five seconds.
    Plain,
    /// A JSON object on standard output every second and one at the end; the tables go to standard error.
    Jsonl,
    /// Nothing until the end.
    None,
}

/// Shows a run.
pub enum Display {
    /// On a terminal.
    Bar(ProgressBar),
    /// Where lines are collected.
    Plain,
    /// For programs.
    Jsonl,
    /// For nobody.
    None,
}

/// Plain lines are for logs, where one a second would be too many.
const SECONDS_PER_LINE: u64 = 5;

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Line<'a> {
    r#type: &'static str,
    time: Timestamp,
    #[serde(flatten)]
    second: &'a Second,
}

#[derive(Serialize)]
struct Summary<'a> {
    r#type: &'static str,
    time: Timestamp,
    #[serde(flatten)]
    report: &'a Report,
}

impl Display {
    /// A display for a run of these stages.
    pub fn new(progress: Progress, stages: &[Stage]) -> Self {
        let is_terminal = std::io::stderr().is_terminal();
        match progress {
            Progress::Bar => Self::bar(stages),
            Progress::Auto if is_terminal => Self::bar(stages),
            Progress::Auto | Progress::Plain => Self::Plain,
            Progress::Jsonl => Self::Jsonl,
            Progress::None => Self::None,
        }
    }

    fn bar(stages: &[Stage]) -> Self {
        let length: Duration = stages.iter().map(|stage| stage.duration.get()).sum();
        let bar = ProgressBar::with_draw_target(Some(length.as_secs()), ProgressDrawTarget::stderr());
        let style = ProgressStyle::with_template("{bar:24} {pos}/{len} s  {msg}");
        bar.set_style(style.unwrap_or_else(|_| ProgressStyle::default_bar()));
        Self::Bar(bar)
    }

    /// Shows the end: the tables and, for programs, the report without its seconds.
    pub fn finish(self, report: &Report) {
        let text = report::text(report);
        // Nobody may be reading any more; the exit status and the files still tell.
        let _ = match self {
            Self::Jsonl => {
                let whole = Report { timeline: vec![], ..report.clone() };
                let summary = Summary { r#type: "summary", time: Timestamp::now(), report: &whole };
                let _ = write_json(&summary);
                std::io::stderr().write_all(text.as_bytes())
            }
            Self::Bar(bar) => {
                bar.finish_and_clear();
                std::io::stdout().write_all(text.as_bytes())
            }
            Self::Plain | Self::None => std::io::stdout().write_all(text.as_bytes()),
        };
    }
}

impl Watcher for Display {
    fn second(&mut self, second: &Second) -> bool {
        let elapsed = Duration::from_secs_f64(second.elapsed_seconds.round()).as_secs();
        match self {
            Self::Bar(bar) => {
                bar.set_position(elapsed);
                bar.set_message(sentence(second));
                true
            }
            Self::Plain => {
                if elapsed.is_multiple_of(SECONDS_PER_LINE) {
                    let _ = writeln!(
                        std::io::stderr(),
                        "{:>4.0} s  {}",
                        second.elapsed_seconds,
                        sentence(second)
                    );
                }
                true
            }
            Self::Jsonl => {
                let line = Line { r#type: "progress", time: Timestamp::now(), second };
                // A driver whose reader is gone must not go on unseen.
                write_json(&line).is_ok()
            }
            Self::None => true,
        }
    }
}

fn write_json(value: &impl Serialize) -> std::io::Result<()> {
    let mut line = serde_json::to_vec(value)?;
    line.push(b'\n');
    let mut out = std::io::stdout().lock();
    out.write_all(&line)?;
    out.flush()
}

fn sentence(second: &Second) -> String {
    let total = &second.all.total;
    let last = &second.all.last;
    let mut text = format!(
        "{} requests ({} in the last second), {} failed",
        total.requests, last.requests, total.failures
    );
    if total.retried > 0 {
        text.push_str(&format!(", {} retried", total.retried));
    }
    if total.dropped > 0 {
        text.push_str(&format!(", {} dropped", total.dropped));
    }
    if let Some(latency) = last.latency {
        text.push_str(&format!(", p50 {:.1} ms, p99 {:.1} ms", latency.p50, latency.p99));
    }
    for (version, both) in second.versions.iter().filter(|_| last.requests > 0) {
        text.push_str(&format!(", {version} {}%", both.last.requests * 100 / last.requests));
    }
    text
}
