//! Flags, each with an environment variable; checked before any port is bound.

use crate::{
    config::{AccessLogSpec, Duration, Share},
    control::Parent,
    lifecycle::DrainTimes,
    listen::Sharing,
    log::LogFormat,
    tls::TlsFiles,
    worker::{Patience, Settings},
};
use clap::Parser;
use std::{net::SocketAddr, num::NonZeroUsize, path::PathBuf, thread};

/// Weighted HTTP proxy before the stable and the canary version of a service.
///
/// Exact shares, failed canary requests answered by stable, hot routes. SIGTERM drains.
#[derive(Clone, Debug, Parser)]
#[command(name = "router", version)]
pub struct Args {
    /// Where clients connect.
    #[arg(long, env = "ROUTER_LISTEN", default_value = "127.0.0.1:8080")]
    pub listen: SocketAddr,

    /// Where clients connect by TLS, besides.
    #[arg(long, env = "ROUTER_TLS_LISTEN", requires = "tls_certificate")]
    pub tls_listen: Option<SocketAddr>,

    /// The certificate for TLS and its chain, in PEM, read again whenever it changes.
    #[arg(long, env = "ROUTER_TLS_CERTIFICATE", value_name = "FILE", requires = "tls_key")]
    pub tls_certificate: Option<PathBuf>,

    /// The private key of the certificate, in PEM, read again whenever it changes.
    #[arg(long, env = "ROUTER_TLS_KEY", value_name = "FILE", requires = "tls_listen")]
    pub tls_key: Option<PathBuf>,

    /// Where readiness, metrics and routes are asked for and weights are changed. Elsewhere than on loopback nothing can
    /// be changed without a token.
    #[arg(long, env = "ROUTER_ADMIN_LISTEN", default_value = "127.0.0.1:8081")]
    pub admin_listen: SocketAddr,

    /// A file with the token that the admin port asks for (`Authorization: Bearer TOKEN`), probes and metrics aside.
    #[arg(long, env = "ROUTER_ADMIN_TOKEN_FILE", value_name = "FILE")]
    pub admin_token_file: Option<PathBuf>,

    /// The token itself; prefer the file, because others may see the flags of a process.
    #[arg(long, env = "ROUTER_ADMIN_TOKEN", value_name = "TOKEN", hide_env_values = true)]
    pub admin_token: Option<String>,

    /// The routes file, read again whenever it changes. It may appear later; until then the router is not ready.
    #[arg(long, env = "ROUTER_ROUTES", value_name = "FILE")]
    pub routes: Option<PathBuf>,

    /// Read the routes from HTTPRoutes of a cluster (`kubectl explain httproute`), found by the pod's service account or
    /// KUBECONFIG. It may be away; until all lists were read once the router is not ready.
    #[arg(long, env = "ROUTER_KUBERNETES", conflicts_with = "routes")]
    pub kubernetes: bool,

    /// The namespaces whose HTTPRoutes count; default: the pod's own.
    #[arg(long, env = "ROUTER_KUBERNETES_NAMESPACE", value_name = "NAMESPACE", value_delimiter = ',')]
    pub kubernetes_namespace: Vec<String>,

