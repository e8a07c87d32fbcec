//! The tutorial's Deployment, and what is asked of it in every chapter.

use std::collections::{BTreeMap, BTreeSet};
use std::net::SocketAddr;
use std::process::Stdio;
use std::time::Duration;

use anyhow::{Context as _, ensure};
use cluster::http::Readers;
use cluster::{Cluster, eventually};
use serde_json::Value;
use tokio::io::AsyncReadExt as _;
use tokio::process::Child;

const MANIFEST: &str = include_str!("../../../../k8s/tutorial.yaml");
const DATABASE: &str = include_str!("../../../../k8s/tutorial-database.yaml");
/// The NodePort of the manifest.
const NODE_PORT: u16 = 30080;
/// Requests a second.
const RATE: u32 = 20;
/// After a change of the endpoints kube-proxy may wait for a second before it writes.
pub(crate) const KUBE_PROXY_SYNC: Duration = Duration::from_millis(1500);

/// The tutorial's Deployment on a cluster.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Blog<'a> {
    pub(crate) cluster: &'a Cluster,
}

/// A pod that is not on its way out.
#[derive(Clone, Debug)]
pub(crate) struct Pod {
    pub(crate) name: String,
    pub(crate) uid: String,
    pub(crate) tag: String,
    pub(crate) json: Value,
}

impl<'a> Blog<'a> {
    /// The blog as the manifest says, rolled out, whatever was there before.
    pub(crate) async fn running(cluster: &'a Cluster, tag: &str) -> anyhow::Result<Self> {
        Self::running_as(cluster, &[("blog:v1", &format!("blog:{tag}"))]).await
    }

    /// The same with edits of the manifest.
    pub(crate) async fn running_as(cluster: &'a Cluster, edits: &[(&str, &str)]) -> anyhow::Result<Self> {
        let blog = Self { cluster };
        blog.database().await?;
        blog.apply(edits).await?;
        blog.rolled_out().await?;
        eventually(Duration::from_secs(20), async || blog.get_page().await).await?;
        Ok(blog)
    }

    /// The same, with no revision before it.
    pub(crate) async fn fresh(cluster: &'a Cluster, tag: &str) -> anyhow::Result<Self> {
        cluster.kubectl("-n blog delete deployment django-blog --ignore-not-found --timeout 60s").await?;
        Self::running(cluster, tag).await
    }

    async fn database(&self) -> anyhow::Result<()> {
        let there =
            self.cluster.kubectl("get statefulset -n blog postgres --ignore-not-found -o name").await?;
        if there.is_empty() {
            let registry = self.cluster.registry();
            let manifest = DATABASE
                .replace("image: postgres:17.6-bookworm", &format!("image: {registry}/postgres:v1"))
                .replace("image: blog:v1", &format!("image: {registry}/blog:v1"));
            self.cluster.apply(&manifest).await?;
            self.cluster
                .kubectl("wait -n blog job/example-posts --for condition=complete --timeout 120s")
                .await?;
        }
        Ok(())
    }

    /// Applies the tutorial's manifest with the cluster's registry and some edits, each of which must fit.
    pub(crate) async fn apply(&self, edits: &[(&str, &str)]) -> anyhow::Result<()> {
        let mut manifest = MANIFEST.to_owned();
        for (old, new) in edits {
            ensure!(manifest.contains(old), "the manifest has no `{old}`");
            manifest = manifest.replace(old, new);
        }
        let manifest = manifest.replace("image: blog:", &format!("image: {}/blog:", self.cluster.registry()));
        self.cluster.apply(&manifest).await.map(drop)
    }

    /// `kubectl -n blog` with the words of a line; `%` is the registry.
    pub(crate) async fn kubectl(&self, line: &str) -> anyhow::Result<String> {
        self.cluster.kubectl(&format!("-n blog {}", line.replace('%', &self.cluster.registry()))).await
    }

    /// Waits until the rollout is complete.
    pub(crate) async fn rolled_out(&self) -> anyhow::Result<()> {
        let told = self.kubectl("rollout status deployment/django-blog --timeout 120s").await?;
        ensure!(told.trim_end().ends_with("successfully rolled out"), "rollout status said {told}");
        Ok(())
    }

    /// The pods that are not on their way out.
    pub(crate) async fn pods(&self) -> anyhow::Result<Vec<Pod>> {
        let list = self.cluster.get("pods -n blog -l app=django-blog").await?;
        let items = list["items"].as_array().context("a list of pods without items")?;
        let there = items.iter().filter(|pod| pod["metadata"]["deletionTimestamp"].is_null());
        there.map(|pod| Pod::read(pod).context("a pod without name, uid or image")).collect()
    }

