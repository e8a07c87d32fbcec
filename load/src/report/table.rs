//! The report as text.

use std::fmt::Write;

use super::Report;
use crate::{pacer::End, record::Figures};

const COLUMNS: [&str; 9] =
    ["requests", "failed", "retried", "dropped", "p50 ms", "p90 ms", "p99 ms", "p99.9 ms", "max ms"];

/// Tables by version, stage and step, failures and limits.
pub fn text(report: &Report) -> String {
    let mut out = String::new();
    let end = match report.end {
        End::Completed => "completed",
        End::Interrupted => "ended early",
    };
    line(
        &mut out,
        format_args!(
            "{} on {}: {end} after {:.1} s, seed {}",
            report.scenario, report.target, report.elapsed_seconds, report.seed
        ),
    );
    let rows =
        |rows: &[super::Row]| rows.iter().map(|row| (row.name.clone(), row.figures)).collect::<Vec<_>>();
    let total = ("all".to_owned(), report.total);
    table(&mut out, "version", rows(&report.versions).into_iter().chain([total]).collect());
    table(&mut out, "stage", rows(&report.stages));
    table(
        &mut out,
        "step",
        report.steps.iter().map(|step| (step.row.name.clone(), step.row.figures)).collect(),
    );
    notes(&mut out, report);
    out
}

fn notes(out: &mut String, report: &Report) {
    for (reason, count) in &report.failures {
        line(out, format_args!("failures: {count} × {reason}"));
    }
    for sample in report.samples.iter().take(5) {
        line(
            out,
            format_args!(
                "  {} {} {} from {} ({})",
                sample.time, sample.request, sample.reason, sample.version, sample.request_id
            ),
        );
    }
    for step in report.steps.iter().filter(|step| step.skipped > 0) {
        line(
            out,
            format_args!("skipped: {} × {}, which the pages did not offer", step.skipped, step.row.name),
        );
    }
    if report.redirects_refused > 0 {
        line(out, format_args!("redirects to other addresses, not followed: {}", report.redirects_refused));
    }
    if report.total.dropped > 0 {
        line(
            out,
            format_args!(
                "dropped by the driver: {} arrivals found too many requests under way; raise --max-in-flight or lower the rate",
                report.total.dropped
            ),
        );
    }
    if report.abandoned > 0 {
        line(
            out,
            format_args!(
                "given up: {} requests were under way when the run was stopped twice",
                report.abandoned
            ),
        );
    }
    if let Some(lag) = report.driver_lag {
        line(out, format_args!("driver: sent {:.1} ms late at p99, {:.1} ms at most", lag.p99, lag.max));
    }
    for limit in &report.limits {
        let verdict = if limit.kept { "kept" } else { "BROKEN" };
        line(out, format_args!("limit {verdict}: {} ({})", limit.limit, limit.actual));
    }
}

fn table(out: &mut String, title: &str, rows: Vec<(String, Figures)>) {
    let header = std::iter::once(title.to_owned()).chain(COLUMNS.map(str::to_owned)).collect();
    let cells =
        rows.into_iter().map(|(name, figures)| std::iter::once(name).chain(cells(&figures)).collect());
    let lines: Vec<Vec<String>> = std::iter::once(header).chain(cells).collect();
    let width = |column: usize| {
        lines.iter().filter_map(|line| line.get(column)).map(|cell| cell.chars().count()).max()
    };
    let widths: Vec<_> = (0..=COLUMNS.len()).map(|column| width(column).unwrap_or(0)).collect();
    out.push('\n');
    for cells in &lines {
        for (n, (cell, &width)) in cells.iter().zip(&widths).enumerate() {
            // Writing to a string cannot fail.
            let _ = if n == 0 { write!(out, "{cell:<width$}") } else { write!(out, "  {cell:>width$}") };
        }
        out.push('\n');
    }
}

fn cells(figures: &Figures) -> [String; 9] {
    let Figures { requests, failures, retried, dropped, latency, .. } = figures;
    let ms = |pick: fn(&crate::record::Percentiles) -> f64| {
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

fn line(out: &mut String, text: std::fmt::Arguments<'_>) {
    let _ = writeln!(out, "{text}");
}
