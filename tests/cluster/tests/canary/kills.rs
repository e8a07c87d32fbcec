//! kill -9 of everything, at every step.

use std::time::Duration;

use anyhow::{Context as _, ensure};
use cluster::{Cluster, Rows};
use serde_json::Value;

use crate::releases::often;
use crate::system::{System, told};

/// A release in which something is killed at each of its five steps.
const WHOLE: Duration = Duration::from_secs(300);
/// The API server is away for so long; routers and kubelets go on.
const AWAY: Duration = Duration::from_secs(6);

/// What is killed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Victim {
    /// The promoter that leads; a second one waits.
    Leader,
    /// Both promoters at once.
    Promoters,
    Router,
    Prometheus,
    /// A component of the cluster, which is started again at once.
    Component(&'static str),
    /// The API server, which stays away for a while.
    ApiServer,
}

use Victim::{ApiServer, Component, Leader, Prometheus, Promoters, Router};

const ALL: [Victim; 7] = [
    Leader,
    Promoters,
    Router,
    Prometheus,
    Component("kube-controller-manager"),
    Component("kubelet"),
    ApiServer,
];

/// One for each step of a release, and one for its end.
const GOOD: [Victim; 6] =
    [Leader, Component("kubelet"), Prometheus, ApiServer, Promoters, Component("kube-controller-manager")];

pub(crate) async fn tell(rows: &mut Rows) {
    let (minutes, hour) = (Duration::from_secs(480), Duration::from_secs(3600));
    rows.row_within(
        minutes,
        "a good release ends promoted and fails no request, though at each step something is killed",
        good,
    )
    .await;
    rows.row_within(
        minutes,
        "a bad release ends taken back, though the leader and the API server are killed in it",
        bad,
    )
    .await;
    rows.row_within(
        minutes,
        "a killed router costs at most the connections it had, and the release goes on",
        router,
    )
    .await;
    rows.row_within(2 * hour, "every victim, at every step of a good release and of a bad one", full).await;
}

async fn good(cluster: &Cluster) -> anyhow::Result<()> {
    good_release(cluster, GOOD).await
}

async fn bad(cluster: &Cluster) -> anyhow::Result<()> {
    bad_release(cluster, Leader).await?;
    bad_release(cluster, ApiServer).await
}

async fn router(cluster: &Cluster) -> anyhow::Result<()> {
    good_release(cluster, [Router; 6]).await
}

async fn full(cluster: &Cluster) -> anyhow::Result<()> {
    for victim in ALL {
        good_release(cluster, [victim; 6]).await.with_context(|| format!("{victim:?}, good release"))?;
        bad_release(cluster, victim).await.with_context(|| format!("{victim:?}, bad release"))?;
    }
    Ok(())
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
            victim.is_killed(&system).await?;
        }
    }
    at_the_end.is_killed(&system).await?;
    system.promoted("v2", WHOLE).await?;
    system.has_nothing_extra().await?;
    let report = load.stop().await?;
    if victims.contains(&Router) {
        // Connections of a killed router are lost, and for a moment kube-proxy still leads new ones to it.
        return report.only_failed(&["connect", "closed", "reset", "truncated"]);
    }
    report.nothing_failed()
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

/// A release with errors; the victim is killed when it begins, and again when it is taken back.
async fn bad_release(cluster: &Cluster, victim: Victim) -> anyhow::Result<()> {
    let system = System::running(cluster, &[]).await?;
    system.follow(&often()).await?;
    let stable = system.blog.uids().await?;
    let load = system.load()?;
    system.release("faulty").await?;
    at(&system, 0).await?;
    victim.is_killed(&system).await?;
    system
        .becomes(WHOLE, async |canary| {
            let phase = &canary["status"]["phase"];
            ensure!(phase == "RollingBack" || phase == "Failed", "{}", told(canary));
            Ok(())
        })
        .await?;
    victim.is_killed(&system).await?;
    let failed = system.reaches("Failed", WHOLE).await?;
    ensure!(failed["status"]["route"]["weight"] == "0%", "{}", told(&failed));
    ensure!(system.blog.uids().await? == stable, "the pods of stable were touched");
    let report = load.stop().await?;
    if victim == Router {
        return report.only_failed(&["connect", "closed", "reset", "truncated"]);
    }
    report.nothing_failed()
}

// === impl Victim ===

impl Victim {
    async fn is_killed(self, system: &System<'_>) -> anyhow::Result<()> {
        let cluster = system.blog.cluster;
        match self {
            Leader => {
                let lease = cluster.get("lease -n huidu huidu-promoter").await?;
                let holder = lease["spec"]["holderIdentity"].as_str().unwrap_or_default();
                let pods = running(cluster, "huidu", "promoter").await?;
                let leader = pods.iter().find(|pod| holder.starts_with(name(pod)));
                kill(cluster, leader.with_context(|| format!("no pod of the leader {holder}"))?).await
            }
            Promoters => kill_all(cluster, &running(cluster, "huidu", "promoter").await?).await,
            Prometheus => kill_all(cluster, &running(cluster, "monitoring", "prometheus").await?).await,
            Router => {
                let pods = running(cluster, "blog", "router").await?;
                let ready = pods.iter().filter(|pod| is_ready(pod)).count();
                // A second one is killed only when the first is back: where a router is left.
                if ready < 2 {
                    return Ok(());
                }
                kill(cluster, pods.first().context("no router")?).await
            }
            Component(component) => cluster.component("kill", component).await,
            ApiServer => {
                cluster.component("stop", "kube-apiserver").await?;
                tokio::time::sleep(AWAY).await;
                cluster.component("start", "kube-apiserver").await?;
                cluster::eventually(Duration::from_secs(60), async || {
                    cluster.kubectl("get --raw /readyz").await.map(drop)
                })
                .await
            }
        }
    }
}

async fn running(cluster: &Cluster, namespace: &str, app: &str) -> anyhow::Result<Vec<Value>> {
    let list = cluster.get(&format!("pods -n {namespace} -l app={app}")).await?;
    let pods = list["items"].as_array().cloned().unwrap_or_default();
    Ok(pods.into_iter().filter(|pod| pod["metadata"]["deletionTimestamp"].is_null()).collect())
}

fn name(pod: &Value) -> &str {
    pod["metadata"]["name"].as_str().unwrap_or_default()
}

fn is_ready(pod: &Value) -> bool {
    pod["status"]["containerStatuses"][0]["ready"] == true
}

async fn kill_all(cluster: &Cluster, pods: &[Value]) -> anyhow::Result<()> {
    for pod in pods {
        kill(cluster, pod).await?;
    }
    Ok(())
}

/// kill -9 of a pod's first container; one that has ended already is as good.
async fn kill(cluster: &Cluster, pod: &Value) -> anyhow::Result<()> {
    let id = pod["status"]["containerStatuses"][0]["containerID"].as_str().unwrap_or_default();
    let id = id.strip_prefix("containerd://").with_context(|| format!("{} has no container", name(pod)))?;
    let killed = cluster.on_node(&["ctr", "-n", "k8s.io", "tasks", "kill", "-s", "SIGKILL", id]).await;
    match killed {
        Err(error) if !error.to_string().contains("not found") => Err(error),
        _ => Ok(()),
    }
}
