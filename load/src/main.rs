//! The program `load`.

use std::{io::Write, process::ExitCode};

use clap::Parser;
use load::{
    cli::{Cli, Command, Run, RunArgs},
    drive::drive,
    progress::Display,
    report::Report,
    scenario::{BUILT_IN, Flow, Scenario},
};
use tokio::{
    signal::unix::{SignalKind, signal},
    sync::mpsc,
};

/// A limit was broken.
const EX_LIMIT: u8 = 1;
/// EX_USAGE of sysexits.h.
const EX_USAGE: u8 = 64;
/// EX_IOERR of sysexits.h.
const EX_IOERR: u8 = 74;

#[tokio::main]
async fn main() -> ExitCode {
    let status = match Cli::try_parse() {
        Ok(Cli { command: Command::Run(args) }) => run(*args).await,
        Ok(Cli { command: Command::Check { scenarios } }) => check(&scenarios),
        Ok(Cli { command: Command::Show { name } }) => show(&name),
        Err(error) => {
            let _ = error.print();
            if error.use_stderr() { Err(EX_USAGE) } else { Ok(()) }
        }
    };
    status.map_or_else(ExitCode::from, |()| ExitCode::SUCCESS)
}

async fn run(args: RunArgs) -> Result<(), u8> {
    let Run { plan, limits, progress, report_json, report_html } =
        args.prepare().await.map_err(|error| complain(&format!("{error:#}"), EX_USAGE))?;
    let mut stop = stop_signals().map_err(|error| complain(&error.to_string(), EX_IOERR))?;
    let mut display = Display::new(progress, &plan.stages);
    let outcome = drive(plan.clone(), &mut display, &mut stop)
        .await
        .map_err(|error| complain(&error.to_string(), EX_USAGE))?;
    let limits = limits.check(&outcome);
    let report = Report::new(&plan, outcome, limits);
    if let Some(path) = report_json {
        report
            .write_json(&path)
            .map_err(|error| complain(&format!("{}: {error}", path.display()), EX_IOERR))?;
    }
    if let Some(path) = report_html {
        report
            .write_html(&path)
            .map_err(|error| complain(&format!("{}: {error}", path.display()), EX_IOERR))?;
    }
    display.finish(&report);
    if report.is_within_limits() { Ok(()) } else { Err(EX_LIMIT) }
}

/// A message for each SIGINT and SIGTERM.
fn stop_signals() -> std::io::Result<mpsc::Receiver<()>> {
    let (stop, stopped) = mpsc::channel(2);
    let mut interrupt = signal(SignalKind::interrupt())?;
    let mut terminate = signal(SignalKind::terminate())?;
    tokio::spawn(async move {
        loop {
            tokio::select! {
                _ = interrupt.recv() => {}
                _ = terminate.recv() => {}
            }
            if stop.send(()).await.is_err() {
                return;
            }
        }
    });
    Ok(stopped)
}

fn check(scenarios: &[String]) -> Result<(), u8> {
    for name in scenarios {
        let scenario = Scenario::load(name).map_err(|error| complain(&error.to_string(), EX_USAGE))?;
        let flow =
            |flow: &Flow| format!("{} (weight {}, {} steps)", flow.name, flow.weight, flow.steps.len());
        let flows: Vec<_> = scenario.flows.iter().map(flow).collect();
        say(&format!("{name}: fine: {}\n", flows.join(", ")));
    }
    Ok(())
}

fn show(name: &str) -> Result<(), u8> {
    BUILT_IN.iter().filter(|(known, _)| *known == name).for_each(|(_, text)| say(text));
    Ok(())
}

fn say(text: &str) {
    let _ = std::io::stdout().write_all(text.as_bytes());
}

fn complain(text: &str, status: u8) -> u8 {
    let _ = writeln!(std::io::stderr(), "load: {text}");
    status
}
