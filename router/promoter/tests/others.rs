//! Windows, gates, webhooks, metrics and a person's hand: `promoter local` and those around it.

mod common;

use common::{Hook, World, candidate, pause, phase, weight};
use serde_json::Value;
use std::fs;
use std::io::Read as _;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

fn hold(canary: &Value) -> &str {
    canary["status"]["hold"]["reason"].as_str().unwrap_or_default()
}

fn message(canary: &Value) -> &str {
    canary["status"]["hold"]["message"].as_str().unwrap_or_default()
}

fn promoted(canary: &Value) -> bool {
    phase(canary) == "Stable" && canary["status"]["history"][0]["outcome"] == "Promoted"
}

/// Waits for something that no canary shows.
fn eventually<T>(what: &str, mut look: impl FnMut() -> Option<T>) -> T {
    let began = Instant::now();
    loop {
        match look() {
            Some(found) => return found,
            None => assert!(began.elapsed() < Duration::from_secs(30), "not {what}"),
        }
        pause();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn outside_of_its_window_a_release_waits_with_until_when_and_a_person_may_go_on() {
    let mut world = World::with_v1().await;
    // It opens for a minute at midnight of 29 February, in the zone where that comes last.
    world.settings.canary =
        "  windows: [{schedule: 0 0 29 2 *, timeZone: Pacific/Pago_Pago, duration: 1m}]\n".to_owned();
    world.release(&[("HELLO_VERSION", "v2")]);
    let held = world.until("held", |canary| hold(canary) == "OutsideWindow");
    assert!(message(&held).contains("`0 0 29 2 *` in Pacific/Pago_Pago for 1m"), "{held:#}");
    assert!(held["status"]["hold"]["deadline"].as_str().unwrap().contains("-02-29T11:00:00Z"), "{held:#}");
    assert_eq!(world.processes().len(), 3, "nothing was started");
    assert!(world.say(&["explain"]).contains("OutsideWindow"));
    world.say(&["promote", "--full"]);
    world.until("promoted", promoted);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_gate_is_asked_before_each_step_with_its_secret_and_its_answer_is_shown() {
    let mut world = World::with_v1().await;
    let gate = Hook::start().await;
    gate.answer(200, r#"{"allowed": false, "message": "the tests still run"}"#);
    fs::create_dir(world.path("secrets")).unwrap();
    fs::write(world.path("secrets/qa"), "Bearer hush-hush\n").unwrap();
    world.settings.canary = format!(
        "  gates: [{{name: qa, url: \"{}\", interval: 100ms, header: {{name: Authorization, secret: qa}}}}]\n",
        gate.url
    );
    world.release(&[("HELLO_VERSION", "v2")]);
    let held = world.until("refused", |canary| message(canary).contains("qa says no: the tests still run"));
    assert_eq!((hold(&held), world.processes().len()), ("AwaitingGate", 3));
    assert!(held["status"]["hold"]["deadline"].is_string());

    gate.answer(200, "<html>please log in</html>");
    world.until("not understood", |canary| {
        message(canary).contains("qa gives no answer: it answered 200 OK with")
    });
    gate.answer(503, "");
    world.until("no answer", |canary| message(canary).contains("it answered 503"));
    gate.answer(200, r#"{"allowed": true}"#);
    world.until("promoted", promoted);

    let asked = gate.requests();
    assert!(asked.iter().all(|(headers, _)| headers["authorization"] == "Bearer hush-hush"));
    let body = &asked[0].1;
    assert_eq!((body["kind"].as_str(), body["canary"].as_str()), (Some("GateQuestion"), Some("hello")));
    assert_eq!(
        (body["step"].as_u64(), body["steps"].as_u64(), &body["weight"]),
        (Some(0), Some(2), &"10%".into())
    );
    let steps: Vec<_> = asked.iter().filter_map(|(_, body)| body["step"].as_u64()).collect();
    assert_eq!(&steps[steps.len() - 2..], [1, 2], "100 %, and the promotion");
    assert!(!world.log().contains("hush") && !world.say(&["status", "-o", "yaml"]).contains("hush"));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_gate_over_https_is_asked_only_where_its_certificate_is_trusted() {
    let folder = tempfile::tempdir().unwrap();
    let file = |name: &str| folder.path().join(name).display().to_string();
    let (key, certificate) = (file("key.pem"), file("cert.pem"));
    let made = Command::new("openssl")
        .args(["req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", "-subj", "/CN=localhost"])
        .args(["-addext", "subjectAltName=DNS:localhost", "-addext", "basicConstraints=critical,CA:FALSE"])
        .args(["-keyout", &key, "-out", &certificate])
        .output();
    if !made.is_ok_and(|made| made.status.success()) {
        eprintln!("SKIPPED: there is no `openssl` here; on Debian, `apt-get install openssl` brings it");
        return;
    }
    let port = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port().to_string();
    let serve = || {
        Command::new("openssl")
            .args(["s_server", "-quiet", "-accept", &port, "-key", &key, "-cert", &certificate])
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap()
    };
    let mut server = serve();
    let mut world = World::with_v1().await;
    world.settings.canary =
        format!("  gates: [{{name: qa, url: \"https://localhost:{port}/\", interval: 100ms}}]\n");
    world.release(&[("HELLO_VERSION", "v2")]);
    world.until("not trusted", |canary| {
        message(canary).contains("qa gives no answer: invalid peer certificate")
    });
    world.end_promoter();
    server.kill().unwrap();
    server.wait().unwrap();

    // What it is given is what whoever connects next gets.
    let mut server = serve();
    let mut input = server.stdin.take().unwrap();
    std::io::Write::write_all(&mut input, b"HTTP/1.1 204 No Content\r\n\r\n").unwrap();
    world.start_trusting(&certificate);
    world.until("let begin", |canary| canary["status"]["replicas"].as_array().unwrap().len() > 3);
    server.kill().unwrap();
    server.wait().unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn webhooks_are_told_what_happens_again_and_again_until_they_have_heard() {
    let mut world = World::with_v1().await;
    let (all, some) = (Hook::start().await, Hook::start().await);
    all.answer(500, "");
    fs::create_dir(world.path("secrets")).unwrap();
    fs::write(world.path("secrets/chat"), "hush-hush").unwrap();
    world.settings.canary = format!(
        "  notifications:\n  - {{url: \"{}\", header: {{name: X-Token, secret: chat}}}}\n  - {{url: \"{}\", events: [Promoted]}}\n",
        all.url, some.url
    );
    world.release(&[("HELLO_VERSION", "v2")]);
    let first = eventually("told", || all.bodies().first().cloned());
    assert_eq!(
        (first["kind"].as_str(), first["reason"].as_str()),
        (Some("ReleaseEvent"), Some("ReleaseStarted"))
    );
    all.answer(204, "");
    let canary = world.until("promoted", promoted);
    let told = eventually("all told", || {
        let bodies = all.bodies();
        bodies.iter().any(|body| body["reason"] == "Promoted").then_some(bodies)
    });
    let again: Vec<_> = told.iter().filter(|body| body["id"] == first["id"]).collect();
    assert!(again.len() > 1 && again.iter().all(|body| **body == first), "the same event, told again");
    let mut reasons: Vec<_> = told.iter().filter_map(|body| body["reason"].as_str()).collect();
    reasons.dedup();
    assert_eq!(reasons[0], "ReleaseStarted");
    assert!(reasons.contains(&"StepPassed"), "{reasons:?}");
    assert!(all.requests().iter().all(|(headers, _)| headers["x-token"] == "hush-hush"));
    let only = eventually("told of the end", || some.bodies().first().cloned());
    assert_eq!(
        (some.bodies().len(), &only["reason"], &only["stable"]),
        (1, &"Promoted".into(), &canary["status"]["stable"])
    );
    assert!(!world.log().contains("hush"));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_weight_or_a_file_changed_by_hand_is_put_back_and_told() {
    let mut world = World::with_v1().await;
    world.settings.steps = "[{weight: 10%, pause: {}}, {weight: 100%}]";
    world.release(&[("HELLO_VERSION", "v2")]);
    world.until("paused", |canary| hold(canary) == "Paused");
    let note = |canary: &Value, part: &str| {
        let notes = canary["status"]["conditions"].as_array().cloned().unwrap_or_default();
        notes
            .iter()
            .any(|note| note["reason"] == "DriftRepaired" && note["message"].as_str().unwrap().contains(part))
    };
    world.router.set_weight(7_000);
    let told =
        world.until("told", |canary| note(canary, "gives the candidate 7000 of 10000 requests, not 1000"));
    assert!(note(&told, &world.router.address));
    world.until("confirmed", |canary| {
        canary["status"]["routing"]["pending"].is_null() && hold(canary) == "Paused"
    });

    let edited = world.routes().replace("weight: 1000", "weight: 5000");
    world.replace("run/routes.yaml", &edited);
    world.until("told", |canary| note(canary, "routes.yaml says something else than the promoter wrote"));
    world.until("confirmed", |canary| {
        canary["status"]["routing"]["pending"].is_null() && hold(canary) == "Paused"
    });
    assert!(world.routes().contains("weight: 1000"), "{}", world.routes());
    fs::remove_file(world.path("run/routes.yaml")).unwrap();
    world.until("told", |canary| note(canary, "routes.yaml is gone"));
    assert!(world.log().contains("DriftRepaired"));
}

#[tokio::test(flavor = "multi_thread")]
async fn following_shows_what_is_needed_what_is_there_the_evidence_and_when_the_rest_comes() {
    let mut world = World::with_v1().await;
    world.router.slow_down(100);
    world.settings.steps = "[{weight: 10%, minRequests: 300}, {weight: 100%}]";
    let mut followed = world.cli_command(&["status", "-w"]).stdout(Stdio::piped()).spawn().unwrap();
    world.release(&[("HELLO_VERSION", "v2")]);
    world.until("waiting for requests", |canary| {
        canary["status"]["hold"]["seen"].as_u64().is_some_and(|seen| seen > 150)
    });
    let shown = world.say(&["status"]);
    assert!(shown.contains("requests seen, the rest in about") && shown.contains("e-value"), "{shown}");
    world.say(&["promote", "--full"]);
    world.until("promoted", promoted);
    followed.kill().unwrap();
    let mut lines = String::new();
    followed.stdout.take().unwrap().read_to_string(&mut lines).unwrap();
    followed.wait().unwrap();
    let line = lines.lines().find(|line| line.contains("the rest in about")).expect(&lines);
    for part in
        ["hello Progressing (Judging)", "step 1/2 at 10%", "e-value", "InsufficientSamples", "requests seen"]
    {
        assert!(line.contains(part), "{part}: {line}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn metrics_have_a_port_of_their_own_and_prometheus_finds_nothing_wrong_with_them() {
    let mut world = World::empty().await;
    let port = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    world.settings.more = format!("metrics: 127.0.0.1:{port}\n");
    world.settings.steps = "[{weight: 10%, pause: {}}, {weight: 100%}]";
    world.write();
    world.start();
    world.until("stable", |canary| phase(canary) == "Stable");
    world.release(&[("HELLO_VERSION", "v2")]);
    let paused = world.until("paused", |canary| hold(canary) == "Paused" && weight(canary) == "10%");
    let client = promoter::http::Client::new(Duration::from_secs(5));
    let page = client.get(&format!("http://127.0.0.1:{port}/metrics")).await.unwrap();
    let page = String::from_utf8(page.body.to_vec()).unwrap();
    let own = r#"canary="hello""#;
    for line in [
        format!("huidu_promoter_weight_wanted{{{own},namespace=\"\"}} 0.1"),
        format!("huidu_promoter_weight_acknowledged{{{own},namespace=\"\"}} 0.1"),
        format!("huidu_promoter_phase{{{own},namespace=\"\",phase=\"Progressing\"}} 1"),
        format!("huidu_promoter_hold{{{own},namespace=\"\",reason=\"Paused\"}} 1"),
        format!(
            "huidu_promoter_ready_replicas{{{own},namespace=\"\",revision=\"{}\"}} 1",
            candidate(&paused)
        ),
    ] {
        assert!(page.contains(&line), "{line}: {page}");
    }
    for name in
        ["e_value", "release_requests", "release_request_errors", "decision_duration_seconds_count", "leader"]
    {
        assert!(page.contains(&format!("huidu_promoter_{name}")), "{name}: {page}");
    }
    let same = client.get(&format!("{}/metrics", world.api())).await.unwrap();
    assert!(same.status.is_success());
    let Ok(mut checker) = Command::new("promtool")
        .args(["check", "metrics"])
        .stdin(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
    else {
        eprintln!("SKIPPED: there is no `promtool` here; on Debian, `apt-get install prometheus` brings it");
        return;
    };
    std::io::Write::write_all(&mut checker.stdin.take().unwrap(), page.as_bytes()).unwrap();
    let said = checker.wait_with_output().unwrap();
    assert!(said.status.success() && said.stderr.is_empty(), "{}", String::from_utf8_lossy(&said.stderr));
}

#[test]
fn every_shell_gets_a_completion_script() {
    for shell in ["bash", "zsh", "fish", "elvish", "powershell"] {
        let mut command = Command::new(env!("CARGO_BIN_EXE_kubectl-canary"));
        let output = command.args(["completion", shell]).output().unwrap();
        let script = String::from_utf8(output.stdout).unwrap();
        assert!(output.status.success() && script.contains("set-weight"), "{shell}: {script}");
    }
}
