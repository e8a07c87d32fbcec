//! Interleaved rounds: whatever disturbs the machine for a while disturbs everybody.

use crate::{
    origin,
    peer::Peer,
    plan::Plan,
    process::{self, PROXY_CORE, Process},
    report::Report,
    scenario::Scenario,
};
use anyhow::Context;
use std::time::Duration;

/// A round that is void is tried again at once, so that the valid ones are as many as the others'.
const TRIES: usize = 3;

/// Runs the plan, prints the table and writes the report.
pub fn run(plan: &Plan) -> anyhow::Result<()> {
    process::pin_to(process::LOAD_CORE)?;
    origin::start()?;
    let mut report = Report::read(&plan.places.build);
    let peers = plan.peers();
    anyhow::ensure!(!peers.is_empty(), "no peer has such a name");
    for scenario in plan.scenarios() {
        report.begin(scenario);
        let rate = match scenario.paced_by() {
            Some(pace) => report
                .common_rate(pace)
                .with_context(|| format!("{} needs the results of {} first", scenario.name(), pace.name()))?,
            None => 0.0,
        };
        for round in 0..plan.rounds {
            for turn in 0..peers.len() {
                // Everybody is first once, so that nobody always follows the same peer.
                let Some(peer) = peers.get((turn + round) % peers.len()) else { continue };
                let is_valid = (0..TRIES).any(|_| measure(scenario, peer, (plan.seconds, rate), &mut report));
                if !is_valid {
                    eprintln!("{} {}: no valid round in {TRIES} tries", scenario.name(), peer.name);
                }
            }
            eprintln!("{}: round {} of {}", scenario.name(), round + 1, plan.rounds);
        }
        report.write(&plan.places.build)?;
    }
    print!("{}", report.table());
    Ok(())
}

/// Measures once; false if the round is void.
fn measure(scenario: Scenario, peer: &Peer, (seconds, rate): (f64, f64), report: &mut Report) -> bool {
    let measured = Process::start(&peer.command, &peer.ports(), PROXY_CORE)
        .and_then(|process| scenario.measure((peer, &process), Duration::from_secs_f64(seconds), rate));
    match measured {
        Ok(Some(figures)) => report.add(scenario, peer.name, &figures),
        Ok(None) => {}
        Err(error) => {
            eprintln!("{} {}: a void round: {error:#}", scenario.name(), peer.name);
            report.void(scenario, peer.name);
            return false;
        }
    }
    true
}
