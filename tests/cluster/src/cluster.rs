//! A running cluster, and kubectl on it.

use std::net::{Ipv4Addr, SocketAddr};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context as _;
use serde_json::Value;
use tokio::process::Command;
use tokio::time::Instant;

use crate::images::Images;
use crate::scripts::{self, output};

/// Longer than any command that a row gives; a row has its own deadline too.
const COMMAND_PATIENCE: Duration = Duration::from_secs(150);
/// A cluster is ready within seconds; a machine that compiles at the same time needs longer.
const START_PATIENCE: Duration = Duration::from_secs(120);
/// How often [`eventually`] looks.
const LOOK_EVERY: Duration = Duration::from_millis(150);

/// A Kubernetes of one node on this machine. It ends with the value.
#[derive(Debug)]
pub struct Cluster {
    name: String,
    folder: PathBuf,
    node: Ipv4Addr,
    images: Arc<Images>,
}

impl Cluster {
    /// Starts a cluster with these images in its open registry.
    ///
    /// # Errors
    /// When it is not ready in time, with the end of its log.
    pub async fn start(name: &str, images: Arc<Images>) -> anyhow::Result<Self> {
        let mut up = Command::new(scripts::folder().join("up"));
        up.arg(name).env("OWNER", std::process::id().to_string());
        let exports = output(&mut up, "", START_PATIENCE).await?;
        let folder = exports
            .strip_prefix("export KUBECONFIG=")
            .and_then(|rest| Some(PathBuf::from(rest.split_once("/kubeconfig")?.0)))
            .with_context(|| format!("up did not say where the cluster is: {exports}"))?;
        let env = std::fs::read_to_string(folder.join("env"))?;
        let node = env
            .lines()
            .find_map(|line| line.strip_prefix("NODE_IP="))
            .context("up told no address")?
            .parse()?;
        let cluster = Self { name: name.to_owned(), folder, node, images };
        cluster.images.push_all(&cluster).await?;
        Ok(cluster)
    }

    /// The images in its registry, to push them elsewhere too.
    #[must_use]
    pub fn images(&self) -> &Images {
        &self.images
    }

    /// The node's address with a port: a NodePort, reached from this machine.
    #[must_use]
    pub fn node(&self, port: u16) -> SocketAddr {
        (self.node, port).into()
    }

    /// The open registry that the kubelet pulls from, as it stands before an image's name.
    #[must_use]
    pub fn registry(&self) -> String {
        self.node(5000).to_string()
    }

    /// The registry that asks for a password, its user and its password.
    ///
    /// # Errors
    /// When the cluster has no such registry.
    pub fn private_registry(&self) -> anyhow::Result<(String, &'static str, String)> {
        let password = std::fs::read_to_string(self.folder.join("registry-password"))?;
        Ok((self.node(5001).to_string(), "reader", password.trim().to_owned()))
    }

    /// Runs kubectl with the words of a line, as a person types it, and returns what it prints.
    ///
    /// # Errors
    /// When kubectl fails, in its words, or does not end.
    pub async fn kubectl(&self, line: &str) -> anyhow::Result<String> {
        self.kubectl_with(line, "").await
    }

    /// Runs kubectl with a standard input.
    ///
    /// # Errors
    /// As [`Cluster::kubectl`].
    pub async fn kubectl_with(&self, line: &str, stdin: &str) -> anyhow::Result<String> {
        output(self.command().args(line.split_whitespace()), stdin, COMMAND_PATIENCE).await
    }

    /// Applies a manifest.
    ///
    /// # Errors
    /// As [`Cluster::kubectl`].
    pub async fn apply(&self, manifest: &str) -> anyhow::Result<String> {
        self.kubectl_with("apply -f -", manifest).await
    }

    /// `kubectl get` with the words of a line, as JSON.
    ///
    /// # Errors
    /// As [`Cluster::kubectl`].
    pub async fn get(&self, line: &str) -> anyhow::Result<Value> {
        Ok(serde_json::from_str(&self.kubectl(&format!("get {line} -o json")).await?)?)
    }

    /// The kubectl of the cluster's own version, for commands that words of a line cannot say or that go on.
    #[must_use]
    pub fn command(&self) -> Command {
        let mut command = Command::new(self.folder.join("bin/kubectl"));
        command.arg("--kubeconfig").arg(self.folder.join("kubeconfig"));
        // Nobody's home is looked into, and discovery is cached with the cluster.
        command.arg("--cache-dir").arg(self.folder.join("discovery")).current_dir(scripts::repository());
        command
    }
}

impl Drop for Cluster {
    fn drop(&mut self) {
        // The harness ends what an earlier, killed one has left: nothing to tell here.
        let _ = std::process::Command::new(scripts::folder().join("down")).arg(&self.name).status();
    }
}

/// Looks again and again until what is looked for is there.
///
/// # Errors
/// The last look's, when it is not there in time.
pub async fn eventually<T>(within: Duration, look: impl AsyncFn() -> anyhow::Result<T>) -> anyhow::Result<T> {
    let deadline = Instant::now() + within;
    loop {
        match look().await {
            Ok(found) => return Ok(found),
            Err(error) if Instant::now() >= deadline => {
                return Err(error.context(format!("not within {within:?}")));
            }
            Err(_) => tokio::time::sleep(LOOK_EVERY).await,
        }
    }
}
