//! kill -9 of everything, at every step.

use std::time::Duration;

use anyhow::{Context as _, ensure};
use cluster::load::Report;
use cluster::{Cluster, Rows};

use crate::releases::often;
use crate::system::{System, told};
use crate::victim::Victim::{self, ApiServer, Component, Leader, Prometheus, Promoters, Router};

/// A release in which something is killed at each of its five steps.
const WHOLE: Duration = Duration::from_secs(300);

const CONTROLLERS: Victim = Component("kube-controller-manager");
const KUBELET: Victim = Component("kubelet");

/// One for each step of a release, and one for its end.
const GOOD: [Victim; 6] = [Leader, KUBELET, Prometheus, ApiServer, Promoters, CONTROLLERS];
/// One when a bad release begins, and one when it is taken back.
const BAD: [[Victim; 2]; 4] =
    [[Leader, ApiServer], [Router, KUBELET], [Promoters, CONTROLLERS], [Prometheus, Leader]];

const EACH: [(Victim, &str); 7] = [
    (Leader, "the leader of two promoters is killed at every step of a good and of a bad release"),
    (Promoters, "both promoters are killed at every step of a good and of a bad release"),
    (Router, "a router is killed at every step of a good and of a bad release"),
    (Prometheus, "Prometheus is killed at every step of a good and of a bad release"),
    (CONTROLLERS, "the controller-manager is killed at every step of a good and of a bad release"),
    (KUBELET, "the kubelet is killed at every step of a good and of a bad release"),
    (ApiServer, "the API server is away at every step of a good and of a bad release"),
];

pub(crate) async fn tell(rows: &mut Rows) {
    rows.long_row(
        "a good release ends promoted and fails no request, though at each step something is killed",
        async |cluster| good_release(cluster, GOOD).await,
    )
    .await;
    rows.long_row(
        "a bad release ends taken back, whatever is killed when it begins and when it is taken back",
        async |cluster| {
            for victims in BAD {
                bad_release(cluster, victims).await.with_context(|| format!("{victims:?}"))?;
            }
            Ok(())
        },
    )
    .await;
    for (victim, sentence) in EACH {
        rows.long_row(sentence, async |cluster| {
            good_release(cluster, [victim; 6]).await.context("good release")?;
            bad_release(cluster, [victim; 2]).await.context("bad release")
        })
        .await;
    }
}

/// A release of v2; at each of its steps, and at its promotion, one of these is killed.
async fn good_release(cluster: &Cluster, victims: [Victim; 6]) -> anyhow::Result<()> {
    let system = System::running(cluster, &[]).await?;
    system.follow(&often()).await?;
    let load = system.load()?;
    system.release("v2").await?;
    let [at_steps @ .., at_the_end] = victims;
    for (step, victim) in (0..).zip(at_steps) {
        if at(&system, step).await? {
            victim.is_killed(cluster).await?;
        }
    }
    at_the_end.is_killed(cluster).await?;
    system.promoted("v2", WHOLE).await?;
    system.has_nothing_extra().await?;
    readers_had(&load.stop().await?, &victims)
}

/// Waits until the release gathers evidence at this step; whether it is there, and not beyond it already.
async fn at(system: &System<'_>, step: u64) -> anyhow::Result<bool> {
    let canary = system
        .becomes(WHOLE, async |canary| {
            let status = &canary["status"];
            let (now, judging) = (status["release"]["step"].as_u64(), status["stage"] == "Judging");
            let ended = !status["history"].is_null();
            let there = now == Some(step) && judging || now > Some(step) || ended;
            ensure!(there || status["phase"] == "Promoting", "not at step {step}: {}", told(canary));
            Ok(())
        })
        .await?;
    Ok(canary["status"]["release"]["step"].as_u64() == Some(step))
}

/// A release with errors; the first is killed when it begins, the second when it is taken back.
async fn bad_release(cluster: &Cluster, victims: [Victim; 2]) -> anyhow::Result<()> {
    let system = System::running(cluster, &[]).await?;
    system.follow(&often()).await?;
    let stable = system.blog.uids().await?;
    let load = system.load()?;
    system.release("faulty").await?;
    at(&system, 0).await?;
    victims[0].is_killed(cluster).await?;
    system
        .becomes(WHOLE, async |canary| {
            let phase = &canary["status"]["phase"];
            ensure!(phase == "RollingBack" || phase == "Failed", "{}", told(canary));
            Ok(())
        })
        .await?;
    victims[1].is_killed(cluster).await?;
    let failed = system.reaches("Failed", WHOLE).await?;
    ensure!(failed["status"]["route"]["weight"] == "0%", "{}", told(&failed));
    ensure!(system.blog.uids().await? == stable, "the pods of stable were touched");
    readers_had(&load.stop().await?, &victims)
}

/// Connections of a killed router are lost, and for a moment kube-proxy still leads new ones to it. A kubelet that starts
/// again calls all pods of its node unready, on this only node both routers: kube-proxy refuses connections until the
/// first is probed. Nothing else fails.
fn readers_had(report: &Report, victims: &[Victim]) -> anyhow::Result<()> {
    if victims.contains(&Router) {
        report.only_failed(&["connect", "closed", "reset", "truncated"])
    } else if victims.contains(&KUBELET) {
        report.only_failed(&["connect"])?;
        ensure!(report.failures * 100 < report.requests, "{} of {}", report.failures, report.requests);
        Ok(())
    } else {
        report.nothing_failed()
    }
}
