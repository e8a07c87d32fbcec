//! What a person says to a Canary: `kubectl annotate canary NAME huidu.dev/verb=promote`.
//!
//! A word means what the Deployment asks for when it is said: it is heard after a look at the Deployment, so that the
//! release that begins with a new template has begun. It is noted in the status together with what follows from it, and
//! only then taken off the object: whatever happens in between, it is done once.

use super::cluster::Cluster;
use super::object::CanaryObject;
use super::platform::{TurnError, store};
use super::refusal::Refusal;
use super::status::{Answer, CanaryStatus};
use jiff::Timestamp;
use release::{Revision, Status, Verb, apply};

/// The annotation that holds a word.
pub(crate) const VERB: &str = "huidu.dev/verb";

/// Does what a person said, if anybody said something; the sentence that answers, or why nothing was done. `wanted` is
/// the revision that the Deployment asks for, or why it is not followed.
pub(super) async fn listen(
    cluster: &Cluster,
    object: &mut CanaryObject,
    status: &mut CanaryStatus,
    wanted: Result<&Revision, &Refusal>,
) -> Result<Option<Result<String, String>>, TurnError> {
    let Some(text) = said(object).cloned() else { return Ok(None) };
    let mut answer = None;
    if status.said.as_ref() != Some(&text) {
        let done = follow(&text, &status.release, wanted);
        let refused = done.as_ref().err().cloned();
        status.answer = Some(Answer { said: text.clone(), at: Timestamp::now(), refused });
        answer = Some(match done {
            Ok(release) => {
                status.release = release;
                Ok(format!("a person said {text}"))
            }
            Err(why) => Err(format!("{text}: {why}")),
        });
        status.said = Some(text);
        store(cluster, object, status).await?;
    }
    *object = cluster.remove_annotation(object, VERB).await?;
    Ok(answer)
}

/// The word on an object.
fn said(object: &CanaryObject) -> Option<&String> {
    object.metadata.annotations.as_ref()?.get(VERB)
}

/// A word that is gone from the object may be said again. This comes before the look whose status is stored.
pub(super) fn forget(object: &CanaryObject, status: &mut CanaryStatus) {
    if said(object).is_none() {
        status.said = None;
    }
}

fn follow(text: &str, status: &Status, wanted: Result<&Revision, &Refusal>) -> Result<Status, String> {
    let verb = parse(text)?;
    let wanted = wanted.map_err(|refusal| format!("the Deployment is not followed: {refusal}"))?;
    apply(verb, status, wanted, Timestamp::now()).map_err(|refused| refused.to_string())
}

/// A verb as the annotation says it.
pub(crate) fn words(verb: Verb) -> String {
    match verb {
        Verb::Promote { full: false } => "promote".to_owned(),
        Verb::Promote { full: true } => "promote --full".to_owned(),
        Verb::Abort => "abort".to_owned(),
        Verb::Pause => "pause".to_owned(),
        Verb::Resume => "resume".to_owned(),
        Verb::Retry => "retry".to_owned(),
        Verb::Undo => "undo".to_owned(),
        Verb::SetWeight { weight } => format!("set-weight {weight}"),
    }
}

/// The words are those of `kubectl canary`.
fn parse(text: &str) -> Result<Verb, String> {
    let words: Vec<&str> = text.split_whitespace().collect();
    match words.as_slice() {
        ["promote"] => Ok(Verb::Promote { full: false }),
        ["promote", "--full"] => Ok(Verb::Promote { full: true }),
        ["abort"] => Ok(Verb::Abort),
        ["pause"] => Ok(Verb::Pause),
        ["resume"] => Ok(Verb::Resume),
        ["retry"] => Ok(Verb::Retry),
        ["undo"] => Ok(Verb::Undo),
        ["set-weight", weight] => weight
            .parse()
            .map(|weight| Verb::SetWeight { weight })
            .map_err(|error: split::WeightError| error.to_string()),
        _ => {
            Err("write promote, promote --full, abort, pause, resume, retry, undo or set-weight 30%"
                .to_owned())
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use release::{Phase, Release, Skip, Stage};

    #[test]
    fn a_word_is_for_the_template_that_the_deployment_asks_for() {
        let now = Timestamp::UNIX_EPOCH;
        let (stable, next) = (Revision::new("v1"), Revision::new("v2"));
        let at = |phase| Status { stable: Some(stable.clone()), phase, ..Status::new(now) };
        let idle = at(Phase::Stable);
        let told = follow("promote", &idle, Ok(&next)).unwrap_err();
        assert!(told.contains("the release of v2 has not begun yet"), "{told}");
        assert_eq!(follow("promote", &idle, Ok(&stable)), Ok(idle.clone()));
        let release = Release::new(next.clone(), now);
        let begun = follow("promote", &at(Phase::Progressing { release, stage: Stage::Scaling }), Ok(&next));
        assert_eq!(begun.unwrap().release().unwrap().skip, Skip::Step);
    }

    #[test]
    fn a_word_is_remembered_until_it_is_gone_from_the_object_and_may_be_said_again_then() {
        let object = |annotations: serde_json::Value| -> CanaryObject {
            serde_json::from_value(
                serde_json::json!({"metadata": {"name": "blog", "annotations": annotations}}),
            )
            .unwrap()
        };
        let mut status = CanaryStatus::new(Timestamp::UNIX_EPOCH);
        status.said = Some("promote".to_owned());
        forget(&object(serde_json::json!({VERB: "promote"})), &mut status);
        assert_eq!(status.said.as_deref(), Some("promote"));
        forget(&object(serde_json::json!({})), &mut status);
        assert_eq!(status.said, None);
    }

    #[test]
    fn where_the_deployment_is_not_followed_a_word_is_answered_with_the_reason() {
        let refusal = Refusal::DeploymentNotFound("blog".to_owned());
        let told = follow("promote", &Status::new(Timestamp::UNIX_EPOCH), Err(&refusal)).unwrap_err();
        assert!(told.starts_with("the Deployment is not followed: there is no Deployment blog"), "{told}");
    }

    #[test]
    fn words_are_those_of_the_command_line() {
        assert_eq!(parse("promote"), Ok(Verb::Promote { full: false }));
        assert_eq!(parse(" promote  --full "), Ok(Verb::Promote { full: true }));
        assert_eq!(parse("set-weight 30%"), Ok(Verb::SetWeight { weight: "30%".parse().unwrap() }));
        let weight = "0.5%".parse().unwrap();
        let full = [Verb::Promote { full: false }, Verb::Promote { full: true }, Verb::SetWeight { weight }];
        let plain = [Verb::Abort, Verb::Pause, Verb::Resume, Verb::Retry, Verb::Undo];
        for verb in full.into_iter().chain(plain) {
            assert_eq!(parse(&words(verb)), Ok(verb));
        }
        assert!(parse("set-weight lots").unwrap_err().contains("lots"));
        assert!(parse("advance").unwrap_err().contains("write promote"));
    }
}
