//! What may be killed in the middle of a release, and how.

use std::time::Duration;

use anyhow::Context as _;
use cluster::{Cluster, eventually};
use serde_json::Value;

/// The API server is away for so long; routers and kubelets go on.
const AWAY: Duration = Duration::from_secs(6);

/// What is killed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Victim {
    /// The promoter that leads; a second one waits.
    Leader,
    /// Both promoters at once.
    Promoters,
    Router,
    Prometheus,
    /// A component of the cluster, which is started again at once.
    Component(&'static str),
    /// The API server, which stays away for a while.
    ApiServer,
}

// === impl Victim ===

impl Victim {
    /// kill -9.
    pub(crate) async fn is_killed(self, cluster: &Cluster) -> anyhow::Result<()> {
        match self {
            Self::Leader => {
                let lease = cluster.get("lease -n huidu huidu-promoter").await?;
                let holder = lease["spec"]["holderIdentity"].as_str().unwrap_or_default();
                let pods = running(cluster, "huidu", "promoter").await?;
                let leader = pods.iter().find(|pod| holder.starts_with(name(pod)));
                kill(cluster, leader.with_context(|| format!("no pod of the leader {holder}"))?).await
            }
            Self::Promoters => kill_all(cluster, &running(cluster, "huidu", "promoter").await?).await,
            Self::Prometheus => kill_all(cluster, &running(cluster, "monitoring", "prometheus").await?).await,
            Self::Router => {
                let pods = running(cluster, "blog", "router").await?;
                let ready = pods.iter().filter(|pod| is_ready(pod)).count();
                // A second one is killed only when the first is back: where a router is left.
                if ready < 2 {
                    return Ok(());
                }
                kill(cluster, pods.first().context("no router")?).await
            }
            Self::Component(component) => cluster.component("kill", component).await,
            Self::ApiServer => {
                cluster.component("stop", "kube-apiserver").await?;
                tokio::time::sleep(AWAY).await;
                cluster.component("start", "kube-apiserver").await?;
                let ready = async || cluster.kubectl("get --raw /readyz").await.map(drop);
                eventually(Duration::from_secs(60), ready).await
            }
        }
    }
}

/// The pods of an app that are not on their way out.
pub(crate) async fn running(cluster: &Cluster, namespace: &str, app: &str) -> anyhow::Result<Vec<Value>> {
    let list = cluster.get(&format!("pods -n {namespace} -l app={app}")).await?;
    let pods = list["items"].as_array().cloned().unwrap_or_default();
    Ok(pods.into_iter().filter(|pod| pod["metadata"]["deletionTimestamp"].is_null()).collect())
}

pub(crate) fn name(pod: &Value) -> &str {
    pod["metadata"]["name"].as_str().unwrap_or_default()
}

fn is_ready(pod: &Value) -> bool {
    pod["status"]["containerStatuses"][0]["ready"] == true
}

async fn kill_all(cluster: &Cluster, pods: &[Value]) -> anyhow::Result<()> {
    for pod in pods {
        kill(cluster, pod).await?;
    }
    Ok(())
}

/// kill -9 of a pod's first container; one that has ended already is as good.
async fn kill(cluster: &Cluster, pod: &Value) -> anyhow::Result<()> {
    match signal(cluster, pod, "SIGKILL").await {
        Err(error) if !error.to_string().contains("not found") => Err(error),
        _ => Ok(()),
    }
}

/// Sends a signal to the first process of a pod's first container.
pub(crate) async fn signal(cluster: &Cluster, pod: &Value, word: &str) -> anyhow::Result<()> {
    let id = pod["status"]["containerStatuses"][0]["containerID"].as_str().unwrap_or_default();
    let id = id.strip_prefix("containerd://").with_context(|| format!("{} has no container", name(pod)))?;
    cluster.on_node(&["ctr", "-n", "k8s.io", "tasks", "kill", "-s", word, id]).await.map(drop)
}
