//! The report as one HTML file without anything loaded from elsewhere.

use std::collections::BTreeSet;

use super::{
    Report,
    plot::{Kind, Plot, Series, escape},
    table,
};
use crate::record::{Both, Percentiles, Second};

const STYLE: &str = include_str!("report.css");

/// The whole page.
pub(super) fn page(report: &Report) -> String {
    let verdict = match (report.limits.is_empty(), report.is_within_limits()) {
        (true, _) => "",
        (false, true) => "<p class=kept>Every limit was kept.</p>",
        (false, false) => "<p class=broken>A limit was broken.</p>",
    };
    let title = format!("Load: {} on {}", report.scenario, report.target);
    format!(
        "<!doctype html>\n<html lang=en><meta charset=utf-8><meta name=viewport content=\"width=device-width\">\
         <title>{0}</title>\n<style>{STYLE}</style>\n<main><h1>{0}</h1>\n{verdict}{1}\n<pre>{2}</pre>\n{3}</main></html>\n",
        escape(&title),
        plots(report),
        escape(&table::text(report)),
        samples(report),
    )
}

fn plots(report: &Report) -> String {
    let seconds = &report.timeline;
    let times: Vec<f64> = seconds.iter().map(|second| second.elapsed_seconds).collect();
    let plot = |title, unit, kind, series| Plot { title, unit, kind, times: &times, series }.figure();
    let versions: BTreeSet<&String> = seconds.iter().flat_map(|second| second.versions.keys()).collect();
    let by_version = |pick: fn(&Both, &Second) -> Option<f64>| -> Vec<Series> {
        let values =
            |name: &String| seconds.iter().map(|second| pick(second.versions.get(name)?, second)).collect();
        versions.iter().map(|name| Series { name: (*name).clone(), values: values(name) }).collect()
    };
    let latency = |name: &str, pick: fn(&Percentiles) -> f64| {
        let values = seconds.iter().map(|second| second.all.last.latency.as_ref().map(pick)).collect();
        Series { name: name.to_owned(), values }
    };
    let shares = by_version(|both, second| {
        let (part, whole) = (both.last.requests, second.all.last.requests);
        (whole > 0).then(|| 100.0 * count(part) / count(whole))
    });
    // A version that was not there yet has a share of nothing, not a gap.
    let shares = shares.into_iter().map(|series| Series {
        values: series.values.into_iter().map(|value| Some(value.unwrap_or(0.0))).collect(),
        ..series
    });
    let percentiles = vec![latency("p99", |l| l.p99), latency("p90", |l| l.p90), latency("p50", |l| l.p50)];
    [
        plot(
            "Requests",
            "per second, by version",
            Kind::Lines,
            by_version(|both, second| Some(rate(both.last.requests, second))),
        ),
        plot("Latency", "ms from the intended start, each second", Kind::Lines, percentiles),
        plot("Share", "% of the answers of each second, by version", Kind::Shares, shares.collect()),
        plot(
            "Failures",
            "per second, by version",
            Kind::Lines,
            by_version(|both, second| Some(rate(both.last.failures, second))),
        ),
    ]
    .concat()
}

fn rate(requests: u64, second: &Second) -> f64 {
    // The end of a run may be a fraction of a second, too short for a rate.
    count(requests) / second.last_seconds.max(0.5)
}

#[expect(clippy::cast_precision_loss, reason = "counts stay far below 2^52")]
fn count(requests: u64) -> f64 {
    requests as f64
}

fn samples(report: &Report) -> String {
    if report.samples.is_empty() {
        return String::new();
    }
    let row = |sample: &crate::record::Sample| {
        let cells = [
            sample.time.to_string(),
            sample.request.clone(),
            sample.reason.clone(),
            sample.version.clone(),
            format!("{:.1} ms", sample.latency_ms),
            sample.request_id.clone(),
        ];
        format!("<tr>{}</tr>\n", cells.map(|cell| format!("<td>{}", escape(&cell))).concat())
    };
    let rows: String = report.samples.iter().map(row).collect();
    format!(
        "<h2>First failures</h2>\n<table><tr><th>due<th>request<th>reason<th>version<th>latency<th>request id</tr>\n{rows}</table>\n"
    )
}
