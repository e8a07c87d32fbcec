//! Chapter: scale.

use std::time::Duration;

use anyhow::ensure;
use cluster::blog::{Blog, KUBE_PROXY_SYNC};
use cluster::{Cluster, Rows, eventually};

pub(crate) async fn tell(rows: &mut Rows) {
    rows.row("scaled up, the new pods serve too", up).await;
    rows.row("scaled down to one, no reader notices", down).await;
    rows.row(
        "scaled in the middle of a rollout, it ends with the new version at the new size",
        in_the_middle,
    )
    .await;
    rows.row("scaled to nothing nobody answers, and scaled up again it is back", to_nothing).await;
}

async fn up(cluster: &Cluster) -> anyhow::Result<()> {
    let blog = Blog::running(cluster, "v1").await?;
    blog.kubectl("scale deployment/django-blog --replicas 5").await?;
    blog.rolled_out().await?;
    ensure!(blog.pods().await?.len() == 5);
    eventually(Duration::from_secs(10), async || {
        let endpoints = endpoints(&blog).await?;
        ensure!(endpoints == 5, "{endpoints} endpoints");
        Ok(())
    })
    .await
}

async fn down(cluster: &Cluster) -> anyhow::Result<()> {
    let blog = Blog::running(cluster, "v1").await?;
    let readers = blog.readers();
    blog.kubectl("scale deployment/django-blog --replicas 1").await?;
    eventually(Duration::from_secs(60), async || {
        let list = cluster.get("pods -n blog -l app=django-blog").await?;
        let left = list["items"].as_array().map_or(0, Vec::len);
        ensure!(left == 1, "{left} pods are left, those on their way out among them");
        Ok(())
    })
    .await?;
    tokio::time::sleep(KUBE_PROXY_SYNC).await;
    readers.stop().await?.only(&["v1"])
}

async fn in_the_middle(cluster: &Cluster) -> anyhow::Result<()> {
    let blog = Blog::running(cluster, "v1").await?;
    let readers = blog.readers();
    blog.kubectl("set image deployment/django-blog web=%/blog:v2").await?;
    eventually(Duration::from_secs(30), async || {
        let tags = blog.tags().await?;
        ensure!(tags.contains(&"v1".to_owned()) && tags.contains(&"v2".to_owned()), "{tags:?}");
        Ok(())
    })
    .await?;
    blog.kubectl("scale deployment/django-blog --replicas 5").await?;
    blog.rolled_out().await?;
    tokio::time::sleep(KUBE_PROXY_SYNC).await;
    readers.stop().await?.only(&["v1", "v2"])?;
    ensure!(blog.tags().await? == ["v2"; 5], "{:?}", blog.tags().await?);
    Ok(())
}

async fn to_nothing(cluster: &Cluster) -> anyhow::Result<()> {
    let blog = Blog::running(cluster, "v1").await?;
    blog.kubectl("scale deployment/django-blog --replicas 0").await?;
    eventually(Duration::from_secs(60), async || {
        let answer = cluster::http::get(blog.address(), "/healthz").await;
        ensure!(answer.is_err(), "it still answers");
        Ok(())
    })
    .await?;
    blog.kubectl("scale deployment/django-blog --replicas 3").await?;
    blog.rolled_out().await?;
    let version = eventually(Duration::from_secs(10), async || blog.get_page().await).await?;
    ensure!(version == "v1", "{version}");
    Ok(())
}

/// The ready endpoints of the Service.
async fn endpoints(blog: &Blog<'_>) -> anyhow::Result<usize> {
    let slices = blog.cluster.get("endpointslices -n blog -l kubernetes.io/service-name=django-blog").await?;
    let slices = slices["items"].as_array().into_iter().flatten();
    let endpoints = slices.flat_map(|slice| slice["endpoints"].as_array().into_iter().flatten());
    Ok(endpoints.filter(|endpoint| endpoint["conditions"]["ready"] == true).count())
}
