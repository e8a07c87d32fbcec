//! The acts of the demo: what is released, what goes wrong, and what must come out.

use super::plan;
use super::story::Story;
use crate::{Machine, Version};
use anyhow::{Context, Result};
use promoter::canary::Canary;
use release::{CauseReason, Outcome as End, Phase, Record, Revision};
use split::Weight;
use std::time::Duration;

/// Longer than any act takes on a slow machine; each step inside has deadlines of its own.
const ACT_LIMIT: Duration = Duration::from_secs(150);

/// How an act came out.
#[derive(Clone, Debug)]
pub(super) struct Outcome {
    /// The version.
    pub(super) version: &'static str,
    /// What it was about.
    pub(super) title: &'static str,
    /// The end of its release.
    pub(super) record: Record,
    /// Requests that failed for readers while it lasted.
    pub(super) failures: u64,
    /// Each thing that should have been and was not.
    pub(super) wrong: Vec<String>,
}

/// Plays all acts.
pub(super) async fn play_all(machine: &mut Machine, story: &mut Story) -> Result<Vec<Outcome>> {
    Ok(vec![
        healthy(machine, story).await.context("act 1, v2")?,
        failing(machine, story).await.context("act 2, v3")?,
        crashing(machine, story).await.context("act 3, v4")?,
        through_trouble(machine, story).await.context("act 4, v5")?,
    ])
}

async fn healthy(machine: &mut Machine, story: &mut Story) -> Result<Outcome> {
    let title = "healthy: promoted, no process restarted";
    let (revision, failures) = begin(machine, story, &plan::HEALTHY, title).await?;
    let canary = story.watch(machine, ACT_LIMIT, ended(&revision)).await?;
    let mut outcome = outcome(story, &canary, (&plan::HEALTHY, title), failures)?;
    outcome.expect_promoted(story, &canary, &revision);
    Ok(outcome)
}

async fn failing(machine: &mut Machine, story: &mut Story) -> Result<Outcome> {
    let title = "30 % errors, 20 % slow: taken back, readers see none of it";
    let (revision, failures) = begin(machine, story, &plan::FAILING, title).await?;
    let canary = story.watch(machine, ACT_LIMIT, ended(&revision)).await?;
    let mut outcome = outcome(story, &canary, (&plan::FAILING, title), failures)?;
    outcome
        .expect_rolled_back(&canary, &[CauseReason::ErrorRate, CauseReason::FailFast, CauseReason::Tripped]);
    Ok(outcome)
}

async fn crashing(machine: &mut Machine, story: &mut Story) -> Result<Outcome> {
    let title = "crashes at start: never gets a request, fails at its deadline";
    let (revision, failures) = begin(machine, story, &plan::CRASHING, title).await?;
    let canary = story.watch(machine, ACT_LIMIT, ended(&revision)).await?;
    let mut outcome = outcome(story, &canary, (&plan::CRASHING, title), failures)?;
    outcome.expect_rolled_back(&canary, &[CauseReason::ProgressDeadlineExceeded]);
    let reached = story.seconds().iter().any(|second| second.versions.contains_key(plan::CRASHING.name));
    outcome.expect(!reached, "it got a request");
    Ok(outcome)
}

async fn through_trouble(machine: &mut Machine, story: &mut Story) -> Result<Outcome> {
    let title = "healthy, with kill -9 of the promoter and of a router on the way";
    let (revision, failures) = begin(machine, story, &plan::THROUGH_TROUBLE, title).await?;
    story.watch(machine, ACT_LIMIT, weight_at_least(500)).await?;
    story.say("kill -9 of the promoter; it is started again after two seconds");
    machine.kill_promoter(Duration::from_secs(2)).await?;
    story.watch(machine, ACT_LIMIT, weight_at_least(2_000)).await?;
    story.say("kill -9 of router A; it is started again after two seconds");
    machine.kill_router(0, Duration::from_secs(2)).await?;
    let canary = story.watch(machine, ACT_LIMIT, ended(&revision)).await?;
    let mut outcome = outcome(story, &canary, (&plan::THROUGH_TROUBLE, title), failures)?;
    outcome.expect_promoted(story, &canary, &revision);
    Ok(outcome)
}

/// Asks for the version and waits until the promoter has seen it.
async fn begin(
    machine: &mut Machine,
    story: &mut Story,
    version: &Version,
    title: &str,
) -> Result<(Revision, u64)> {
    story.say(&format!("release {}: {title}", version.name));
    story.turn_to(version);
    let before = machine.canary().await?.status.template;
    machine.apply(version)?;
    let seen =
        |canary: &Canary| canary.status.template != before && canary.status.release.release().is_some();
    let failures = story.total().failures;
    let canary = story.watch(machine, Duration::from_secs(20), seen).await?;
    Ok((canary.status.template, failures))
}

/// The release of this revision has ended, and nothing of it is left to do.
fn ended(revision: &Revision) -> impl Fn(&Canary) -> bool {
    let revision = revision.clone();
    move |canary| {
        let status = &canary.status.release;
        let told = status.history.last().is_some_and(|record| record.candidate == revision);
        told && matches!(status.phase, Phase::Stable | Phase::Failed { .. })
    }
}

fn weight_at_least(basis_points: u16) -> impl Fn(&Canary) -> bool {
    let wanted = Weight::from_basis_points_saturating(basis_points);
    move |canary| {
        let route = canary.status.release.route;
        route.weight >= wanted && route.acknowledged.is_some()
    }
}

fn outcome(
    story: &Story,
    canary: &Canary,
    (version, title): (&Version, &'static str),
    before: u64,
) -> Result<Outcome> {
    let record = canary.status.release.history.last().cloned().context("the release left no record")?;
    let failures = story.total().failures - before;
    let mut outcome = Outcome { version: version.name, title, record, failures, wrong: Vec::new() };
    outcome.expect(failures == 0, "readers saw failures");
    Ok(outcome)
}

// === impl Outcome ===

impl Outcome {
    fn expect(&mut self, so: bool, otherwise: &str) {
        if !so {
            self.wrong.push(otherwise.to_owned());
        }
    }

    fn expect_promoted(&mut self, story: &Story, canary: &Canary, revision: &Revision) {
        self.expect(self.record.outcome == End::Promoted, "it was not promoted");
        let ready =
            canary.status.replicas.iter().filter(|replica| replica.revision == *revision && replica.ready);
        let now: Vec<_> = ready.filter_map(|replica| replica.pid).collect();
        self.expect(now.len() == 3, "it has not three ready processes");
        self.expect(story.pids_of(revision).len() == 3, "one of its processes was restarted");
    }

    fn expect_rolled_back(&mut self, canary: &Canary, reasons: &[CauseReason]) {
        let cause = self.record.cause.as_ref().map(|cause| cause.reason);
        self.expect(self.record.outcome == End::RolledBack, "it was not taken back");
        self.expect(
            cause.is_some_and(|cause| reasons.contains(&cause)),
            "it was taken back for another reason",
        );
        self.expect(canary.status.release.route.weight.is_zero(), "its weight is not 0");
        let left = canary.status.replicas.iter().any(|replica| replica.revision == self.record.candidate);
        self.expect(!left, "its processes are still there");
    }
}
