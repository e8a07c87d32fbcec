//! The releases that have ended.

use super::style::{columns, span};
use crate::canary::Canary;
use release::{Outcome, Record};

/// The newest first.
pub(super) fn table(canary: &Canary) -> String {
    let history = &canary.status.release.history;
    if history.is_empty() {
        return format!("No release of {} has ended yet.\n", canary.metadata.name);
    }
    let head = ["ENDED", "CANDIDATE", "BEFORE", "OUTCOME", "TOOK", "REQUESTS", "ERRORS", "CAUSE"];
    let mut rows = vec![head.map(str::to_owned)];
    rows.extend(history.iter().rev().map(|record| {
        let Record { candidate, stable, started, ended, outcome, cause, total } = record;
        let outcome = match outcome {
            Outcome::Promoted => "promoted",
            Outcome::RolledBack => "taken back",
        };
        [
            format!("{ended:.0}"),
            candidate.to_string(),
            stable.to_string(),
            outcome.to_owned(),
            span(*started, *ended),
            total.canary.requests.to_string(),
            total.canary.errors.to_string(),
            cause.as_ref().map_or_else(String::new, |cause| format!("{:?}: {}", cause.reason, cause.message)),
        ]
    }));
    columns(&rows)
}
