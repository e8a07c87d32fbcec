//! Chapter: images that do not work.

use std::time::Duration;

use anyhow::{Context as _, ensure};
use cluster::blog::{Blog, Pod};
use cluster::{Cluster, Rows, eventually};

/// Kubernetes says after fifteen seconds, not after ten minutes, that a rollout does not advance.
const IMPATIENT: (&str, &str) = ("replicas: 3", "replicas: 3\n  progressDeadlineSeconds: 15");

pub(crate) async fn tell(rows: &mut Rows) {
    rows.row("an image that cannot be pulled stops the rollout and serves nobody", not_pullable).await;
    rows.row("an image that ends at once stops the rollout and serves nobody", crashing).await;
    rows.row("an image that never gets ready stops the rollout and serves nobody", never_ready).await;
    rows.row("an image that dies after a while stops the rollout where minReadySeconds is longer", dying)
        .await;
    rows.row("an image with errors on its pages passes every probe: what a canary is for", faulty).await;
}

async fn not_pullable(cluster: &Cluster) -> anyhow::Result<()> {
    stopped(cluster, "nowhere", &["ErrImagePull", "ImagePullBackOff"]).await
}

async fn crashing(cluster: &Cluster) -> anyhow::Result<()> {
    stopped(cluster, "crash", &["CrashLoopBackOff"]).await
}

async fn never_ready(cluster: &Cluster) -> anyhow::Result<()> {
    stopped(cluster, "deaf", &[""]).await
}

/// A rollout to this tag stops with the deadline; readers see v1 alone, before, during and after its undo.
async fn stopped(cluster: &Cluster, tag: &str, reasons: &[&str]) -> anyhow::Result<()> {
    let blog = Blog::running_as(cluster, &[IMPATIENT]).await?;
    let before = blog.uids().await?;
    let readers = blog.readers();
    blog.apply(&[IMPATIENT, ("blog:v1", &format!("blog:{tag}"))]).await?;
    let stuck = blog.kubectl("rollout status deployment/django-blog --timeout 60s").await;
    let stuck = stuck.err().context("the rollout was complete")?.to_string();
    ensure!(stuck.contains("exceeded its progress deadline"), "{stuck}");
    eventually(Duration::from_secs(30), async || {
        let new = new_pod(&blog, tag).await?;
        ensure!(reasons.contains(&new.waits_for()), "it waits for `{}`", new.waits_for());
        Ok(())
    })
    .await?;
    ensure!(blog.status("availableReplicas").await? == 3 && blog.status("updatedReplicas").await? == 1);
    blog.kubectl("rollout undo deployment/django-blog").await?;
    blog.rolled_out().await?;
    readers.stop().await?.only(&["v1"])?;
    ensure!(blog.uids().await? == before, "the pods of v1 were replaced");
    Ok(())
}

async fn dying(cluster: &Cluster) -> anyhow::Result<()> {
    let patient = ("replicas: 3", "replicas: 3\n  minReadySeconds: 12");
    let blog = Blog::running_as(cluster, &[patient]).await?;
    let before = blog.uids().await?;
    blog.apply(&[patient, ("blog:v1", "blog:mayfly")]).await?;
    // It gets ready after every restart, which counts as progress: no deadline passes, but nothing is replaced either.
    let stuck = blog.kubectl("rollout status deployment/django-blog --timeout 40s").await;
    let stuck = stuck.err().context("the rollout was complete")?.to_string();
    ensure!(stuck.contains("timed out waiting"), "{stuck}");
    ensure!(blog.status("availableReplicas").await? == 3 && blog.status("updatedReplicas").await? == 1);
    let restarts =
        new_pod(&blog, "mayfly").await?.json["status"]["containerStatuses"][0]["restartCount"].as_u64();
    ensure!(restarts > Some(0), "it never died");
    blog.kubectl("rollout undo deployment/django-blog").await?;
    blog.rolled_out().await?;
    ensure!(blog.uids().await? == before, "the pods of v1 were replaced");
    Ok(())
}

async fn faulty(cluster: &Cluster) -> anyhow::Result<()> {
    let blog = Blog::running_as(cluster, &[IMPATIENT]).await?;
    blog.apply(&[IMPATIENT, ("blog:v1", "blog:faulty")]).await?;
    blog.rolled_out().await?;
    let readers = blog.readers();
    tokio::time::sleep(Duration::from_secs(4)).await;
    let seen = readers.stop().await?;
    ensure!(seen.failures().contains(&"500 from faulty"), "{seen:?}");
    blog.kubectl("rollout undo deployment/django-blog").await?;
    blog.rolled_out().await
}

async fn new_pod(blog: &Blog<'_>, tag: &str) -> anyhow::Result<Pod> {
    blog.pods().await?.into_iter().find(|pod| pod.tag == tag).with_context(|| format!("no pod of {tag}"))
}
