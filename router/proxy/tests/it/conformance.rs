//! RFC 9113 and RFC 7541 as others read them: h2spec, compiled from its Go module.

use crate::{
    support::{Behaviour, Origin, routes},
    tls::Files,
};
use std::{path::PathBuf, time::Duration};
use tokio::process::Command;

/// The program, compiled once and kept; `None` where there is no Go.
async fn h2spec() -> Option<PathBuf> {
    let program = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join("h2spec");
    let mut build = Command::new("go");
    build.args(["build", "-C", concat!(env!("CARGO_MANIFEST_DIR"), "/tests/h2spec"), "-o"]);
    build.arg(&program).arg("github.com/summerwind/h2spec/cmd/h2spec");
    match build.output().await {
        Ok(output) if output.status.success() => Some(program),
        Ok(output) => panic!("{}", String::from_utf8_lossy(&output.stderr)),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => None,
        Err(error) => panic!("go: {error}"),
    }
}

#[tokio::test]
async fn every_rule_that_h2spec_knows_is_kept() {
    let Some(h2spec) = h2spec().await else {
        println!("skipped: go is not installed");
        return;
    };
    // Some cases are about streams that are not answered yet.
    let stable = Origin::start("stable", Behaviour::Slow(Duration::from_millis(50))).await;
    let files = Files::new();
    files.renew();
    let router = files.router(&routes((&[&stable], 1), (&[], 0), ""), &[]).await;
    let port = router.tls_address.unwrap().port().to_string();
    let mut command = Command::new(h2spec);
    command.args(["--strict", "--tls", "--insecure", "--timeout=10", "--host=127.0.0.1", "--port", &port]);
    let output = command.output().await.unwrap();
    let said = String::from_utf8_lossy(&output.stdout);
    let failures = said.split_once("Failures:").map(|(_, failures)| failures);
    assert!(output.status.success() && said.contains("146 passed, 0 skipped, 0 failed"), "{failures:?}");
}
