//! HTTP/2 by h2load, the load generator of nghttp2.

use crate::{
    origin,
    process::Process,
    scenario::{CONNECTIONS, Figures, per_request},
};
use anyhow::{Context, ensure};
use std::{
    process::Command,
    time::{Duration, Instant},
};

/// Requests under way on each connection.
const STREAMS: usize = 4;

/// Runs a short load to learn the speed, then as many requests as fill `length`.
pub fn load(process: &Process, (port, path): (u16, &str), length: Duration) -> anyhow::Result<Figures> {
    const PROBE: usize = 5_000;
    let probe = run(port, path, (PROBE, CONNECTIONS))?;
    let count = (PROBE as f64 / probe.as_secs_f64() * length.as_secs_f64()) as usize;
    let count = count.max(PROBE);
    let before = process.cpu()?;
    let took = run(port, path, (count, CONNECTIONS))?;
    Ok(per_request(process.cpu()? - before, count as u64, took))
}

/// So many requests over so many connections.
pub fn run(port: u16, path: &str, (count, connections): (usize, usize)) -> anyhow::Result<Duration> {
    let begin = Instant::now();
    let output = Command::new("h2load")
        .args(["-n", &count.to_string(), "-c", &connections.to_string(), "-m", &STREAMS.to_string()])
        .args(["-H", ":authority: blog.example", &format!("http://127.0.0.1:{port}{path}")])
        .output()
        .context("h2load")?;
    let took = begin.elapsed();
    let text = String::from_utf8_lossy(&output.stdout);
    ensure!(
        text.contains(&format!("status codes: {count} 2xx,")),
        "h2load: not every answer was 2xx: {text}"
    );
    let expected = count * origin::body_of(path);
    ensure!(
        text.contains(&format!("({expected}) data")),
        "h2load: the bodies do not have {expected} bytes together: {text}"
    );
    Ok(took)
}
