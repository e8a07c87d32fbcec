//! What a person may say to a release.

use crate::{
    Cause, CauseReason, HoldReason, Outcome, Phase, Promotion, Release, Revision, Rollback, Skip, Stage,
    Status,
};
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use split::Weight;

/// A word of a person. Saying it twice is saying it once.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "verb", rename_all = "kebab-case", deny_unknown_fields)]
pub enum Verb {
    /// Go on from the present step without waiting for more.
    Promote {
        /// Go on to the promotion, past all steps. Replicas, readiness and acknowledgements are still waited for.
        #[serde(default)]
        full: bool,
    },
    /// Take the candidate out.
    Abort,
    /// Stay at the present weight; a worse candidate is still taken out.
    Pause,
    /// Go on after a pause or a weight set by hand.
    Resume,
    /// Try the failed candidate again.
    Retry,
    /// Put the template back: to stable's during or after a release, otherwise to the one before.
    Undo,
    /// Stay at this weight until `resume` or `promote`.
    SetWeight {
        /// The candidate's share.
        weight: Weight,
    },
}

/// Why a verb makes no sense now, and what does.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error, Serialize)]
#[error("{error}: {remedy}")]
pub struct Refused {
    /// Why.
    pub error: String,
    /// What to do instead.
    pub remedy: String,
}

/// The status after `verb`, said by somebody who knows that the template is `wanted`.
///
/// # Errors
/// Where there is nothing that the verb could mean.
pub fn apply(verb: Verb, status: &Status, wanted: &Revision, now: Timestamp) -> Result<Status, Refused> {
    if let Some(coming) = coming(status, wanted)
        && !goes_back(verb, status)
    {
        return Err(too_early(status, coming));
    }
    let mut next = status.clone();
    match verb {
        Verb::Promote { full } => promote(&mut next, if full { Skip::All } else { Skip::Step })?,
        Verb::Abort => abort(&mut next, now),
        Verb::Pause => {
            let release = under_way(&mut next, "pause")?;
            release.paused.get_or_insert(now);
            release.skip = Skip::Nothing;
        }
        Verb::Resume => resume(&mut next, now)?,
        Verb::Retry => retry(&mut next, now)?,
        Verb::Undo => undo(&mut next, now)?,
        Verb::SetWeight { weight } => set_weight(&mut next, weight, now)?,
    }
    Ok(next)
}

/// The revision whose release has not begun: a word would mean it, and be lost on the one before it.
fn coming<'a>(status: &'a Status, wanted: &'a Revision) -> Option<&'a Revision> {
    let wanted = status.restore.as_ref().unwrap_or(wanted);
    let tried = status.release().is_some_and(|release| release.candidate == *wanted);
    let is_next = match &status.phase {
        Phase::Initializing => false,
        // Whatever was stable, the candidate is it now.
        Phase::Promoting { .. } => !tried,
        _ => !tried && status.stable.as_ref() != Some(wanted),
    };
    is_next.then_some(wanted)
}

/// Whether the word is about the template itself, whatever release comes next.
fn goes_back(verb: Verb, status: &Status) -> bool {
    verb == Verb::Undo && (status.phase != Phase::Stable || status.restore.is_some())
}

fn too_early(status: &Status, coming: &Revision) -> Refused {
    let before = match &status.phase {
        Phase::Promoting { release, .. } => format!(", since {} is becoming stable", release.candidate),
        Phase::RollingBack { release, .. } => format!(", since {} is being taken out", release.candidate),
        _ => String::new(),
    };
    let error = format!("the release of {coming} has not begun yet{before}");
    refused(&error, "say it again when status shows that release")
}

fn promote(status: &mut Status, skip: Skip) -> Result<(), Refused> {
    match &mut status.phase {
        Phase::Stable | Phase::Promoting { .. } => Ok(()),
        Phase::Progressing { release, .. } => {
            release.paused = None;
            release.skip = if release.skip == Skip::All { Skip::All } else { skip };
            Ok(())
        }
        Phase::Failed { .. } | Phase::RollingBack { .. } => {
            Err(refused("the candidate was taken back", "use retry to try it again"))
        }
        Phase::Initializing => Err(nothing_under_way("promote")),
    }
}

