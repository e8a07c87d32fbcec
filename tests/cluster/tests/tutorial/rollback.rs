//! Chapter: roll back.

use anyhow::ensure;
use cluster::blog::{Blog, KUBE_PROXY_SYNC};
use cluster::{Cluster, Rows};

pub(crate) async fn tell(rows: &mut Rows) {
    rows.row("history lists every revision with its cause and its image", history).await;
    rows.row("undo goes back to the revision before, and no reader notices", undo).await;
    rows.row("undo --to-revision goes back to any revision, which becomes the newest", undo_to).await;
    rows.row("undo to a revision that does not exist changes nothing", undo_nowhere).await;
}

/// Three revisions: v1, v2, v3.
async fn three_revisions(cluster: &Cluster) -> anyhow::Result<Blog<'_>> {
    let blog = Blog::fresh(cluster, "v1").await?;
    blog.kubectl("annotate deployment/django-blog kubernetes.io/change-cause=first").await?;
    for (tag, cause) in [("v2", "second"), ("v3", "third")] {
        blog.kubectl(&format!("set image deployment/django-blog web=%/blog:{tag}")).await?;
        blog.kubectl(&format!(
            "annotate deployment/django-blog kubernetes.io/change-cause={cause} --overwrite"
        ))
        .await?;
        blog.rolled_out().await?;
    }
    Ok(blog)
}

async fn history(cluster: &Cluster) -> anyhow::Result<()> {
    let blog = three_revisions(cluster).await?;
    ensure!(revisions(&blog).await? == ["1 first", "2 second", "3 third"], "{:?}", revisions(&blog).await?);
    let second = blog.kubectl("rollout history deployment/django-blog --revision 2").await?;
    ensure!(second.contains("/blog:v2"), "{second}");
    Ok(())
}

async fn undo(cluster: &Cluster) -> anyhow::Result<()> {
    let blog = three_revisions(cluster).await?;
    tokio::time::sleep(KUBE_PROXY_SYNC).await;
    let readers = blog.readers();
    blog.kubectl("rollout undo deployment/django-blog").await?;
    blog.rolled_out().await?;
    tokio::time::sleep(KUBE_PROXY_SYNC).await;
    readers.stop().await?.only(&["v2", "v3"])?;
    ensure!(blog.tags().await? == ["v2", "v2", "v2"]);
    ensure!(revisions(&blog).await? == ["1 first", "3 third", "4 second"], "{:?}", revisions(&blog).await?);
    Ok(())
}

async fn undo_to(cluster: &Cluster) -> anyhow::Result<()> {
    let blog = three_revisions(cluster).await?;
    blog.kubectl("rollout undo deployment/django-blog --to-revision 1").await?;
    blog.rolled_out().await?;
    ensure!(blog.tags().await? == ["v1", "v1", "v1"]);
    ensure!(revisions(&blog).await? == ["2 second", "3 third", "4 first"], "{:?}", revisions(&blog).await?);
    Ok(())
}

async fn undo_nowhere(cluster: &Cluster) -> anyhow::Result<()> {
    let blog = Blog::running(cluster, "v1").await?;
    let before = blog.uids().await?;
    let refused = blog.kubectl("rollout undo deployment/django-blog --to-revision 99").await;
    let refused = refused.err().map(|error| error.to_string()).unwrap_or_default();
    ensure!(refused.contains("unable to find specified revision 99"), "{refused}");
    ensure!(blog.uids().await? == before);
    Ok(())
}

/// The lines of `rollout history` as `REVISION CAUSE`.
async fn revisions(blog: &Blog<'_>) -> anyhow::Result<Vec<String>> {
    let history = blog.kubectl("rollout history deployment/django-blog").await?;
    let lines = history.lines().filter(|line| line.starts_with(|first: char| first.is_ascii_digit()));
    Ok(lines.map(|line| line.split_whitespace().collect::<Vec<_>>().join(" ")).collect())
}
