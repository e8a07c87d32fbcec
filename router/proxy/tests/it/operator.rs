//! What an operator asks the admin port beside routes and weights.

use crate::{
    program::Program,
    support::{Behaviour, Origin, eventually, get, once, put, router, router_with, routes},
};
use clap::Parser;
use serde_json::Value;
use std::net::SocketAddr;

async fn post(address: SocketAddr, path: &str, body: &str) -> String {
    let length = body.len();
    let head = format!("POST {path} HTTP/1.1\r\nHost: admin\r\nContent-Length: {length}\r\n\r\n{body}");
    once(address, &head).await.text().to_owned()
}

#[tokio::test]
async fn a_request_is_explained_without_being_sent() {
    let (stable, canary) = (Origin::good("stable").await, Origin::good("canary").await);
    let rest = "pathPrefix: /blog\n    hostnames: [blog.example]\n    sticky: {header: x-user}\n    override: {header: x-canary}";
    let router = router(&routes((&[&stable], 75), (&[&canary], 25), rest)).await;
    for (question, parts) in [
        (
            r#"{"host": "blog.example", "path": "/other"}"#,
            &["No route takes this request", r#""status":404"#][..],
        ),
        (
            r#"{"host": "blog.example", "path": "/blog/1", "headers": {"X-Canary": "always"}}"#,
            &["host blog.example, path prefix /blog", "The override header decides: it goes to blog-canary"],
        ),
        (
            r#"{"host": "blog.example", "path": "/blog/1", "headers": {"X-User": "7"}}"#,
            &["The client's sticky key decides", r#""decidedBy":"sticky""#],
        ),
        (r#"{"path": "/blog/../admin"}"#, &["refuses it with 400", "segment of dots"]),
        (r#"{"host": "Blog.example:8080", "path": "/blog"}"#, &["host blog.example, path prefix /blog"]),
        (
            r#"{"host": "blog.example", "path": "/blog"}"#,
            &["75.00 % to blog-stable, 25.00 % to blog-canary", r#""share":0.25"#, r#""backend":null"#],
        ),
    ] {
        let answer = post(router.admin_address, "/explain", question).await;
        for part in parts {
            assert!(answer.contains(part), "{question}: {answer}");
        }
    }
    assert_eq!(stable.requests() + canary.requests(), 0);
    for (question, why) in [
        (r#"{"path": "blog"}"#, "begin it with '/'"),
        (r#"{"headers": {"a b": "c"}}"#, "headers.a b: the name"),
        (r#"{"adress": "::1"}"#, "unknown field `adress`"),
    ] {
        assert!(post(router.admin_address, "/explain", question).await.contains(why), "{question}");
    }
}

async fn explained(admin: SocketAddr, question: &str) -> Value {
    serde_json::from_str(&post(admin, "/explain", question).await).unwrap()
}

#[tokio::test]
async fn an_explanation_tells_what_becomes_of_a_request_at_each_backend() {
    let (good, dead) = (Origin::good("good").await, Origin::good("dead").await);
    dead.kill().await;
    let yaml = format!(
        "routes: [{{name: r, override: {{header: x-canary}}, backends: [\
         {{name: both, endpoints: ['{}', '{}']}}, {{name: none}}, {{name: bad, invalid: gone}}, \
         {{name: one, track: canary, weight: 0, endpoints: ['{}']}}]}}]",
        good.address, dead.address, good.address
    );
    let router = router(&yaml).await;
    let backends = async || explained(router.admin_address, "{}").await["backends"].clone();
    let outcomes: Vec<_> =
        backends().await.as_array().unwrap().iter().map(|b| b["outcome"].clone()).collect();
    for (outcome, part) in
        outcomes.iter().zip(["Of 2 endpoints 2 are ready", "503", "500", "Its only endpoint"])
    {
        assert!(outcome.as_str().unwrap().contains(part), "{part}: {outcome}");
    }
    eventually("the dead endpoint is ejected", || async {
        get(router.address, "/").await;
        backends().await[0]["endpoints"][1]["state"] == "ejected"
    })
    .await;
    let both = &backends().await[0];
    assert!(both["outcome"].as_str().unwrap().contains("Of 2 endpoints 1 are ready"), "{both}");
    assert_eq!(
        (&both["endpoints"][0]["state"], &both["endpoints"][0]["inFlight"]),
        (&"ready".into(), &0.into())
    );
    assert_eq!(both["endpoints"][0]["address"], good.address.to_string());
}

#[tokio::test]
async fn an_explanation_knows_of_trips_and_of_answers_of_filters() {
    let (stable, canary) =
        (Origin::good("stable").await, Origin::start("canary", Behaviour::Status(500)).await);
    let router = router(&routes((&[&stable], 1), (&[&canary], 1), "")).await;
    let told = async || explained(router.admin_address, "{}").await;
    eventually("the canary is tripped", || async {
        get(router.address, "/").await;
        told().await["sentence"].as_str().unwrap().contains("The canary is tripped")
    })
    .await;
    let told = told().await;
    let shares = ["blog-stable", "blog-canary"].map(|name| {
        let mut backends = told["backends"].as_array().unwrap().iter();
        backends.find(|backend| backend["name"] == name).unwrap()["share"].as_f64().unwrap()
    });
    assert_eq!((shares, &told["backend"]), ([1.0, 0.0], &"blog-stable".into()), "{told}");

    let redirect =
        "routes: [{name: r, backends: [], filters: [{requestRedirect: {scheme: https, statusCode: 308}}]}]";
    router.control.apply("test", proxy::config::from_yaml("test", redirect).unwrap()).await;
    let told = explained(router.admin_address, "{}").await;
    assert_eq!((&told["status"], &told["route"], &told["backend"]), (&308.into(), &"r".into(), &Value::Null));
    assert!(told["sentence"].as_str().unwrap().contains("a filter of it answers 308"), "{told}");
}

#[tokio::test]
async fn the_explanation_of_a_sticky_client_is_what_happens() {
    let (stable, canary) = (Origin::good("stable").await, Origin::good("canary").await);
    let router = router(&routes((&[&stable], 1), (&[&canary], 1), "sticky: {header: x-user}")).await;
    for user in 0..10 {
        let question = format!(r#"{{"headers": {{"x-user": "{user}"}}}}"#);
        let told = post(router.admin_address, "/explain", &question).await;
        let request = format!("GET / HTTP/1.1\r\nHost: a\r\nX-User: {user}\r\n\r\n");
        let got = once(router.address, &request).await;
        assert!(told.contains(&format!(r#""backend":"blog-{}""#, got.text())), "{told}");
    }
}

#[tokio::test]
async fn the_log_filter_changes_while_it_runs() {
    proxy::log::start("warn", proxy::log::LogFormat::Text).unwrap();
    let router = router("routes: []").await;
    let admin = router.admin_address;
    assert_eq!(get(admin, "/log").await.text(), r#"{"filter":"warn"}"#);
    let changed = put(admin, "/log", r#"{"filter": "error,proxy=warn"}"#).await;
    assert_eq!((changed.status, changed.text()), (200, r#"{"filter":"error,proxy=warn"}"#));
    let refused = put(admin, "/log", r#"{"filter": "proxy=loud"}"#).await;
    assert_eq!(refused.status, 422);
    assert!(refused.text().contains("write it like info or proxy=debug"), "{}", refused.text());
    assert_eq!(get(admin, "/log").await.text(), r#"{"filter":"error,proxy=warn"}"#);
}

#[tokio::test]
async fn lines_of_the_log_appear_and_disappear_with_its_filter() {
    let program = Program::start("routes: []", &["--log=warn,proxy::run=info"]).await;
    let applied = |generation: usize| format!("Applied generation {generation} of PUT /routes");
    let told = |message: &str| program.log().iter().any(|line| line["fields"]["message"] == message);
    let apply = async |generation: usize| {
        let body = format!(r#"{{"generation": {generation}, "routes": []}}"#);
        assert_eq!(put(program.admin_address, "/routes", &body).await.status, 200);
    };
    let filter = async |filter: &str| {
        let changed = put(program.admin_address, "/log", &format!(r#"{{"filter": "{filter}"}}"#)).await;
        assert_eq!(changed.status, 200);
    };
    apply(1).await;
    filter("warn,proxy=info").await;
    apply(2).await;
    filter("warn").await;
    apply(3).await;
    filter("info").await;
    apply(4).await;
    eventually("the last line is there", || async { told(&applied(4)) }).await;
    assert_eq!([1, 2, 3].map(|generation| told(&applied(generation))), [false, true, false]);
}

#[test]
fn the_admin_port_is_on_loopback_unless_it_is_said_otherwise() {
    let args = proxy::args::Args::try_parse_from(["router"]).unwrap();
    assert!(args.admin_listen.ip().is_loopback(), "{}", args.admin_listen);
}

#[tokio::test]
async fn with_a_token_only_probes_and_metrics_are_open() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("token");
    std::fs::write(&file, "0123456789abcdef\n").unwrap();
    let router = router_with("routes: []", &["--admin-token-file", file.to_str().unwrap()]).await;
    let admin = router.admin_address;
    for path in ["/livez", "/readyz", "/metrics"] {
        assert_eq!(get(admin, path).await.status, 200, "{path}");
    }
    let refused = get(admin, "/routes").await;
    assert_eq!(refused.status, 401);
    assert!(refused.text().contains("Authorization: Bearer"), "{}", refused.text());
    assert_eq!(put(admin, "/routes", "{}").await.status, 401);
    let with = "GET /routes HTTP/1.1\r\nHost: admin\r\nAuthorization: Bearer 0123456789abcdef\r\n\r\n";
    assert_eq!(once(admin, with).await.status, 200);
}

#[tokio::test]
async fn elsewhere_than_on_loopback_nothing_changes_without_a_token() {
    let router = router_with("routes: []", &["--admin-listen=0.0.0.0:0"]).await;
    let admin = SocketAddr::from(([127, 0, 0, 1], router.admin_address.port()));
    for path in ["/livez", "/readyz", "/metrics", "/routes", "/access-log"] {
        assert_eq!(get(admin, path).await.status, 200, "{path}");
    }
    for (path, body) in [
        ("/routes", r#"{"routes": []}"#),
        ("/routes/blog/weights", r#"{"generation": 1, "weights": {}}"#),
        ("/log", r#"{"filter": "info"}"#),
        ("/access-log", r#"{"sample": "100%"}"#),
    ] {
        let refused = put(admin, path, body).await;
        assert_eq!(refused.status, 403, "{path}");
        assert!(refused.text().contains("--admin-token-file"), "{}", refused.text());
    }
    assert!(post(admin, "/explain", "{}").await.contains("--admin-token-file"), "it only answers GET");
}
