//! More than one worker. Load and origin need a part of both cores, so the throughput can grow only as far as those
//! leave room; the split has to be exact in any case.

use crate::{
    driver::{Driver, Pace},
    origin,
    peer::H1_PORT,
    plan::Places,
    process::Process,
    scenario::CONNECTIONS,
};
use anyhow::Context;
use serde_json::{Map, json};
use std::{fs, time::Duration};

const LENGTH: Duration = Duration::from_secs(4);

/// The canary's share of the requests in the configuration.
const SHARE: f64 = 0.1;

/// Measures, prints, and writes scale.json.
pub fn run(places: &Places) -> anyhow::Result<()> {
    origin::start()?;
    let mut results = Map::new();
    for workers in ["1", "2"] {
        let mut peer = places.peers(&["huidu".to_owned()]).pop().context("huidu")?;
        if let Some(count) = peer.command.iter().position(|word| word == "--workers")
            && let Some(value) = peer.command.get_mut(count + 1)
        {
            workers.clone_into(value);
        }
        let process = Process::start(&peer.command, &peer.ports(), "0,1")?;
        let (before, canary_before) = origin::requests();
        let mut driver = Driver::connect(H1_PORT, "/", CONNECTIONS)?;
        let cpu = process.cpu()?;
        let outcome = driver.run(Pace::Closed, LENGTH)?;
        let cpu = process.cpu()? - cpu;
        let (all, canary) = origin::requests();
        let (all, canary) = (all - before, canary - canary_before);
        let off = canary as f64 - all as f64 * SHARE;
        let rps = outcome.requests as f64 / outcome.took.as_secs_f64();
        let cpu_us = cpu.as_secs_f64() * 1e6 / outcome.requests as f64;
        println!(
            "{workers} workers: {rps:.0} requests/s, {cpu_us:.1} us each, {canary} of {all} to the canary, {off:+.1} off"
        );
        let result =
            json!({"rps": rps, "cpu_us_per_request": cpu_us, "requests": all, "canary": canary, "off": off});
        results.insert(workers.to_owned(), result);
    }
    Ok(fs::write(places.build.join("scale.json"), serde_json::to_string_pretty(&results)?)?)
}
