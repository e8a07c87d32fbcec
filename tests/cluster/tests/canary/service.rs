//! The user's own Service, and moments that are easily missed.

use std::time::Duration;

use anyhow::ensure;
use cluster::{Cluster, Rows, eventually};
use jiff::Timestamp;
use serde_json::json;

use crate::middle::{half, half_way};
use crate::releases::often;
use crate::system::{System, told};

const SOON: Duration = Duration::from_secs(60);
const WHOLE: Duration = Duration::from_secs(210);

pub(crate) async fn tell(rows: &mut Rows) {
    rows.row(
        "the user's own Service reaches no candidate before it has all traffic, and answers without a gap",
        own,
    )
    .await;
    rows.row("a Canary and its Deployment may be created by the same apply", same_apply).await;
    rows.long_row("a restart under a Canary is a judged release of the same version", restarted).await;
    rows.long_row("a template that is pushed in the moment of the promotion is the next release", pushed)
        .await;
    rows.long_row("a candidate that a quota keeps from starting is waited for in the quota's words", quota)
        .await;
}

async fn own(cluster: &Cluster) -> anyhow::Result<()> {
    let system = half_way(cluster).await?;
    let readers = system.blog.readers();
    tokio::time::sleep(Duration::from_secs(5)).await;
    readers.stop().await?.only(&["v1"])?;
    let readers = system.blog.readers();
    let load = system.load()?;
    system.say("promote").await?;
    system.promoted("v2", WHOLE).await?;
    tokio::time::sleep(cluster::blog::KUBE_PROXY_SYNC).await;
    let seen = readers.stop().await?;
    seen.only(&["v1", "v2"])?;
    let answers: Vec<&str> = seen.0.iter().flatten().map(String::as_str).collect();
    // Never both: from one moment on all of them. Answers that ended in another order are few.
    let turn = answers.iter().position(|version| *version == "v2").unwrap_or(answers.len());
    let late = answers[turn..].iter().filter(|version| **version == "v1").count();
    ensure!(late <= 40, "{late} answers of v1 after the first one of v2: {answers:?}");
    load.stop().await?.nothing_failed()
}

async fn same_apply(cluster: &Cluster) -> anyhow::Result<()> {
    let system = System::running(cluster, &[]).await?;
    system.blog.kubectl("delete deployment django-blog --timeout 60s").await?;
    let canary = json!({
        "apiVersion": "huidu.dev/v1alpha1", "kind": "Canary",
        "metadata": {"name": "django-blog", "namespace": "blog"}, "spec": often(),
    });
    let both = format!("{canary}\n---\n{}", system.blog.manifest(&[crate::system::SMALL])?);
    cluster.apply(&both).await?;
    system.reaches("Stable", SOON).await?;
    system.blog.rolled_out().await?;
    ensure!(system.blog.tags().await? == ["v1"; 3]);
    Ok(())
}

async fn restarted(cluster: &Cluster) -> anyhow::Result<()> {
    let system = System::running(cluster, &[]).await?;
    system.follow(&often()).await?;
    let before = system.blog.uids().await?;
    let load = system.load()?;
    // kubectl refuses `rollout restart` on a paused Deployment; this is what it would write.
    let template =
        json!({"metadata": {"annotations": {"kubectl.kubernetes.io/restartedAt": Timestamp::now()}}});
    let patch = json!({"spec": {"template": template}});
    system.blog.kubectl(&format!("patch deployment django-blog -p {patch}")).await?;
    system.reaches("Progressing", SOON).await?;
    system.promoted("v1", WHOLE).await?;
    ensure!(system.blog.uids().await?.is_disjoint(&before), "the pods were not replaced");
    load.stop().await?.nothing_failed()
}

async fn pushed(cluster: &Cluster) -> anyhow::Result<()> {
    let system = half_way(cluster).await?;
    let load = system.load()?;
    system.say("promote").await?;
    system
        .becomes(WHOLE, async |canary| {
            // Until then v2 could still be taken back, and v3 would be compared with v1.
            ensure!(canary["status"]["task"] == "Repointing", "{}", told(canary));
            Ok(())
        })
        .await?;
    system.release("v3").await?;
    system
        .becomes(WHOLE, async |canary| {
            let (second, third) = (system.uids_of("v2").await?.len(), system.uids_of("v3").await?.len());
            ensure!(second == 3 && third == 2, "{second} pods of v2, {third} of v3: {}", told(canary));
            Ok(())
        })
        .await?;
    system.say("promote").await?;
    system.promoted("v3", WHOLE).await?;
    load.stop().await?.nothing_failed()
}

async fn quota(cluster: &Cluster) -> anyhow::Result<()> {
    let system = System::running(cluster, &[]).await?;
    system.follow(&half()).await?;
    let pods =
        system.blog.kubectl("get pods --field-selector status.phase=Running -o name").await?.lines().count();
    system.blog.kubectl(&format!("create quota tight --hard pods={pods}")).await?;
    system.release("v2").await?;
    let held = system
        .becomes(SOON, async |canary| {
            let message = canary["status"]["hold"]["message"].as_str().unwrap_or_default();
            ensure!(message.contains("exceeded quota: tight"), "{}", told(canary));
            Ok(())
        })
        .await;
    system.blog.kubectl("delete quota tight").await?;
    held?;
    eventually(SOON, async || {
        let candidates = system.uids_of("v2").await?.len();
        ensure!(candidates == 2, "{candidates} pods of the candidate after the quota is gone");
        Ok(())
    })
    .await
}
