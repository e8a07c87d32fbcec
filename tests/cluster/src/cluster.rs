//! A running cluster, and kubectl on it.

use std::collections::BTreeMap;
use std::net::{IpAddr, SocketAddr};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context as _;
use serde_json::Value;
use tokio::process::Command;
use tokio::time::Instant;

use crate::images::Images;
use crate::rows::Skip;
use crate::scripts::{self, output};

/// Longer than any command that a row gives; a row has its own deadline too.
const COMMAND_PATIENCE: Duration = Duration::from_secs(150);
/// A cluster is ready within seconds; a machine that compiles at the same time needs longer.
const START_PATIENCE: Duration = Duration::from_secs(120);
/// How often [`eventually`] looks.
const LOOK_EVERY: Duration = Duration::from_millis(150);

/// Namespaces that rows use; a cluster that is given must not have them.
const NAMESPACES: &str = "blog huidu monitoring production";

/// A Kubernetes to show rows on. It ends with the value; of one that is given, what the rows made in it ends.
#[derive(Debug)]
pub struct Cluster {
    place: Place,
    node: IpAddr,
    registry: String,
    images: Arc<Images>,
}

#[derive(Debug)]
enum Place {
    /// One node on this machine, with everything that it keeps in this folder.
    Own { name: String, folder: PathBuf },
    /// Somebody's, as KUBECONFIG says.
    Given,
}

/// A cluster that somebody gives.
#[derive(Clone, Debug)]
pub struct Given {
    /// Where it pulls images from, as it stands before their names; this machine must be able to push there.
    pub registry: String,
    /// Whether it speaks HTTP without TLS.
    pub is_plain: bool,
}

// === impl Given ===

impl Given {
    /// The cluster of `KUBECONFIG`, if `HUIDU_REGISTRY` says where it pulls images from (`http://` before it: without
    /// TLS). One variable alone, which many people have set all day, must not bring tests into their clusters.
    #[must_use]
    pub fn from_env() -> Option<Self> {
        std::env::var_os("KUBECONFIG")?;
        let said = std::env::var("HUIDU_REGISTRY").ok()?;
        let plain = said.strip_prefix("http://");
        Some(Self { registry: plain.unwrap_or(&said).to_owned(), is_plain: plain.is_some() })
    }
}

// === impl Cluster ===

impl Cluster {
    /// Starts a cluster with these images in its open registry, or takes the one that is given.
    ///
    /// # Errors
    /// When it is not ready in time, with the end of its log.
    pub async fn start(name: &str, images: Arc<Images>) -> anyhow::Result<Self> {
        let cluster = match Given::from_env() {
            Some(given) => Self::given(given, images).await?,
            None => Self::own(name, images).await?,
        };
        cluster.images.push_all(&cluster.registry).await?;
        Ok(cluster)
    }

    async fn own(name: &str, images: Arc<Images>) -> anyhow::Result<Self> {
        let mut up = Command::new(scripts::folder().join("up"));
        up.arg(name).env("OWNER", std::process::id().to_string());
        let exports = output(&mut up, "", START_PATIENCE).await?;
        let folder = exports
            .strip_prefix("export KUBECONFIG=")
            .and_then(|rest| Some(PathBuf::from(rest.split_once("/kubeconfig")?.0)))
            .with_context(|| format!("up did not say where the cluster is: {exports}"))?;
        let env = std::fs::read_to_string(folder.join("env"))?;
        let node = env.lines().find_map(|line| line.strip_prefix("NODE_IP="));
        let node: IpAddr = node.context("up told no address")?.parse()?;
        let registry = SocketAddr::from((node, 5000)).to_string();
        Ok(Self { place: Place::Own { name: name.to_owned(), folder }, node, registry, images })
    }

    async fn given(given: Given, images: Arc<Images>) -> anyhow::Result<Self> {
        let place = Place::Given;
        let there =
            place.kubectl(&format!("get namespace {NAMESPACES} --ignore-not-found -o name"), "").await?;
        // Before there is a value, whose end would end them.
        anyhow::ensure!(
            there.is_empty(),
            "the cluster of KUBECONFIG has {} already: rows would change it",
            there.trim()
        );
        let nodes: Value = serde_json::from_str(&place.kubectl("get nodes -o json", "").await?)?;
        let addresses = nodes["items"][0]["status"]["addresses"].as_array().into_iter().flatten();
        let internal = addresses.filter(|address| address["type"] == "InternalIP");
        let address = internal.filter_map(|address| address["address"].as_str()).next();
        let node = address.context("its first node has no InternalIP")?.parse()?;
        Ok(Self { place, node, registry: given.registry, images })
    }

    /// The images in its registry, to push them elsewhere too.
    #[must_use]
    pub fn images(&self) -> &Images {
        &self.images
    }

    /// The kubeconfig of whoever may do everything, for programs that run beside the cluster.
    ///
    /// # Errors
    /// When the cluster is somebody's.
    pub fn kubeconfig(&self) -> anyhow::Result<PathBuf> {
        match &self.place {
            Place::Own { folder, .. } => Ok(folder.join("kubeconfig")),
            Place::Given => Err(Skip("the cluster is given, and these rows need this machine's own").into()),
        }
    }

    /// A node's address with a port: a NodePort, reached from this machine.
    #[must_use]
    pub fn node(&self, port: u16) -> SocketAddr {
        (self.node, port).into()
    }

