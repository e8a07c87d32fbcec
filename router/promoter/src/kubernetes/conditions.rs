//! From where a release is to the conditions that people and programs wait for.

use super::refusal::Refusal;
use super::status::{CanaryStatus, Condition};
use jiff::Timestamp;
use release::{Phase, Status};

/// What keeps a Canary from being followed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Trouble {
    /// It makes no sense as it is, and needs a person.
    Refused(Refusal),
    /// Something failed, and is tried again.
    Failed(String),
}

/// The conditions of a status; a condition that stays what it was keeps its time.
pub(super) fn conditions(status: &CanaryStatus, trouble: Option<&Trouble>, now: Timestamp) -> Vec<Condition> {
    let Status { phase, hold, .. } = &status.release;
    let overdue = hold.as_ref().is_some_and(|hold| hold.overdue(now));
    let (reason, message) = why(&status.release, trouble);
    let quiet = matches!(phase, Phase::Stable) && hold.is_none() && trouble.is_none();
    let moving =
        matches!(phase, Phase::Progressing { .. } | Phase::Promoting { .. } | Phase::RollingBack { .. });
    let degraded =
        trouble.is_some() || overdue || matches!(phase, Phase::Failed { .. } | Phase::RollingBack { .. });
    [("Ready", quiet), ("Progressing", moving), ("Degraded", degraded)]
        .into_iter()
        .map(|(kind, holds)| {
            let holds = if holds { "True" } else { "False" };
            let before = status.conditions.iter().find(|condition| condition.kind == kind);
            let since =
                before.filter(|before| before.status == holds).map(|before| before.last_transition_time);
            Condition {
                kind: kind.to_owned(),
                status: holds.to_owned(),
                reason: reason.clone(),
                message: message.clone(),
                last_transition_time: since.unwrap_or(now),
                observed_generation: status.observed_generation,
            }
        })
        .collect()
}

/// The one word and the sentence that say best why things are as they are.
fn why(status: &Status, trouble: Option<&Trouble>) -> (String, String) {
    if let Some(Trouble::Refused(refusal)) = trouble {
        return (refusal.reason().to_owned(), refusal.to_string());
    }
    if let Some(Trouble::Failed(message)) = trouble {
        return ("ApiError".to_owned(), message.clone());
    }
    match (&status.hold, &status.phase) {
        (Some(hold), _) => (hold.reason.to_string(), hold.message.clone()),
        (None, Phase::RollingBack { cause, .. } | Phase::Failed { cause, .. }) => {
            (format!("{:?}", cause.reason), cause.message.clone())
        }
        (None, phase) => {
            let stable = status.stable.as_ref().map(ToString::to_string).unwrap_or_default();
            let message = match status.release() {
                Some(release) => format!("{} is tried beside {stable}", release.candidate),
                None => format!("{stable} has all requests"),
            };
            (phase.name().to_owned(), message)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(second: i64) -> Timestamp {
        Timestamp::from_second(second).unwrap()
    }

    fn stable(status: &mut CanaryStatus) {
        status.release.stable = Some(release::Revision::new("a1"));
        status.release.phase = Phase::Stable;
    }

    #[test]
    fn a_condition_keeps_its_time_until_it_changes() {
        let mut status = CanaryStatus::new(at(0));
        status.conditions = conditions(&status, None, at(1));
        let ready = |status: &CanaryStatus| {
            let ready = &status.conditions[0];
            (ready.status.clone(), ready.reason.clone(), ready.last_transition_time)
        };
        assert_eq!(ready(&status), ("False".to_owned(), "Initializing".to_owned(), at(1)));
        stable(&mut status);
        status.conditions = conditions(&status, None, at(2));
        assert_eq!(ready(&status), ("True".to_owned(), "Stable".to_owned(), at(2)));
        status.conditions = conditions(&status, None, at(3));
        assert_eq!(ready(&status), ("True".to_owned(), "Stable".to_owned(), at(2)));
    }

    #[test]
    fn trouble_is_told_before_everything_else() {
        let mut status = CanaryStatus::new(at(0));
        stable(&mut status);
        let failed = Trouble::Failed("the API server is away".to_owned());
        let conditions = conditions(&status, Some(&failed), at(1));
        assert!(conditions.iter().all(|condition| condition.reason == "ApiError"));
        let degraded = conditions.iter().find(|condition| condition.kind == "Degraded").unwrap();
        assert_eq!(degraded.status, "True");
    }
}
