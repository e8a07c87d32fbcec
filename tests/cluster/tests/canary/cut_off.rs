//! A router that does not hear what is written: it is waited for by its name, and no longer than it is there.

use std::time::Duration;

use anyhow::{Context as _, ensure};
use cluster::{Cluster, Rows};

use crate::middle::half_way;
use crate::system::{System, told};
use crate::victim::{name, running};

pub(crate) const SOON: Duration = Duration::from_secs(60);
pub(crate) const WHOLE: Duration = Duration::from_secs(150);
/// Long enough to see that it is not a moment's wait.
const A_WHILE: Duration = Duration::from_secs(5);

pub(crate) async fn tell(rows: &mut Rows) {
    rows.row("a router that is cut off from the API server is waited for until it is gone", until_gone).await;
    rows.long_row("a router that is cut off from the API server is waited for until it is back", until_back)
        .await;
}

async fn until_gone(cluster: &Cluster) -> anyhow::Result<()> {
    waited_for(cluster, async |router| {
        let delete = format!("delete pod {} -n blog --wait=false", router.name);
        cluster.kubectl(&delete).await.map(drop)
    })
    .await
}

async fn until_back(cluster: &Cluster) -> anyhow::Result<()> {
    waited_for(cluster, async |router| router.packets(cluster, "-D").await).await
}

/// A release in which a router is cut off goes on when `and_then` is done.
async fn waited_for(
    cluster: &Cluster,
    and_then: impl AsyncFn(&Router) -> anyhow::Result<()>,
) -> anyhow::Result<()> {
    let system = half_way(cluster).await?;
    let load = system.load()?;
    let router = Router::first(cluster).await?;
    router.packets(cluster, "-I").await?;
    system.say("promote").await?;
    is_named(&system, &router, SOON).await?;
    tokio::time::sleep(A_WHILE).await;
    is_named(&system, &router, Duration::ZERO).await?;
    and_then(&router).await?;
    system.promoted("v2", WHOLE).await?;
    load.stop().await?.nothing_failed()
}

pub(crate) async fn is_named(system: &System<'_>, router: &Router, within: Duration) -> anyhow::Result<()> {
    let named = async |canary: &serde_json::Value| {
        let hold = &canary["status"]["hold"];
        let message = hold["message"].as_str().unwrap_or_default();
        ensure!(
            hold["reason"] == "AwaitingAcknowledgement"
                && message.contains("1 of 2 routers have not confirmed the weight")
                && message.contains(&router.name),
            "{} is not named: {}",
            router.name,
            told(canary)
        );
        Ok(())
    };
    system.becomes(within, named).await.map(drop)
}

/// A router's pod.
pub(crate) struct Router {
    pub(crate) name: String,
    pub(crate) address: String,
}

// === impl Router ===

impl Router {
    pub(crate) async fn first(cluster: &Cluster) -> anyhow::Result<Self> {
        let pods = running(cluster, "blog", "router").await?;
        let pod = pods.first().context("no router")?;
        let address = pod["status"]["podIP"].as_str().context("a router without an address")?;
        Ok(Self { name: name(pod).to_owned(), address: address.to_owned() })
    }

    /// Inserts (`-I`) or deletes (`-D`) the rules that lose every packet between it and the API server.
    async fn packets(&self, cluster: &Cluster, verb: &str) -> anyhow::Result<()> {
        for rule in [
            ["INPUT", "--source", &self.address, "--dport"],
            ["OUTPUT", "--destination", &self.address, "--sport"],
        ] {
            let [chain, end, address, port] = rule;
            let rule = [verb, chain, end, address, "--protocol", "tcp", port, "6443", "--jump", "DROP"];
            cluster.on_node(&[["/usr/sbin/iptables", "--wait"].as_slice(), &rule].concat()).await?;
        }
        Ok(())
    }
}
