//! What the shipped manifests install, and a blog that a Canary follows.

use std::collections::BTreeSet;
use std::time::Duration;

use anyhow::{Context as _, ensure};
use cluster::blog::Blog;
use cluster::load::Load;
use cluster::{Cluster, eventually};
use serde_json::{Value, json};

/// More pods than a small node has room for, if each asked for as much as the tutorial's.
pub(crate) const SMALL: (&str, &str) = ("cpu: 250m", "cpu: 50m");
/// Prometheus as it is shipped reads every five seconds; rows want to be short.
const OFTEN: (&str, &str) =
    ("scrape_interval: 5s\n      scrape_timeout: 4s", "scrape_interval: 1s\n      scrape_timeout: 1s");

/// Where the promoter's manifest names its environment, and what is put before that: the server that it asks.
const POD_NAME: &str = "        - name: HUIDU_POD\n";
const PROMETHEUS: &str =
    "        - name: HUIDU_PROMETHEUS\n          value: http://prometheus.monitoring:9090\n";
/// The folders of k8s/base, each with a Deployment of its name, and their namespaces.
const FOLDERS: [(&str, &str); 3] = [("prometheus", "monitoring"), ("router", "blog"), ("promoter", "huidu")];
/// The NodePort of the router.
const ENTRANCE: u16 = 30081;

/// The promoter and what it needs beside it, and the tutorial's blog.
#[derive(Clone, Copy, Debug)]
pub(crate) struct System<'a> {
    pub(crate) blog: Blog<'a>,
}

impl<'a> System<'a> {
    /// Everything installed, v1 of the blog running with these edits of its manifest, and nothing left of earlier
    /// releases.
    pub(crate) async fn running(cluster: &'a Cluster, edits: &[(&str, &str)]) -> anyhow::Result<Self> {
        let there = cluster.kubectl("get namespace huidu --ignore-not-found -o name").await?;
        if there.is_empty() {
            install(cluster).await?;
        }
        let blog = Blog { cluster };
        if !cluster.kubectl("get namespace blog --ignore-not-found -o name").await?.is_empty() {
            blog.kubectl("delete canaries --all --timeout 60s").await?;
            blog.kubectl("delete deployment,replicaset -l app=django-blog --timeout 60s").await?;
            blog.kubectl("wait pod -l app=django-blog --for delete --timeout 60s").await?;
        }
        let edits: Vec<_> = edits.iter().copied().chain([SMALL]).collect();
        Ok(Self { blog: Blog::running_as(cluster, &edits).await? })
    }

    /// A Canary that follows the blog, which is held then.
    pub(crate) async fn follow(&self, spec: &Value) -> anyhow::Result<()> {
        self.create("django-blog", spec).await?;
        self.reaches("Stable", Duration::from_secs(30)).await?;
        let deployment = self.blog.cluster.get("deployment -n blog django-blog").await?;
        ensure!(deployment["spec"]["paused"] == true, "the Deployment is not held");
        Ok(())
    }

    /// Readers by the router, a hundred requests a second.
    pub(crate) fn load(&self) -> anyhow::Result<Load> {
        let cluster = self.blog.cluster;
        Load::start(&cluster.images().program("load")?, cluster.node(ENTRANCE), 100)
    }

    /// Waits until so many pods beside these are ready: the candidate at its full size, which is judged before it is
    /// promoted. Phases can be over between two looks; pods that stay cannot be missed.
    pub(crate) async fn verified(
        &self,
        before: &BTreeSet<String>,
        wanted: usize,
        within: Duration,
    ) -> anyhow::Result<BTreeSet<String>> {
        eventually(within, async || {
            let pods = self.blog.pods().await?;
            let ready = pods.into_iter().filter(|pod| pod.is_ready() && !before.contains(&pod.uid));
            let new: BTreeSet<_> = ready.map(|pod| pod.uid).collect();
            let canary = self.canary("django-blog").await?;
            ensure!(new.len() == wanted, "{} of {wanted} new pods are ready: {}", new.len(), told(&canary));
            Ok(new)
        })
        .await
    }

    /// The identities of the pods that run a tag.
    pub(crate) async fn uids_of(&self, tag: &str) -> anyhow::Result<BTreeSet<String>> {
        let pods = self.blog.pods().await?.into_iter().filter(|pod| pod.tag == tag);
        Ok(pods.map(|pod| pod.uid).collect())
    }

    /// The image that the Deployment's template asks for.
    pub(crate) async fn image(&self) -> anyhow::Result<String> {
        let deployment = self.blog.cluster.get("deployment -n blog django-blog").await?;
        let image = deployment["spec"]["template"]["spec"]["containers"][0]["image"].as_str();
        Ok(image.context("a Deployment without an image")?.to_owned())
    }

