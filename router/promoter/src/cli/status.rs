//! Where a release is, for people.

use super::style::{Style, Tone, columns, span};
use crate::canary::{Canary, Condition, Metadata, ReplicaView};
use jiff::Timestamp;
use release::{Hold, Mode, OnDeadline, Outcome, Phase, Release, Revision, Tally};
use std::fmt::Write as _;

/// The columns of the bar that shows the weight.
const BAR: usize = 20;

/// One line for each canary.
pub(super) fn list<'a>(items: impl Iterator<Item = &'a Canary>) -> String {
    let mut rows = vec![["NAMESPACE", "NAME", "PHASE", "STEP", "WEIGHT", "WAITS FOR"].map(str::to_owned)];
    rows.extend(items.map(|canary| {
        let (status, Metadata { name, namespace }) = (&canary.status.release, &canary.metadata);
        let waits = status.hold.as_ref().map_or_else(String::new, |hold| hold.reason.to_string());
        let weight = status.route.weight.to_string();
        let namespace = namespace.clone().unwrap_or_else(|| "-".to_owned());
        [namespace, name.clone(), phase(canary), step(canary), weight, waits]
    }));
    match rows.len() {
        1 => "No canaries found.\n".to_owned(),
        _ => columns(&rows),
    }
}

/// Everything about one canary.
pub(super) fn details(canary: &Canary, now: Timestamp, style: Style) -> String {
    let mut text = head(canary, now, style);
    if let Some(release) = canary.status.release.release() {
        text.push('\n');
        text.push_str(&counts(canary, release));
    }
    text.push('\n');
    text.push_str(&tree(canary, now, style));
    text
}

/// The phase with what it is at, as in `Progressing (Judging)`.
pub(super) fn phase(canary: &Canary) -> String {
    let phase = &canary.status.release.phase;
    let name = phase.name();
    match phase {
        Phase::Progressing { stage, .. } => format!("{name} ({stage:?})"),
        Phase::Promoting { task, .. } => format!("{name} ({task:?})"),
        Phase::RollingBack { task, .. } => format!("{name} ({task:?})"),
        Phase::Initializing | Phase::Stable | Phase::Failed { .. } => name.to_owned(),
    }
}

/// The step as in `2/5`; empty where no release is under way.
pub(super) fn step(canary: &Canary) -> String {
    let release = canary.status.release.release();
    release.map_or_else(String::new, |release| format!("{}/{}", release.step + 1, canary.spec.steps.len()))
}

/// The evidence as in `1.32 of 100`.
pub(super) fn evidence(canary: &Canary, release: &Release) -> String {
    format!("{:.2} of {:.0}", release.evidence.e(), canary.spec.analysis.threshold())
}

/// When requests are waited for: how many are there, and when the rest will be.
pub(super) fn progress(hold: &Hold, now: Timestamp) -> Option<String> {
    let (seen, needed) = (hold.seen?, hold.needed?);
    let eta = match hold.eta {
        Some(eta) if eta > now => format!(", the rest in about {}", span(now, eta)),
        _ => String::new(),
    };
    Some(format!("{seen} of {needed} requests seen{eta}"))
}

fn head(canary: &Canary, now: Timestamp, style: Style) -> String {
    let status = &canary.status.release;
    let mut text = String::new();
    let mut line = |name: &str, value: &str| {
        if !value.is_empty() {
            // Writing to a string does not fail.
            let _ = writeln!(text, "{:<12}{value}", format!("{name}:"));
        }
    };
    line("Name", &style.paint(Tone::Strong, &canary.metadata.name));
    line("Namespace", canary.metadata.namespace.as_deref().unwrap_or_default());
    let (tone, sign) = tone(&status.phase);
    line("Phase", &style.paint(tone, &format!("{sign} {} for {}", phase(canary), span(status.since, now))));
    line("Step", &step(canary));
    line("Weight", &weight(canary));
    line("Stable", &fleet(canary, status.stable.as_ref()));
    let candidate = status.release().map(|release| &release.candidate);
    line("Candidate", &fleet(canary, candidate));
    line("Changed", &canary.status.changed.join(", "));
    if let Phase::Failed { cause, .. } | Phase::RollingBack { cause, .. } = &status.phase {
        line("Cause", &style.paint(Tone::Bad, &format!("{:?}: {}", cause.reason, cause.message)));
    }
    if let Some(hold) = &status.hold {
        line("Waits for", &style.paint(Tone::Busy, &format!("{}: {}", hold.reason, hold.message)));
        line("Until", &until(hold, now));
        line("Requests", &progress(hold, now).unwrap_or_default());
    }
    if let Some(release) = status.release() {
        line("Evidence", &format!("e-value {}, at which the candidate fails", evidence(canary, release)));
    } else if let Some(last) = status.history.last() {
        let outcome = match last.outcome {
            Outcome::Promoted => "promoted",
            Outcome::RolledBack => "taken back",
        };
        line("Last", &format!("{} {outcome} {} ago", last.candidate, span(last.ended, now)));
    }
    for Condition { reason, message, .. } in &canary.status.conditions {
        line("Note", &style.paint(Tone::Bad, &format!("{reason}: {message}")));
    }
    text
}

fn tone(phase: &Phase) -> (Tone, &'static str) {
    match phase {
        Phase::Stable => (Tone::Good, "✔"),
        Phase::Failed { .. } => (Tone::Bad, "✖"),
        Phase::RollingBack { .. } => (Tone::Bad, "◌"),
        Phase::Initializing | Phase::Progressing { .. } | Phase::Promoting { .. } => (Tone::Busy, "◌"),
    }
}

