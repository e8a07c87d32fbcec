//! The command line of release managers; the same verbs wherever the workload runs.

mod args;
mod client;
mod explain;
mod follow;
mod history;
mod status;
mod style;

pub use args::{Args, Goal, Output};

use crate::canary::{Canary, CanaryList};
use args::{StatusArgs, VerbArgs};
use clap::CommandFactory as _;
use clap::Parser as _;
use client::Client;
use jiff::Timestamp;
use release::Verb;
use serde::Serialize;
use std::io::{self, Write as _};
use std::process::ExitCode;
use style::Style;

/// Why a command did not do what was asked.
#[derive(Debug, thiserror::Error)]
enum Failure {
    /// Something else came of it than what was waited for, or the verb makes no sense now.
    #[error("{0}")]
    Otherwise(String),
    /// It did not come in time.
    #[error("{0}")]
    Timeout(String),
    /// The promoter cannot be reached.
    #[error("{0}")]
    Unavailable(String),
    /// The answer could not be printed.
    #[error("cannot print: {0}")]
    Print(#[from] io::Error),
}

/// Runs `kubectl-canary`.
pub fn main() -> ExitCode {
    let args = match Args::try_parse() {
        Ok(args) => args,
        Err(error) => {
            // Where standard error is closed there is nobody to tell.
            let _ = error.print();
            return ExitCode::from(if error.use_stderr() { 64 } else { 0 });
        }
    };
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let done = match runtime {
        Ok(runtime) => runtime.block_on(run(args)),
        Err(error) => Err(Failure::Print(error)),
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        // `kubectl canary status | head` is no error.
        Err(Failure::Print(error)) if error.kind() == io::ErrorKind::BrokenPipe => ExitCode::SUCCESS,
        Err(failure) => {
            let _ = writeln!(io::stderr(), "error: {failure}");
            ExitCode::from(failure.exit_code())
        }
    }
}

async fn run(args: Args) -> Result<(), Failure> {
    let Args { server, output, verb } = args;
    let client = Client::new(&server);
    let (name, verb, done) = match verb {
        VerbArgs::Status(args) => return status(&client, output, args).await,
        VerbArgs::History(args) => {
            let canary = client.find(args.name.as_deref()).await?;
            return print(output, &canary.status.release.history, || history::table(&canary));
        }
        VerbArgs::Explain(args) => {
            let canary = client.find(args.name.as_deref()).await?;
            return print(output, &canary, || explain::text(&canary));
        }
        VerbArgs::Completion { shell } => {
            clap_complete::generate(shell, &mut Args::command(), "kubectl-canary", &mut io::stdout());
            return Ok(());
        }
        VerbArgs::Promote { canary, full: true } => {
            (canary.name, Verb::Promote { full: true }, "promoted in full")
        }
        VerbArgs::Promote { canary, full: false } => (canary.name, Verb::Promote { full: false }, "promoted"),
        VerbArgs::Abort(canary) => (canary.name, Verb::Abort, "aborted"),
        VerbArgs::Pause(canary) => (canary.name, Verb::Pause, "paused"),
        VerbArgs::Resume(canary) => (canary.name, Verb::Resume, "resumed"),
        VerbArgs::Retry(canary) => (canary.name, Verb::Retry, "retried"),
        VerbArgs::Undo(canary) => (canary.name, Verb::Undo, "undone"),
        VerbArgs::SetWeight { weight, canary } => (canary.name, Verb::SetWeight { weight }, "weight set"),
    };
    let name = client.find(name.as_deref()).await?.metadata.name;
    let canary = client.say(&name, verb).await?;
    print(output, &canary, || {
        let style = Style::of_stdout();
        format!("canary.huidu.dev/{name} {done}\n\n{}", status::details(&canary, Timestamp::now(), style))
    })
}

async fn status(client: &Client, output: Output, args: StatusArgs) -> Result<(), Failure> {
    let StatusArgs { canary, watch, wait, timeout } = args;
    if watch || wait.is_some() {
        return follow::follow(client, canary.name, follow::Settings { output, watch, wait, timeout }).await;
    }
    let style = Style::of_stdout();
    if canary.name.is_none() {
        let list = client.list().await?;
        return match list.items.as_slice() {
            [canary] => print(output, canary, || status::details(canary, Timestamp::now(), style)),
            items => print(output, &list, || status::list(items)),
        };
    }
    let canary = client.find(canary.name.as_deref()).await?;
    print(output, &canary, || status::details(&canary, Timestamp::now(), style))
}

/// Prints an object as asked.
fn print<T: Serialize>(output: Output, object: &T, table: impl FnOnce() -> String) -> Result<(), Failure> {
    let text = match output {
        Output::Table => table(),
        Output::Json => serde_json::to_string_pretty(object).map_err(io::Error::from)? + "\n",
        Output::Yaml => serde_saphyr::to_string(object).map_err(io::Error::other)?,
    };
    io::stdout().write_all(text.as_bytes())?;
    Ok(io::stdout().flush()?)
}

// === impl Failure ===

impl Failure {
    /// As documented in the help text.
    fn exit_code(&self) -> u8 {
        match self {
            Self::Otherwise(_) => 1,
            Self::Timeout(_) => 2,
            Self::Unavailable(_) => 69,
            Self::Print(_) => 74,
        }
    }
}

/// The one of a list that is meant.
fn choose(list: CanaryList, name: Option<&str>) -> Result<Canary, Failure> {
    let names = list.items.iter().map(|canary| canary.metadata.name.clone()).collect::<Vec<_>>().join(", ");
    let mut items = list.items.into_iter();
    match name {
        Some(name) => items
            .find(|canary| canary.metadata.name == name)
            .ok_or_else(|| Failure::Otherwise(format!("there is no canary `{name}`; known: {names}"))),
        None => match (items.next(), items.next()) {
            (Some(canary), None) => Ok(canary),
            (None, _) => Err(Failure::Otherwise("there is no canary yet; try again in a moment".to_owned())),
            (Some(_), Some(_)) => Err(Failure::Otherwise(format!("there are several, name one: {names}"))),
        },
    }
}