fn abort(status: &mut Status, now: Timestamp) {
    let cause = Cause::new(CauseReason::Aborted, "aborted by hand");
    let release = match &status.phase {
        Phase::Progressing { release, .. } | Phase::Promoting { release, task: Promotion::Draining } => {
            release.clone()
        }
        _ => return,
    };
    status.enter(Phase::RollingBack { release, task: Rollback::Shifting, cause }, now);
}

fn resume(status: &mut Status, now: Timestamp) -> Result<(), Refused> {
    let waits_for_person = status.hold.as_ref().is_some_and(|hold| hold.reason == HoldReason::Paused);
    let release = under_way(status, "resume")?;
    let paused = release.paused.take().is_some();
    if release.manual_weight.take().is_some() {
        restage(status, now);
    } else if paused {
        // Otherwise a second `resume` would take the hold of this pause for that of a step that waits for a person.
        status.hold = None;
    } else if waits_for_person {
        release.skip = Skip::Step;
    }
    Ok(())
}

fn retry(status: &mut Status, now: Timestamp) -> Result<(), Refused> {
    match &status.phase {
        Phase::Failed { release, .. } => {
            let release = Release::new(release.candidate.clone(), now);
            status.restore = None;
            status.enter(Phase::Progressing { release, stage: Stage::Scaling }, now);
            Ok(())
        }
        Phase::Progressing { .. } | Phase::Promoting { .. } => Ok(()),
        Phase::RollingBack { .. } => {
            Err(refused("the candidate is still being taken out", "wait until it has failed"))
        }
        Phase::Stable | Phase::Initializing => {
            Err(refused("no release has failed", "change the template to begin a new one"))
        }
    }
}

fn undo(status: &mut Status, now: Timestamp) -> Result<(), Refused> {
    let Some(stable) = status.stable.clone() else { return Err(nothing_under_way("undo")) };
    match &status.phase {
        Phase::Stable if status.restore.is_some() => {}
        Phase::Stable => {
            let promoted = status.history.iter().rev().find(|record| {
                record.outcome == Outcome::Promoted && record.candidate == stable && record.stable != stable
            });
            let Some(record) = promoted else {
                return Err(refused(
                    "no earlier revision is known",
                    "change the template to the one you want",
                ));
            };
            status.restore = Some(record.stable.clone());
        }
        Phase::Promoting { task: Promotion::Repointing | Promotion::Adopting, .. } => {
            return Err(refused(
                "the candidate is becoming stable at this moment",
                "undo again when it is stable",
            ));
        }
        _ => {
            abort(status, now);
            status.restore = Some(stable);
        }
    }
    Ok(())
}

fn set_weight(status: &mut Status, weight: Weight, now: Timestamp) -> Result<(), Refused> {
    if weight.is_zero() {
        return Err(refused("a weight of 0 % tries nothing", "use abort to take the candidate out"));
    }
    let release = under_way(status, "set-weight")?;
    if release.manual_weight != Some(weight) {
        release.manual_weight = Some(weight);
        release.skip = Skip::Nothing;
        restage(status, now);
    }
    Ok(())
}

/// Begins the present step again, for another weight.
fn restage(status: &mut Status, now: Timestamp) {
    if let Phase::Progressing { release, .. } = &mut status.phase {
        release.at_step = crate::Counts::default();
        let phase = Phase::Progressing { release: release.clone(), stage: Stage::Scaling };
        status.enter(phase, now);
    }
}

fn under_way<'a>(status: &'a mut Status, verb: &str) -> Result<&'a mut Release, Refused> {
    match &mut status.phase {
        Phase::Progressing { release, .. } => Ok(release),
        Phase::Promoting { .. } => {
            Err(refused("every step has passed", "wait for the promotion, or use abort"))
        }
        phase => Err(refused(
            &format!("{verb} needs a release under way, and the phase is {}", phase.name()),
            "change the template to begin a release",
        )),
    }
}

fn nothing_under_way(verb: &str) -> Refused {
    refused(&format!("{verb} needs a finished first rollout"), "wait until the phase is Stable")
}

fn refused(error: &str, remedy: &str) -> Refused {
    Refused { error: error.to_owned(), remedy: remedy.to_owned() }
}
