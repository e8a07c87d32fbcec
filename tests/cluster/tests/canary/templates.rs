//! Templates and Deployments that are a little different.

use std::time::Duration;

use anyhow::ensure;
use cluster::{Cluster, Rows};
use serde_json::{Value, json};

use crate::system::System;

const WHOLE: Duration = Duration::from_secs(120);
/// Less than [`crate::system::SMALL`], so that twenty pods have room.
const TEN: [(&str, &str); 1] = [("replicas: 3", "replicas: 10")];
const ONE: [(&str, &str); 1] = [("replicas: 3", "replicas: 1")];
const RECREATE: [(&str, &str); 1] = [("replicas: 3", "replicas: 3\n  strategy: {type: Recreate}")];

pub(crate) async fn tell(rows: &mut Rows) {
    rows.long_row("v2, v1 again and v2 again: each time the verified pods are adopted", there_and_back).await;
    rows.long_row("a template that differs only in an annotation is a release", annotation).await;
    rows.long_row("a disruption budget is no obstacle", budget).await;
    rows.long_row("a Deployment of strategy Recreate is released where the Canary allows it", recreate).await;
    rows.long_row("a Deployment with one replica is released without a gap", one).await;
    rows.long_row("a Deployment with ten replicas is released", ten).await;
}

/// Two steps that need no requests.
fn quick() -> Value {
    json!({
        "deployment": "django-blog",
        "analysis": {"interval": "1s"},
        "allowRecreate": true,
        "steps": [{"weight": "20%", "minRequests": 0}, {"weight": "100%", "minRequests": 0}],
    })
}

/// A release that `begin` begins, to its end; the pods at the end are those that were verified.
async fn released(
    system: &System<'_>,
    tag: &str,
    begin: impl AsyncFn() -> anyhow::Result<()>,
) -> anyhow::Result<()> {
    let before = system.blog.uids().await?;
    begin().await?;
    let verified = system.verified(&before, before.len(), WHOLE).await?;
    system.promoted(tag, WHOLE).await?;
    ensure!(system.blog.uids().await? == verified, "other pods than those that were verified");
    system.blog.rolled_out().await
}

async fn there_and_back(cluster: &Cluster) -> anyhow::Result<()> {
    let system = System::running(cluster, &[]).await?;
    system.follow(&quick()).await?;
    let load = system.load()?;
    for tag in ["v2", "v1", "v2"] {
        released(&system, tag, async || system.release(tag).await).await?;
    }
    load.stop().await?.nothing_failed()
}

async fn annotation(cluster: &Cluster) -> anyhow::Result<()> {
    let system = System::running(cluster, &[]).await?;
    system.follow(&quick()).await?;
    let load = system.load()?;
    let note = r#"{"spec":{"template":{"metadata":{"annotations":{"note":"two"}}}}}"#;
    let patch = format!("patch deployment django-blog -p {note}");
    released(&system, "v1", async || system.blog.kubectl(&patch).await.map(drop)).await?;
    load.stop().await?.nothing_failed()
}

async fn budget(cluster: &Cluster) -> anyhow::Result<()> {
    let system = System::running(cluster, &[]).await?;
    system.blog.kubectl("create pdb django-blog --selector app=django-blog --min-available 3").await?;
    system.follow(&quick()).await?;
    let load = system.load()?;
    let told = released(&system, "v2", async || system.release("v2").await).await;
    system.blog.kubectl("delete pdb django-blog").await?;
    told?;
    load.stop().await?.nothing_failed()
}

async fn recreate(cluster: &Cluster) -> anyhow::Result<()> {
    edited(cluster, &RECREATE).await
}

async fn one(cluster: &Cluster) -> anyhow::Result<()> {
    edited(cluster, &ONE).await
}

async fn ten(cluster: &Cluster) -> anyhow::Result<()> {
    edited(cluster, &TEN).await
}

/// A release of a Deployment with these edits fails no request.
async fn edited(cluster: &Cluster, edits: &[(&str, &str)]) -> anyhow::Result<()> {
    let system = System::running(cluster, edits).await?;
    system.follow(&quick()).await?;
    let load = system.load()?;
    released(&system, "v2", async || system.release("v2").await).await?;
    load.stop().await?.nothing_failed()
}
