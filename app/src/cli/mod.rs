//! The subcommands.

mod check;
mod seed;
mod serve;
mod transfer;
mod user;

use std::io::IsTerminal as _;
use std::process::ExitCode;

use anyhow::Context as _;
use tracing_subscriber::EnvFilter;

use crate::args::{Args, Command};
use crate::store::{DatabaseUrl, Store};

/// Runs what the command line asks for; a failure is one line on standard error and status 1.
pub async fn run(args: Args) -> ExitCode {
    let Args { database_url, pictures, log_json, command } = args;
    observe(log_json);
    let outcome = match command {
        Command::Serve(args) => serve::run(&database_url, &pictures, *args).await,
        Command::Migrate => migrate(&database_url).await,
        Command::Seed(args) => seed::run(&database_url, args).await,
        Command::Import(args) => transfer::import(&database_url, &pictures, args).await,
        Command::Export(args) => transfer::export(&database_url, &pictures, args).await,
        Command::Check => check::run(&database_url, &pictures).await,
        Command::User(command) => user::run(&database_url, command).await,
    };
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            tracing::error!("{}", told(&error));
            ExitCode::FAILURE
        }
    }
}

/// The error and its causes; many say their cause themselves, and none is told twice.
fn told(error: &anyhow::Error) -> String {
    error.chain().map(ToString::to_string).fold(String::new(), |told, cause| {
        if told.contains(&cause) {
            told
        } else if told.is_empty() {
            cause
        } else {
            format!("{told}: {cause}")
        }
    })
}

async fn migrate(url: &DatabaseUrl) -> anyhow::Result<()> {
    let store = Store::create(url).await.context("can't open the database")?;
    let applied = store.migrate().await?;
    let state = store.check_schema().await?;
    store.close().await;
    if applied.is_empty() {
        tracing::info!(schema = state.applied, "the schema is up to date");
    } else {
        tracing::info!(schema = state.applied, ?applied, "migrations {applied:?} are applied");
    }
    Ok(())
}

#[expect(clippy::print_stdout, reason = "it is what the command was asked for")]
fn print_line(line: &str) {
    println!("{line}");
}

/// The log goes to standard error; `RUST_LOG` chooses what is in it.
fn observe(json: bool) {
    let filter = EnvFilter::try_from_default_env()
        .unwrap_or_else(|_| EnvFilter::new("info,sqlx=warn,html5ever=error"));
    let builder = tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(std::io::stderr)
        .with_ansi(std::io::stderr().is_terminal());
    if json { builder.json().init() } else { builder.with_target(false).init() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cause_that_was_told_is_not_told_again() {
        let refused = std::io::Error::other("connection refused");
        let said =
            anyhow::anyhow!(refused).context("no database: connection refused").context("can't migrate");
        assert_eq!(told(&said), "can't migrate: no database: connection refused");
    }
}
