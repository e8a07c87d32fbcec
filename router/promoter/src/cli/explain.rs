//! Why the verdict is what it is: every rule with its numbers, in the order in which the rules are asked.

use super::style::columns;
use crate::canary::Canary;
use release::{
    Analysis, Counts, FAIL_FAST_ERRORS, FAIL_FAST_SHARE, LINE_REQUESTS, Phase, RATIOS, Release, Spec, Tally,
    Tick, requests_needed,
};
use serde_json::Value;
use std::fmt::Write as _;

/// How many ticks ahead are looked for what would fail the candidate.
const TICKS_AHEAD: u32 = 5;

/// The verdict, its numbers, and what would change it.
pub(super) fn text(canary: &Canary) -> String {
    let status = &canary.status.release;
    let Some(release) = status.release() else {
        let stable = status.stable.as_ref().map_or("nothing yet", |stable| stable.as_str());
        let waits = status.hold.as_ref().map(|hold| format!(" It waits: {}: {}.", hold.reason, hold.message));
        return format!(
            "No release of {} is under way, so there is nothing to judge: readers have {stable}.{}\n",
            canary.metadata.name,
            waits.unwrap_or_default()
        );
    };
    let Spec { steps, analysis, .. } = &canary.spec;
    let mut text = format!(
        "{}: candidate {} at {}, step {} of {}, judged every {}\n",
        canary.metadata.name,
        release.candidate,
        status.route.weight,
        release.step + 1,
        steps.len(),
        analysis.interval
    );
    let tick = status.ticks.last().filter(|tick| tick.candidate == release.candidate);
    text += &verdict(canary, tick);
    text += &format!("\nCounted\n{}", indent(&counted(release, tick)));
    text += &format!("\nRules, in this order\n{}", indent(&rules(&canary.spec, release, tick)));
    text += &format!("\nWhat would change it\n{}", indent(&outlook(&canary.spec, release, tick)));
    text
}

/// Where the counts come from, where the object says so.
pub(super) fn counting(object: &Value) -> String {
    let counting = &object["status"]["counting"];
    let Some(by) = counting["by"].as_str() else { return String::new() };
    let queries = counting["queries"].as_array().into_iter().flatten().filter_map(Value::as_str);
    format!(
        "\nCounted by\n{}",
        indent(&std::iter::once(by).chain(queries).map(|line| format!("{line}\n")).collect::<String>())
    )
}

fn verdict(canary: &Canary, tick: Option<&Tick>) -> String {
    let mut text = String::new();
    let mut line = |name: &str, value: String| {
        // Writing to a string does not fail.
        let _ = writeln!(text, "{name:<14}{value}");
    };
    if let Some(Tick { at, verdict, message, .. }) = tick {
        line("Last verdict:", format!("{verdict}: {message} (at {at:.0})"));
    } else {
        line("Last verdict:", "none yet; counting begins when every router uses the weight".to_owned());
    }
    if let Phase::Failed { cause, .. } | Phase::RollingBack { cause, .. } = &canary.status.release.phase {
        line("Taken back:", format!("{:?}: {}", cause.reason, cause.message));
    }
    if let Some(hold) = &canary.status.release.hold {
        line("Waits for:", format!("{}: {}", hold.reason, hold.message));
    }
    text
}

fn counted(release: &Release, tick: Option<&Tick>) -> String {
    let mut rows = vec![["", "CANDIDATE", "STABLE"].map(str::to_owned)];
    let row = |name: &str, Counts { canary, stable }: Counts| [name.to_owned(), told(canary), told(stable)];
    rows.push(row("in this release", release.total));
    rows.push(row("at this weight", release.at_step));
    rows.extend(tick.map(|tick| row("in the last tick", tick.counts)));
    columns(&rows)
}

