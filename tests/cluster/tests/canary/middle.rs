//! What people do in the middle of a release.

use std::time::Duration;

use anyhow::ensure;
use cluster::{Cluster, Rows, eventually};
use serde_json::{Value, json};

use crate::system::{System, told};

const SOON: Duration = Duration::from_secs(60);
const WHOLE: Duration = Duration::from_secs(150);

pub(crate) async fn tell(rows: &mut Rows) {
    rows.long_row(
        "a new image in the middle begins again against the same stable, and ends promoted",
        new_image,
    )
    .await;
    rows.long_row("scaled in the middle, the release ends with the new version at the new size", scaled)
        .await;
    rows.long_row("a Deployment that is resumed by hand is held again, and that is told", resumed).await;
    rows.long_row(
        "a candidate that is deleted by hand comes again, or the release fails with that reason",
        deleted,
    )
    .await;
    rows.long_row("an HTTPRoute that is edited by hand is put back", edited).await;
    rows.row(
        "a Canary that is deleted in the middle leaves the Deployment, its pods and its Service as they were",
        left,
    )
    .await;
}

/// A step that waits for a person, and then all.
pub(crate) fn half() -> Value {
    json!({
        "deployment": "django-blog",
        "analysis": {"interval": "2s"},
        "steps": [{"weight": "50%", "pause": {}, "minRequests": 0}, {"weight": "100%", "minRequests": 0}],
    })
}

/// A release of v2 that waits at half of the requests.
pub(crate) async fn half_way<'a>(cluster: &'a Cluster) -> anyhow::Result<System<'a>> {
    let system = System::running(cluster, &[]).await?;
    system.follow(&half()).await?;
    system.release("v2").await?;
    waits_at_half(&system, "v2").await?;
    Ok(system)
}

async fn waits_at_half(system: &System<'_>, tag: &str) -> anyhow::Result<()> {
    system
        .becomes(SOON, async |canary| {
            let status = &canary["status"];
            let candidates = system.uids_of(tag).await?.len();
            ensure!(
                status["route"]["weight"] == "50%" && status["stage"] == "Judging" && candidates == 2,
                "{candidates} pods of {tag}: {}",
                told(canary)
            );
            Ok(())
        })
        .await
        .map(drop)
}

async fn new_image(cluster: &Cluster) -> anyhow::Result<()> {
    let system = half_way(cluster).await?;
    let load = system.load()?;
    let stable = system.uids_of("v1").await?;
    system.release("v3").await?;
    waits_at_half(&system, "v3").await?;
    ensure!(system.uids_of("v1").await? == stable, "the pods of stable were touched");
    ensure!(system.uids_of("v2").await?.is_empty(), "v2 still runs");
    system.say("promote").await?;
    system.promoted("v3", WHOLE).await?;
    load.stop().await?.nothing_failed()
}

async fn scaled(cluster: &Cluster) -> anyhow::Result<()> {
    let system = half_way(cluster).await?;
    let load = system.load()?;
    system.blog.kubectl("scale deployment/django-blog --replicas 5").await?;
    eventually(SOON, async || {
        let (stable, candidate) = (system.uids_of("v1").await?.len(), system.uids_of("v2").await?.len());
        ensure!(stable == 5 && candidate == 3, "{stable} pods of stable, {candidate} of the candidate");
        Ok(())
    })
    .await?;
    system.say("promote").await?;
    system.promoted("v2", WHOLE).await?;
    ensure!(system.blog.tags().await? == ["v2"; 5], "{:?}", system.blog.tags().await?);
    load.stop().await?.nothing_failed()
}

async fn resumed(cluster: &Cluster) -> anyhow::Result<()> {
    let system = half_way(cluster).await?;
    let load = system.load()?;
    system.blog.kubectl("rollout resume deployment/django-blog").await?;
    eventually(SOON, async || {
        let deployment = cluster.get("deployment -n blog django-blog").await?;
        ensure!(deployment["spec"]["paused"] == true, "it is not held again");
        Ok(())
    })
    .await?;
    has_event(&system, "DriftRepaired", "was resumed").await?;
    waits_at_half(&system, "v2").await?;
    ensure!(system.uids_of("v1").await?.len() == 3, "stable lost pods");
    load.stop().await?.nothing_failed()
}

