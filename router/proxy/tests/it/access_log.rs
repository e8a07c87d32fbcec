//! What the access log tells, of whom, and when it changes.

use crate::{
    h2_origin::{Call, H2Client},
    program::Program,
    scripted::Scripted,
    support::{Behaviour, Client, GET, Origin, POST, get, once, put, routes},
};
use serde_json::Value;
use std::time::Duration;
use tokio::time;

const ALL: &str = "--access-log=100%";

fn text<'a>(line: &'a Value, names: &[&str]) -> Vec<&'a str> {
    names.iter().map(|name| line[name].as_str().unwrap_or("-")).collect()
}

#[tokio::test]
async fn a_line_tells_what_became_of_a_request_and_no_secrets() {
    let stable = Origin::good("stable").await;
    let program = Program::start(&routes((&[&stable], 1), (&[], 0), ""), &[ALL]).await;
    let request = "GET /a%2Fb?token=secret HTTP/1.1\r\nHost: blog.example:80\r\nX-Request-Id: 7\r\n\
                   Authorization: Bearer secret\r\nCookie: session=secret\r\n\r\n";
    assert_eq!(once(program.address, request).await.status, 200);
    let line = &program.exactly(1).await[0];
    assert_eq!(
        text(line, &["id", "client", "protocol", "method", "host", "path"]),
        ["7", "127.0.0.1", "HTTP/1.1", "GET", "blog.example:80", "/a%2Fb"]
    );
    assert_eq!(
        text(line, &["route", "chosen", "track", "backend", "endpoint", "reason"]),
        ["blog", "stable", "stable", "blog-stable", &stable.address.to_string(), "-"]
    );
    let numbers = ["status", "attempts", "bytesReceived", "bytesSent"].map(|name| line[name].as_u64());
    assert_eq!(numbers, [200, 1, 0, 6].map(Some));
    let (first, whole) = (line["firstByteMs"].as_f64().unwrap(), line["durationMs"].as_f64().unwrap());
    assert!(0.0 < first && first <= whole, "{line}");
    assert!(line["time"].as_str().unwrap().parse::<jiff::Timestamp>().is_ok(), "{line}");
    assert!(!line.to_string().contains("secret"), "{line}");
}

#[tokio::test]
async fn the_query_is_told_where_it_is_asked_for() {
    let stable = Origin::good("stable").await;
    let yaml = routes((&[&stable], 1), (&[], 0), "");
    let program = Program::start(&yaml, &[ALL, "--access-log-query"]).await;
    get(program.address, "/a?b=c").await;
    assert_eq!(program.exactly(1).await[0]["path"], "/a?b=c");
}

#[tokio::test]
async fn bodies_are_counted_over_both_protocols() {
    let stable = Origin::good("stable").await;
    let program = Program::start(&routes((&[&stable], 1), (&[], 0), ""), &[ALL]).await;
    once(program.address, POST).await;
    let client = H2Client::connect(program.address).await;
    client.call(Call::get("/h2")).await.unwrap();
    once(program.address, "HEAD / HTTP/1.1\r\nHost: blog\r\n\r\n").await;
    let lines = program.exactly(3).await;
    let told: Vec<_> =
        lines.iter().map(|line| text(line, &["protocol", "method", "path", "reason"])).collect();
    let expected =
        [["HTTP/1.1", "POST", "/", "-"], ["HTTP/2", "GET", "/h2", "-"], ["HTTP/1.1", "HEAD", "/", "-"]];
    assert_eq!(told, expected);
    let bytes: Vec<_> =
        lines.iter().map(|line| (line["bytesReceived"].clone(), line["bytesSent"].clone())).collect();
    assert_eq!(bytes, [(2.into(), 6.into()), (0.into(), 6.into()), (0.into(), 0.into())]);
}

#[tokio::test]
async fn only_failures_are_told_where_only_they_are_wanted() {
    let (stable, canary) =
        (Origin::good("stable").await, Origin::start("canary", Behaviour::Status(503)).await);
    let rest = "hostnames: [blog]\n    override: {header: x-canary}";
    let yaml = routes((&[&stable], 1), (&[&canary], 0), rest);
    let program = Program::start(&yaml, &["--access-log-failures"]).await;
    assert_eq!(get(program.address, "/good").await.status, 200);
    let to_canary = "GET / HTTP/1.1\r\nHost: blog\r\nX-Canary: always\r\n\r\n";
    assert_eq!(once(program.address, to_canary).await.text(), "stable");
    assert_eq!(once(program.address, "GET / HTTP/1.1\r\nHost: other\r\n\r\n").await.status, 404);
    assert_eq!(once(program.address, "GET / HTTP/1.1\r\nHost : blog\r\n\r\n").await.status, 400);
    stable.now(Behaviour::Hang);
    let mut leaves = Client::connect(program.address).await;
    leaves.send("GET /left HTTP/1.1\r\nHost: blog\r\n\r\n").await;
    time::sleep(Duration::from_millis(100)).await;
    drop(leaves);
    let lines = program.exactly(4).await;
    let told: Vec<_> = lines.iter().map(|line| text(line, &["reason", "chosen", "track"])).collect();
    assert_eq!(
        told,
        [
            ["5xx", "canary", "stable"],
            ["no_route", "-", "-"],
            ["bad_request", "-", "-"],
            ["client_left", "stable", "stable"]
        ]
    );
    let statuses: Vec<_> = lines.iter().map(|line| line["status"].as_u64()).collect();
    assert_eq!(statuses, [Some(200), Some(404), Some(400), None]);
    assert_eq!(
        (&lines[0]["attempts"], &lines[3]["endpoint"]),
        (&2.into(), &stable.address.to_string().into())
    );
}

