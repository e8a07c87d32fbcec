//! Chapter: the manifests that are recommended, with the router before the blog.

use std::collections::{BTreeMap, BTreeSet};
use std::net::SocketAddr;
use std::time::Duration;

use anyhow::{Context as _, ensure};
use cluster::blog::Blog;
use cluster::http::Readers;
use cluster::{Cluster, Rows, eventually};

/// A release with the defaults at forty requests a second: five steps of at least ten seconds.
const RELEASE: Duration = Duration::from_secs(290);

pub(crate) async fn tell(rows: &mut Rows) {
    rows.row("apply -k on an empty cluster ends with the blog readable through the router", from_nothing)
        .await;
    rows.row("Prometheus scrapes every router and every pod of the blog, by their annotations", scraped)
        .await;
    rows.row("applied again it changes nothing", again).await;
    rows.row("the production overlay is accepted by the API server", production).await;
    rows.row("an upgrade of the router loses no request", upgrade_router).await;
    rows.row("a pod with privileges is refused, and the blog has none", no_privileges).await;
    rows.row("the disruption budget lets one pod go, and a second only when the first is replaced", budget)
        .await;
    rows.row("a database that is away makes pods unready and restarts none", database_away).await;
    // The last one: another manifest after it would be another release.
    rows.row_within(
        2 * RELEASE,
        "set image is a judged release, and loses no request through the router",
        upgrade,
    )
    .await;
}

/// The demo overlay with the cluster's registry.
async fn demo(cluster: &Cluster) -> anyhow::Result<String> {
    let mut manifest = cluster.kubectl("kustomize k8s/overlays/demo").await?;
    for (image, tag) in [
        ("blog", "v0.1.0"),
        ("router", "v0.1.0"),
        ("promoter", "v0.1.0"),
        ("docker.io/library/postgres", "17.6-bookworm"),
        ("docker.io/prom/prometheus", "v2.55.1"),
    ] {
        let (pinned, name) = (format!("image: {image}:{tag}\n"), image.rsplit('/').next().unwrap_or(image));
        ensure!(manifest.contains(&pinned), "the overlay has no {pinned}");
        manifest = manifest.replace(&pinned, &format!("image: {}/{name}:v1\n", cluster.registry()));
    }
    Ok(manifest)
}

/// The demo, running.
async fn running(cluster: &Cluster) -> anyhow::Result<Blog<'_>> {
    cluster.definitions().await?;
    cluster.apply(&demo(cluster).await?).await?;
    let blog = Blog { cluster };
    for what in [
        "-n blog statefulset/postgres",
        "-n blog deployment/django-blog",
        "-n blog deployment/router",
        "-n huidu deployment/promoter",
        "-n monitoring deployment/prometheus",
    ] {
        cluster.kubectl(&format!("rollout status {what} --timeout 180s")).await?;
    }
    eventually(Duration::from_secs(60), async || {
        let page = cluster::http::get(entrance(cluster), "/").await?;
        ensure!(page.status == 200 && page.body.contains("/posts/"), "{} and no posts", page.status);
        Ok(())
    })
    .await?;
    Ok(blog)
}

fn entrance(cluster: &Cluster) -> SocketAddr {
    cluster.node(30080)
}

async fn from_nothing(cluster: &Cluster) -> anyhow::Result<()> {
    let blog = running(cluster).await?;
    let readers = Readers::start(entrance(cluster), "/", 20);
    tokio::time::sleep(Duration::from_secs(2)).await;
    readers.stop().await?.only(&["v1"])?;
    blog.kubectl("wait job --all --for condition=complete --timeout 60s").await?;
    ensure!(blog.pods().await?.len() == 3);
    Ok(())
}

async fn scraped(cluster: &Cluster) -> anyhow::Result<()> {
    running(cluster).await?;
    eventually(Duration::from_secs(60), async || {
        let up = cluster.prometheus("sum by (app) (up)").await?;
        ensure!(
            up == BTreeMap::from([("django-blog".to_owned(), 3.0), ("router".to_owned(), 2.0)]),
            "{up:?}"
        );
        Ok(())
    })
    .await
}

async fn again(cluster: &Cluster) -> anyhow::Result<()> {
    let blog = running(cluster).await?;
    let manifest = demo(cluster).await?;
    // kubectl says "configured" of some kinds whatever it changed; the differences are what counts.
    cluster.kubectl_with("diff -f -", &manifest).await?;
    let before = (blog.uids().await?, generations(cluster).await?);
    cluster.apply(&manifest).await?;
    ensure!((blog.uids().await?, generations(cluster).await?) == before);
    Ok(())
}

/// The generation of everything that has one.
async fn generations(cluster: &Cluster) -> anyhow::Result<BTreeSet<String>> {
    let kinds = "deployments,statefulsets,services,poddisruptionbudgets,configmaps,secrets";
    let list = cluster.get(&format!("{kinds} -n blog")).await?;
    let items = list["items"].as_array().context("nothing is there")?;
    Ok(items
        .iter()
        .map(|item| {
            format!("{} {} {}", item["kind"], item["metadata"]["name"], item["metadata"]["generation"])
        })
        .collect())
}