    /// The tags that the pods run, one for each pod, in order.
    pub(crate) async fn tags(&self) -> anyhow::Result<Vec<String>> {
        let mut tags: Vec<_> = self.pods().await?.into_iter().map(|pod| pod.tag).collect();
        tags.sort();
        Ok(tags)
    }

    /// The identities of the pods.
    pub(crate) async fn uids(&self) -> anyhow::Result<BTreeSet<String>> {
        Ok(self.pods().await?.into_iter().map(|pod| pod.uid).collect())
    }

    /// A number of the Deployment's status, like `availableReplicas`.
    pub(crate) async fn status(&self, field: &str) -> anyhow::Result<u64> {
        let deployment = self.cluster.get("deployment -n blog django-blog").await?;
        Ok(deployment["status"][field].as_u64().unwrap_or_default())
    }

    /// Where readers enter.
    pub(crate) fn address(&self) -> SocketAddr {
        self.cluster.node(NODE_PORT)
    }

    /// The home page, which must be there; returns the version that made it.
    pub(crate) async fn get_page(&self) -> anyhow::Result<String> {
        let answer = cluster::http::get(self.address(), "/").await?;
        ensure!(
            answer.status == 200 && answer.body.contains("</html>"),
            "{} for the home page",
            answer.status
        );
        Ok(answer.version)
    }

    /// Readers of the home page.
    pub(crate) fn readers(&self) -> Readers {
        Readers::start(self.address(), "/", RATE)
    }
}

impl Pod {
    fn read(json: &Value) -> Option<Self> {
        let text = |value: &Value| value.as_str().map(str::to_owned);
        let image = json["spec"]["containers"][0]["image"].as_str()?;
        Some(Self {
            name: text(&json["metadata"]["name"])?,
            uid: text(&json["metadata"]["uid"])?,
            tag: image.rsplit([':', '@']).next()?.to_owned(),
            json: json.clone(),
        })
    }

    /// Why its container waits, like `ImagePullBackOff`; empty when it does not.
    pub(crate) fn waits_for(&self) -> &str {
        self.json["status"]["containerStatuses"][0]["state"]["waiting"]["reason"].as_str().unwrap_or_default()
    }
}

/// What a Deployment asked its ReplicaSets for while it was watched, and what they had.
#[derive(Debug)]
pub(crate) struct Watch {
    kubectl: Child,
}

/// Its extremes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Extremes {
    pub(crate) most_wanted: u64,
    pub(crate) fewest_available: u64,
}

impl Watch {
    pub(crate) fn start(blog: &Blog<'_>) -> anyhow::Result<Self> {
        // Not the Deployment's own counts: they are sums over statuses that are written at different times.
        let fields = r#"jsonpath={.metadata.name},{.spec.replicas},{.status.availableReplicas}{"\n"}"#;
        let words = ["-n", "blog", "get", "replicasets", "-l", "app=django-blog", "--watch", "-o", fields];
        let mut command = blog.cluster.command();
        Ok(Self { kubectl: command.args(words).stdout(Stdio::piped()).kill_on_drop(true).spawn()? })
    }

    pub(crate) async fn stop(mut self) -> anyhow::Result<Extremes> {
        self.kubectl.start_kill()?;
        let mut text = String::new();
        self.kubectl.stdout.take().context("kubectl without output")?.read_to_string(&mut text).await?;
        let mut sets = BTreeMap::new();
        let mut sums = Vec::new();
        for line in text.lines() {
            let [name, wanted, available] = line.split(',').collect::<Vec<_>>()[..] else { continue };
            sets.insert(name, (wanted.parse::<u64>()?, available.parse().unwrap_or(0_u64)));
            sums.push(sets.values().fold((0, 0), |sum, set| (sum.0 + set.0, sum.1 + set.1)));
        }
        // The first lines tell one ReplicaSet after the other: until the one with the pods is told there is no sum.
        let told = sums.iter().position(|sum| sum.1 > 0).context("no pod was ever available")?;
        ensure!(sums.len() > told + 2, "the watch saw only {sums:?}");
        Ok(Extremes {
            most_wanted: sums.iter().map(|sum| sum.0).max().unwrap_or_default(),
            fewest_available: sums[told..].iter().map(|sum| sum.1).min().unwrap_or_default(),
        })
    }
}