#[tokio::test]
async fn an_answer_that_breaks_off_says_why() {
    let stable = Origin::start("stable", Behaviour::Truncate).await;
    let program = Program::start(&routes((&[&stable], 1), (&[], 0), ""), &["--access-log-failures"]).await;
    for request in [GET, POST] {
        let mut client = Client::connect(program.address).await;
        client.send(request).await;
        assert!(client.answer().await.is_none());
    }
    for line in program.exactly(2).await {
        let told = (&line["status"], &line["reason"], &line["bytesSent"]);
        assert_eq!(told, (&200.into(), &"reset".into(), &10.into()));
    }
}

#[tokio::test]
async fn an_upgrade_has_one_line_at_its_end() {
    let agreed = "HTTP/1.1 101 X\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\nwelcome";
    let backend = Scripted::start(agreed).await;
    let program = Program::start(&backend.route(), &[ALL]).await;
    let mut client = Client::connect(program.address).await;
    client
        .send("GET /chat HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\nhello")
        .await;
    assert_eq!(client.answer().await.unwrap().status, 101);
    assert_eq!(client.bytes(7).await, b"welcome");
    time::sleep(Duration::from_millis(200)).await;
    assert_eq!(program.lines().len(), 0);
    drop(client);
    let line = &program.exactly(1).await[0];
    assert_eq!(
        ["status", "bytesReceived", "bytesSent"].map(|name| line[name].as_u64().unwrap()),
        [101, 5, 7]
    );
    assert!(line["durationMs"].as_f64().unwrap() > 150.0, "{line}");
}

#[tokio::test]
async fn a_share_of_the_requests_is_told() {
    let stable = Origin::good("stable").await;
    let program = Program::start(&routes((&[&stable], 1), (&[], 0), ""), &["--access-log=50%"]).await;
    let mut client = Client::connect(program.address).await;
    for _ in 0..400 {
        client.get().await;
    }
    time::sleep(Duration::from_millis(300)).await;
    // Six standard deviations.
    assert!((140..=260).contains(&program.lines().len()), "{} of 400", program.lines().len());
}

#[tokio::test]
async fn the_access_log_changes_while_it_runs() {
    let stable = Origin::good("stable").await;
    let yaml = routes((&[&stable], 1), (&[], 0), "");
    let program = Program::start(&yaml, &[]).await;
    let setting = async || get(program.admin_address, "/access-log").await.text().to_owned();
    assert_eq!(setting().await, r#"{"sample":"0%","failures":false,"query":false}"#);
    get(program.address, "/off").await;
    let on = put(program.admin_address, "/access-log", r#"{"sample": "100%"}"#).await;
    assert_eq!((on.status, on.text()), (200, r#"{"sample":"100%","failures":false,"query":false}"#));
    get(program.address, "/on").await;
    assert_eq!(program.exactly(1).await[0]["path"], "/on");
    let refused = put(program.admin_address, "/access-log", r#"{"sample": "200%"}"#).await;
    assert_eq!(refused.status, 422);
    assert!(
        refused.text().contains("field sample") && refused.text().contains("like 1%"),
        "{}",
        refused.text()
    );

    let applied = async |generation: u64| {
        let expected = format!("\"generation\":{generation}");
        crate::support::eventually("the file is applied", || async {
            get(program.admin_address, "/routes").await.text().contains(&expected)
        })
        .await;
    };
    let next =
        |number: u64, rest: &str| yaml.replace("generation: 1", &format!("generation: {number}\n{rest}"));
    program.write(&next(2, ""));
    applied(2).await;
    assert!(setting().await.contains("100%"), "routes that say nothing change nothing");
    program.write(&next(3, "accessLog: {sample: 0.5%, failures: true}"));
    applied(3).await;
    assert_eq!(setting().await, r#"{"sample":"0.5%","failures":true,"query":false}"#);
    program.write(&next(4, ""));
    applied(4).await;
    assert_eq!(setting().await, r#"{"sample":"0%","failures":false,"query":false}"#, "the flags count again");
}
