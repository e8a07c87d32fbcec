//! Chapter: upgrade.

use std::time::Duration;

use anyhow::ensure;
use cluster::blog::{Blog, KUBE_PROXY_SYNC};
use cluster::{Cluster, Rows, eventually};

use crate::watch::{Extremes, Watch};

/// Thirteen pods of ten fit on a small node when each asks for less.
const TEN_SMALL: [(&str, &str); 2] = [("replicas: 3", "replicas: 10"), ("cpu: 250m", "cpu: 20m")];

pub(crate) async fn tell(rows: &mut Rows) {
    rows.row("apply with a new image replaces every pod, and no reader notices", apply).await;
    rows.row("set image does the same, and rollout status waits for it", set_image).await;
    rows.row("of three pods a rollout starts one more and takes none away (25 % and 25 %)", surge_of_three)
        .await;
    rows.row("of ten pods a rollout starts three more and takes two away (25 % and 25 %)", surge_of_ten)
        .await;
    rows.row(
        "with maxSurge 0 and maxUnavailable 1 there are never more than three and never less than two",
        no_surge,
    )
    .await;
    rows.row("paused in the middle both versions serve, until resume ends it", paused).await;
    rows.row("restart replaces every pod by one of the same version, and no reader notices", restart).await;
    rows.row("Recreate never has two versions at once, and has a gap", recreate).await;
}

async fn apply(cluster: &Cluster) -> anyhow::Result<()> {
    let blog = Blog::running(cluster, "v1").await?;
    let before = blog.uids().await?;
    let readers = blog.readers();
    blog.apply(&[("blog:v1", "blog:v2")]).await?;
    blog.rolled_out().await?;
    tokio::time::sleep(KUBE_PROXY_SYNC).await;
    readers.stop().await?.only(&["v1", "v2"])?;
    ensure!(blog.tags().await? == ["v2", "v2", "v2"] && blog.uids().await?.is_disjoint(&before));
    only_version(&blog, "v2").await
}

async fn set_image(cluster: &Cluster) -> anyhow::Result<()> {
    let blog = Blog::running(cluster, "v1").await?;
    let readers = blog.readers();
    blog.kubectl("set image deployment/django-blog web=%/blog:v3").await?;
    blog.rolled_out().await?;
    tokio::time::sleep(KUBE_PROXY_SYNC).await;
    readers.stop().await?.only(&["v1", "v3"])?;
    only_version(&blog, "v3").await
}

async fn surge_of_three(cluster: &Cluster) -> anyhow::Result<()> {
    let extremes = watched(cluster, &[]).await?;
    ensure!(extremes == Extremes { most_wanted: 4, fewest_available: 3 }, "{extremes:?}");
    Ok(())
}

async fn surge_of_ten(cluster: &Cluster) -> anyhow::Result<()> {
    let extremes = watched(cluster, &TEN_SMALL).await?;
    ensure!(extremes == Extremes { most_wanted: 13, fewest_available: 8 }, "{extremes:?}");
    Ok(())
}

async fn no_surge(cluster: &Cluster) -> anyhow::Result<()> {
    let strategy = "replicas: 3\n  strategy: {rollingUpdate: {maxSurge: 0, maxUnavailable: 1}}";
    let extremes = watched(cluster, &[("replicas: 3", strategy)]).await?;
    ensure!(extremes == Extremes { most_wanted: 3, fewest_available: 2 }, "{extremes:?}");
    Ok(())
}

/// The extremes of a rollout from v1 to v2 of the edited manifest.
async fn watched(cluster: &Cluster, edits: &[(&str, &str)]) -> anyhow::Result<Extremes> {
    let blog = Blog::running_as(cluster, edits).await?;
    let watch = Watch::start(&blog)?;
    blog.kubectl("set image deployment/django-blog web=%/blog:v2").await?;
    blog.rolled_out().await?;
    watch.stop().await
}

async fn paused(cluster: &Cluster) -> anyhow::Result<()> {
    let blog = Blog::running(cluster, "v1").await?;
    let readers = blog.readers();
    blog.kubectl("set image deployment/django-blog web=%/blog:v2").await?;
    blog.kubectl("rollout pause deployment/django-blog").await?;
    eventually(Duration::from_secs(60), async || {
        let (updated, available) =
            (blog.status("updatedReplicas").await?, blog.status("availableReplicas").await?);
        ensure!(updated == 1 && available == 4, "{updated} updated, {available} available");
        Ok(())
    })
    .await?;
    // It stays there: a rollout that went on would have replaced another pod by now.
    tokio::time::sleep(Duration::from_secs(6)).await;
    ensure!(blog.tags().await? == ["v1", "v1", "v1", "v2"], "{:?}", blog.tags().await?);
    readers.stop().await?.only(&["v1", "v2"])?;
    blog.kubectl("rollout resume deployment/django-blog").await?;
    blog.rolled_out().await?;
    ensure!(blog.tags().await? == ["v2", "v2", "v2"]);
    Ok(())
}

async fn restart(cluster: &Cluster) -> anyhow::Result<()> {
    let blog = Blog::running(cluster, "v1").await?;
    let before = blog.uids().await?;
    let readers = blog.readers();
    blog.kubectl("rollout restart deployment/django-blog").await?;
    blog.rolled_out().await?;
    tokio::time::sleep(KUBE_PROXY_SYNC).await;
    readers.stop().await?.only(&["v1"])?;
    ensure!(blog.uids().await?.is_disjoint(&before) && blog.tags().await? == ["v1", "v1", "v1"]);
    Ok(())
}

async fn recreate(cluster: &Cluster) -> anyhow::Result<()> {
    let strategy = [("replicas: 3", "replicas: 3\n  strategy: {type: Recreate}")];
    let blog = Blog::running_as(cluster, &strategy).await?;
    let readers = blog.readers();
    blog.kubectl("set image deployment/django-blog web=%/blog:v2").await?;
    blog.rolled_out().await?;
    tokio::time::sleep(KUBE_PROXY_SYNC).await;
    let seen = readers.stop().await?;
    let answers: Vec<&str> = seen.0.iter().flatten().map(String::as_str).collect();
    ensure!(
        answers.is_sorted() && answers.first() == Some(&"v1") && answers.last() == Some(&"v2"),
        "{answers:?}"
    );
    ensure!(!seen.failures().is_empty(), "a gap was expected");
    // The next row's manifest says nothing about the strategy, so apply takes this one away again.
    Blog::running(cluster, "v1").await.map(drop)
}

async fn only_version(blog: &Blog<'_>, version: &str) -> anyhow::Result<()> {
    let readers = blog.readers();
    tokio::time::sleep(Duration::from_secs(1)).await;
    readers.stop().await?.only(&[version])
}
