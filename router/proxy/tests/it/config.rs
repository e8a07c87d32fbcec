use crate::support::{Origin, eventually, get, metric, router_with, routes};
use clap::Parser;
use proxy::{args::Args, config::from_yaml, run::Router};
use std::{fs, path::Path};

fn write(path: &Path, text: &str) {
    let next = path.with_extension("next");
    fs::write(&next, text).unwrap();
    fs::rename(next, path).unwrap();
}

#[tokio::test]
async fn the_file_is_read_again_and_the_last_good_one_stays() {
    let (stable, canary) = (Origin::good("stable").await, Origin::good("canary").await);
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("routes.yaml");
    let router = router_with("", &["--routes", file.to_str().unwrap()]).await;
    let page = || get(router.admin_address, "/routes");
    eventually("the missing file is told", || async { page().await.text().contains("is not there") }).await;

    write(&file, &routes((&[&stable], 1), (&[&canary], 0), ""));
    eventually("the file is applied", || async { page().await.text().contains("\"generation\":1") }).await;
    let text = page().await;
    assert!(text.text().contains("\"lastError\":null"), "{}", text.text());
    assert_eq!(get(router.address, "/").await.text(), "stable");

    write(&file, &routes((&[&stable], 1), (&[&canary], 0), "stikcy: {header: x}"));
    eventually("the mistake is told", || async { page().await.text().contains("stikcy") }).await;
    let text = page().await;
    assert!(text.text().contains("routes.yaml, line 7"), "{}", text.text());
    assert_eq!(get(router.address, "/").await.text(), "stable");
    assert_eq!(metric(&router, "huidu_router_config_errors_total").await, 2.0);

    let next = routes((&[&stable], 0), (&[&canary], 1), "").replace("generation: 1", "generation: 2");
    write(&file, &next);
    eventually("the next file is applied", || async { page().await.text().contains("\"generation\":2") })
        .await;
    assert!(page().await.text().contains("\"lastError\":null"));
    assert_eq!(get(router.address, "/").await.text(), "canary");
}

#[test]
fn every_mistake_names_line_field_and_remedy() {
    let route = |fields: &str| format!("routes:\n  - name: blog\n    {fields}\n");
    let backend = |fields: &str| route(&format!("backends: [{{name: b, track: stable, {fields}}}]"));
    for (yaml, line, field, message) in [
        (backend("weight: 101%"), 3, "routes[0].backends[0].weight", "an integer from 0 to 1000000"),
        (backend("weight: 1000001"), 3, "routes[0].backends[0].weight", "an integer from 0 to 1000000"),
        (backend("weight: -1"), 3, "routes[0].backends[0].weight", "an integer from 0 to 1000000"),
        (backend("weight: .nan"), 3, "routes[0].backends[0].weight", "not a finite number"),
        (backend("wieght: 1"), 3, "wieght", "weight"),
        (
            backend("endpoints: [localhost]"),
            3,
            "routes[0].backends[0].endpoints[0]",
            "like \"127.0.0.1:8000\"",
        ),
        (backend("endpoints: ['127.0.0.1:0']"), 3, "endpoints[0]", "like \"127.0.0.1:8000\""),
        (
            route("backends: [{name: b, track: blue}]"),
            3,
            "routes[0].backends[0].track",
            "expected one of stable, canary",
        ),
        (route("backends: [{name: 'b c', track: stable}]"), 2, "routes[0]", "letters, digits"),
        (route("backends: []"), 2, "routes[0]", "write at least one"),
        (
            route("pathPrefix: blog\n    backends: [{name: b, track: stable}]"),
            3,
            "pathPrefix",
            "begin it with '/'",
        ),
        (route("hostnames: ['a:80']\n    backends: []"), 3, "hostnames[0]", "without a port"),
        (route("timeouts: {request: -5s}\n    backends: []"), 3, "timeouts.request", "write it as 10s"),
        (route("sticky: {}\n    backends: []"), 3, "sticky", "exactly one of header, cookie or address"),
        ("routes:\n  - name: 'blog\n".to_owned(), 2, "", "quote"),
        ("{}".to_owned(), 1, "", "routes"),
    ] {
        let error = from_yaml("routes.yaml", &yaml).expect_err(&yaml);
        let text = error.to_string();
        println!("{text}");
        assert_eq!(error.line, Some(line), "{yaml}\n{text}");
        assert!(text.starts_with("routes.yaml, line "), "{text}");
        assert!(text.contains(field) && text.contains(message), "{yaml}\n{text}");
    }
}

#[test]
fn names_are_unique() {
    let twice = "routes: [{name: a, backends: [{name: b, track: stable}, {name: b, track: canary}]}]";
    assert!(from_yaml("f", twice).unwrap_err().to_string().contains("\"b\" is used twice in route \"a\""));
    let route = "{name: a, backends: [{name: b, track: stable}]}";
    let error = from_yaml("f", &format!("routes: [{route}, {route}]")).unwrap_err();
    assert!(error.to_string().contains("route name \"a\" is used twice"));
}

#[tokio::test]
async fn a_bad_file_at_the_start_is_a_usage_error_and_a_taken_port_names_the_flag() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("routes.yaml");
    fs::write(&file, "routes: 1").unwrap();
    let start = |flags: &[&str]| {
        let base = ["router", "--listen=127.0.0.1:0", "--admin-listen=127.0.0.1:0", "--workers=1"];
        Router::start(Args::try_parse_from(base.iter().chain(flags)).unwrap())
    };
    let error = start(&["--routes", file.to_str().unwrap()]).await.unwrap_err();
    assert!(error.to_string().contains("routes.yaml, line 1"), "{error}");

    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap().to_string();
    let error = start(&[]).await.map(drop);
    assert!(error.is_ok());
    for flag in ["--listen", "--admin-listen"] {
        let flags = [format!("{flag}={address}")];
        let args = ["router", "--workers=1"].into_iter().map(str::to_owned).chain(match flag {
            "--listen" => [flags[0].clone(), "--admin-listen=127.0.0.1:0".to_owned()],
            _ => [flags[0].clone(), "--listen=127.0.0.1:0".to_owned()],
        });
        let error = Router::start(Args::try_parse_from(args).unwrap()).await.unwrap_err();
        let text = error.to_string();
        assert!(text.contains("is taken by another process") && text.contains(flag), "{text}");
    }
}

#[tokio::test]
async fn two_routers_share_a_port_only_when_both_say_so() {
    let first = router_with("", &["--reuse-port"]).await;
    let listen = format!("--listen={}", first.address);
    let base = ["router", "--admin-listen=127.0.0.1:0", "--workers=1", &listen];
    let alone = Router::start(Args::try_parse_from(base).unwrap()).await;
    assert!(alone.unwrap_err().to_string().contains("is taken"));
    let second =
        Router::start(Args::try_parse_from(base.iter().chain(&["--reuse-port"])).unwrap()).await.unwrap();
    assert_eq!(second.address, first.address);
}
