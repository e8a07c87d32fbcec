//! Puts the parts together: workers on their threads, the control plane on this one.

use crate::{
    access_log::AccessLog,
    args::Args,
    config::ConfigError,
    control::{self, Access, Control, FileSource, KubernetesError, KubernetesSource, Source, TokenError},
    lifecycle::{self, Phase},
    listen::{self, ListenError, Listeners},
    metrics::Metrics,
    routes::Table,
    tls::{Tls, TlsError},
    worker::{self, Shared},
};
use arc_swap::ArcSwap;
use std::{net::SocketAddr, sync::Arc, thread, time::Duration};
use tokio::{net::TcpListener, sync::watch, task::JoinHandle};

/// A router whose ports are bound and whose workers run.
#[derive(Debug)]
pub struct Router {
    /// Where clients connect; the port is decided even if 0 was asked for.
    pub address: SocketAddr,
    /// Where clients connect by TLS.
    pub tls_address: Option<SocketAddr>,
    /// Where the admin port is.
    pub admin_address: SocketAddr,
    /// The control plane, for callers in the same process.
    pub control: Arc<Control>,
    phase: watch::Sender<Phase>,
    workers: Vec<thread::JoinHandle<()>>,
    background: Vec<JoinHandle<()>>,
    args: Args,
}

/// Why a router did not start.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// The routes file is there and can't be used.
    #[error(transparent)]
    Config(#[from] ConfigError),
    /// Certificate or key can't be used.
    #[error(transparent)]
    Tls(#[from] TlsError),
    /// No cluster can be watched.
    #[error(transparent)]
    Kubernetes(#[from] KubernetesError),
    /// The admin token can't be used.
    #[error(transparent)]
    Token(#[from] TokenError),
    /// A port can't be had.
    #[error(transparent)]
    Listen(#[from] ListenError),
    /// A thread, runtime or socket can't be had.
    #[error("the system refused a thread or a socket: {0}")]
    System(#[from] std::io::Error),
    /// Two metrics have the same name.
    #[error("metrics: {0}")]
    Metrics(#[from] prometheus::Error),
}

/// A resolver asked more often than this would only be busy.
const DNS_INTERVAL_MIN: Duration = Duration::from_millis(100);

// === impl StartError ===

impl StartError {
    /// Whether a person wrote something that can't be used, and not the system that refused.
    #[must_use]
    pub const fn is_usage(&self) -> bool {
        match self {
            Self::Config(_) | Self::Tls(_) | Self::Kubernetes(_) | Self::Token(_) => true,
            Self::Listen(_) | Self::System(_) | Self::Metrics(_) => false,
        }
    }
}

// === impl Router ===

impl Router {
    /// Reads the routes, binds the ports and starts the workers.
    ///
    /// # Errors
    /// A routes file that can't be used, or a port that is taken.
    pub async fn start(args: Args) -> Result<Self, StartError> {
        let metrics = Arc::new(Metrics::new()?);
        let table = Arc::new(ArcSwap::from_pointee(Table::default()));
        let access_log = AccessLog::start(args.access_log(), metrics.access_log_lost.clone())?;
        let access_log = Arc::new(access_log);
        let control = Control::new(Arc::clone(&table), Arc::clone(&metrics), Arc::clone(&access_log));
        let control = Arc::new(control);
        let file = Self::first_routes(&args, &control).await?;
        let cluster = Self::cluster(&args, &control).await?;

        let access =
            Access::new(args.admin_token_file.as_deref(), args.admin_token.as_deref(), args.admin_listen)?;
        let (tls_listen, tls_files) = args.tls().unzip();
        let tls = tls_files.map(Tls::new).transpose()?;
        let listeners = listen::workers(args.listen, tls_listen, (args.sharing(), args.worker_count()))?;
        let admin = listen::admin(args.admin_listen)?;
        let (address, tls_address) = addresses(&listeners)?.unwrap_or((args.listen, tls_listen));
        let admin_address = admin.local_addr()?;

        let (phase, phase_seen) = watch::channel(Phase::Serving);
        let tls_server = tls.as_ref().map(Tls::server).transpose()?;
        let (phase_of_workers, settings) = (phase_seen.clone(), args.settings());
        let shared =
            Shared { table, metrics, access_log, tls: tls_server, phase: phase_of_workers, settings };
        let start = |(index, listeners)| worker::start(index, listeners, shared.clone());
        let workers = listeners.into_iter().enumerate().map(start).collect::<Result<_, _>>()?;

        let mut background = Vec::new();
        background.extend(file.map(|source| tokio::spawn(control::follow(source, Arc::clone(&control)))));
        background.extend(cluster.map(|source| tokio::spawn(control::follow(source, Arc::clone(&control)))));
        background.extend(tls.map(|tls| tokio::spawn(control::follow_tls(tls, Arc::clone(&control)))));
        let interval = args.dns_interval.get().max(DNS_INTERVAL_MIN);
        background.push(tokio::spawn(control::refresh_names(Arc::clone(&control), interval)));
        background.push(tokio::spawn(control::check_health(Arc::clone(&control))));
        let serve =
            control::serve_admin(TcpListener::from_std(admin)?, Arc::clone(&control), phase_seen, access);
        background.push(tokio::spawn(async move {
            if let Err(error) = serve.await {
                tracing::error!(%error, "The admin port ended: {error}");
            }
        }));
        tracing::info!(%address, %admin_address, "Serving on {address}, admin on {admin_address}");
        Ok(Self { address, tls_address, admin_address, control, phase, workers, background, args })
    }

    /// A file that is there must be good: a person who starts a router learns of a mistake at once.
    async fn first_routes(args: &Args, control: &Control) -> Result<Option<FileSource>, StartError> {
        let Some(path) = &args.routes else { return Ok(None) };
        let mut source = FileSource::new(path.clone());
        control.fed_by(source.view());
        if let Some(spec) = source.read()? {
            control.apply(&path.display().to_string(), spec).await;
        }
        Ok(Some(source))
    }

    async fn cluster(args: &Args, control: &Control) -> Result<Option<KubernetesSource>, StartError> {
        if !args.kubernetes {
            return Ok(None);
        }
        let source =
            KubernetesSource::new(&args.kubernetes_namespace, args.kubernetes_parent.clone()).await?;
        control.fed_by(source.view());
        Ok(Some(source))
    }

    /// Drains, and returns when all connections have ended or the deadline has passed.
    pub async fn drain(self) {
        let Self { phase, workers, background, args, control, .. } = self;
        let all_done =
            tokio::task::spawn_blocking(move || workers.into_iter().all(|worker| worker.join().is_ok()));
        tokio::select! {
            () = lifecycle::drain(&phase, args.drain_times()) => {
                tracing::warn!("The drain deadline passed; cutting what is left");
            }
            _ = all_done => tracing::info!("Drained"),
        }
        background.iter().for_each(JoinHandle::abort);
        // The last requests have their lines too.
        let finished = tokio::task::spawn_blocking(move || control.access_log.finish()).await;
        if let Err(error) = finished {
            tracing::error!(%error, "The access log was not finished: {error}");
        }
    }
}

/// The plain address and that of TLS, decided even if port 0 was asked for.
fn addresses(listeners: &[Listeners]) -> std::io::Result<Option<(SocketAddr, Option<SocketAddr>)>> {
    let Some(Listeners { plain, tls }) = listeners.first() else { return Ok(None) };
    let tls = tls.as_ref().map(std::net::TcpListener::local_addr).transpose()?;
    Ok(Some((plain.local_addr()?, tls)))
}
