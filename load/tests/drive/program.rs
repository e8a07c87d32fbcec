//! The program from outside: exit status, output, reports, signals.

use std::{
    process::{Output, Stdio},
    time::Duration,
};

use tokio::process::Command;

use crate::server::{Answer, Server};

async fn blog() -> Server {
    Server::start(|n, _| {
        let status = if n % 10 == 3 { 500 } else { 200 };
        Answer::status(status).header("x-app-version", "<b>1.0</b>")
    })
    .await
}

fn command(args: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_load"));
    command.args(args).stdin(Stdio::null()).kill_on_drop(true);
    command
}

async fn load_run(server: &Server, args: &[&str]) -> Output {
    let target = format!("http://{}", server.address);
    let fixed = ["run", "--target", &target, "--rate", "100", "--duration", "500ms"];
    let run = command(&[&fixed, args].concat()).output();
    tokio::time::timeout(Duration::from_secs(20), run).await.unwrap().unwrap()
}

fn status(output: &Output) -> i32 {
    output.status.code().unwrap()
}

fn stdout(output: &Output) -> String {
    String::from_utf8(output.stdout.clone()).unwrap()
}

fn stderr(output: &Output) -> String {
    String::from_utf8(output.stderr.clone()).unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn limits_decide_the_exit_status_and_say_their_numbers() {
    let server = blog().await;
    let kept = ["--max-failures", "5", "--max-failure-rate", "10%", "--max-p99", "9s", "--max-dropped", "0"];
    let output = load_run(&server, &kept).await;
    assert_eq!(status(&output), 0, "{}", stdout(&output));
    assert!(stdout(&output).contains("limit kept: --max-failures 5 (5 failures)"), "{}", stdout(&output));

    for (limit, told) in [
        (["--max-failures", "4"], "limit BROKEN: --max-failures 4 (5 failures)"),
        (
            ["--max-failure-rate", "9.9%"],
            "limit BROKEN: --max-failure-rate 9.9% (10.0000% (5 of 50 requests))",
        ),
        (["--max-p99", "0s"], "limit BROKEN: --max-p99 0s (p99 "),
    ] {
        let server = blog().await;
        let output = load_run(&server, &limit).await;
        assert_eq!(status(&output), 1);
        assert!(stdout(&output).contains(told), "{}", stdout(&output));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn without_limits_failures_are_told_but_do_not_fail_the_run() {
    let output = load_run(&blog().await, &[]).await;
    assert_eq!(status(&output), 0);
    assert!(stdout(&output).contains("failures: 5 × http 500"), "{}", stdout(&output));
}

#[tokio::test(flavor = "multi_thread")]
async fn jsonl_is_one_object_a_second_and_a_summary() {
    let server = blog().await;
    let target = format!("http://{}", server.address);
    let args = ["run", "--target", &target, "--progress", "jsonl", "--duration", "2500ms", "--rate", "40"];
    let output = command(&args).output().await.unwrap();
    let lines: Vec<serde_json::Value> =
        stdout(&output).lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let (summary, seconds) = lines.split_last().unwrap();
    assert!(seconds.len() >= 2 && seconds.iter().all(|line| line["type"] == "progress"));
    assert!(seconds[1]["total"]["requests"].as_u64() > seconds[0]["total"]["requests"].as_u64());
    assert!(seconds[0]["versions"]["<b>1.0</b>"]["last"]["latencyMs"]["p99"].is_number(), "{}", seconds[0]);
    assert_eq!(seconds[0]["stage"]["rate"], 40.0);
    assert_eq!((&summary["type"], &summary["total"]["requests"]), (&"summary".into(), &100.into()));
    assert_eq!(summary["failures"]["http 500"], 10);
    assert!(stderr(&output).contains("p99.9 ms"));
}

#[tokio::test(flavor = "multi_thread")]
async fn reports_are_written_and_load_nothing_from_elsewhere() {
    let folder = tempfile::tempdir().unwrap();
    let [json, html] = ["r.json", "r.html"].map(|name| folder.path().join(name).to_str().unwrap().to_owned());
    let output =
        load_run(&blog().await, &["--report-json", &json, "--report-html", &html, "--seed", "7"]).await;
    assert_eq!(status(&output), 0, "{}", stderr(&output));
    let report: serde_json::Value = serde_json::from_str(&std::fs::read_to_string(&json).unwrap()).unwrap();
    assert_eq!(
        (&report["seed"], &report["total"]["requests"], &report["end"]),
        (&7.into(), &50.into(), &"completed".into())
    );
    assert_eq!(report["samples"].as_array().unwrap().len(), 5);
    let html = std::fs::read_to_string(&html).unwrap();
    assert_eq!(html.matches("<svg").count(), 4);
    assert!(html.contains("&lt;b&gt;1.0&lt;/b&gt;") && !html.contains("<b>1.0"), "versions are text");
    assert!(!html.contains("src=") && !html.contains("@import") && !html.contains("<script"));
}

#[tokio::test(flavor = "multi_thread")]
async fn sigterm_ends_early_with_the_report_written() {
    let folder = tempfile::tempdir().unwrap();
    let json = folder.path().join("r.json");
    let server = blog().await;
    let target = format!("http://{}", server.address);
    let args = ["run", "--target", &target, "--duration", "10m", "--rate", "50", "--max-failure-rate", "50%"];
    let child = command(&args).arg("--report-json").arg(&json).stdout(Stdio::piped()).spawn().unwrap();
    while server.seen().len() < 20 {
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    let id = child.id().unwrap().to_string();
    assert!(Command::new("kill").args(["-TERM", &id]).status().await.unwrap().success());
    let output =
        tokio::time::timeout(Duration::from_secs(20), child.wait_with_output()).await.unwrap().unwrap();
    assert_eq!(status(&output), 0);
    assert!(stdout(&output).contains("ended early"), "{}", stdout(&output));
    let report: serde_json::Value = serde_json::from_str(&std::fs::read_to_string(&json).unwrap()).unwrap();
    assert_eq!(report["end"], "interrupted");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_run_ends_when_nobody_reads_its_lines_any_more() {
    let server = blog().await;
    let target = format!("http://{}", server.address);
    let args = ["run", "--target", &target, "--duration", "10m", "--rate", "10", "--progress", "jsonl"];
    let mut child = command(&args).stdout(Stdio::piped()).stderr(Stdio::null()).spawn().unwrap();
    drop(child.stdout.take());
    let ended = tokio::time::timeout(Duration::from_secs(20), child.wait()).await.unwrap().unwrap();
    assert_eq!(ended.code(), Some(0));
}

#[tokio::test(flavor = "multi_thread")]
async fn no_request_is_no_pass() {
    let server = blog().await;
    let folder = tempfile::tempdir().unwrap();
    let pause = folder.path().join("pause.yaml");
    let text = "{name: pause, stages: [{rate: 0, duration: 100ms}], flows: [{name: f, steps: [{get: /}]}]}";
    std::fs::write(&pause, text).unwrap();
    let target = format!("http://{}", server.address);
    let args = ["run", "--target", &target, "--max-failures", "0", "--scenario", pause.to_str().unwrap()];
    let output = command(&args).output().await.unwrap();
    assert_eq!(status(&output), 1);
    assert!(stdout(&output).contains("limit BROKEN: at least one request"), "{}", stdout(&output));
}

async fn refused(args: &[&str]) -> String {
    let output = command(args).output().await.unwrap();
    assert_eq!(status(&output), 64, "{args:?}: {}", stderr(&output));
    stderr(&output)
}

#[tokio::test(flavor = "multi_thread")]
async fn wrong_usage_is_64_with_a_remedy_before_anything_is_sent() {
    let here = ["run", "--target", "http://127.0.0.1:9"];
    let with = |more: &[&'static str]| [&here[..], more].concat();
    for (args, told) in [
        (vec!["run", "--target", "http://192.0.2.1"], "--allow-remote"),
        (vec!["run", "--target", "127.0.0.1:80"], "write it like http://127.0.0.1:8080"),
        (with(&["--rate", "-1"]), "requests per second"),
        (with(&["--rate", "0"]), "above 0"),
        (with(&["--duration", "5"]), "write it as 10s"),
        (with(&["--duration", "0s"]), "more than 0s"),
        (with(&["--timeout", "0s"]), "1ms to 1h"),
        (with(&["--header", "nonsense"]), "no colon"),
        (with(&["--header", "content-length: 5"]), "leave it out"),
        (with(&["--max-failure-rate", "200%"]), "from 0% to 100%"),
        (with(&["--scenario", "/nowhere.yaml"]), "/nowhere.yaml: cannot be read"),
        (with(&["--username", "me"]), "LOAD_PASSWORD"),
        (with(&["--report-json", "/nowhere/r.json"]), "folder that exists"),
        (with(&["--max-in-flight", "0"]), "1..=100000"),
        (vec!["run"], "--target"),
    ] {
        let error = refused(&args).await;
        assert!(error.contains(told), "{args:?}: {error}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_scenario_file_is_checked_with_its_line() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("mine.yaml");
    std::fs::write(&path, "name: mine\nflows:\n- name: f\n  wait: 5s\n  steps: [get: /]\n").unwrap();
    let error = refused(&["check", path.to_str().unwrap()]).await;
    assert!(error.contains("mine.yaml:4:3: flows[0].wait: unknown field `wait`"), "{error}");
    let output = command(&["check", "readers", "sticky", "authors"]).output().await.unwrap();
    assert_eq!(status(&output), 0);
    assert_eq!(stdout(&output).lines().count(), 3);
}
