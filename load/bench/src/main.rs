//! Proxies side by side. See README.md.

#![allow(clippy::disallowed_methods, reason = "there is no runtime that a sleep could block")]

mod driver;
mod driver_h2;
mod events;
mod floor;
mod h2;
mod instructions;
mod origin;
mod peer;
mod plan;
mod process;
mod report;
mod rounds;
mod scale;
mod scenario;

use clap::{Parser, Subcommand};
use plan::Plan;

/// Measures proxies side by side on this machine.
#[derive(Debug, Parser)]
struct Args {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// CPU, throughput, memory and latency in interleaved rounds.
    Run(Plan),
    /// Instructions per request in user space, counted by Callgrind.
    Instructions(instructions::Counting),
    /// The router with one and with two workers on both cores: throughput, and how exact the split is.
    Scale(plan::Places),
    /// The floor: copies bytes between a client and an origin and understands nothing.
    Floor,
}

fn main() -> anyhow::Result<()> {
    match Args::parse().command {
        Command::Run(plan) => rounds::run(&plan),
        Command::Instructions(counting) => instructions::run(&counting),
        Command::Scale(places) => scale::run(&places),
        Command::Floor => floor::run(peer::H1_PORT, origin::PORTS),
    }
}