    /// What an HTTPRoute must name in `parentRefs` to count: Service/NAME, Gateway/NAME, or with a namespace before the
    /// name.
    #[arg(
        long,
        env = "ROUTER_KUBERNETES_PARENT",
        value_name = "KIND/NAME",
        value_delimiter = ',',
        default_value = "Service/router"
    )]
    pub kubernetes_parent: Vec<Parent>,

    /// How often names of endpoints are resolved again. A name that can't be resolved keeps its last addresses.
    #[arg(long, env = "ROUTER_DNS_INTERVAL", value_name = "DURATION", default_value = "5s")]
    pub dns_interval: Duration,

    /// Threads that carry requests; default: one for each CPU.
    #[arg(long, env = "ROUTER_WORKERS", value_name = "N")]
    pub workers: Option<NonZeroUsize>,

    /// Share the listening port with other routers of the same user (SO_REUSEPORT): the kernel spreads connections
    /// over all of them, so that one can be replaced while the other serves. Each needs its own admin port.
    #[arg(long, env = "ROUTER_REUSE_PORT")]
    pub reuse_port: bool,

    /// After SIGTERM: how long to serve on while not ready, until load balancers have noticed.
    #[arg(long, env = "ROUTER_DRAIN_DELAY", value_name = "DURATION", default_value = "5s")]
    pub drain_delay: Duration,

    /// After the drain delay: how long requests in flight may take.
    #[arg(long, env = "ROUTER_DRAIN_TIMEOUT", value_name = "DURATION", default_value = "25s")]
    pub drain_timeout: Duration,

    /// How many proxies in front of this one are trusted to say who the client is (`X-Forwarded-*`, `Forwarded`).
    /// With 0 these headers are replaced, because anybody could send them.
    #[arg(long, env = "ROUTER_TRUSTED_HOPS", value_name = "N", default_value = "0")]
    pub trusted_hops: usize,

    /// Begin a trace (`traceparent`, W3C Trace Context) for requests that have none, and record this share of them, like
    /// 1%. Without it a client's trace is passed on and none begins.
    #[arg(long, env = "ROUTER_TRACE_SAMPLE", value_name = "PERCENT")]
    pub trace_sample: Option<Share>,

    /// Connections of clients at a time; more wait in the backlog of the kernel.
    #[arg(long, env = "ROUTER_MAX_CONNECTIONS", value_name = "N", default_value = "20000")]
    pub max_connections: NonZeroUsize,

    /// How long a client's connection may be idle between requests.
    #[arg(long, env = "ROUTER_CLIENT_IDLE_TIMEOUT", value_name = "DURATION", default_value = "75s")]
    pub client_idle_timeout: Duration,

    /// How long a client may take for the head of a request, from its first byte to its last.
    #[arg(long, env = "ROUTER_CLIENT_HEAD_TIMEOUT", value_name = "DURATION", default_value = "10s")]
    pub client_head_timeout: Duration,

    /// How long a client may take for the next kibibyte of a body, or to take as much of an answer.
    #[arg(long, env = "ROUTER_CLIENT_STALL_TIMEOUT", value_name = "DURATION", default_value = "30s")]
    pub client_stall_timeout: Duration,

    /// The share of the requests that have a line of JSON on standard output, like 1%.
    #[arg(long, env = "ROUTER_ACCESS_LOG", value_name = "PERCENT", default_value = "0%")]
    pub access_log: Share,

    /// Every request that failed has such a line, whatever the share is.
    #[arg(long, env = "ROUTER_ACCESS_LOG_FAILURES")]
    pub access_log_failures: bool,

    /// The lines tell the query with the path. It may hold secrets.
    #[arg(long, env = "ROUTER_ACCESS_LOG_QUERY")]
    pub access_log_query: bool,

    /// What to log, like `info` or `proxy=debug`.
    #[arg(long, env = "ROUTER_LOG", value_name = "FILTER", default_value = "info")]
    pub log: String,

    /// How to log.
    #[arg(long, env = "ROUTER_LOG_FORMAT", value_name = "FORMAT", default_value = "text")]
    pub log_format: LogFormat,
}

// === impl Args ===

impl Args {
    /// The number of workers, decided.
    #[must_use]
    pub fn worker_count(&self) -> usize {
        self.workers.or_else(|| thread::available_parallelism().ok()).map_or(1, NonZeroUsize::get)
    }

    /// Who else may listen on the port.
    #[must_use]
    pub const fn sharing(&self) -> Sharing {
        if self.reuse_port { Sharing::ReusePort } else { Sharing::Exclusive }
    }

    /// Where TLS is spoken, and with what.
    #[must_use]
    pub fn tls(&self) -> Option<(SocketAddr, TlsFiles)> {
        let (certificate, key) = (self.tls_certificate.clone()?, self.tls_key.clone()?);
        Some((self.tls_listen?, TlsFiles { certificate, key }))
    }

    /// What workers need to know.
    #[must_use]
    pub fn settings(&self) -> Settings {
        let patience = Patience {
            idle: self.client_idle_timeout.get(),
            head: self.client_head_timeout.get(),
            stall: self.client_stall_timeout.get(),
        };
        let connections_max = self.max_connections.get().div_ceil(self.worker_count());
        let (trusted_hops, trace_sample) = (self.trusted_hops, self.trace_sample);
        Settings { patience, trusted_hops, trace_sample, connections_max }
    }

    /// Which requests are logged where the routes say nothing about it.
    #[must_use]
    pub const fn access_log(&self) -> AccessLogSpec {
        AccessLogSpec {
            sample: self.access_log,
            failures: self.access_log_failures,
            query: self.access_log_query,
        }
    }

    /// The stages of a drain.
    #[must_use]
    pub const fn drain_times(&self) -> DrainTimes {
        DrainTimes { delay: self.drain_delay.get(), timeout: self.drain_timeout.get() }
    }
}
