//! Chapter: registries.

use std::time::Duration;

use anyhow::{Context as _, ensure};
use cluster::blog::Blog;
use cluster::{Cluster, Rows, eventually};

pub(crate) async fn tell(rows: &mut Rows) {
    rows.row("an image that is tagged and pushed is the very one that the kubelet runs", pushed).await;
    rows.row("an image named by its digest runs as well", by_digest).await;
    rows.row("a private registry gives nothing to who has no imagePullSecret", private_refuses).await;
    rows.row("with an imagePullSecret the kubelet pulls from the private registry", private_gives).await;
}

async fn pushed(cluster: &Cluster) -> anyhow::Result<()> {
    let blog = Blog::running(cluster, "v1").await?;
    let whole = format!("{}/team/blog:2.0.1", cluster.registry());
    let digest = cluster.images().push("blog:v2", &whole, None).await?;
    blog.kubectl(&format!("set image deployment/django-blog web={whole}")).await?;
    blog.rolled_out().await?;
    runs(&blog, &digest).await
}

async fn by_digest(cluster: &Cluster) -> anyhow::Result<()> {
    let blog = Blog::running(cluster, "v1").await?;
    let digest =
        cluster.images().push("blog:v3", &format!("{}/team/blog:3", cluster.registry()), None).await?;
    blog.kubectl(&format!("set image deployment/django-blog web=%/team/blog@{digest}")).await?;
    blog.rolled_out().await?;
    runs(&blog, &digest).await
}

/// Every pod runs the image of this digest, as the kubelet reports it.
async fn runs(blog: &Blog<'_>, digest: &str) -> anyhow::Result<()> {
    for pod in blog.pods().await? {
        let id = pod.json["status"]["containerStatuses"][0]["imageID"].as_str().unwrap_or_default();
        ensure!(id.ends_with(digest), "{} runs {id}, pushed was {digest}", pod.name);
    }
    Ok(())
}

async fn private_refuses(cluster: &Cluster) -> anyhow::Result<()> {
    let blog = Blog::running(cluster, "v1").await?;
    let (registry, user, password) = cluster.private_registry()?;
    let whole = format!("{registry}/team/blog:v2");
    let push = cluster.images().push("blog:v2", &whole, None).await;
    ensure!(push.is_err(), "anybody can push");
    cluster.images().push("blog:v2", &whole, Some((user, &password))).await?;
    blog.kubectl(&format!("set image deployment/django-blog web={whole}")).await?;
    eventually(Duration::from_secs(30), async || {
        let pods = blog.pods().await?;
        let new = pods.iter().find(|pod| pod.tag == "v2").context("no new pod")?;
        ensure!(
            ["ErrImagePull", "ImagePullBackOff"].contains(&new.waits_for()),
            "it waits for `{}`",
            new.waits_for()
        );
        let events =
            blog.kubectl(&format!("get events --field-selector involvedObject.name={}", new.name)).await?;
        // Each version of containerd has its own words.
        let words = ["no basic auth credentials", "authorization failed", "401 Unauthorized"];
        ensure!(words.iter().any(|word| events.contains(word)), "{events}");
        Ok(())
    })
    .await?;
    ensure!(blog.status("availableReplicas").await? == 3);
    Ok(())
}

async fn private_gives(cluster: &Cluster) -> anyhow::Result<()> {
    let blog = Blog::running(cluster, "v1").await?;
    let (registry, user, password) = cluster.private_registry()?;
    let whole = format!("{registry}/team/blog:v3");
    let digest = cluster.images().push("blog:v3", &whole, Some((user, &password))).await?;
    blog.kubectl("delete secret private --ignore-not-found").await?;
    let login = format!("--docker-server {registry} --docker-username {user} --docker-password {password}");
    blog.kubectl(&format!("create secret docker-registry private {login}")).await?;
    let secret = ("      containers:", "      imagePullSecrets: [{name: private}]\n      containers:");
    blog.apply(&[("image: blog:v1", &format!("image: {whole}")), secret]).await?;
    blog.rolled_out().await?;
    runs(&blog, &digest).await
}
