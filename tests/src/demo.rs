//! The demo: four releases on one machine, told as they happen.

mod acts;
mod plan;
mod report;
mod show;
mod story;

use crate::{Machine, Ports};
use anyhow::{Context, Result};
use show::Show;
use std::path::PathBuf;
use std::time::Duration;
use story::Story;
use tokio::signal::unix::{SignalKind, signal};

/// What may be chosen about a demo.
#[derive(Clone, Debug)]
pub struct Options {
    /// Where readers' port is; the others follow it.
    pub port: u16,
    /// Requests per second.
    pub rate: u32,
    /// How many posts the blog has.
    pub posts: u32,
    /// The folder for logs, state, database and report.
    pub folder: PathBuf,
    /// What is left at the end.
    pub afterwards: Afterwards,
}

/// What is left at the end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Afterwards {
    /// Nothing but the report and the logs.
    Ended,
    /// Everything, until Ctrl-C.
    Serving,
}

/// Plays the demo and answers whether everything came out as it should.
///
/// Whatever happens, a Ctrl-C included, nothing that it started is left.
///
/// # Errors
/// Where something did not start or did not end, or it was interrupted.
pub async fn play(options: &Options) -> Result<bool> {
    let mut came_out = None;
    let played = tokio::select! {
        played = play_through(options, &mut came_out) => played,
        interrupted = interrupted() => interrupted,
    };
    Machine::sweep(&options.folder);
    played?;
    came_out.context("interrupted; everything was ended")
}

/// Tells in `came_out` whether everything came out as it should, once that is known.
async fn play_through(options: &Options, came_out: &mut Option<bool>) -> Result<()> {
    let show = Show::new();
    let ports = Ports::from(options.port);
    show.say("starting a blog with three processes, two routers and the promoter");
    let start = Machine::start(&options.folder, ports, options.posts, &plan::FIRST, plan::SPEC);
    let mut machine = start.await.context("the demo cannot start")?;
    show.say(&format!("readers open {}, {} requests per second from now on", ports.url(), options.rate));
    let mut story = Story::new(machine.readers(options.rate)?, show);
    let outcomes = acts::play_all(&mut machine, &mut story).await?;
    tokio::time::sleep(Duration::from_secs(1)).await;
    story.end_readers().await?;
    let report = machine.folder().join("report.html");
    std::fs::write(&report, report::page(&story, &outcomes))?;
    *came_out = Some(show::summary(&story, &outcomes, &report));
    if options.afterwards == Afterwards::Serving {
        tell_how_to_go_on(&machine, ports);
        std::future::pending::<()>().await;
    }
    machine.end().await
}

fn tell_how_to_go_on(machine: &Machine, ports: Ports) {
    let show = Show::new();
    let folder = machine.folder().display();
    show.say(&format!("the blog goes on at {} until Ctrl-C", ports.url()));
    show.say(&format!("its releases: kubectl-canary --server http://127.0.0.1:{} status -w", ports.api));
    show.say(&format!("to release another version, change deployment.template in {folder}/huidu.yaml"));
}

/// Waits for Ctrl-C or SIGTERM.
async fn interrupted() -> Result<()> {
    let mut terminate = signal(SignalKind::terminate())?;
    tokio::select! {
        interrupted = tokio::signal::ctrl_c() => interrupted?,
        _ = terminate.recv() => {}
    }
    Ok(())
}
