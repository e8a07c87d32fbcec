//! How many, when, and how long.

use std::time::Duration;

use load::{
    client::Settings,
    pacer::End,
    schedule::{Rate, Stage},
};

use crate::{
    ONE_PAGE, Plan, numbers, plan, run,
    server::{Answer, Server},
    stage,
};

#[tokio::test(flavor = "multi_thread")]
async fn a_constant_rate_sends_exactly_that_many_and_counts_them_by_version_stage_and_step() {
    let server = Server::start(|n, _| {
        let version = if n % 4 == 0 { "v2" } else { "v1" };
        Answer::status(200).header("x-app-version", version)
    })
    .await;
    let outcome = run(plan(&server, ONE_PAGE, &[stage(100.0, 1_000), stage(200.0, 500)]).await).await;
    let counts = outcome.counts;
    assert_eq!(outcome.end, End::Completed);
    assert_eq!(numbers(&counts.total), [200, 0, 0, 0, 0]);
    assert_eq!(server.seen().len(), 200);
    let versions: Vec<_> =
        counts.versions.iter().map(|(name, figures)| (name.as_str(), figures.requests)).collect();
    assert_eq!(versions, [("v1", 150), ("v2", 50)]);
    assert_eq!(counts.stages.iter().map(|stage| stage.requests).collect::<Vec<_>>(), [100, 100]);
    assert_eq!(counts.steps[0].0.requests, 200);
    let last = counts.timeline.last().unwrap();
    assert_eq!(last.all.total.requests, 200);
    assert_eq!(counts.timeline.iter().map(|second| second.all.last.requests).sum::<u64>(), 200);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_stalls_makes_the_requests_due_meanwhile_slow() {
    // One connection's worth of stall: every request until 600 ms after the first is held back until then.
    let begun = std::sync::OnceLock::new();
    let server = Server::start(move |_, _| {
        let since = begun.get_or_init(std::time::Instant::now).elapsed();
        Answer::status(200).after(Duration::from_millis(600).saturating_sub(since))
    })
    .await;
    let latency =
        run(plan(&server, ONE_PAGE, &[stage(50.0, 1_200)]).await).await.counts.total.latency.unwrap();
    // 30 of 60 requests were due during the stall, their latencies spread evenly from 0 to 600 ms.
    assert!(latency.max >= 590.0, "{latency:?}");
    assert!(latency.p90 >= 400.0, "{latency:?}");
}

#[tokio::test]
async fn latency_counts_from_the_intended_start_even_if_the_driver_itself_is_late() {
    // Server and driver share one thread, which the sixth request holds for 300 ms: the driver sends late,
    // and the server answers what was sent late at once.
    let server = Server::start(|n, _| {
        if n == 5 {
            let begun = std::time::Instant::now();
            while begun.elapsed() < Duration::from_millis(300) {}
        }
        Answer::status(200)
    })
    .await;
    let counts = run(plan(&server, ONE_PAGE, &[stage(100.0, 600)]).await).await.counts;
    assert_eq!(numbers(&counts.total), [60, 0, 0, 0, 0]);
    // 30 of 60 were due meanwhile; the driver owns up to its own delay.
    assert!(counts.total.latency.unwrap().p90 >= 150.0, "{:?}", counts.total.latency);
    assert!(counts.lag.unwrap().p90 >= 150.0, "{:?}", counts.lag);
}

#[tokio::test(flavor = "multi_thread")]
async fn arrivals_beyond_the_bound_are_counted_as_dropped() {
    let server = Server::start(|_, _| Answer::status(200).after(Duration::from_millis(700))).await;
    let plan = Plan { in_flight_max: 10, ..plan(&server, ONE_PAGE, &[stage(100.0, 500)]).await };
    let counts = run(plan).await.counts;
    assert_eq!(numbers(&counts.total), [10, 0, 0, 0, 40]);
    assert_eq!(counts.stages[0].dropped, 40);
    assert_eq!(server.seen().len(), 10);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_run_that_is_stopped_lets_requests_under_way_end() {
    let server = Server::start(|_, _| Answer::status(200).after(Duration::from_millis(200))).await;
    let plan = plan(&server, ONE_PAGE, &[stage(50.0, 60_000)]).await;
    let (stop, mut stopped) = tokio::sync::mpsc::channel(1);
    tokio::spawn(async move {
        tokio::time::sleep(Duration::from_millis(400)).await;
        stop.send(()).await.unwrap();
        std::future::pending::<()>().await;
    });
    let outcome = load::drive::drive(plan, &mut crate::Nobody, &mut stopped).await.unwrap();
    assert_eq!((outcome.end, outcome.abandoned), (End::Interrupted, 0));
    let [requests, failures, ..] = numbers(&outcome.counts.total);
    assert!(requests > 5 && requests < 1_000, "{requests}");
    assert_eq!((failures, requests), (0, server.seen().len() as u64));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_second_stop_gives_up_what_is_under_way_and_says_how_much() {
    let server = Server::start(|_, _| Answer::status(200).after(Duration::from_secs(60))).await;
    let slow = plan(&server, ONE_PAGE, &[stage(50.0, 60_000)]).await;
    let settings = Settings { timeout: Duration::from_secs(60), ..slow.settings };
    let (stop, mut stopped) = tokio::sync::mpsc::channel(2);
    tokio::spawn(async move {
        tokio::time::sleep(Duration::from_millis(200)).await;
        stop.send(()).await.unwrap();
        stop.send(()).await.unwrap();
    });
    let mut nobody = crate::Nobody;
    let run = load::drive::drive(Plan { settings, ..slow }, &mut nobody, &mut stopped);
    let outcome = tokio::time::timeout(Duration::from_secs(10), run).await.unwrap().unwrap();
    assert_eq!((outcome.end, numbers(&outcome.counts.total)), (End::Interrupted, [0; 5]));
    assert!(outcome.abandoned > 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_ramp_and_a_pause_are_followed() {
    let server = Server::start(|_, _| Answer::status(200)).await;
    let ramp = Stage { from: Some(Rate::try_new(0.0).unwrap()), ..stage(200.0, 500) };
    let counts = run(plan(&server, ONE_PAGE, &[ramp, stage(0.0, 200), stage(50.0, 200)]).await).await.counts;
    assert_eq!(counts.stages.iter().map(|stage| stage.requests).collect::<Vec<_>>(), [50, 0, 10]);
}

#[tokio::test(flavor = "multi_thread")]
async fn think_time_brings_more_people_and_keeps_the_rate() {
    let server = Server::start(|_, _| Answer::html("x")).await;
    let eager =
        "{name: n, users: 50, identity: {header: x-user}, flows: [{name: f, steps: [{get: /a}, {get: /b}]}]}";
    let calm = eager.replace("name: f,", "name: f, think: 10s,");
    let counts = run(plan(&server, &calm, &[stage(100.0, 300)]).await).await.counts;
    // Nobody comes back for /b within the run: thirty people open /a.
    assert_eq!(numbers(&counts.total), [30, 0, 0, 0, 0]);
    assert!(server.paths().iter().all(|path| path == "/a"));
    let server = Server::start(|_, _| Answer::html("x")).await;
    run(plan(&server, eager, &[stage(100.0, 300)]).await).await;
    assert!(server.paths().iter().any(|path| path == "/b"));
}
