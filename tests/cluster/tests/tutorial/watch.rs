//! A rollout, watched from the side.

use std::collections::BTreeMap;
use std::process::Stdio;

use anyhow::{Context as _, ensure};
use cluster::blog::Blog;
use tokio::io::AsyncReadExt as _;
use tokio::process::Child;

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
