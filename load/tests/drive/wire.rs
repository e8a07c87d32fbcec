//! Failures, the retry rule and the one address.

use std::{
    sync::atomic::{AtomicUsize, Ordering},
    time::Duration,
};

use load::client::{Retry, Settings};

use crate::{
    ONE_PAGE, Plan, numbers, plan, run,
    server::{Answer, Server, read_head, write},
    stage,
};

const FINE: &str = "HTTP/1.1 200 OK\r\ncontent-length: 2\r\nx-app-version: v1\r\n\r\nok";

/// Closes every second connection after it has read a request on it.
async fn flaky() -> Server {
    Server::raw(|number, mut stream, seen| async move {
        while read_head(&mut stream, &seen).await.is_some() {
            if number % 2 == 0 {
                return;
            }
            write(&mut stream, FINE).await;
        }
    })
    .await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_get_whose_connection_closed_before_any_byte_is_sent_once_more_and_shown() {
    let server = flaky().await;
    let counts = run(plan(&server, ONE_PAGE, &[stage(10.0, 300)]).await).await.counts;
    // The first connection is closed, the second serves its retry and, kept alive, the rest.
    assert_eq!(numbers(&counts.total), [3, 0, 0, 1, 0]);
    assert_eq!(server.seen().len(), 4);
}

#[tokio::test(flavor = "multi_thread")]
async fn without_the_retry_rule_the_close_is_a_failure() {
    let server = flaky().await;
    let plan = plan(&server, ONE_PAGE, &[stage(10.0, 300)]).await;
    let settings = Settings { retry: Retry::Never, ..plan.settings };
    let counts = run(Plan { settings, ..plan }).await.counts;
    assert_eq!(numbers(&counts.total), [3, 1, 0, 0, 0]);
    assert_eq!(counts.failures.get("closed"), Some(&1));
    assert_eq!(counts.versions[1].0, "(no answer)");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_second_close_is_a_failure() {
    let server = Server::raw(|_, mut stream, seen| async move {
        read_head(&mut stream, &seen).await;
    })
    .await;
    let counts = run(plan(&server, ONE_PAGE, &[stage(10.0, 200)]).await).await.counts;
    assert_eq!(numbers(&counts.total), [2, 2, 0, 2, 0]);
    assert_eq!(server.seen().len(), 4);
}

#[tokio::test(flavor = "multi_thread")]
async fn connections_that_the_server_ends_in_order_need_no_retry() {
    let server = Server::raw(|_, mut stream, seen| async move {
        read_head(&mut stream, &seen).await;
        write(&mut stream, &FINE.replace("x-app-version", "connection: close\r\nx-app-version")).await;
    })
    .await;
    let counts = run(plan(&server, ONE_PAGE, &[stage(50.0, 200)]).await).await.counts;
    assert_eq!(numbers(&counts.total), [10, 0, 0, 0, 0]);

    // Closed without a word after each answer: the next request finds it closed, and uses another one.
    let server = Server::raw(|_, mut stream, seen| async move {
        read_head(&mut stream, &seen).await;
        write(&mut stream, FINE).await;
    })
    .await;
    let counts = run(plan(&server, ONE_PAGE, &[stage(10.0, 300)]).await).await.counts;
    assert_eq!(numbers(&counts.total), [3, 0, 0, 0, 0]);
}

#[tokio::test(flavor = "multi_thread")]
async fn connections_are_kept_and_used_again() {
    let connections: &'static AtomicUsize = Box::leak(Box::default());
    let server = Server::raw(move |_, mut stream, seen| async move {
        connections.fetch_add(1, Ordering::Relaxed);
        while read_head(&mut stream, &seen).await.is_some() {
            write(&mut stream, FINE).await;
        }
    })
    .await;
    let counts = run(plan(&server, ONE_PAGE, &[stage(20.0, 500)]).await).await.counts;
    assert_eq!(numbers(&counts.total), [10, 0, 0, 0, 0]);
    assert!(connections.load(Ordering::Relaxed) < 10);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_post_is_never_repeated() {
    let server = Server::raw(|_, mut stream, seen| async move {
        while read_head(&mut stream, &seen).await.is_some() {
            if seen.lock().unwrap().last().unwrap().method == "POST" {
                return;
            }
            let form = "<form method=post><input name=a></form>";
            let length = form.len();
            write(
                &mut stream,
                &format!(
                    "HTTP/1.1 200 OK\r\ncontent-type: text/html\r\ncontent-length: {length}\r\n\r\n{form}"
                ),
            )
            .await;
        }
    })
    .await;
    let scenario = "{name: n, users: 1, flows: [{name: f, steps: [{get: /}, {submit: {a: ''}}]}]}";
    let counts = run(plan(&server, scenario, &[stage(10.0, 200)]).await).await.counts;
    assert_eq!(numbers(&counts.total), [2, 1, 0, 0, 0]);
    assert_eq!(server.seen().iter().filter(|seen| seen.method == "POST").count(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_answer_that_began_is_never_repeated() {
    for (answer, reason) in [
        ("HTTP/1.1 200 OK\r\ncontent-length: 9\r\n\r\ncut", "truncated"),
        ("HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n5\r\nhel", "truncated"),
        ("HTTP/1.1 20", "truncated"),
        ("SMTP says hello\r\n\r\n", "malformed"),
    ] {
        let server = Server::raw(move |_, mut stream, seen| async move {
            read_head(&mut stream, &seen).await;
            write(&mut stream, answer).await;
        })
        .await;
        let counts = run(plan(&server, ONE_PAGE, &[stage(10.0, 100)]).await).await.counts;
        assert_eq!(numbers(&counts.total), [1, 1, 0, 0, 0], "{answer}");
        assert_eq!(counts.failures.get(reason), Some(&1), "{answer}: {:?}", counts.failures);
        assert_eq!(server.seen().len(), 1);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn nobody_listening_and_nobody_answering_are_failures_with_their_names() {
    let server = Server::start(|_, _| Answer::status(200).after(Duration::from_secs(60))).await;
    let slow = plan(&server, ONE_PAGE, &[stage(10.0, 200)]).await;
    let settings = Settings { timeout: Duration::from_millis(100), ..slow.settings };
    let counts = run(Plan { settings, ..slow }).await.counts;
    assert_eq!(counts.failures.get("timeout"), Some(&2));
    assert!(counts.total.latency.unwrap().p50 >= 100.0);

    let server = Server::gone().await;
    let counts = run(plan(&server, ONE_PAGE, &[stage(10.0, 200)]).await).await.counts;
    assert_eq!(counts.failures.get("connect"), Some(&2));
}

#[tokio::test(flavor = "multi_thread")]
async fn five_hundreds_fail_and_four_hundreds_are_unexpected_unless_expected() {
    let server =
        Server::start(|n, _| Answer::status([503, 404, 200][n % 3]).header("x-request-id", n.to_string()))
            .await;
    let counts = run(plan(&server, ONE_PAGE, &[stage(100.0, 90)]).await).await.counts;
    assert_eq!(numbers(&counts.total), [9, 6, 3, 0, 0]);
    assert_eq!(counts.failures.get("http 503"), Some(&3));
    assert_eq!(counts.failures.get("unexpected 404"), Some(&3));
    let sample = counts.samples.iter().find(|sample| sample.request_id == "0").unwrap();
    assert_eq!((sample.request.as_str(), sample.reason.as_str()), ("GET /", "http 503"));

    let server = Server::start(|_, _| Answer::status(404)).await;
    let scenario = ONE_PAGE.replace("{get: /}", "{get: /, expect: [404]}");
    let counts = run(plan(&server, &scenario, &[stage(100.0, 50)]).await).await.counts;
    assert_eq!(numbers(&counts.total), [5, 0, 0, 0, 0]);
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_is_ever_sent_to_another_authority() {
    let other = Server::start(|_, _| Answer::status(200)).await;
    let away = format!("http://{}", other.address);
    let elsewhere = away.clone();
    let server = Server::start(move |_, seen| match seen.path.as_str() {
        "/" => Answer::html(format!(
            "<link rel=alternate type=application/atom+xml href={elsewhere}/feed>
             <h2><a href={elsewhere}/post>away</a></h2><h2><a href=/hop>hop</a></h2>
             <form action={elsewhere}/search><input name=q></form>
             <form method=post action={elsewhere}/login><input name=user></form>"
        )),
        _ => Answer::status(302).header("location", format!("{elsewhere}/caught")),
    })
    .await;
    let scenario = "
name: n
flows:
- name: f
  steps: [get: /, follow: post, follow: feed, search: {words: [x]}, submit: {user: me}, follow: {under: /}]
";
    let counts = run(plan(&server, scenario, &[stage(100.0, 300)]).await).await.counts;
    assert_eq!(other.seen().len(), 0);
    assert_eq!(counts.total.failures, 0);
    assert!(counts.redirects_refused >= 5, "{}", counts.redirects_refused);
    assert!(server.paths().iter().all(|path| path == "/" || path == "/hop"), "{:?}", server.paths());
    assert!(server.seen().iter().all(|seen| seen.headers["host"] == server.address.to_string()));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_redirect_within_the_target_is_followed_and_a_loop_ends() {
    let server = Server::start(|_, seen| match seen.path.as_str() {
        "/" => Answer::status(301).header("location", "/home"),
        "/home" => Answer::html("home"),
        _ => Answer::status(302).header("location", "/loop"),
    })
    .await;
    let counts = run(plan(&server, ONE_PAGE, &[stage(100.0, 500)]).await).await.counts;
    // Each redirect is an arrival of its own, so that the rate stays exact.
    assert_eq!(numbers(&counts.total), [50, 0, 0, 0, 0]);
    assert_eq!(counts.steps[0].0.requests + counts.redirects.requests, 50);
    let followed = server.paths().iter().filter(|path| *path == "/home").count();
    assert!(followed > 0 && followed as u64 == counts.redirects.requests, "{followed}");

    // However slow the machine is, some session gets its eleven arrivals.
    let scenario = ONE_PAGE.replace("get: /", "get: /loop").replace("name: one page", "name: loop, users: 1");
    let counts = run(plan(&server, &scenario, &[stage(50.0, 2_000)]).await).await.counts;
    let ended = counts.failures.get("redirect loop").copied().unwrap_or(0);
    assert!(ended > 0 && counts.total.failures == ended, "{:?}", counts.failures);
}