    /// Waits until there is nothing but one Deployment, its ReplicaSet and their three pods; empty ReplicaSets are the
    /// history.
    pub(crate) async fn has_nothing_extra(&self) -> anyhow::Result<()> {
        eventually(Duration::from_secs(60), async || {
            let list =
                self.blog.kubectl("get deployments,pods,replicasets -l app=django-blog -o json").await?;
            let list: Value = serde_json::from_str(&list)?;
            let items = list["items"].as_array().into_iter().flatten();
            let full = items.filter(|item| item["kind"] != "ReplicaSet" || item["status"]["replicas"] != 0);
            let names: Vec<_> = full.map(|item| item["metadata"]["name"].to_string()).collect();
            ensure!(names.len() == 5, "a Deployment, a ReplicaSet and three pods were expected: {names:?}");
            Ok(())
        })
        .await
    }

    /// A Canary of this name.
    pub(crate) async fn create(&self, name: &str, spec: &Value) -> anyhow::Result<()> {
        let metadata = json!({"name": name, "namespace": "blog"});
        let canary = json!({
            "apiVersion": "huidu.dev/v1alpha1", "kind": "Canary", "metadata": metadata, "spec": spec,
        });
        self.blog.cluster.apply(&canary.to_string()).await.map(drop)
    }

    /// Begins a release as a person does.
    pub(crate) async fn release(&self, tag: &str) -> anyhow::Result<()> {
        self.blog.kubectl(&format!("set image deployment/django-blog web=%/blog:{tag}")).await.map(drop)
    }

    /// Says a word to the blog's Canary.
    pub(crate) async fn say(&self, verb: &str) -> anyhow::Result<()> {
        self.blog.kubectl(&format!("annotate canary django-blog huidu.dev/verb={verb}")).await.map(drop)
    }

    pub(crate) async fn canary(&self, name: &str) -> anyhow::Result<Value> {
        self.blog.cluster.get(&format!("canary -n blog {name}")).await
    }

    /// Waits until the blog's Canary is in a phase.
    pub(crate) async fn reaches(&self, phase: &str, within: Duration) -> anyhow::Result<Value> {
        self.becomes(within, async |canary| {
            ensure!(canary["status"]["phase"] == phase, "it should be {phase}, but is {}", told(canary));
            Ok(())
        })
        .await
    }

    /// Waits until the release that was begun with this tag has been promoted, and everything is quiet.
    pub(crate) async fn promoted(&self, tag: &str, within: Duration) -> anyhow::Result<Value> {
        let canary = self
            .becomes(within, async |canary| {
                let status = &canary["status"];
                let last = status["history"].as_array().and_then(|history| history.last());
                let tags = self.blog.tags().await?;
                ensure!(
                    status["phase"] == "Stable"
                        && last.is_some_and(|last| last["outcome"] == "Promoted")
                        && tags.iter().all(|running| running == tag)
                        && status["desiredReplicas"] == tags.len(),
                    "{tag} is not promoted: {}",
                    told(canary)
                );
                Ok(())
            })
            .await?;
        Ok(canary)
    }

    /// Waits until the blog's Canary is as it should be.
    pub(crate) async fn becomes(
        &self,
        within: Duration,
        as_it_should: impl AsyncFn(&Value) -> anyhow::Result<()>,
    ) -> anyhow::Result<Value> {
        eventually(within, async || {
            let canary = self.canary("django-blog").await?;
            as_it_should(&canary).await?;
            Ok(canary)
        })
        .await
    }
}

/// Where a Canary is, in a line.
pub(crate) fn told(canary: &Value) -> String {
    let status = &canary["status"];
    format!("{} {} {} {}", status["phase"], status["release"], status["hold"], status["cause"])
}

/// The condition of a Canary.
pub(crate) fn condition<'v>(canary: &'v Value, kind: &str) -> anyhow::Result<&'v Value> {
    let conditions = canary["status"]["conditions"].as_array().context("a Canary without conditions")?;
    let condition = conditions.iter().find(|condition| condition["type"] == kind);
    condition.with_context(|| format!("a Canary without the condition {kind}"))
}

/// Definitions first, then what the folders of k8s/base say, with this cluster's images.
async fn install(cluster: &Cluster) -> anyhow::Result<()> {
    cluster.definitions().await?;
    // Not the one of k8s/base: its rules for pods are stricter than the tutorial's manifest.
    cluster.kubectl("create namespace blog").await?;
    for (folder, _) in FOLDERS {
        let manifest = cluster.kubectl(&format!("kustomize k8s/base/{folder}")).await?;
        let registry = cluster.registry();
        let manifest = manifest
            .replace(&format!("image: {folder}\n"), &format!("image: {registry}/{folder}:v1\n"))
            .replace(OFTEN.0, OFTEN.1)
            .replace(POD_NAME, &format!("{PROMETHEUS}{POD_NAME}"));
        cluster.apply(&manifest).await?;
    }
    let entrance =
        format!("{{\"spec\":{{\"type\":\"NodePort\",\"ports\":[{{\"port\":80,\"nodePort\":{ENTRANCE}}}]}}}}");
    cluster.kubectl(&format!("-n blog patch service router -p {entrance}")).await?;
    for (folder, namespace) in FOLDERS {
        cluster.kubectl(&format!("-n {namespace} rollout status deployment/{folder} --timeout 120s")).await?;
    }
    Ok(())
}
