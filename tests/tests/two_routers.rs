//! A release through two real routers, with a person's hand and SIGKILL in the middle of it.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test may")]

use anyhow::{Context as _, Result, ensure};
use promoter::canary::Canary;
use release::{HoldReason, Outcome, Phase};
use std::collections::BTreeSet;
use std::time::Duration;
use tests::{Machine, Ports, Version};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

const V1: Version = Version { name: "v1", accent: "#2f855a", flags: &[] };
const V2: Version = Version { name: "v2", accent: "#2b6cb0", flags: &[] };
const PORTS: Ports = Ports::from(23_400);
/// A machine under load needs a fraction of it.
const PATIENCE: Duration = Duration::from_secs(60);
const SPEC: &str = "{steps: [{weight: 10%, pause: {}}, {weight: 50%}, {weight: 100%}], analysis: {interval: 1s, risk: 20%}, \
                    deadlines: {drain: 5s}}";

#[tokio::test(flavor = "multi_thread")]
async fn a_weight_set_by_hand_is_put_back_and_no_kill_keeps_a_release_from_its_end() {
    let folder = tempfile::tempdir().unwrap();
    let mut machine = Machine::start(folder.path(), PORTS, 20, &V1, SPEC).await.unwrap();
    let mut readers = machine.readers(40).unwrap();
    machine.apply(&V2).unwrap();
    let paused =
        machine.until(PATIENCE, "the first step waits for a person", waits_for_a_person).await.unwrap();
    let tried = pids(&paused);

    // A person gives one router another weight.
    set_weight(PORTS.admin[1], 9_000).await.unwrap();
    let repaired = machine.until(PATIENCE, "the router's weight is put back", |canary| {
        told(canary, "gives the candidate 9000 of 10000 requests, not 1000")
    });
    let repaired = repaired.await.unwrap();
    assert!(
        told(&repaired, &format!("http://127.0.0.1:{}", PORTS.admin[1])),
        "{:?}",
        repaired.status.conditions
    );
    machine.until(PATIENCE, "both routers agree", waits_for_a_person).await.unwrap();
    assert_eq!(shares().await.unwrap(), [1_000, 1_000]);

    // A person edits the routes file.
    let path = folder.path().join("routes.yaml");
    let edited = std::fs::read_to_string(&path).unwrap().replace("weight: 1000", "weight: 4000");
    std::fs::write(folder.path().join("draft"), edited).unwrap();
    std::fs::rename(folder.path().join("draft"), &path).unwrap();
    let said = "routes.yaml says something else than the promoter wrote";
    machine.until(PATIENCE, "the file is put back", |canary| told(canary, said)).await.unwrap();
    machine.until(PATIENCE, "both routers agree", waits_for_a_person).await.unwrap();
    assert_eq!(shares().await.unwrap(), [1_000, 1_000]);

    // A router dies; nothing goes on without it, and it comes back with the present weights.
    machine.kill_router(0, Duration::from_secs(2)).await.unwrap();
    machine.until(PATIENCE, "both routers agree", waits_for_a_person).await.unwrap();
    assert_eq!(shares().await.unwrap(), [1_000, 1_000]);

    // The promoter dies, and finds everything as it was.
    machine.kill_promoter(Duration::from_secs(1)).await.unwrap();
    let found = machine.until(PATIENCE, "it goes on where it was", waits_for_a_person).await.unwrap();
    assert_eq!(pids(&found), tried, "the processes are the same ones");

    say(PORTS.api, "promote").await.unwrap();
    let ended = machine.until(PATIENCE, "v2 is promoted", |canary| {
        let last = canary.status.release.history.last();
        canary.status.release.phase == Phase::Stable
            && last.is_some_and(|last| last.outcome == Outcome::Promoted)
    });
    let ended = ended.await.unwrap();
    assert!(tried.is_subset(&pids(&ended)), "none of them was restarted");
    let seen = readers.end().await.unwrap();
    assert!(seen.requests > 100, "{seen:?}");
    assert_eq!(seen.failures, 0, "no reader saw a failure");
    machine.end().await.unwrap();
}

fn waits_for_a_person(canary: &Canary) -> bool {
    let hold = canary.status.release.hold.as_ref();
    hold.is_some_and(|hold| hold.reason == HoldReason::Paused) && canary.status.routing.pending.is_empty()
}

fn told(canary: &Canary, part: &str) -> bool {
    canary.status.conditions.iter().any(|note| note.reason == "DriftRepaired" && note.message.contains(part))
}

/// The processes of the candidate, or where there is none, of stable.
fn pids(canary: &Canary) -> BTreeSet<u32> {
    let status = &canary.status.release;
    let revision = status.release().map(|release| &release.candidate).or(status.stable.as_ref());
    let own = canary.status.replicas.iter().filter(|replica| Some(&replica.revision) == revision);
    own.filter_map(|replica| replica.pid).collect()
}

/// The candidate's weight in each router.
async fn shares() -> Result<[u64; 2]> {
    let mut shares = [0; 2];
    for (share, port) in shares.iter_mut().zip(PORTS.admin) {
        let routes = ask(port, "GET", "/routes", "").await?;
        let backends = routes["routes"][0]["backends"].as_array().context("no backends")?;
        let canary = backends.iter().find(|backend| backend["track"] == "canary").context("no canary")?;
        *share = canary["weight"].as_u64().context("no weight")?;
    }
    Ok(shares)
}

/// As a person does who knows the router's admin port and not the promoter.
async fn set_weight(port: u16, weight: u64) -> Result<()> {
    let routes = ask(port, "GET", "/routes", "").await?;
    let generation = &routes["routes"][0]["generation"];
    let body = serde_json::json!({
        "generation": generation, "weights": {"blog-stable": 10_000 - weight, "blog-canary": weight},
    });
    ask(port, "PUT", "/routes/blog/weights", &body.to_string()).await.map(drop)
}

async fn say(port: u16, verb: &str) -> Result<()> {
    ask(port, "POST", &format!("/canaries/blog/{verb}"), "{}").await.map(drop)
}

async fn ask(port: u16, method: &str, path: &str, body: &str) -> Result<serde_json::Value> {
    let mut stream = TcpStream::connect(("127.0.0.1", port)).await?;
    let length = body.len();
    let request = format!(
        "{method} {path} HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nContent-Length: {length}\r\n\
         Connection: close\r\n\r\n{body}"
    );
    stream.write_all(request.as_bytes()).await?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await?;
    ensure!(answer.starts_with("HTTP/1.1 200"), "{method} {path}: {answer}");
    let (_, body) = answer.split_once("\r\n\r\n").context("no body")?;
    Ok(serde_json::from_str(body)?)
}