fn weight(canary: &Canary) -> String {
    let route = canary.status.release.route;
    let routing = &canary.status.routing;
    let filled = usize::from(route.weight.basis_points()) * BAR / 10_000;
    // The smallest share is still a share.
    let filled = if route.weight.is_zero() { 0 } else { filled.max(1) };
    let bar: String = (0..BAR).map(|column| if column < filled { '█' } else { '░' }).collect();
    if canary.spec.mode == Mode::Replicas {
        return format!("{bar} {}, by the number of replicas", route.weight);
    }
    let pending = routing.pending.len();
    let confirmed = usize::try_from(routing.routers).unwrap_or(usize::MAX).saturating_sub(pending);
    let confirmed = format!("confirmed by {confirmed} of {} routers", routing.routers);
    match routing.pending.as_slice() {
        [] => format!("{bar} {}, {confirmed}", route.weight),
        pending => format!("{bar} {}, {confirmed}; not by {}", route.weight, pending.join(", ")),
    }
}

fn fleet(canary: &Canary, revision: Option<&Revision>) -> String {
    let Some(revision) = revision else { return String::new() };
    let replicas: Vec<_> = of(canary, revision).collect();
    let ready = replicas.iter().filter(|replica| replica.ready).count();
    let restarts: u32 = replicas.iter().map(|replica| replica.restarts).sum();
    let restarts = if restarts > 0 { format!(", restarted {restarts} times") } else { String::new() };
    match replicas.len() {
        0 => format!("{revision}   no replicas"),
        all => format!("{revision}   {ready} of {all} ready{restarts}"),
    }
}

fn until(hold: &Hold, now: Timestamp) -> String {
    let then = match hold.then {
        OnDeadline::Hold => "then it waits for a person",
        OnDeadline::Abort => "then the release fails",
        OnDeadline::Proceed => "then it goes on",
    };
    let when = format!("{:.0}", hold.deadline);
    if hold.overdue(now) {
        format!("{when}, overdue by {}, {then}", span(hold.deadline, now))
    } else {
        format!("{when}, in {}, {then}", span(now, hold.deadline))
    }
}

fn counts(canary: &Canary, release: &Release) -> String {
    let mut rows = vec![["TRACK", "REQUESTS", "ERRORS", "SHARE", "AT THIS WEIGHT"].map(str::to_owned)];
    let row = |track: &str, total: Tally, here: Tally| {
        let share = format!("{:.2} %", total.error_share() * 100.0);
        let here = format!("{} of {} failed", here.errors, here.requests);
        [track.to_owned(), total.requests.to_string(), total.errors.to_string(), share, here]
    };
    rows.push(row("candidate", release.total.canary, release.at_step.canary));
    rows.push(row("stable", release.total.stable, release.at_step.stable));
    let mut text = columns(&rows);
    if let Some(tick) = canary.status.release.ticks.last().filter(|tick| tick.candidate == release.candidate)
    {
        // Writing to a string does not fail.
        let _ = writeln!(text, "Last verdict at {:.0}: {}, {}", tick.at, tick.verdict, tick.message);
    }
    text
}

/// The replicas under their revisions, the candidate first.
fn tree(canary: &Canary, now: Timestamp, style: Style) -> String {
    let status = &canary.status.release;
    let stable = status.stable.as_ref();
    let candidate = status.release().map(|release| &release.candidate).filter(|name| Some(*name) != stable);
    let mut revisions: Vec<&Revision> = candidate.into_iter().chain(stable).collect();
    for replica in &canary.status.replicas {
        if !revisions.contains(&&replica.revision) {
            revisions.push(&replica.revision);
        }
    }
    let mut rows = vec![["NAME", "STATUS", "RESTARTS", "AGE", "ADDRESS", "INFO"].map(str::to_owned)];
    for revision in revisions {
        let role = if Some(revision) == candidate {
            "candidate"
        } else if Some(revision) == stable {
            "stable"
        } else if stable.is_none() && *revision == canary.status.template {
            "first"
        } else {
            "ending"
        };
        let replicas: Vec<_> = of(canary, revision).collect();
        if replicas.is_empty() {
            continue;
        }
        let mut row = [const { String::new() }; 6];
        row[0] = style.paint(Tone::Strong, &format!("{role} {revision}"));
        rows.push(row);
        for (index, replica) in replicas.iter().enumerate() {
            let branch = if index + 1 == replicas.len() { "└──" } else { "├──" };
            rows.push(leaf(branch, replica, now, style));
        }
    }
    columns(&rows)
}

fn leaf(branch: &str, replica: &ReplicaView, now: Timestamp, style: Style) -> [String; 6] {
    let status = if replica.ready {
        style.paint(Tone::Good, "✔ Ready")
    } else if replica.started.is_some() {
        style.paint(Tone::Busy, "◌ NotReady")
    } else {
        style.paint(Tone::Bad, "✖ NotRunning")
    };
    [
        format!("{} {}", style.paint(Tone::Faint, branch), replica.name),
        status,
        replica.restarts.to_string(),
        replica.started.map_or_else(String::new, |started| span(started, now)),
        replica.address.map_or_else(String::new, |address| address.to_string()),
        replica.message.clone(),
    ]
}

fn of<'a>(canary: &'a Canary, revision: &'a Revision) -> impl Iterator<Item = &'a ReplicaView> {
    canary.status.replicas.iter().filter(move |replica| replica.revision == *revision)
}
