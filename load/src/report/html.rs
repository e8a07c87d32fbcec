//! The report as one HTML file without anything loaded from elsewhere.

use std::collections::BTreeSet;

use super::{
    Report,
    plot::{Kind, Plot, STYLE, Series, escape},
    table::{self, COLUMNS, Table},
};
use crate::record::{Both, Percentiles, Sample, Second};

/// Shorter than this, the last part of a second says nothing about a rate.
const PART_MIN_SECONDS: f64 = 0.5;

/// The whole page.
pub(super) fn page(report: &Report) -> String {
    let title = escape(&format!("Load: {} on {}", report.scenario, report.target));
    let sentences = table::sentences(report)
        .iter()
        .map(|sentence| format!("<li>{}", escape(sentence)))
        .collect::<String>();
    let tables = table::tables(report).iter().map(figures).collect::<String>();
    [
        "<!doctype html>\n<html lang=en><meta charset=utf-8><meta name=viewport content=\"width=device-width\">\n",
        &format!("<title>{title}</title>\n<style>{STYLE}</style>\n<main><h1>{title}</h1>\n"),
        &format!("<p>{}, started {:.0}\n{}", escape(&table::headline(report)), report.started, limits(report)),
        &plots(report),
        &tables,
        &format!("<ul>{sentences}</ul>\n"),
        &samples(&report.samples),
        "</main></html>\n",
    ]
    .concat()
}

fn limits(report: &Report) -> String {
    let entry = |limit: &crate::limits::Checked| {
        let (class, verdict) = if limit.kept { ("kept", "kept") } else { ("broken", "broken") };
        format!("<li class={class}>{verdict}: {} ({})", escape(&limit.limit), escape(&limit.actual))
    };
    format!("<ul>{}</ul>\n", report.limits.iter().map(entry).collect::<String>())
}

fn plots(report: &Report) -> String {
    let whole = |second: &&Second| second.last_seconds >= PART_MIN_SECONDS;
    let seconds: Vec<&Second> = report.timeline.iter().filter(whole).collect();
    let times: Vec<f64> = seconds.iter().map(|second| second.elapsed_seconds).collect();
    let plot = |title, unit, kind, series| Plot { title, unit, kind, times: &times, series }.figure();
    let of_all = |name, colour, pick: fn(&Second) -> Option<f64>| {
        Series::new(name, colour, seconds.iter().map(|second| pick(second)).collect())
    };
    let versions: BTreeSet<&String> = seconds.iter().flat_map(|second| second.versions.keys()).collect();
    let by_version = |pick: fn(&Both, &Second) -> f64| -> Vec<Series> {
        // A version that is not there yet has nothing, not a gap.
        let none = Both::default();
        let value = |name: &String, second: &Second| pick(second.versions.get(name).unwrap_or(&none), second);
        let values = |name| seconds.iter().map(|second| Some(value(name, second))).collect();
        versions.iter().enumerate().map(|(n, name)| Series::new(name, n, values(name))).collect()
    };
    let latency = vec![
        of_all("p99", 1, |second| percentile(second, |l| l.p99)),
        of_all("p90", 3, |second| percentile(second, |l| l.p90)),
        of_all("p50", 0, |second| percentile(second, |l| l.p50)),
    ];
    let mut requests = by_version(|both, second| rate(both.last.requests, second));
    let planned = of_all("planned", 0, |second| Some(second.stage.rate).filter(|&rate| rate > 0.0));
    requests.push(Series { class: "planned".to_owned(), ..planned });
    let share = |both: &Both, second: &Second| {
        100.0 * number(both.last.requests) / number(second.all.last.requests.max(1))
    };
    let mut failures = by_version(|both, second| rate(both.last.failures, second));
    if report.total.dropped > 0 {
        let dropped =
            of_all("dropped by the driver", 0, |second| Some(rate(second.all.last.dropped, second)));
        failures.push(Series { class: "planned".to_owned(), ..dropped });
    }
    [
        plot("Requests", "per second, by version", Kind::Lines, requests),
        plot("Latency", "ms from the intended start, of each second", Kind::Lines, latency),
        plot("Share", "% of the requests of each second, by version", Kind::Shares, by_version(share)),
        plot("Failures", "per second, by version", Kind::Lines, failures),
    ]
    .concat()
}

fn percentile(second: &Second, pick: fn(&Percentiles) -> f64) -> Option<f64> {
    second.all.last.latency.as_ref().map(pick)
}

fn rate(requests: u64, second: &Second) -> f64 {
    number(requests) / second.last_seconds
}

#[expect(clippy::cast_precision_loss, reason = "counts stay far below 2^52")]
fn number(requests: u64) -> f64 {
    requests as f64
}

fn figures(table: &Table) -> String {
    let header = COLUMNS.map(|column| format!("<th class=n>{column}")).concat();
    let row = |(name, cells): &(String, [String; COLUMNS.len()])| {
        let cells = cells.clone().map(|cell| format!("<td class=n>{cell}")).concat();
        format!("<tr><td>{}{cells}\n", escape(name))
    };
    let rows: String = table.rows.iter().map(row).collect();
    format!("<div class=wide><table><tr><th>{}{header}\n{rows}</table></div>\n", table.title)
}

fn samples(samples: &[Sample]) -> String {
    if samples.is_empty() {
        return String::new();
    }
    let row = |sample: &Sample| {
        let Sample { time, request, reason, version, request_id, latency_ms } = sample;
        let latency = format!("{latency_ms:.1} ms");
        let cells = [&format!("{time:.3}"), request, reason, version, &latency, request_id];
        format!("<tr>{}\n", cells.map(|cell| format!("<td>{}", escape(cell))).concat())
    };
    let header = "<tr><th>due<th>request<th>reason<th>version<th>latency<th>request id";
    let rows: String = samples.iter().map(row).collect();
    format!("<h2>First failures</h2>\n<div class=wide><table>{header}\n{rows}</table></div>\n")
}