    /// The open registry that the kubelet pulls from, as it stands before an image's name.
    #[must_use]
    pub fn registry(&self) -> &str {
        &self.registry
    }

    /// The registry that asks for a password, its user and its password.
    ///
    /// # Errors
    /// When the cluster has no such registry.
    pub fn private_registry(&self) -> anyhow::Result<(String, &'static str, String)> {
        let Place::Own { folder, .. } = &self.place else {
            return Err(Skip("the cluster is given, and no second registry with it").into());
        };
        let password = std::fs::read_to_string(folder.join("registry-password"))?;
        Ok((self.node(5001).to_string(), "reader", password.trim().to_owned()))
    }

    /// Takes a component of the cluster away (`stop`, `kill`) or gives it back (`start`), as the script `component`.
    ///
    /// # Errors
    /// When the cluster is somebody's, or the script fails.
    pub async fn component(&self, verb: &str, component: &str) -> anyhow::Result<()> {
        let Place::Own { name, .. } = &self.place else {
            return Err(Skip("the cluster is given: its components are not ours to kill").into());
        };
        let mut script = Command::new(scripts::folder().join("component"));
        output(script.args([name.as_str(), verb, component]), "", COMMAND_PATIENCE).await.map(drop)
    }

    /// Runs a program on the node, with its processes and its network.
    ///
    /// # Errors
    /// When the cluster is somebody's, or the program fails.
    pub async fn on_node(&self, words: &[&str]) -> anyhow::Result<String> {
        let Place::Own { name, .. } = &self.place else {
            return Err(Skip("the cluster is given: its node is not ours to enter").into());
        };
        let mut script = Command::new(scripts::folder().join("enter"));
        output(script.arg(name).args(words), "", COMMAND_PATIENCE).await
    }

    /// Makes the Gateway API and the kind Canary known; of a cluster that is given, the Gateway API is its own.
    ///
    /// # Errors
    /// As [`Cluster::kubectl`]; [`Skip`] where a given cluster has no Gateway API.
    pub async fn definitions(&self) -> anyhow::Result<()> {
        match &self.place {
            Place::Own { folder, .. } => {
                let file = folder.join("gateway-api.yaml");
                self.kubectl(&format!("apply --server-side -f {}", file.display())).await?;
            }
            Place::Given => {
                let there = self.kubectl("get crd httproutes.gateway.networking.k8s.io").await;
                there.map_err(|_| Skip("the given cluster has no Gateway API"))?;
            }
        }
        self.kubectl("apply --server-side -f k8s/crd.yaml").await?;
        self.kubectl("wait --for condition=Established crd canaries.huidu.dev --timeout 30s").await.map(drop)
    }

    /// The answer of the Prometheus of k8s/base to a query, by the label `app`.
    ///
    /// # Errors
    /// As [`Cluster::kubectl`].
    pub async fn prometheus(&self, query: &str) -> anyhow::Result<BTreeMap<String, f64>> {
        let query: String = query.split_whitespace().collect::<Vec<_>>().join("%20");
        let service = "/api/v1/namespaces/monitoring/services/prometheus:9090";
        let answer = self.kubectl(&format!("get --raw {service}/proxy/api/v1/query?query={query}")).await?;
        let answer: Value = serde_json::from_str(&answer)?;
        let series = answer["data"]["result"].as_array().into_iter().flatten();
        series
            .map(|one| {
                let value = one["value"][1].as_str().context("a series without a value")?.parse()?;
                Ok((one["metric"]["app"].as_str().unwrap_or_default().to_owned(), value))
            })
            .collect()
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
        self.place.kubectl(line, stdin).await
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
        self.place.command()
    }
}

impl Drop for Cluster {
    fn drop(&mut self) {
        // The harness ends what an earlier, killed one has left: nothing to tell here.
        let _ = match &self.place {
            Place::Own { name, .. } => {
                std::process::Command::new(scripts::folder().join("down")).arg(name).status()
            }
            Place::Given => {
                let delete = |words: &[&str]| {
                    let mut kubectl = std::process::Command::new("kubectl");
                    kubectl.args(["delete", "--ignore-not-found", "--timeout=120s"]).args(words).status()
                };
                // While their promoter is there, which gives their Deployments back: without it they would stay.
                let _ = delete(&["canaries", "--all", "-n", "blog"]);
                let namespaces: Vec<_> = NAMESPACES.split_whitespace().collect();
                delete(&[&["namespace"], namespaces.as_slice()].concat())
            }
        };
    }
}

// === impl Place ===

impl Place {
    async fn kubectl(&self, line: &str, stdin: &str) -> anyhow::Result<String> {
        output(self.command().args(line.split_whitespace()), stdin, COMMAND_PATIENCE).await
    }

    fn command(&self) -> Command {
        let mut command = match self {
            Self::Given => Command::new("kubectl"),
            Self::Own { folder, .. } => {
                let mut command = Command::new(folder.join("bin/kubectl"));
                command.arg("--kubeconfig").arg(folder.join("kubeconfig"));
                // Nobody's home is looked into, and discovery is cached with the cluster.
                command.arg("--cache-dir").arg(folder.join("discovery"));
                command
            }
        };
        command.current_dir(scripts::repository());
        command
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
