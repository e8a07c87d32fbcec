//! The end of a run in text, JSON and HTML.

mod html;
pub mod plot;
mod table;

use std::{collections::BTreeMap, fs::File, io::Write, path::Path};

use jiff::Timestamp;
use serde::Serialize;

pub use self::table::text;
use crate::{
    drive::{Outcome, Plan},
    limits::Checked,
    pacer::End,
    record::{Figures, Percentiles, Sample, Second},
    schedule::Arrivals,
};

/// Everything there is to say about a run; also the JSON report.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Report {
    /// Version of this program.
    pub load_version: &'static str,
    /// The address.
    pub target: String,
    /// The scenario's name.
    pub scenario: String,
    /// How starts were spread.
    pub arrivals: Arrivals,
    /// Repeats the run's choices.
    pub seed: u64,
    /// The header that names versions.
    pub version_header: String,
    /// When the first request was due.
    pub started: Timestamp,
    /// Until the last request ended.
    pub elapsed_seconds: f64,
    /// How it ended.
    pub end: End,
    /// Requests given up at a second request to stop.
    pub abandoned: usize,
    /// All requests.
    pub total: Figures,
    /// By version.
    pub versions: Vec<Row>,
    /// By stage.
    pub stages: Vec<Row>,
    /// By step.
    pub steps: Vec<StepRow>,
    /// Redirects to other authorities, not followed.
    pub redirects_refused: u64,
    /// Failures by reason.
    pub failures: BTreeMap<String, u64>,
    /// The first failures.
    pub samples: Vec<Sample>,
    /// How late the driver itself sent, in milliseconds.
    #[serde(rename = "driverLagMs")]
    pub driver_lag: Option<Percentiles>,
    /// The stated limits.
    pub limits: Vec<Checked>,
    /// Second by second.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub timeline: Vec<Second>,
}

/// The figures of one group.
#[derive(Clone, Debug, Serialize)]
pub struct Row {
    /// The group.
    pub name: String,
    /// Its figures.
    #[serde(flatten)]
    pub figures: Figures,
}

/// The figures of a step.
#[derive(Clone, Debug, Serialize)]
pub struct StepRow {
    /// Name and figures.
    #[serde(flatten)]
    pub row: Row,
    /// How often a page did not offer what the step needs.
    pub skipped: u64,
}

impl Report {
    /// Puts the plan and what came of it together.
    pub fn new(plan: &Plan, outcome: Outcome, limits: Vec<Checked>) -> Self {
        let Outcome { end, elapsed, abandoned, counts } = outcome;
        let stages = plan.stages.iter().enumerate().map(|(n, stage)| match stage.from {
            Some(from) => format!(
                "{}: {} to {}/s for {}",
                n + 1,
                from.per_second(),
                stage.rate.per_second(),
                stage.duration
            ),
            None => format!("{}: {}/s for {}", n + 1, stage.rate.per_second(), stage.duration),
        });
        let row = |(name, figures)| Row { name, figures };
        let names = plan.scenario.step_names.iter().cloned();
        let mut steps: Vec<_> = names
            .zip(counts.steps)
            .map(|(name, (figures, skipped))| StepRow { row: Row { name, figures }, skipped })
            .collect();
        if counts.redirects.requests > 0 {
            steps.push(StepRow { row: row(("(redirects)".to_owned(), counts.redirects)), skipped: 0 });
        }
        Self {
            load_version: env!("CARGO_PKG_VERSION"),
            target: plan.target.to_string(),
            scenario: plan.scenario.name.clone(),
            arrivals: plan.arrivals,
            seed: plan.seed,
            version_header: plan.version_header.to_string(),
            started: counts.started,
            elapsed_seconds: elapsed.as_secs_f64(),
            end,
            abandoned,
            total: counts.total,
            versions: counts.versions.into_iter().map(row).collect(),
            stages: stages.zip(counts.stages).map(row).collect(),
            steps,
            redirects_refused: counts.redirects_refused,
            failures: counts.failures,
            samples: counts.samples,
            driver_lag: counts.lag,
            limits,
            timeline: counts.timeline,
        }
    }

    /// Whether every stated limit was kept.
    pub fn is_within_limits(&self) -> bool {
        self.limits.iter().all(|limit| limit.kept)
    }

    /// Writes the JSON report.
    ///
    /// # Errors
    /// Those of the file system.
    pub fn write_json(&self, path: &Path) -> std::io::Result<()> {
        let mut file = std::io::BufWriter::new(File::create(path)?);
        serde_json::to_writer_pretty(&mut file, self)?;
        file.write_all(b"\n")?;
        file.flush()
    }

    /// Writes the HTML report.
    ///
    /// # Errors
    /// Those of the file system.
    pub fn write_html(&self, path: &Path) -> std::io::Result<()> {
        std::fs::write(path, html::page(self))
    }
}
