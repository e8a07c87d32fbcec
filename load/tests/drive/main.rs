//! The driver against a small server in the same process.
#![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

mod counting;
mod people;
mod program;
mod server;
mod wire;

use std::{sync::Arc, time::Duration};

use duration::Duration as Span;
use load::{
    client::{Retry, Settings},
    drive::{Outcome, Plan, Watcher, drive},
    record::{Figures, Second},
    scenario::Scenario,
    schedule::{Arrivals, Rate, Stage},
    target::{Reach, Target},
};

use self::server::Server;

/// Watches nothing.
struct Nobody;

impl Watcher for Nobody {
    fn second(&mut self, _: &Second) -> bool {
        true
    }
}

const ONE_PAGE: &str = "{name: one page, flows: [{name: f, steps: [{get: /}]}]}";

fn stage(rate: f64, ms: u64) -> Stage {
    Stage { from: None, rate: Rate::try_new(rate).unwrap(), duration: Span::from(Duration::from_millis(ms)) }
}

async fn plan(server: &Server, scenario: &str, stages: &[Stage]) -> Plan {
    Plan {
        target: Target::resolve(&format!("http://{}", server.address), Reach::Loopback).await.unwrap(),
        scenario: Arc::new(Scenario::parse(scenario, "test").unwrap()),
        stages: stages.to_vec(),
        arrivals: Arrivals::Constant,
        seed: 1,
        settings: Settings { timeout: Duration::from_secs(5), retry: Retry::Idempotent },
        in_flight_max: 1_000,
        version_header: "x-app-version".parse().unwrap(),
        credentials: None,
    }
}

async fn run(plan: Plan) -> Outcome {
    let (_stop, mut stopped) = tokio::sync::mpsc::channel(1);
    drive(plan, &mut Nobody, &mut stopped).await.unwrap()
}

/// Requests, failures, unexpected, retried and dropped.
fn numbers(figures: &Figures) -> [u64; 5] {
    let Figures { requests, failures, unexpected, retried, dropped, .. } = *figures;
    [requests, failures, unexpected, retried, dropped]
}
