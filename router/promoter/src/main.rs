//! The control plane of gradual releases.

use clap::{Parser, Subcommand};
use promoter::kubernetes::{KubernetesArgs, crd_yaml};
use promoter::local::{LocalArgs, StartError};
use promoter::replay::{ReplayArgs, ReplayError};
use promoter::simulate::SimulateArgs;
use promoter::yaml::FileError;
use std::io::{IsTerminal as _, Write as _};
use std::process::ExitCode;
use tracing_subscriber::EnvFilter;

/// Releases new versions gradually: raises their share while they are at least as good, and takes it back when not.
#[derive(Debug, Parser)]
#[command(name = "promoter", version)]
struct Args {
    /// What is logged: a level, or levels by module as in `info,promoter::evidence=debug`.
    #[arg(long, env = "HUIDU_LOG", default_value = "info", global = true)]
    log: EnvFilter,
    /// Logs JSON instead of lines.
    #[arg(long, env = "HUIDU_LOG_JSON", global = true)]
    log_json: bool,
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    Local(LocalArgs),
    Kubernetes(KubernetesArgs),
    Replay(ReplayArgs),
    Simulate(SimulateArgs),
    /// Prints the definition of the custom resource `Canary`, to be applied with kubectl.
    Crd,
}

/// EX_USAGE of sysexits(3).
const USAGE: u8 = 64;

fn main() -> ExitCode {
    let Args { log, log_json, command } = match Args::try_parse() {
        Ok(args) => args,
        Err(error) => {
            // Where standard error is closed there is nobody to tell.
            let _ = error.print();
            return if error.use_stderr() { ExitCode::from(USAGE) } else { ExitCode::SUCCESS };
        }
    };
    observe(log, log_json);
    match run(command) {
        Ok(code) => ExitCode::from(code),
        Err(error) => {
            // The errors of this crate say the whole cause themselves.
            tracing::error!("{error}");
            let usage = matches!(error.downcast_ref(), Some(StartError::Config(_)))
                || error.is::<ReplayError>()
                || error.is::<FileError>();
            ExitCode::from(if usage { USAGE } else { 1 })
        }
    }
}

/// The exit status.
fn run(command: Command) -> anyhow::Result<u8> {
    let runtime = tokio::runtime::Runtime::new()
        .map_err(|error| anyhow::anyhow!("cannot start the runtime: {error}"))?;
    match command {
        Command::Local(args) => runtime.block_on(args.run())?,
        Command::Kubernetes(args) => runtime.block_on(args.run())?,
        Command::Replay(args) => {
            let (report, ending) = runtime.block_on(args.run())?;
            std::io::stdout().write_all(report.as_bytes())?;
            return Ok(ending.exit_code());
        }
        Command::Simulate(args) => std::io::stdout().write_all(args.run()?.as_bytes())?,
        Command::Crd => {
            let yaml = crd_yaml().map_err(anyhow::Error::msg)?;
            std::io::stdout().write_all(yaml.as_bytes())?;
        }
    }
    Ok(0)
}

fn observe(filter: EnvFilter, json: bool) {
    let log = tracing_subscriber::fmt().with_env_filter(filter).with_writer(std::io::stderr);
    if json {
        log.json().init();
    } else {
        log.with_ansi(std::io::stderr().is_terminal()).with_target(false).init();
    }
}
