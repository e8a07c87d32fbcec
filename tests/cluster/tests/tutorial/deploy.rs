//! Chapter: deploy, and take down.

use std::time::Duration;

use anyhow::{Context as _, ensure};
use cluster::blog::{Blog, KUBE_PROXY_SYNC};
use cluster::{Cluster, Rows, eventually};

use crate::session::{Forward, Session};

pub(crate) async fn tell(rows: &mut Rows) {
    rows.row("the manifest works unchanged but for the image: three pods, a page on the NodePort", unchanged)
        .await;
    rows.row("its requests and limits are in force", limits).await;
    rows.row("a post made through one pod is read through the others, and a login holds over pods", shared)
        .await;
    rows.row("a deleted pod is replaced, and no reader notices", replaced).await;
    rows.row("taken down nothing is left, and it can be deployed again", taken_down).await;
}

async fn unchanged(cluster: &Cluster) -> anyhow::Result<()> {
    let blog = Blog::running(cluster, "v1").await?;
    ensure!(blog.tags().await? == ["v1", "v1", "v1"]);
    let readers = blog.readers();
    tokio::time::sleep(Duration::from_secs(2)).await;
    readers.stop().await?.only(&["v1"])
}

async fn limits(cluster: &Cluster) -> anyhow::Result<()> {
    let blog = Blog::running(cluster, "v1").await?;
    for pod in blog.pods().await? {
        // What the kubelet has applied, not what was asked for.
        let actual = &pod.json["status"]["containerStatuses"][0]["resources"];
        let expected = serde_json::json!({
            "requests": {"memory": "128Mi", "cpu": "250m"},
            "limits": {"memory": "512Mi", "cpu": "500m"},
        });
        ensure!(*actual == expected, "{} has {actual}", pod.name);
    }
    Ok(())
}

async fn shared(cluster: &Cluster) -> anyhow::Result<()> {
    let blog = Blog::running(cluster, "v1").await?;
    let mut session = Session::default();
    let pods = blog.pods().await?;
    let [first, others @ ..] = pods.as_slice() else { anyhow::bail!("no pods") };
    let door = Forward::to(cluster, &first.name).await?;
    session.sign_in(door.address, "demo", "only-for-learning").await?;
    let form =
        [("title", "Seen everywhere"), ("slug", "seen-everywhere"), ("body", "Once."), ("action", "publish")];
    let made = session.post(door.address, "/desk/posts", &form).await?;
    ensure!(made.status == 303, "{} for a new post: {}", made.status, made.body);
    ensure!(others.len() == 2);
    for pod in others {
        let door = Forward::to(cluster, &pod.name).await?;
        let desk = session.get(door.address, "/desk").await?;
        ensure!(
            desk.status == 200 && desk.body.contains("Seen everywhere"),
            "{}: {} for the desk",
            pod.name,
            desk.status
        );
        let look = async || {
            let post = cluster::http::get(door.address, "/posts/seen-everywhere").await?;
            ensure!(
                post.status == 200 && post.body.contains("Once."),
                "{}: {} for the post",
                pod.name,
                post.status
            );
            Ok(())
        };
        eventually(Duration::from_secs(5), look).await?;
    }
    Ok(())
}

async fn replaced(cluster: &Cluster) -> anyhow::Result<()> {
    let blog = Blog::running(cluster, "v1").await?;
    let before = blog.uids().await?;
    let gone = blog.pods().await?.pop().context("no pods")?;
    let readers = blog.readers();
    blog.kubectl(&format!("delete pod {} --wait=false", gone.name)).await?;
    blog.kubectl(&format!("wait pod/{} --for delete --timeout 60s", gone.name)).await?;
    blog.rolled_out().await?;
    tokio::time::sleep(KUBE_PROXY_SYNC).await;
    readers.stop().await?.only(&["v1"])?;
    let after = blog.uids().await?;
    ensure!(after.len() == 3 && !after.contains(&gone.uid) && before.intersection(&after).count() == 2);
    Ok(())
}

async fn taken_down(cluster: &Cluster) -> anyhow::Result<()> {
    let blog = Blog::running(cluster, "v1").await?;
    cluster.kubectl("delete -f k8s/tutorial.yaml --timeout 90s").await?;
    let left = cluster.kubectl("get pods,services,deployments,replicasets -n blog -o name").await?;
    ensure!(left.trim().is_empty(), "left: {left}");
    tokio::time::sleep(KUBE_PROXY_SYNC).await;
    let answer = cluster::http::get(blog.address(), "/healthz").await;
    ensure!(answer.is_err(), "it still answers: {answer:?}");
    Blog::running(cluster, "v1").await.map(drop)
}
