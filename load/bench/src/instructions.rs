//! Instructions in user space, which do not depend on how busy the machine is.

use crate::{
    driver::Driver,
    h2, origin,
    peer::{H1_PORT, Peer},
    plan::Places,
    process::{self, PROXY_CORE, Process},
    report::Report,
    scenario::Scenario,
};
use anyhow::Context;
use clap::Args;
use std::fs;

/// What is counted.
#[derive(Debug, Args)]
pub struct Counting {
    /// Whom to look at; Envoy is left out because Callgrind takes minutes for it.
    #[arg(long, value_delimiter = ',', default_values_t = ["huidu", "haproxy", "nginx", "pingora"].map(str::to_owned))]
    peers: Vec<String>,

    #[command(flatten)]
    places: Places,
}

/// What is counted.
const SCENARIOS: [Scenario; 4] = [Scenario::Tiny, Scenario::Large, Scenario::TinyH2, Scenario::LargeH2];

/// Rounds of one request on each connection: the difference leaves the start of the program out.
const ROUNDS: [usize; 2] = [20, 120];
const CONNECTIONS: usize = 16;

pub fn run(counting: &Counting) -> anyhow::Result<()> {
    process::pin_to(process::LOAD_CORE)?;
    origin::start()?;
    let mut report = Report::read(&counting.places.build);
    for peer in counting.places.peers(&counting.peers) {
        for scenario in SCENARIOS.into_iter().filter(|scenario| !scenario.is_h2() || peer.h2_port.is_some()) {
            let count = |rounds| count(&peer, scenario, (rounds, &counting.places));
            let (few, many) = (count(ROUNDS[0])?, count(ROUNDS[1])?);
            let requests = (ROUNDS[1] - ROUNDS[0]) * CONNECTIONS;
            let each = (many - few) / requests as f64;
            println!(
                "{:10} {:8} {each:9.0} instructions per request in user space",
                peer.name,
                scenario.name()
            );
            report.note((scenario, peer.name), "instructions_per_request", each.round());
        }
    }
    report.write(&counting.places.build)
}

fn count(peer: &Peer, scenario: Scenario, (rounds, places): (usize, &Places)) -> anyhow::Result<f64> {
    let out = places.build.join(format!("callgrind.{}", peer.name));
    let options = ["valgrind", "--tool=callgrind", "--quiet"].map(str::to_owned);
    let mut command = options.to_vec();
    command.push(format!("--callgrind-out-file={}", out.display()));
    command.extend(peer.command.iter().cloned());
    let mut process = Process::start(&command, &peer.ports(), PROXY_CORE)?;
    match peer.h2_port.filter(|_| scenario.is_h2()) {
        Some(port) => {
            h2::run(port, scenario.path(), (rounds * CONNECTIONS, CONNECTIONS))?;
        }
        None => {
            let mut driver = Driver::connect(H1_PORT, scenario.path(), CONNECTIONS)?;
            for _ in 0..rounds {
                driver.touch()?;
            }
        }
    }
    process.interrupt(peer.stop)?;
    let report = fs::read_to_string(&out).with_context(|| out.display().to_string())?;
    let total =
        report.lines().find_map(|line| line.strip_prefix("totals: ").or(line.strip_prefix("summary: ")));
    Ok(total.context("no totals in the report of Callgrind")?.trim().parse()?)
}
