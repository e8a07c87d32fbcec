//! What an operator asks the admin port beside routes and weights.

use crate::support::{Origin, get, once, put, router, router_with, routes};
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
    assert_eq!(get(admin, "/routes").await.status, 200);
    let refused = put(admin, "/routes", r#"{"routes": []}"#).await;
    assert_eq!(refused.status, 403);
    assert!(refused.text().contains("--admin-token-file"), "{}", refused.text());
}
