//! `promoter local`: from a file to a running workload.

use super::config::{Config, EvidenceSource};
use super::config_file::ConfigFile;
use super::platform::Local;
use super::processes::{Ownership, Processes, discover};
use super::routers::{self, Attention, Reports};
use super::routes_file::RoutesFile;
use super::state::{Scale, State, StateError, StateFile};
use crate::api::{Api, Command};
use crate::canary::Canary;
use crate::evidence::{Order, Sampler, Source};
use crate::gates::Gates;
use crate::metrics::Metrics;
use crate::notify::Notifier;
use crate::secrets::Secrets;
use crate::yaml::FileError;
use jiff::Timestamp;
use release::{GateReport, Sample, Status};
use std::collections::BTreeSet;
use std::path::PathBuf;
use std::time::Duration;
use tokio::net::TcpListener;
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::{mpsc, watch};
use tokio::time;

/// The longest pause between two looks; most changes wake the loop at once.
const TICK: Duration = Duration::from_millis(250);

/// Runs a workload on this machine and releases its new versions gradually.
#[derive(Clone, Debug, clap::Args)]
pub struct LocalArgs {
    /// The file that says what runs and how it is released.
    #[arg(long, env = "HUIDU_CONFIG", value_name = "FILE")]
    pub config: PathBuf,
    /// Reads the counts from this Prometheus server, whatever the file says.
    #[arg(long, env = "HUIDU_PROMETHEUS", value_name = "URL")]
    pub prometheus: Option<String>,
    /// Ends the workload's processes with the promoter; otherwise they go on, as pods do without their controller.
    #[arg(long, env = "HUIDU_STOP_WORKLOAD_ON_EXIT")]
    pub stop_workload_on_exit: bool,
}

/// Why the promoter does not start.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum StartError {
    /// The configuration is refused.
    #[error(transparent)]
    Config(#[from] FileError),
    /// The state cannot be used.
    #[error(transparent)]
    State(#[from] StateError),
    /// Processes are there, but nothing is remembered of them.
    #[error(
        "{}: there is no such file, but processes of it are running ({pids}); put the file back, or end them with \
         `kill {pids}` to start anew", path.display()
    )]
    StateLost {
        /// The file.
        path: PathBuf,
        /// The processes.
        pids: String,
    },
    /// A port is taken.
    #[error(
        "{field}: cannot listen on {address}: {source}; end the program that does, or write another address"
    )]
    Port {
        /// The field that says it.
        field: &'static str,
        /// The address.
        address: std::net::SocketAddr,
        /// Why.
        source: std::io::Error,
    },
    /// Something that does not happen in practice.
    #[error("{0}")]
    Internal(String),
}

/// What wakes the loop.
struct Wakers {
    reports: watch::Receiver<Reports>,
    samples: mpsc::Receiver<Sample>,
    commands: mpsc::Receiver<Command>,
    gates: watch::Receiver<Vec<GateReport>>,
}

// === impl LocalArgs ===

impl LocalArgs {
    /// Runs until a signal says to end.
    ///
    /// # Errors
    /// Where it cannot start; once started, it goes on whatever happens.
    pub async fn run(self) -> Result<(), StartError> {
        let Self { config: path, prometheus, stop_workload_on_exit } = self;
        let mut file = ConfigFile::new(path, prometheus);
        let config = file.load()?;
        let mut interrupt = signal(SignalKind::interrupt()).map_err(internal)?;
        let mut terminate = signal(SignalKind::terminate()).map_err(internal)?;
        let listener = listen("api", config.api).await?;
        let scraped = match config.metrics {
            Some(address) => Some(listen("metrics", address).await?),
            None => None,
        };
        let (shown, canary) = watch::channel(None);
        let (mut local, mut wakers) = start(config, listener, canary)?;
        if let Some(scraped) = scraped {
            tokio::spawn(local.metrics.clone().serve(local.notifier.told(), scraped));
        }
        tokio::select! {
            () = work(&mut local, &mut file, &mut wakers, &shown) => {}
            _ = interrupt.recv() => {}
            _ = terminate.recv() => {}
        }
        if !stop_workload_on_exit {
            tracing::info!("Ending; the processes of {} go on", local.config.name);
            return Ok(());
        }
        tracing::info!("Ending, and the processes of {} with it", local.config.name);
        tokio::select! {
            () = stop_workload(&mut local) => {}
            _ = interrupt.recv() => {}
            _ = terminate.recv() => {}
        }
        Ok(())
    }
}

async fn listen(field: &'static str, address: std::net::SocketAddr) -> Result<TcpListener, StartError> {
    TcpListener::bind(address).await.map_err(|source| StartError::Port { field, address, source })
}

