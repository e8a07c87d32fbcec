//! The demo as one HTML file without anything loaded from elsewhere.

use super::acts::Outcome;
use super::story::Story;
use crate::{Latency, Second};
use jiff::Timestamp;
use load::report::plot::{Kind, Plot, STYLE, Series, escape};
use release::{Outcome as End, Tally, Tick};
use std::collections::BTreeSet;
use std::fmt::Write;

/// The logarithm of 1/α.
const THRESHOLD: f64 = 2.0;

/// The whole page.
pub(super) fn page(story: &Story, outcomes: &[Outcome]) -> String {
    let seconds = story.seconds();
    let total = story.total();
    let mut page = format!(
        "<!doctype html>\n<html lang=en><meta charset=utf-8><meta name=viewport content=\"width=device-width\">\n\
         <title>Huidu demo</title>\n<style>{STYLE}</style>\n<main><h1>Huidu demo</h1>\n\
         <p>{} requests of readers, {} failed, {} sent once more after a connection broke.\n",
        total.requests, total.failures, total.retried
    );
    page.push_str(&table(outcomes));
    page.push_str(&shares(&seconds));
    page.push_str(&weights(story));
    page.push_str(&error_rates(story));
    page.push_str(&evidence(story));
    page.push_str(&latency(&seconds));
    page.push_str("</main></html>\n");
    page
}

fn table(outcomes: &[Outcome]) -> String {
    let mut rows = String::new();
    for outcome in outcomes {
        let (class, end) = match outcome.record.outcome {
            End::Promoted => ("kept", "promoted"),
            End::RolledBack => ("broken", "rolled back"),
        };

        let took = outcome.record.ended.duration_since(outcome.record.started).as_secs();
        let title = escape(outcome.title);
        let Tally { requests, errors } = outcome.record.total.canary;
        let _ = writeln!(
            rows,
            "<tr><td>{}<td>{title}<td class={class}>{end}<td class=n>{took} s<td class=n>{requests}<td class=n>{errors}\
             <td class=n>{}",
            outcome.version, outcome.failures
        );
    }
    let header = "<tr><th>version<th>what<th>end<th>took<th>its requests<th>its errors<th>readers' failures";
    let why = |outcome: &Outcome| {
        let cause = outcome.record.cause.as_ref()?;
        Some(format!("<li>{} was taken back: {}\n", outcome.version, escape(&cause.message)))
    };
    let causes: String = outcomes.iter().filter_map(why).collect();
    format!("<div class=wide><table>{header}\n{rows}</table></div>\n<ul>{causes}</ul>\n")
}

fn shares(seconds: &[Second]) -> String {
    let versions: BTreeSet<&String> = seconds.iter().flat_map(|second| second.versions.keys()).collect();
    let share = |name: &String, second: &Second| {
        let own = second.versions.get(name).map_or(0, |both| both.last.requests);
        100.0 * number(own) / number(second.last.requests.max(1))
    };
    let times: Vec<f64> = seconds.iter().map(|second| second.elapsed_seconds).collect();
    let values = |name: &String| seconds.iter().map(|second| Some(share(name, second))).collect();
    let series = versions.iter().enumerate().map(|(n, name)| Series::new(name, n, values(name))).collect();
    let title = "Who answered readers";
    Plot { title, unit: "% of the requests of each second", kind: Kind::Shares, times: &times, series }
        .figure()
}

fn weights(story: &Story) -> String {
    // Two points for each change make steps of the line.
    let (mut times, mut values) = (vec![0.0], vec![Some(0.0)]);
    for (at, weight) in story.weights() {
        times.extend([since(story, *at); 2]);
        let last = values.last().copied().flatten();
        values.extend([last, Some(weight.fraction() * 100.0)]);
    }
    let series = vec![Series::new("weight", 0, values)];
    let title = "The candidate's weight";
    Plot { title, unit: "% as decided", kind: Kind::Lines, times: &times, series }.figure()
}

fn error_rates(story: &Story) -> String {
    let share = |pick: fn(&Tick) -> Tally| by_release(story, |tick| pick(tick).error_share() * 100.0);
    let series = vec![
        Series::new("candidate", 1, share(|tick| tick.counts.canary)),
        Series::new("stable", 0, share(|tick| tick.counts.stable)),
    ];
    let unit = "% of first attempts per tick; a slow answer counts; readers got stable's answer instead";
    Plot { title: "Errors and slow answers", unit, kind: Kind::Lines, times: &tick_times(story), series }
        .figure()
}

fn evidence(story: &Story) -> String {
    let series = vec![
        Series::new("e-value", 1, by_release(story, |tick| tick.e_value.max(1.0).log10())),
        Series::new("threshold 1/α", 5, by_release(story, |_| THRESHOLD)),
    ];
    let (title, unit) = ("Evidence against the candidate", "powers of ten; below 1 is shown as 1");
    Plot { title, unit, kind: Kind::Lines, times: &tick_times(story), series }.figure()
}

fn latency(seconds: &[Second]) -> String {
    let times: Vec<f64> = seconds.iter().map(|second| second.elapsed_seconds).collect();
    let values =
        |pick: fn(Latency) -> f64| seconds.iter().map(|second| second.last.latency_ms.map(pick)).collect();
    let series = vec![
        Series::new("p99", 1, values(|latency| latency.p99)),
        Series::new("p50", 0, values(|latency| latency.p50)),
    ];
    let title = "Latency for readers";
    Plot { title, unit: "ms from the intended start", kind: Kind::Lines, times: &times, series }.figure()
}

/// A value for each tick, with a gap where another release begins.
fn by_release(story: &Story, value: impl Fn(&Tick) -> f64) -> Vec<Option<f64>> {
    let ticks = story.ticks().chunk_by(|tick, next| tick.candidate == next.candidate);
    ticks.flat_map(|release| release.iter().map(|tick| Some(value(tick))).chain([None])).collect()
}

/// The times that belong to [`by_release`].
fn tick_times(story: &Story) -> Vec<f64> {
    let ticks = story.ticks().chunk_by(|tick, next| tick.candidate == next.candidate);
    ticks.flat_map(|release| release.iter().chain(release.last()).map(|tick| since(story, tick.at))).collect()
}

fn since(story: &Story, at: Timestamp) -> f64 {
    at.duration_since(story.began()).as_secs_f64().max(0.0)
}

#[expect(clippy::cast_precision_loss, reason = "counts stay far below 2^52")]
fn number(requests: u64) -> f64 {
    requests as f64
}