async fn deleted(cluster: &Cluster) -> anyhow::Result<()> {
    let system = half_way(cluster).await?;
    let load = system.load()?;
    let before = system.uids_of("v2").await?;
    system.blog.kubectl("delete deployment -l huidu.dev/canary=django-blog --wait=false").await?;
    let canary = system
        .becomes(WHOLE, async |canary| {
            let again = system.uids_of("v2").await?;
            let came = again.len() == 2 && again.is_disjoint(&before);
            ensure!(came || canary["status"]["phase"] == "Failed", "{again:?}: {}", told(canary));
            Ok(())
        })
        .await?;
    if canary["status"]["phase"] == "Failed" {
        ensure!(canary["status"]["cause"]["reason"] == "CandidateLost", "{}", told(&canary));
    }
    ensure!(system.uids_of("v1").await?.len() == 3, "stable lost pods");
    load.stop().await?.nothing_failed()
}

async fn edited(cluster: &Cluster) -> anyhow::Result<()> {
    let system = half_way(cluster).await?;
    let weights = async || {
        let route = cluster.get("httproute -n blog django-blog").await?;
        let backends = route["spec"]["rules"][0]["backendRefs"].as_array().cloned().unwrap_or_default();
        anyhow::Ok(backends.iter().map(|backend| backend["weight"].clone()).collect::<Vec<_>>())
    };
    let before = weights().await?;
    let edit = r#"[{"op":"replace","path":"/spec/rules/0/backendRefs/0/weight","value":1}]"#;
    system.blog.kubectl(&format!("patch httproute django-blog --type json -p {edit}")).await?;
    eventually(SOON, async || {
        let now = weights().await?;
        ensure!(now == before, "{before:?} became {now:?}");
        Ok(())
    })
    .await?;
    has_event(&system, "DriftRepaired", "HTTPRoute").await
}

async fn left(cluster: &Cluster) -> anyhow::Result<()> {
    let system = System::running(cluster, &[]).await?;
    let service = cluster.get("service -n blog django-blog").await?["spec"]["selector"].clone();
    let pods = system.blog.uids().await?;
    system.follow(&half()).await?;
    system.release("v2").await?;
    waits_at_half(&system, "v2").await?;
    let readers = system.blog.readers();
    system.blog.kubectl("delete canary django-blog --timeout 60s").await?;
    eventually(SOON, async || {
        let deployment = cluster.get("deployment -n blog django-blog").await?;
        ensure!(deployment["spec"]["paused"] != true, "it is still held");
        let left = system.blog.kubectl("get deployments,httproutes -l huidu.dev/canary -o name").await?;
        ensure!(left.trim().is_empty(), "left: {left}");
        Ok(())
    })
    .await?;
    let now = cluster.get("service -n blog django-blog").await?["spec"]["selector"].clone();
    ensure!(now == service, "the Service selects {now}, it selected {service}");
    system.blog.rolled_out().await?;
    ensure!(system.blog.uids().await? == pods, "other pods than before the Canary");
    tokio::time::sleep(cluster::blog::KUBE_PROXY_SYNC).await;
    readers.stop().await?.only(&["v1"])
}

/// An event of the blog's Canary with these words.
pub(crate) async fn has_event(system: &System<'_>, reason: &str, words: &str) -> anyhow::Result<()> {
    eventually(Duration::from_secs(20), async || {
        let events = system
            .blog
            .kubectl(&format!("get events.events.k8s.io --field-selector reason={reason}"))
            .await?;
        ensure!(events.contains(words), "no event {reason} with «{words}»: {events}");
        Ok(())
    })
    .await
}
