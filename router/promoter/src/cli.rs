//! The command line of release managers; the same verbs wherever the workload runs.

mod args;
mod client;
mod explain;
mod follow;
mod history;
mod status;
mod style;

pub use args::{Args, Goal, Output, Target};

use crate::canary::{API_VERSION, KIND};
use args::{StatusArgs, VerbArgs};
use clap::CommandFactory as _;
use clap::Parser as _;
use client::{Client, Found};
use jiff::Timestamp;
use release::Verb;
use serde::Serialize;
use serde_json::{Value, json};
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
    /// The promoter or the API server cannot be reached.
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
    let Args { target, output, verb } = args;
    let (name, verb, done) = match verb {
        VerbArgs::Completion { shell } => {
            clap_complete::generate(shell, &mut Args::command(), "kubectl-canary", &mut io::stdout());
            return Ok(());
        }
        VerbArgs::Status(args) => return status(&Client::new(&target).await?, output, args).await,
        VerbArgs::History(args) => {
            let Found { canary, .. } = Client::new(&target).await?.find(args.name.as_deref()).await?;
            return print(output, &canary.status.release.history, || history::table(&canary));
        }
        VerbArgs::Explain(args) => {
            let found = Client::new(&target).await?.find(args.name.as_deref()).await?;
            return print(output, &found.object, || {
                explain::text(&found.canary) + &explain::counting(&found.object)
            });
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
        VerbArgs::Restart(canary) => {
            let client = Client::new(&target).await?;
            let before = client.find(canary.name.as_deref()).await?;
            let found = client.restart(&before).await?;
            return answer(output, &found, "restarted");
        }
        VerbArgs::SetWeight { weight, canary } => (canary.name, Verb::SetWeight { weight }, "weight set"),
    };
    let client = Client::new(&target).await?;
    let before = client.find(name.as_deref()).await?.canary.metadata;
    answer(output, &client.say(&before, verb).await?, done)
}

/// The state after a verb.
fn answer(output: Output, found: &Found, done: &str) -> Result<(), Failure> {
    print(output, &found.object, || {
        let shown = status::details(&found.canary, Timestamp::now(), Style::of_stdout());
        format!("canary.huidu.dev/{} {done}\n\n{shown}", found.canary.metadata.name)
    })
}

async fn status(client: &Client, output: Output, args: StatusArgs) -> Result<(), Failure> {
    let StatusArgs { canary, watch, wait, timeout } = args;
    if watch || wait.is_some() {
        return follow::follow(client, canary.name, follow::Settings { output, watch, wait, timeout }).await;
    }
    let style = Style::of_stdout();
    if canary.name.is_none() {
        let items = client.list().await?;
        return match items.as_slice() {
            [found] => {
                print(output, &found.object, || status::details(&found.canary, Timestamp::now(), style))
            }
            items => print(output, &list(items), || status::list(items.iter().map(|found| &found.canary))),
        };
    }
    let Found { canary, object } = client.find(canary.name.as_deref()).await?;
    print(output, &object, || status::details(&canary, Timestamp::now(), style))
}

/// Several objects as kubectl prints them.
fn list(items: &[Found]) -> Value {
    let items: Vec<_> = items.iter().map(|found| &found.object).collect();
    json!({"apiVersion": API_VERSION, "kind": format!("{KIND}List"), "items": items})
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
fn choose(list: Vec<Found>, name: Option<&str>) -> Result<Found, Failure> {
    let names = list.iter().map(|found| found.canary.metadata.name.as_str()).collect::<Vec<_>>().join(", ");
    let known = if names.is_empty() { "known: none".to_owned() } else { format!("known: {names}") };
    let mut items =
        list.into_iter().filter(|found| name.is_none_or(|name| found.canary.metadata.name == name));
    match (items.next(), items.next(), name) {
        (Some(found), None, _) => Ok(found),
        (Some(_), Some(_), Some(name)) => {
            Err(Failure::Otherwise(format!("several namespaces have a canary `{name}`; say which with -n")))
        }
        (Some(_), Some(_), None) => Err(Failure::Otherwise(format!("there are several, name one: {names}"))),
        (None, _, Some(name)) => Err(Failure::Otherwise(format!("there is no canary `{name}`; {known}"))),
        (None, _, None) => Err(Failure::Otherwise(
            "there is no canary here; try again in a moment, or look elsewhere with -n or -A".to_owned(),
        )),
    }
}
