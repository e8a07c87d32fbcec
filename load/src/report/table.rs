//! The report as tables and sentences, which text and HTML share.

use std::fmt::Write;

use super::{Report, Row};
use crate::{
    pacer::End,
    record::{Figures, Percentiles},
};

/// A heading for the first column, and rows of a name and its figures.
pub(super) struct Table {
    pub(super) title: &'static str,
    pub(super) rows: Vec<(String, [String; COLUMNS.len()])>,
}

/// What follows the name in every row.
pub(super) const COLUMNS: [&str; 9] =
    ["requests", "failed", "retried", "dropped", "p50 ms", "p90 ms", "p99 ms", "p99.9 ms", "max ms"];

/// Sample lines of the text; the other reports have all.
const SAMPLES_SHOWN: usize = 5;

/// The whole report as plain text.
pub fn text(report: &Report) -> String {
    let mut out = format!("{}\n", headline(report));
    for table in tables(report) {
        out.push('\n');
        table.write(&mut out);
    }
    out.push('\n');
    for sentence in sentences(report) {
        // Writing to a string cannot fail.
        let _ = writeln!(out, "{sentence}");
    }
    for sample in report.samples.iter().take(SAMPLES_SHOWN) {
        let crate::record::Sample { time, request, reason, version, request_id, .. } = sample;
        let _ = writeln!(out, "  {time:.3} {request}: {reason} from {version} ({request_id})");
    }
    for limit in &report.limits {
        let verdict = if limit.kept { "kept" } else { "BROKEN" };
        let _ = writeln!(out, "limit {verdict}: {} ({})", limit.limit, limit.actual);
    }
    out
}

/// What ran, and how it ended.
pub(super) fn headline(report: &Report) -> String {
    let end = match report.end {
        End::Completed => "completed",
        End::Interrupted => "ended early",
    };
    let Report { scenario, target, elapsed_seconds, seed, .. } = report;
    format!("{scenario} on {target}: {end} after {elapsed_seconds:.1} s, seed {seed}")
}

/// By version, stage and step.
pub(super) fn tables(report: &Report) -> [Table; 3] {
    let total = Row { name: "all".to_owned(), figures: report.total };
    [
        Table::new("version", report.versions.iter().chain([&total])),
        Table::new("stage", report.stages.iter()),
        Table::new("step", report.steps.iter().map(|step| &step.row)),
    ]
}

/// What the tables do not say.
pub(super) fn sentences(report: &Report) -> Vec<String> {
    let mut sentences: Vec<_> =
        report.failures.iter().map(|(reason, count)| format!("failures: {count} × {reason}")).collect();
    for step in report.steps.iter().filter(|step| step.skipped > 0) {
        sentences
            .push(format!("skipped: {} × {}, which the pages did not offer", step.skipped, step.row.name));
    }
    if report.redirects_refused > 0 {
        sentences.push(format!("redirects to other addresses, not followed: {}", report.redirects_refused));
    }
    if report.total.dropped > 0 {
        sentences.push(format!(
            "dropped by the driver: {} arrivals found too many requests under way; raise --max-in-flight or lower the rate",
            report.total.dropped
        ));
    }
    if report.abandoned > 0 {
        sentences.push(format!(
            "given up: {} requests under way when the run was stopped twice",
            report.abandoned
        ));
    }
    if let Some(lag) = report.driver_lag {
        sentences
            .push(format!("the driver itself sent {:.1} ms late at p99, {:.1} ms at most", lag.p99, lag.max));
    }
    sentences
}

// === impl Table ===

impl Table {
    fn new<'a>(title: &'static str, rows: impl Iterator<Item = &'a Row>) -> Self {
        Self { title, rows: rows.map(|row| (row.name.clone(), cells(&row.figures))).collect() }
    }

    fn write(&self, out: &mut String) {
        let header = (self.title.to_owned(), COLUMNS.map(str::to_owned));
        let lines: Vec<_> = std::iter::once(&header).chain(&self.rows).collect();
        let first = lines.iter().map(|(name, _)| name.chars().count()).max().unwrap_or(0);
        let width = |column: usize| lines.iter().map(|(_, cells)| cells[column].len()).max().unwrap_or(0);
        let widths: Vec<_> = (0..COLUMNS.len()).map(width).collect();
        for (name, cells) in lines {
            let _ = write!(out, "{name:<first$}");
            for (cell, &width) in cells.iter().zip(&widths) {
                let _ = write!(out, "  {cell:>width$}");
            }
            out.push('\n');
        }
    }
}

fn cells(figures: &Figures) -> [String; COLUMNS.len()] {
    let Figures { requests, failures, retried, dropped, latency, .. } = figures;
    let ms = |pick: fn(&Percentiles) -> f64| {
        latency.as_ref().map_or("-".to_owned(), |latency| format!("{:.1}", pick(latency)))
    };
    [
        requests.to_string(),
        failures.to_string(),
        retried.to_string(),
        dropped.to_string(),
        ms(|l| l.p50),
        ms(|l| l.p90),
        ms(|l| l.p99),
        ms(|l| l.p999),
        ms(|l| l.max),
    ]
}
