//! The tutorial's Deployment, and what is asked of it again and again.

use std::collections::BTreeSet;
use std::net::SocketAddr;
use std::time::Duration;

use anyhow::{Context as _, ensure};
use serde_json::Value;

use crate::cluster::{Cluster, eventually};
use crate::http::{self, Readers};

/// What kubectl says of a Deployment that is as it was.
const UNCHANGED: &str = "deployment.apps/django-blog unchanged";
const MANIFEST: &str = include_str!("../../../k8s/tutorial.yaml");
const DATABASE: &str = include_str!("../../../k8s/tutorial-database.yaml");
/// The NodePort of the manifest.
const NODE_PORT: u16 = 30080;
/// Requests a second.
const RATE: u32 = 20;
/// After a change of the endpoints kube-proxy may wait for a second before it writes, and be slow at it.
pub const KUBE_PROXY_SYNC: Duration = Duration::from_millis(2000);

/// The tutorial's Deployment on a cluster.
#[derive(Clone, Copy, Debug)]
pub struct Blog<'a> {
    /// Where it runs.
    pub cluster: &'a Cluster,
}

/// A pod that is not on its way out.
#[derive(Clone, Debug)]
pub struct Pod {
    /// Its name.
    pub name: String,
    /// Its identity, which no later pod of the same name shares.
    pub uid: String,
    /// The tag of its image.
    pub tag: String,
    /// All of it.
    pub json: Value,
}

impl<'a> Blog<'a> {
    /// The blog as the manifest says, rolled out, whatever was there before.
    ///
    /// # Errors
    /// When the cluster says something else.
    pub async fn running(cluster: &'a Cluster, tag: &str) -> anyhow::Result<Self> {
        Self::running_as(cluster, &[("blog:v1", &format!("blog:{tag}"))]).await
    }

    /// The same with edits of the manifest.
    ///
    /// # Errors
    /// When the cluster says something else.
    pub async fn running_as(cluster: &'a Cluster, edits: &[(&str, &str)]) -> anyhow::Result<Self> {
        let blog = Self { cluster };
        blog.database().await?;
        let told = blog.apply(edits).await?;
        blog.rolled_out().await?;
        if !told.contains(UNCHANGED) {
            // Pods of another version may answer until then.
            tokio::time::sleep(KUBE_PROXY_SYNC).await;
        }
        eventually(Duration::from_secs(20), async || blog.get_page().await).await?;
        Ok(blog)
    }

    /// The same, with no revision before it.
    ///
    /// # Errors
    /// When the cluster says something else.
    pub async fn fresh(cluster: &'a Cluster, tag: &str) -> anyhow::Result<Self> {
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

    /// Applies [`Blog::manifest`]; what kubectl says.
    ///
    /// # Errors
    /// When the cluster says something else.
    pub async fn apply(&self, edits: &[(&str, &str)]) -> anyhow::Result<String> {
        self.cluster.apply(&self.manifest(edits)?).await
    }

    /// The tutorial's manifest with the cluster's registry and some edits.
    ///
    /// # Errors
    /// When an edit does not fit.
    pub fn manifest(&self, edits: &[(&str, &str)]) -> anyhow::Result<String> {
        let mut manifest = MANIFEST.to_owned();
        for (old, new) in edits {
            ensure!(manifest.contains(old), "the manifest has no `{old}`");
            manifest = manifest.replace(old, new);
        }
        Ok(manifest.replace("image: blog:", &format!("image: {}/blog:", self.cluster.registry())))
    }

    /// `kubectl -n blog` with the words of a line; `%` is the registry.
    ///
    /// # Errors
    /// When the cluster says something else.
    pub async fn kubectl(&self, line: &str) -> anyhow::Result<String> {
        self.cluster.kubectl(&format!("-n blog {}", line.replace('%', self.cluster.registry()))).await
    }

    /// Waits until the rollout is complete.
    ///
    /// # Errors
    /// When the cluster says something else.
    pub async fn rolled_out(&self) -> anyhow::Result<()> {
        let told = self.kubectl("rollout status deployment/django-blog --timeout 120s").await?;
        ensure!(told.trim_end().ends_with("successfully rolled out"), "rollout status said {told}");
        Ok(())
    }

    /// The pods that are not on their way out.
    ///
    /// # Errors
    /// When the cluster says something else.
    pub async fn pods(&self) -> anyhow::Result<Vec<Pod>> {
        let list = self.cluster.get("pods -n blog -l app=django-blog").await?;
        let items = list["items"].as_array().context("a list of pods without items")?;
        let there = items.iter().filter(|pod| pod["metadata"]["deletionTimestamp"].is_null());
        there.map(|pod| Pod::read(pod).context("a pod without name, uid or image")).collect()
    }

    /// The tags that the pods run, one for each pod, in order.
    ///
    /// # Errors
    /// When the cluster says something else.
    pub async fn tags(&self) -> anyhow::Result<Vec<String>> {
        let mut tags: Vec<_> = self.pods().await?.into_iter().map(|pod| pod.tag).collect();
        tags.sort();
        Ok(tags)
    }

    /// The identities of the pods.
    ///
    /// # Errors
    /// When the cluster says something else.
    pub async fn uids(&self) -> anyhow::Result<BTreeSet<String>> {
        Ok(self.pods().await?.into_iter().map(|pod| pod.uid).collect())
    }

    /// A number of the Deployment's status, like `availableReplicas`.
    ///
    /// # Errors
    /// When the cluster says something else.
    pub async fn status(&self, field: &str) -> anyhow::Result<u64> {
        let deployment = self.cluster.get("deployment -n blog django-blog").await?;
        Ok(deployment["status"][field].as_u64().unwrap_or_default())
    }

    /// Where readers enter.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.cluster.node(NODE_PORT)
    }

    /// The home page, which must be there; returns the version that made it.
    ///
    /// # Errors
    /// When the cluster says something else.
    pub async fn get_page(&self) -> anyhow::Result<String> {
        let answer = http::get(self.address(), "/").await?;
        ensure!(
            answer.status == 200 && answer.body.contains("</html>"),
            "{} for the home page",
            answer.status
        );
        Ok(answer.version)
    }

    /// Readers of the home page.
    #[must_use]
    pub fn readers(&self) -> Readers {
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

    /// Whether it gets requests from Services.
    #[must_use]
    pub fn is_ready(&self) -> bool {
        let conditions = self.json["status"]["conditions"].as_array().into_iter().flatten();
        conditions.into_iter().any(|condition| condition["type"] == "Ready" && condition["status"] == "True")
    }

    /// Why its container waits, like `ImagePullBackOff`; empty when it does not.
    #[must_use]
    pub fn waits_for(&self) -> &str {
        self.json["status"]["containerStatuses"][0]["state"]["waiting"]["reason"].as_str().unwrap_or_default()
    }
}
