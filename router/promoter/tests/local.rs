//! `promoter local` and `kubectl-canary` with real processes.

mod common;

use common::{Prometheus, Routing, World, candidate, phase, pids, signal, stable, weight};
use rustix::process::Signal;
use std::fs;

#[tokio::test(flavor = "multi_thread")]
async fn a_good_candidate_becomes_stable_and_none_of_its_processes_is_restarted() {
    let mut world = World::with_v1().await;
    let before = world.canary();
    world.release(&[("HELLO_VERSION", "v2")]);
    let midway = world
        .until("at full size", |canary| canary["status"]["stage"] == "Judging" && weight(canary) == "100%");
    let verified = pids(&midway, &candidate(&midway));
    assert_eq!(verified.len(), 3, "{midway:#}");
    let output = world.cli(&["status", "--wait=promoted", "--timeout=30s"]);
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let after =
        world.until("tidied up", |canary| canary["status"]["replicas"].as_array().unwrap().len() == 3);
    assert_ne!(stable(&after), stable(&before));
    assert_eq!(pids(&after, &stable(&after)), verified);
    assert_eq!(world.processes().len(), 3, "the old ones have ended");
    let routes = world.routes();
    assert!(routes.contains("weight: 10000") && !routes.contains("canary"), "{routes}");
    assert!(world.say(&["history"]).contains("promoted"), "the end is remembered");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_candidate_that_crashes_at_start_gets_no_request_and_fails_at_its_deadline_with_the_reason() {
    let mut world = World::with_v1().await;
    world.settings.progress = "2s";
    let before = pids(&world.canary(), &stable(&world.canary()));
    world.release(&[("HELLO_CRASH", "no database at db.example:5432")]);
    let held = world.until("waiting", |canary| {
        canary["status"]["hold"]["message"]
            .as_str()
            .is_some_and(|message| message.contains("exited with status 3"))
    });
    assert_eq!((weight(&held), held["status"]["hold"]["reason"].as_str()), ("0%", Some("NotReady")));
    let output = world.cli(&["status", "--wait=promoted", "--timeout=30s"]);
    assert_eq!(output.status.code(), Some(1), "something else has come");
    let failed = world.until("failed", |canary| phase(canary) == "Failed");
    let cause = &failed["status"]["cause"];
    assert_eq!(cause["reason"], "ProgressDeadlineExceeded");
    for part in ["0 of 1 replicas", "exited with status 3", " so far: no database at db.example:5432"] {
        assert!(cause["message"].as_str().unwrap().contains(part), "{part}: {cause}");
    }
    assert_eq!(pids(&failed, &stable(&failed)), before, "stable was not touched");
    assert!(!world.routes().contains("canary"));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_bad_candidate_is_taken_out_and_can_be_retried_or_undone() {
    let mut world = World::with_v1().await;
    let before = pids(&world.canary(), &stable(&world.canary()));
    world.router.fail_canary(0.3);
    world.release(&[("HELLO_VERSION", "bad")]);
    let failed = world.until("failed", |canary| phase(canary) == "Failed");
    assert_eq!(failed["status"]["cause"]["reason"], "FailFast");
    assert_eq!(pids(&failed, &stable(&failed)), before);
    assert_eq!(world.processes().len(), 3, "the candidate's processes are gone");
    let explained = world.say(&["explain"]);
    for part in ["Taken back:   FailFast: in one tick", "✖ fails", "obviously broken", "30 of 100 failed"] {
        assert!(explained.contains(part), "{part}: {explained}");
    }

    let printed = world.say(&["retry"]);
    assert!(
        printed.contains("canary.huidu.dev/hello retried") && printed.contains("Progressing"),
        "{printed}"
    );
    world.until("failed again", |canary| phase(canary) == "Failed");

    let printed = world.say(&["undo"]);
    assert!(printed.contains("undone"), "{printed}");
    let undone = world.until("stable", |canary| phase(canary) == "Stable");
    let note = &undone["status"]["conditions"][0];
    assert_eq!((note["type"].as_str(), note["reason"].as_str()), (Some("TemplateFollowed"), Some("Undone")));
    assert_eq!(pids(&undone, &stable(&undone)), before);

    world.router.fail_canary(0.0);
    world.release(&[("HELLO_VERSION", "good")]);
    let promoted = world.until("promoted", |canary| {
        phase(canary) == "Stable" && canary["status"]["history"][2]["outcome"] == "Promoted"
    });
    assert!(
        promoted["status"]["conditions"].is_null(),
        "the file says another template: it is followed again"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_promoter_killed_in_the_middle_goes_on_to_the_same_end_with_the_same_processes() {
    let mut world = World::with_v1().await;
    world.settings.steps = "[{weight: 10%, pause: {}}, {weight: 100%}]";
    let before = pids(&world.canary(), &stable(&world.canary()));
    world.release(&[("HELLO_VERSION", "v2")]);
    let paused = world.until("paused", |canary| canary["status"]["hold"]["reason"] == "Paused");
    let tried = pids(&paused, &candidate(&paused));
    let evidence = paused["status"]["release"]["total"].clone();
    world.kill_promoter();
    assert_eq!(world.processes().len(), 4, "the processes outlive it");
    let routes = world.routes();

    world.start();
    let found = world.until("paused again", |canary| canary["status"]["hold"]["reason"] == "Paused");
    assert_eq!(pids(&found, &stable(&found)), before);
    assert_eq!(pids(&found, &candidate(&found)), tried);
    assert!(
        found["status"]["release"]["total"]["canary"]["requests"].as_u64()
            >= evidence["canary"]["requests"].as_u64()
    );
    let backends = |routes: &str| routes.split("routes:").nth(1).unwrap().to_owned();
    assert_eq!(backends(&world.routes()), backends(&routes), "no reader was sent elsewhere in between");

    world.say(&["promote"]);
    world.kill_promoter();
    world.start();
    let after = world.until("promoted", |canary| phase(canary) == "Stable");
    let verified = pids(&after, &stable(&after));
    assert!(tried.iter().all(|(name, pid)| verified.get(name) == Some(pid)), "{tried:?} {verified:?}");
    assert_eq!(after["status"]["history"][0]["outcome"], "Promoted");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_process_that_dies_is_started_again_on_its_port_and_its_last_words_are_shown() {
    let world = World::with_v1().await;
    let before = pids(&world.canary(), &stable(&world.canary()));
    let (name, pid) = before.iter().next().unwrap();
    signal(u32::try_from(*pid).unwrap(), Signal::KILL);
    let restarted = world.until("restarted", |canary| {
        let replicas = canary["status"]["replicas"].as_array().unwrap();
        replicas.iter().all(|replica| replica["ready"] == true)
            && replicas.iter().any(|replica| replica["restarts"] == 1)
    });
    let after = pids(&restarted, &stable(&restarted));
    assert_eq!(after.keys().collect::<Vec<_>>(), before.keys().collect::<Vec<_>>());
    assert_ne!(after[name], *pid);
    assert!(
        world.log().contains("ended by signal 9, once so far (restarting after 10ms)"),
        "{}",
        world.log()
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_person_steers_a_release_and_each_verb_prints_the_state_after_it() {
    let mut world = World::with_v1().await;
    world.settings.steps = "[{weight: 10%, pause: {}}, {weight: 100%, pause: {}}]";
    let refused = world.cli(&["set-weight", "30%"]);
    assert_eq!(refused.status.code(), Some(1));
    let text = String::from_utf8(refused.stderr).unwrap();
    assert!(
        text.contains("set-weight needs a release under way") && text.contains("change the template"),
        "{text}"
    );

    world.release(&[("HELLO_VERSION", "v2")]);
    world.until("paused", |canary| canary["status"]["hold"]["reason"] == "Paused");
    assert!(world.say(&["set-weight", "30%"]).contains("weight set"));
    world.until("at 30 %", |canary| {
        weight(canary) == "30%" && canary["status"]["hold"]["reason"] == "ManualWeight"
    });
    assert!(world.routes().contains("weight: 3000"), "{}", world.routes());
    assert!(world.say(&["resume"]).contains("resumed"));
    world.until("back at its step", |canary| {
        weight(canary) == "10%" && canary["status"]["hold"]["reason"] == "Paused"
    });
    assert!(world.say(&["pause"]).contains("paused"));
    assert!(world.say(&["abort"]).contains("RollingBack"));
    let failed = world.until("failed", |canary| phase(canary) == "Failed");
    assert_eq!(failed["status"]["cause"]["reason"], "Aborted");
    let wrong = world.cli(&["set-weight", "101%"]);
    assert_eq!(wrong.status.code(), Some(64), "101 % is outside of 0 to 100");
    let wrong = world.cli(&["status", "nobody"]);
    assert!(String::from_utf8(wrong.stderr).unwrap().contains("there is no canary `nobody`; known: hello"));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_word_means_the_file_as_it_was_saved_the_moment_before() {
    let mut world = World::with_v1().await;
    let restart = world.cli(&["restart"]);
    let text = String::from_utf8(restart.stderr).unwrap();
    assert!(restart.status.code() == Some(1) && text.contains("deployment.template.env"), "{text}");

    world.release(&[("HELLO_VERSION", "v2")]);
    assert!(world.say(&["pause"]).contains("paused"), "refused where no release is under way");
    world.until("paused", |canary| canary["status"]["hold"]["reason"] == "Paused");
    world.release(&[("HELLO_VERSION", "v3")]);
    let early = world.cli(&["promote", "--full"]);
    let text = String::from_utf8(early.stderr).unwrap();
    // Either the release of v2 is being taken out still, or that of v3 has begun: the word is never lost between them.
    assert!(early.status.success() || text.contains("has not begun yet, since"), "{text}");
    let output = world.cli(&["status", "--wait=promoted", "--timeout=30s"]);
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_router_that_does_not_confirm_is_waited_for_by_name() {
    let mut world = World::with_v1().await;
    world.router.set(Routing::Lags);
    world.release(&[("HELLO_VERSION", "v2")]);
    let held =
        world.until("waiting", |canary| canary["status"]["hold"]["reason"] == "AwaitingAcknowledgement");
    let message = held["status"]["hold"]["message"].as_str().unwrap();
    assert!(message.contains(&world.router.address) && message.contains("at generation"), "{message}");
    world.router.set(Routing::Follows);
    world.until("promoted", |canary| {
        phase(canary) == "Stable" && canary["status"]["history"][0]["outcome"] == "Promoted"
    });
}

#[tokio::test(flavor = "multi_thread")]
async fn counts_that_cannot_be_read_hold_the_release_and_say_why() {
    let mut world = World::with_v1().await;
    let nan = "huidu_router_generation 1\nhuidu_router_first_attempt_duration_seconds_count{route=\"hello\",track=\"canary\",class=\"2xx\"} NaN\n";
    world.router.show(Some("node_cpu_seconds_total 12\n"));
    world.release(&[("HELLO_VERSION", "v2")]);
    for (page, part) in [
        (Some("node_cpu_seconds_total 12\n"), "no metric huidu_router_first_attempt_duration_seconds there"),
        (Some(nan), "is NaN, and a counter is a whole number"),
    ] {
        world.router.show(page);
        let held = world.until("held", |canary| {
            let hold = &canary["status"]["hold"];
            hold["reason"] == "SourceUnavailable" && hold["message"].as_str().unwrap().contains(part)
        });
        assert!(held["status"]["hold"]["message"].as_str().unwrap().contains(&world.router.address));
        assert_eq!(weight(&held), "10%");
    }
    world.router.show(None);
    world.router.restart();
    world.until("promoted", |canary| {
        phase(canary) == "Stable" && canary["status"]["history"][0]["outcome"] == "Promoted"
    });
}

#[tokio::test(flavor = "multi_thread")]
async fn a_file_that_makes_no_sense_is_refused_by_line_and_the_last_good_one_stays() {
    let mut world = World::with_v1().await;
    let before = pids(&world.canary(), &stable(&world.canary()));
    world.settings.more = "stepz: []\n".to_owned();
    world.release(&[("HELLO_VERSION", "v2")]);
    let told = world.until("told", |canary| !canary["status"]["conditions"].is_null());
    let note = told["status"]["conditions"][0]["message"].as_str().unwrap();
    assert!(note.contains("hello.yaml:21:1: ") && note.contains("unknown field `stepz`"), "{note}");
    assert_eq!((phase(&told), pids(&told, &stable(&told))), ("Stable", before));
    let (code, text) = world.try_start();
    assert!(code == 64 && text.contains("unknown field `stepz`"), "{code}: {text}");

    world.settings.more = String::new();
    world.write();
    world.until("promoted", |canary| {
        phase(canary) == "Stable" && canary["status"]["history"][0]["outcome"] == "Promoted"
    });
}

#[tokio::test(flavor = "multi_thread")]
async fn nonsense_is_refused_before_anything_starts_with_its_field_and_remedy() {
    let mut world = World::empty().await;
    let good = fs::read_to_string(world.path("hello.yaml")).unwrap();
    let ports = format!("to: {}", world.ports.1);
    let few = format!("to: {}", world.ports.0 + 4);
    for (from, to, parts) in [
        (
            ports.as_str(),
            few.as_str(),
            &["deployment.ports: 5 ports are too few", "runs 6 processes", "or more"][..],
        ),
        ("replicas: 3", "replicas: 0", &["deployment.replicas: 0 processes", "at least 1"]),
        ("period: 100ms", "period: -1s", &["readinessProbe.period: `-1s` is not a duration"]),
        ("weight: 10%", "weight: 101%", &["canary.steps[0].weight: weight 101% is outside"]),
        ("[{weight: 10%}", "[{weight: 100%}", &["canary.steps[1].weight: 100% does not go up"]),
        (
            "interval: 100ms}",
            "latencyBound: 300ms}",
            &["analysis.latencyBound: 300ms", "write one of 5ms, 10ms"],
        ),
        ("http://127.0.0.1", "127.0.0.1", &["routers.admins", "write it as http://127.0.0.1:8081"]),
        ("name: hello", "name: Hello!", &["name: `Hello!` is not a name"]),
        ("canary:\n", "canary: [\n", &[]),
    ] {
        assert!(good.contains(from), "{from}");
        world.replace("hello.yaml", &good.replacen(from, to, 1));
        let (code, text) = world.try_start();
        assert_eq!(code, 64, "{text}");
        assert!(text.contains("hello.yaml:"), "{text}");
        for part in parts {
            assert!(text.contains(part), "{part}: {text}");
        }
    }
    assert!(world.processes().is_empty() && !world.path("run").exists());
    world.settings.replicas = 3;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_second_promoter_on_the_same_state_is_refused_and_disturbs_nothing() {
    let world = World::with_v1().await;
    let text = fs::read_to_string(world.path("hello.yaml")).unwrap();
    let api = text.lines().find(|line| line.starts_with("api:")).unwrap();
    fs::write(world.path("other.yaml"), text.replace(api, "api: 127.0.0.1:0")).unwrap();
    let second = std::process::Command::new(env!("CARGO_BIN_EXE_promoter"))
        .args(["local", "--config"])
        .arg(world.path("other.yaml"))
        .output()
        .unwrap();
    let said = String::from_utf8(second.stderr).unwrap();
    assert_eq!(second.status.code(), Some(1));
    assert!(said.contains("another promoter (process ") && said.contains("state.json"), "{said}");
    assert_eq!((phase(&world.canary()), world.processes().len()), ("Stable", 3));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_state_that_was_cut_short_or_lost_is_refused_and_the_processes_keep_running() {
    let mut world = World::with_v1().await;
    let before = pids(&world.canary(), &stable(&world.canary()));
    world.kill_promoter();
    let whole = fs::read(world.path("run/state.json")).unwrap();

    fs::write(world.path("run/state.json"), &whole[..whole.len() / 2]).unwrap();
    let (code, text) = world.try_start();
    assert!(
        code == 1 && text.contains("cut short") && text.contains("put a good copy back"),
        "{code}: {text}"
    );

    fs::remove_file(world.path("run/state.json")).unwrap();
    let (code, text) = world.try_start();
    assert!(code == 1 && text.contains("processes of it are running"), "{code}: {text}");
    assert_eq!(world.processes().len(), 3);

    fs::write(world.path("run/state.json"), &whole).unwrap();
    world.start();
    let after = world.until("stable", |canary| phase(canary) == "Stable");
    assert_eq!(pids(&after, &stable(&after)), before);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_processes_outlive_the_promoter_unless_they_are_to_end_with_it() {
    let mut world = World::with_v1().await;
    world.end_promoter();
    assert_eq!(world.processes().len(), 3);
    world.start_with(&["--stop-workload-on-exit"]);
    world.end_promoter();
    assert!(world.processes().is_empty(), "{}", world.log());
    world.start();
    world.until("running again", |canary| {
        let replicas = canary["status"]["replicas"].as_array().unwrap();
        replicas.len() == 3 && replicas.iter().all(|replica| replica["ready"] == true)
    });
}

#[tokio::test(flavor = "multi_thread")]
async fn the_counts_of_a_real_prometheus_judge_as_well_and_its_loss_only_holds() {
    let mut world = World::empty().await;
    let Some(mut prometheus) = Prometheus::scraping(&world.router) else {
        eprintln!(
            "SKIPPED: there is no `prometheus` here; on Debian, `apt-get install prometheus` brings it"
        );
        return;
    };
    world.settings.steps = "[{weight: 10%}, {weight: 100%, pause: {}}]";
    world.settings.more = format!("evidence: {{prometheus: {{address: \"{}\"}}}}\n", prometheus.address);
    world.write();
    world.start();
    world.until("stable", |canary| phase(canary) == "Stable");
    world.release(&[("HELLO_VERSION", "v2")]);
    let paused = world.until("at its last step", |canary| {
        weight(canary) == "100%" && canary["status"]["hold"]["reason"] == "Paused"
    });
    let total = &paused["status"]["release"]["total"];
    assert!(total["canary"]["requests"].as_u64().unwrap() > 0, "{total}");
    assert_eq!(total["canary"]["requests"].as_u64().unwrap() % 100, 0, "whole scrapes: {total}");

    prometheus.end();
    let held = world.until("held", |canary| canary["status"]["hold"]["reason"] == "SourceUnavailable");
    let message = held["status"]["hold"]["message"].as_str().unwrap();
    assert!(message.contains(&prometheus.address) && message.contains("connection refused"), "{message}");
    assert_eq!((phase(&held), weight(&held)), ("Progressing", "100%"));
}
