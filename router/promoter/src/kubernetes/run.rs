//! `promoter kubernetes`: from flags to a running controller.

use super::leader::{Elector, identity};
use super::outward::Outward;
use super::{controller, crd};
use crate::metrics::Metrics;
use crate::notify::Notifier;
use kube::Client;
use std::net::SocketAddr;
use tokio::net::TcpListener;
use tokio::signal::unix::{SignalKind, signal};

/// Releases the Deployments of a cluster gradually, as objects of the kind `Canary` ask.
#[derive(Clone, Debug, clap::Args)]
pub struct KubernetesArgs {
    /// Follows the Canaries of this namespace only; by default of all.
    #[arg(long, env = "HUIDU_NAMESPACE", value_name = "NAME")]
    pub namespace: Option<String>,
    /// The namespace of the Lease that says which promoter leads; by default the promoter's own.
    #[arg(long, env = "HUIDU_LEASE_NAMESPACE", value_name = "NAME")]
    pub lease_namespace: Option<String>,
    /// The name of the Lease.
    #[arg(long, env = "HUIDU_LEASE", value_name = "NAME", default_value = "huidu-promoter")]
    pub lease: String,
    /// The name of this pod, as it is shown in the Lease and in events.
    #[arg(long, env = "HUIDU_POD", value_name = "NAME", default_value = "promoter")]
    pub pod: String,
    /// A Prometheus server for Canaries that write `analysis: {prometheus: {}}` without an address.
    #[arg(long, env = "HUIDU_PROMETHEUS", value_name = "URL")]
    pub prometheus: Option<String>,
    /// Where `/livez` and `/readyz` answer.
    #[arg(long, env = "HUIDU_LISTEN", value_name = "ADDRESS", default_value = "0.0.0.0:8090")]
    pub listen: SocketAddr,
    /// Where `/metrics` answers.
    #[arg(long, env = "HUIDU_METRICS_LISTEN", value_name = "ADDRESS", default_value = "0.0.0.0:9090")]
    pub metrics_listen: SocketAddr,
}

/// Why the promoter ended.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum KubernetesError {
    /// There is no cluster to talk to.
    #[error("no cluster: {0}; run it in a pod with a service account, or set KUBECONFIG")]
    Cluster(String),
    /// The port is taken.
    #[error("{flag}: cannot listen on {address}: {source}")]
    Port {
        /// The flag that says it.
        flag: &'static str,
        /// The address.
        address: SocketAddr,
        /// Why.
        source: std::io::Error,
    },
    /// Another promoter leads, or nobody knows.
    #[error("this promoter does not lead any more; it ends, so that there are never two")]
    NotLeading,
    /// Something that does not happen in practice.
    #[error("{0}")]
    Internal(String),
}

// === impl KubernetesArgs ===

impl KubernetesArgs {
    /// Runs until a signal says to end, or until another promoter leads.
    ///
    /// # Errors
    /// Where it cannot start, or must not go on.
    pub async fn run(self) -> Result<(), KubernetesError> {
        let Self { namespace, lease_namespace, lease, pod, prometheus, listen, metrics_listen } = self;
        let mut interrupt = signal(SignalKind::interrupt()).map_err(internal)?;
        let mut terminate = signal(SignalKind::terminate()).map_err(internal)?;
        tokio::spawn(probes(bind("--listen", listen).await?));
        let (metrics, notifier) = (Metrics::new().map_err(internal)?, Notifier::default());
        let scraped = bind("--metrics-listen", metrics_listen).await?;
        tokio::spawn(metrics.clone().serve(notifier.told(), scraped));
        let client =
            Client::try_default().await.map_err(|error| KubernetesError::Cluster(error.to_string()))?;
        let lease_namespace = lease_namespace.unwrap_or_else(|| client.default_namespace().to_owned());
        let identity = identity(&pod);
        let mut elector = Elector::new(client.clone(), &lease_namespace, &lease, &identity);
        let ended = tokio::select! {
            () = elector.acquire() => false,
            _ = interrupt.recv() => true,
            _ = terminate.recv() => true,
        };
        if ended {
            return Ok(());
        }
        tracing::info!(%identity, "Leading: {} releases {}", identity, crd::CANARIES);
        metrics.lead();
        let outward = Outward::new(client.clone(), metrics, notifier);
        tokio::select! {
            () = controller::run(client, (namespace.as_deref(), &pod), prometheus, outward) => {
                return Err(KubernetesError::Internal("the watches have ended".to_owned()));
            }
            () = elector.lead() => return Err(KubernetesError::NotLeading),
            _ = interrupt.recv() => {}
            _ = terminate.recv() => {}
        }
        if let Err(error) = elector.release().await {
            tracing::warn!("The Lease stays until it runs out: {error}");
        }
        Ok(())
    }
}

fn internal(error: impl std::fmt::Display) -> KubernetesError {
    KubernetesError::Internal(error.to_string())
}

async fn bind(flag: &'static str, address: SocketAddr) -> Result<TcpListener, KubernetesError> {
    TcpListener::bind(address).await.map_err(|source| KubernetesError::Port { flag, address, source })
}

/// A standby is as ready as the leader: it answers nobody but waits.
async fn probes(listener: TcpListener) -> std::io::Result<()> {
    let ok = || axum::routing::get(async || "ok\n");
    let router = axum::Router::new().route("/livez", ok()).route("/readyz", ok());
    axum::serve(listener, router).await
}