fn rules(spec: &Spec, release: &Release, tick: Option<&Tick>) -> String {
    let analysis = &spec.analysis;
    let counts = tick.map(|tick| tick.counts).unwrap_or_default();
    let (e, threshold) = (release.evidence.e(), analysis.threshold());
    let (seen, needed) = (release.at_step.canary.requests, requests_needed(spec, release));
    let line = analysis.max_error_rate;
    let over = |tally: Tally| tally.requests >= LINE_REQUESTS && tally.error_share() >= line.fraction();
    let share = counts.canary.error_share();
    let fast = counts.canary.errors >= FAIL_FAST_ERRORS
        && share >= FAIL_FAST_SHARE
        && counts.stable.error_share() < share / 2.0;
    let rows = [
        [
            answer("fails", e >= threshold),
            "worse than stable".to_owned(),
            format!("e-value {e:.2}, fails at {threshold:.0} (1/alpha, alpha {})", analysis.alpha),
        ],
        [
            answer("fails", fast),
            "obviously broken".to_owned(),
            format!(
                "{} in the last tick, fails at {FAIL_FAST_ERRORS} and {:.0} % where stable has less than half of that",
                told(counts.canary),
                FAIL_FAST_SHARE * 100.0
            ),
        ],
        [
            answer("holds", over(counts.stable) && (over(counts.canary) || over(release.at_step.canary))),
            "both are bad".to_owned(),
            format!("stable {}, holds where both are at {line} or more", told(counts.stable)),
        ],
        [
            answer("holds", seen < needed),
            "enough requests".to_owned(),
            format!("{seen} of {needed} seen at this weight"),
        ],
        [
            answer("holds", e >= threshold.sqrt() || over(release.at_step.canary)),
            "suspicious".to_owned(),
            format!("e-value {e:.2}, holds from {:.0}; or {line} of errors at this weight", threshold.sqrt()),
        ],
    ];
    columns(&rows) + &bets(release)
}

/// What each bet of the e-value has become: which ratio of error rates the counts speak for.
fn bets(release: &Release) -> String {
    let bets = RATIOS.iter().zip(release.evidence.log_bets);
    let bets: Vec<String> = bets.map(|(ratio, log)| format!("{ratio}: {:.2}", log.exp())).collect();
    format!("bets on the ratio of the error rates: {}\n", bets.join(", "))
}

fn outlook(spec: &Spec, release: &Release, tick: Option<&Tick>) -> String {
    let seen = release.at_step.canary.requests;
    let left = requests_needed(spec, release).saturating_sub(seen);
    let pass = match left {
        0 => "it passes as soon as no rule above holds it".to_owned(),
        left => format!("it passes after {left} more requests to the candidate if none of them fails"),
    };
    let Some(Tick { counts, .. }) = tick.filter(|tick| tick.counts.canary.requests > 0) else {
        return format!("{pass}\n");
    };
    let (canary, stable) = (counts.canary.requests, counts.stable.requests);
    let mut text = format!("{pass}\n");
    for ticks in 1..=TICKS_AHEAD {
        if let Some(errors) = failing_errors(&spec.analysis, release, *counts, ticks) {
            let ticks = if ticks == 1 {
                "the next tick".to_owned()
            } else {
                format!("each of the next {ticks} ticks")
            };
            // Writing to a string does not fail.
            let _ = writeln!(
                text,
                "it fails if {errors} of {canary} requests fail in {ticks}, stable with {stable} requests as before"
            );
        }
    }
    text
}

/// The smallest number of the candidate's errors in each of so many ticks like this one that would fail it.
fn failing_errors(analysis: &Analysis, release: &Release, like: Counts, ticks: u32) -> Option<u64> {
    let fails = |errors: u64| {
        let tick = Counts { canary: Tally::new(like.canary.requests, errors), stable: like.stable };
        let after = (0..ticks).fold(release.evidence, |evidence, _| evidence.after(tick));
        after.e() >= analysis.threshold()
    };
    // More errors never make the candidate look better, so the border can be searched by halves.
    let (mut low, mut high) = (0, like.canary.requests);
    if !fails(high) {
        return None;
    }
    while low < high {
        let middle = low + (high - low) / 2;
        if fails(middle) { high = middle } else { low = middle + 1 }
    }
    Some(high)
}

fn answer(word: &str, applies: bool) -> String {
    if applies { format!("✖ {word}") } else { "✔ passes".to_owned() }
}

fn told(tally: Tally) -> String {
    format!("{} of {} failed ({:.2} %)", tally.errors, tally.requests, tally.error_share() * 100.0)
}

fn indent(text: &str) -> String {
    text.lines().fold(String::new(), |text, line| text + "  " + line.trim_end() + "\n")
}
