//! A router that is frozen: its sockets are open, and nobody behind them answers.

use std::time::{Duration, Instant};

use anyhow::{Context as _, ensure};
use cluster::{Cluster, Rows, eventually};

use crate::cut_off::{Router, SOON, WHOLE, is_named};
use crate::middle::half_way;
use crate::victim::{name, running, signal};

/// Two readiness probes, each with its period and its timeout, and the moment until every proxy knows.
const UNREADY: Duration = Duration::from_secs(10);
/// Three liveness probes and the seconds that a process has to end, and the moment until the new one is ready.
const KILLED: Duration = Duration::from_secs(75);
const A_WHILE: Duration = Duration::from_secs(4);
/// A watch that was not read for some seconds has what happened waiting in its socket.
const CAUGHT_UP: Duration = Duration::from_secs(1);

pub(crate) async fn tell(rows: &mut Rows) {
    rows.long_row(
        "a frozen router is waited for by its name until it is started again, and readers are led past it",
        until_killed,
    )
    .await;
    rows.long_row(
        "a router that thaws serves what is still there, and by the present weights within a second",
        until_thawed,
    )
    .await;
}

async fn until_killed(cluster: &Cluster) -> anyhow::Result<()> {
    let system = half_way(cluster).await?;
    let router = Router::first(cluster).await?;
    let before = router.restarts(cluster).await?;
    let load = system.load()?;
    let frozen = Instant::now();
    router.gets(cluster, "SIGSTOP").await?;
    system.say("promote").await?;
    is_named(&system, &router, SOON).await?;
    router.is_out_of_the_service(cluster).await?;
    ensure!(frozen.elapsed() < UNREADY + A_WHILE, "out of the Service only after {:?}", frozen.elapsed());
    // Strangers, on connections of their own.
    let strangers = system.load()?;
    tokio::time::sleep(A_WHILE).await;
    strangers.stop().await?.nothing_failed()?;
    is_named(&system, &router, Duration::ZERO).await?;
    eventually(KILLED, async || {
        let restarts = router.restarts(cluster).await?;
        ensure!(restarts == before + 1, "{} is not started again", router.name);
        Ok(())
    })
    .await?;
    system.promoted("v2", WHOLE).await?;
    // Requests that were sent to it before it was left out end when their readers lose patience.
    load.stop().await?.only_failed(&["timeout", "reset", "closed"])
}

async fn until_thawed(cluster: &Cluster) -> anyhow::Result<()> {
    let system = half_way(cluster).await?;
    let router = Router::first(cluster).await?;
    let before = router.restarts(cluster).await?;
    router.gets(cluster, "SIGSTOP").await?;
    system.say("abort").await?;
    is_named(&system, &router, SOON).await?;
    router.is_out_of_the_service(cluster).await?;
    ensure!(system.uids_of("v2").await?.len() == 2, "pods that the frozen router may use were ended");
    router.gets(cluster, "SIGCONT").await?;
    let thawed = Instant::now();
    // At once it may still choose the candidate, which answers; later never.
    let mut late = 0;
    while thawed.elapsed() < A_WHILE {
        let asked = thawed.elapsed();
        let version = router.asked(cluster).await?;
        if asked > CAUGHT_UP {
            late += 1;
            ensure!(version == "v1", "{version} answered {asked:?} after the thaw");
        }
    }
    ensure!(late > 2, "nobody asked the thawed router");
    system.reaches("Failed", WHOLE).await?;
    ensure!(router.restarts(cluster).await? == before, "{} was started again", router.name);
    Ok(())
}

// === impl Router ===

impl Router {
    /// Sends a signal to its process.
    async fn gets(&self, cluster: &Cluster, word: &str) -> anyhow::Result<()> {
        signal(cluster, &self.pod(cluster).await?, word).await
    }

    async fn pod(&self, cluster: &Cluster) -> anyhow::Result<serde_json::Value> {
        let pods = running(cluster, "blog", "router").await?;
        pods.into_iter().find(|pod| name(pod) == self.name).with_context(|| format!("no pod {}", self.name))
    }

    async fn restarts(&self, cluster: &Cluster) -> anyhow::Result<u64> {
        let pod = self.pod(cluster).await?;
        pod["status"]["containerStatuses"][0]["restartCount"].as_u64().context("a pod without a container")
    }

    /// Waits until readers are led to it no more.
    async fn is_out_of_the_service(&self, cluster: &Cluster) -> anyhow::Result<()> {
        eventually(UNREADY, async || {
            let slices = "endpointslices -n blog -l kubernetes.io/service-name=router";
            let slices = cluster.get(slices).await?;
            let slices = slices["items"].as_array().into_iter().flatten();
            let mut ready = slices
                .flat_map(|slice| slice["endpoints"].as_array().into_iter().flatten())
                .filter(|endpoint| endpoint["conditions"]["ready"] == true);
            let there = ready.any(|endpoint| endpoint["addresses"][0] == self.address.as_str());
            ensure!(!there, "readers are led to {}", self.name);
            Ok(())
        })
        .await
    }

    /// The version that answers a request to it, past every Service.
    async fn asked(&self, cluster: &Cluster) -> anyhow::Result<String> {
        let url = format!("http://{}:8080/healthz", self.address);
        let words = ["curl", "--silent", "--fail", "--max-time", "10", "--output", "/dev/null"];
        let header = ["--write-out", "%header{x-app-version}", &url];
        cluster.on_node(&[words.as_slice(), &header].concat()).await
    }
}