async fn production(cluster: &Cluster) -> anyhow::Result<()> {
    // In a namespace of its own, because a volume cannot be added to a running StatefulSet.
    let manifest = cluster.kubectl("kustomize k8s/overlays/production").await?;
    let manifest = manifest.replace("namespace: blog", "namespace: production");
    cluster.apply("{apiVersion: v1, kind: Namespace, metadata: {name: production}}").await?;
    let told = cluster.kubectl_with("apply --dry-run=server -f -", &manifest).await?;
    for kind in [
        "deployment.apps/router",
        "ingress.networking.k8s.io/blog",
        "networkpolicy.networking.k8s.io/postgres",
    ] {
        ensure!(told.contains(&format!("{kind} created (server dry run)")), "{kind}: {told}");
    }
    Ok(())
}

async fn upgrade(cluster: &Cluster) -> anyhow::Result<()> {
    let blog = running(cluster).await?;
    blog.kubectl("wait canary/django-blog --for jsonpath={.status.phase}=Stable --timeout 60s").await?;
    let readers = Readers::start(entrance(cluster), "/", 40);
    blog.kubectl("set image deployment/django-blog web=%/blog:v2").await?;
    eventually(RELEASE, async || {
        let canary = cluster.get("canary -n blog django-blog").await?;
        let (status, tags) = (&canary["status"], blog.tags().await?);
        ensure!(
            status["phase"] == "Stable" && tags == ["v2", "v2", "v2"],
            "{tags:?}, {} {}",
            status["phase"],
            status["hold"]
        );
        Ok(())
    })
    .await?;
    readers.stop().await?.only(&["v1", "v2"])
}

async fn upgrade_router(cluster: &Cluster) -> anyhow::Result<()> {
    let blog = running(cluster).await?;
    let readers = Readers::start(entrance(cluster), "/", 40);
    blog.kubectl("rollout restart deployment/router").await?;
    blog.kubectl("rollout status deployment/router --timeout 120s").await?;
    tokio::time::sleep(Duration::from_secs(8)).await;
    let seen = readers.stop().await?;
    ensure!(seen.failures().is_empty(), "{:?}", seen.failures());
    Ok(())
}

async fn no_privileges(cluster: &Cluster) -> anyhow::Result<()> {
    let blog = running(cluster).await?;
    let refused = blog.kubectl("run root --image %/blog:v1").await;
    let refused = refused.err().map(|error| error.to_string()).unwrap_or_default();
    ensure!(refused.contains("violates PodSecurity \"restricted"), "{refused}");
    for pod in blog.pods().await? {
        let context = &pod.json["spec"]["containers"][0]["securityContext"];
        ensure!(
            context["readOnlyRootFilesystem"] == true && context["allowPrivilegeEscalation"] == false,
            "{context}"
        );
    }
    Ok(())
}

async fn budget(cluster: &Cluster) -> anyhow::Result<()> {
    let blog = running(cluster).await?;
    let pods = blog.pods().await?;
    let [first, second, ..] = pods.as_slice() else { anyhow::bail!("{} pods", pods.len()) };
    let evict = async |pod: &str| {
        let eviction = format!(
            r#"{{"apiVersion":"policy/v1","kind":"Eviction","metadata":{{"name":"{pod}","namespace":"blog"}}}}"#
        );
        let line = format!("create --raw /api/v1/namespaces/blog/pods/{pod}/eviction -f -");
        cluster.kubectl_with(&line, &eviction).await
    };
    evict(&first.name).await?;
    let refused = evict(&second.name).await.err().map(|error| error.to_string()).unwrap_or_default();
    ensure!(refused.contains("disruption budget"), "{refused}");
    eventually(Duration::from_secs(60), async || evict(&second.name).await.map(drop)).await?;
    blog.rolled_out().await
}

async fn database_away(cluster: &Cluster) -> anyhow::Result<()> {
    let blog = running(cluster).await?;
    let restarts = async || {
        let pods = blog.pods().await?;
        let counts =
            pods.iter().map(|pod| pod.json["status"]["containerStatuses"][0]["restartCount"].as_u64());
        anyhow::Ok(counts.flatten().sum::<u64>())
    };
    let before = restarts().await?;
    blog.kubectl("scale statefulset/postgres --replicas 0").await?;
    eventually(Duration::from_secs(60), async || {
        let available = blog.status("readyReplicas").await?;
        ensure!(available == 0, "{available} are ready");
        Ok(())
    })
    .await?;
    // Longer than the liveness probe would need to give up.
    tokio::time::sleep(Duration::from_secs(35)).await;
    ensure!(restarts().await? == before, "pods were restarted");
    // The demo's data went with the pod: the Jobs make it anew.
    blog.kubectl("delete jobs --all").await?;
    running(cluster).await.map(drop)
}
