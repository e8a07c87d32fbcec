//! Flags, each with an environment variable; checked before any port is bound.

use crate::{config::Duration, lifecycle::DrainTimes, listen::Sharing};
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

    /// Where readiness, metrics and routes are asked for and weights are changed. Keep it on loopback or behind a
    /// network policy: whoever reaches it decides where requests go.
    #[arg(long, env = "ROUTER_ADMIN_LISTEN", default_value = "127.0.0.1:8081")]
    pub admin_listen: SocketAddr,

    /// The routes file, read again whenever it changes. It may appear later; until then the router is not ready.
    #[arg(long, env = "ROUTER_ROUTES", value_name = "FILE")]
    pub routes: Option<PathBuf>,

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

    /// What to log, like `info` or `proxy=debug`.
    #[arg(long, env = "ROUTER_LOG", value_name = "FILTER", default_value = "info")]
    pub log: String,

    /// How to log.
    #[arg(long, env = "ROUTER_LOG_FORMAT", value_name = "FORMAT", default_value = "text")]
    pub log_format: LogFormat,
}

/// How log lines look.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub enum LogFormat {
    /// For people.
    Text,
    /// For machines: one JSON object a line.
    Json,
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

    /// The stages of a drain.
    #[must_use]
    pub const fn drain_times(&self) -> DrainTimes {
        DrainTimes { delay: self.drain_delay.get(), timeout: self.drain_timeout.get() }
    }
}