/// Takes hold of the state and of what runs, and starts the tasks around it.
fn start(
    config: Config,
    listener: TcpListener,
    canary: watch::Receiver<Option<Canary>>,
) -> Result<(Local, Wakers), StartError> {
    let file = StateFile::hold(&config.state_file)?;
    let saved = file.load(&config.name)?;
    let metrics = Metrics::new().map_err(internal)?;
    metrics.lead();
    let routes = RoutesFile::new(&config.routers.routes_file);
    let (generation, listed) = routes.left_behind();
    let mut state = match &saved {
        Some(state) => state.clone(),
        None => fresh_state(&config, &file)?,
    };
    state.generation = state.generation.max(generation);
    let ownership =
        Ownership { name: config.name.clone(), owner: file.owner().to_owned(), logs: config.logs.clone() };
    let processes = Processes::restore(ownership, &config.deployment, &state.replicas, &listed);

    // Listeners come before the tasks that tell them: a task without one ends.
    let (reports, heard) = watch::channel(Reports::new());
    let attention = watch::Sender::new(Attention::Close);
    for admin in config.routers.admins.clone() {
        tokio::spawn(routers::poll(admin, reports.clone(), attention.subscribe()));
    }
    let analysis = &config.canary.analysis;
    let order = Order { since: None, interval: analysis.interval, latency_bound: analysis.latency_bound };
    let orders = watch::Sender::new(order);
    let source = match &config.evidence {
        EvidenceSource::Router => Source::routers(&config.routers.admins, &config.name),
        EvidenceSource::Prometheus(source) => Source::prometheus(source, &config.name),
    };
    let (taken, samples) = mpsc::channel(1);
    tokio::spawn(Sampler { source, orders: orders.subscribe(), samples: taken }.run());
    let (said, commands) = mpsc::channel(16);
    let notifier = Notifier::default();
    let (name, told) = (config.name.clone(), notifier.told());
    tokio::spawn(Api { name, canary, commands: said, metrics: metrics.clone(), told }.serve(listener));
    let secrets = Secrets::Folder(config.secrets.clone());
    let gates = Gates::new(secrets.clone());

    let wakers = Wakers { reports: heard.clone(), samples, commands, gates: gates.changes() };
    let local = Local {
        reports: heard,
        config,
        config_problem: None,
        file,
        state,
        saved,
        processes,
        routes,
        attention,
        orders,
        sample: None,
        metrics,
        gates,
        notifier,
        secrets,
        trouble: None,
        drift: None,
    };
    Ok((local, wakers))
}

/// The first state of a workload that has never run here.
fn fresh_state(config: &Config, file: &StateFile) -> Result<State, StartError> {
    let found = discover(file.owner());
    if !found.is_empty() {
        let pids: Vec<String> = found.iter().map(|found| found.pid.to_string()).collect();
        return Err(StartError::StateLost { path: file.owner().to_owned(), pids: pids.join(" ") });
    }
    let deployment = &config.deployment;
    let workload = Scale { revision: deployment.template.revision(), replicas: deployment.replicas };
    Ok(State::new(&config.name, workload, Status::new(Timestamp::now())))
}

/// The control loop.
async fn work(
    local: &mut Local,
    file: &mut ConfigFile,
    wakers: &mut Wakers,
    shown: &watch::Sender<Option<Canary>>,
) {
    loop {
        if let Some(next) = file.changed() {
            local.configure(next);
        }
        local.round().await;
        let view = local.view();
        local.metrics.show(&view);
        shown.send_replace(Some(view));
        tokio::select! {
            () = local.processes.changed() => {}
            Ok(()) = wakers.reports.changed() => {}
            Ok(()) = wakers.gates.changed() => {}
            Some(sample) = wakers.samples.recv() => local.sample = Some(sample),
            Some(Command { wish, reply }) = wakers.commands.recv() => {
                if let Some(next) = file.changed() {
                    local.configure(next);
                }
                let answer = local.grant(wish).await;
                // Whoever asked may have gone.
                let _ = reply.send(answer);
            }
            () = time::sleep(TICK) => {}
        }
    }
}

/// Ends all processes and waits for them.
async fn stop_workload(local: &mut Local) {
    local.processes.end_all();
    // All of it goes, so there is nobody to whom the routers could send instead: none is waited for.
    local.processes.note_listed(local.state.generation, &BTreeSet::new());
    while !local.processes.is_empty() {
        local.processes.act(&local.state.templates, |_, _| true);
        tokio::select! {
            () = local.processes.changed() => {}
            () = time::sleep(TICK) => {}
        }
    }
    if let Err(error) = local.save() {
        tracing::warn!("{error}");
    }
}

fn internal(error: impl std::fmt::Display) -> StartError {
    StartError::Internal(error.to_string())
}
