//! New pods of the same template: `kubectl rollout restart` for a Deployment that a Canary holds.
//!
//! As kubectl does, it writes the time into the template, with the rights of whoever asks. Everything else is a release.

use super::cluster::{Cluster, object_of};
use super::{Failure, Found};
use crate::kubernetes::followed;
use jiff::Timestamp;
use k8s_openapi::api::apps::v1::Deployment;
use kube::api::{Api, Patch, PatchParams};
use release::{Phase, Status};
use serde_json::{Value, json};
use tokio::time::{self, Instant};

/// The annotation that `kubectl rollout restart` writes.
const RESTARTED: &str = "kubectl.kubernetes.io/restartedAt";
/// The pause before another look whether the promoter has seen it.
const SOON: time::Duration = time::Duration::from_millis(200);

/// Whether nothing is under way: a restart would begin a release anew, or try a failed template again.
pub(super) fn check(status: &Status) -> Result<(), Failure> {
    let release = status.release().map(|release| release.candidate.to_string());
    let why = match &status.phase {
        Phase::Stable => return Ok(()),
        Phase::Initializing => "the first rollout has not finished: wait until the phase is Stable".to_owned(),
        Phase::Failed { .. } => {
            "the template is that of the failed release: use retry to try it again, or undo to put the one before back"
                .to_owned()
        }
        phase => format!(
            "the release of {} is under way ({}), and a restart would begin it anew: wait for its end, or use abort",
            release.unwrap_or_default(),
            phase.name()
        ),
    };
    Err(Failure::Otherwise(why))
}

/// On one machine the template is a file, which only its owner writes.
pub(super) fn by_file() -> Failure {
    Failure::Otherwise(
        "on one machine the template is in your file, and its change is the restart: write another value into \
         deployment.template.env, such as RESTARTED_AT"
            .to_owned(),
    )
}

fn patch(now: Timestamp) -> Value {
    json!({"spec": {"template": {"metadata": {"annotations": {RESTARTED: format!("{now:.0}")}}}}})
}

// === impl Cluster ===

impl Cluster {
    /// Writes the time into the template, and waits until the promoter has seen it.
    pub(super) async fn restart(&self, found: &Found) -> Result<Found, Failure> {
        let Some((name, _)) = followed(&object_of(found)?) else {
            return Err(Failure::Otherwise(
                "no promoter follows the Deployment at the moment: see status".to_owned(),
            ));
        };
        let namespace = found.canary.metadata.namespace.as_deref().unwrap_or_default();
        let deployments: Api<Deployment> = Api::namespaced(self.client.clone(), namespace);
        let deadline = Instant::now() + self.patience;
        let (params, patch) = (PatchParams::default(), Patch::Strategic(patch(Timestamp::now())));
        let written = self.call(deployments.patch_metadata(&name, &params, &patch)).await?;
        let wanted = written.metadata.generation.unwrap_or_default();
        loop {
            let now = self.look(&found.canary.metadata).await?;
            if followed(&object_of(&now)?).is_some_and(|(_, seen)| seen >= wanted) {
                return Ok(now);
            }
            if Instant::now() >= deadline {
                return Err(Failure::Unavailable(format!(
                    "the template of the Deployment {name} has the new time, but the promoter has not seen it within \
                     {:?}; is it running? See kubectl get pods -A -l app=promoter",
                    self.patience
                )));
            }
            time::sleep(SOON).await;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use release::{Cause, CauseReason, Release, Revision, Stage};

    fn refusal(phase: Phase) -> String {
        let status = Status { phase, ..Status::new(Timestamp::UNIX_EPOCH) };
        check(&status).err().map(|failure| failure.to_string()).unwrap_or_default()
    }

    #[test]
    fn only_where_nothing_is_under_way_pods_are_made_anew() {
        assert_eq!(refusal(Phase::Stable), "");
        let release = || Release::new(Revision::new("v2"), Timestamp::UNIX_EPOCH);
        let told = refusal(Phase::Progressing { release: release(), stage: Stage::Judging });
        assert!(told.contains("the release of v2 is under way (Progressing)"), "{told}");
        let cause = Cause::new(CauseReason::Aborted, "aborted by hand");
        assert!(refusal(Phase::Failed { release: release(), cause }).contains("use retry"));
        assert!(refusal(Phase::Initializing).contains("has not finished"));
    }

    #[test]
    fn the_template_is_written_as_kubectl_writes_it() {
        let patch = patch(Timestamp::UNIX_EPOCH);
        let annotations = &patch["spec"]["template"]["metadata"]["annotations"];
        assert_eq!(annotations["kubectl.kubernetes.io/restartedAt"], "1970-01-01T00:00:00Z");
    }
}
