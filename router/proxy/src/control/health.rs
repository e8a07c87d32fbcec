//! Asks endpoints whether they are well, where a backend wants it.

use super::Control;
use crate::{
    config::{AppProtocol, HealthSpec},
    routes::{Backend, Endpoint},
};
use bytes::Bytes;
use http_body_util::Empty;
use hyper::{Request, StatusCode, client::conn::http2, header};
use hyper_util::rt::{TokioExecutor, TokioIo};
use std::{collections::HashMap, net::SocketAddr, sync::Arc, time::Duration, time::Instant};
use tokio::{
    io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader},
    net::TcpStream,
    task::JoinSet,
    time,
};

/// What is known about one endpoint.
struct Probe {
    endpoint: Arc<Endpoint>,
    due: Instant,
    is_asking: bool,
    /// Answers in a row that differ from what the endpoint is taken for.
    contrary: u32,
    is_healthy: bool,
}

/// How often it is looked whether somebody is due: the shortest interval.
const LOOK_INTERVAL: Duration = Duration::from_millis(100);

/// Who asks.
const USER_AGENT: &str = "huidu-router-health";

/// More than any status line has.
const LINE_MAX: u64 = 1_024;

/// Questions at a time, over all endpoints.
const QUESTIONS_MAX: usize = 64;

/// Checks all endpoints that are to be checked, until the process ends.
pub async fn check(control: Arc<Control>) {
    let mut probes: HashMap<u64, Probe> = HashMap::new();
    let mut questions = JoinSet::new();
    let mut ticks = time::interval(LOOK_INTERVAL);
    ticks.set_missed_tick_behavior(time::MissedTickBehavior::Delay);
    loop {
        tokio::select! {
            _ = ticks.tick() => {
                let checked = checked(&control);
                probes.retain(|id, _| checked.iter().any(|(endpoint, _)| endpoint.id == *id));
                for (endpoint, (health, protocol)) in checked {
                    let probe = probes.entry(endpoint.id).or_insert_with(|| Probe::new(Arc::clone(&endpoint)));
                    if questions.len() < QUESTIONS_MAX && probe.begins(&health) {
                        questions.spawn(async move { (is_well(&endpoint, &health, protocol).await, endpoint, health) });
                    }
                }
            }
            Some(Ok((is_well, endpoint, health))) = questions.join_next() => {
                if let Some(probe) = probes.get_mut(&endpoint.id) {
                    probe.ends(is_well, &health);
                }
            }
        }
    }
}

fn checked(control: &Control) -> Vec<(Arc<Endpoint>, (HealthSpec, AppProtocol))> {
    let table = control.table.load();
    let backends = table.routes.iter().flat_map(|route| &route.backends);
    let checked = backends.filter_map(|backend| Some((backend, backend.health.as_ref()?)));
    let of_backend = |(backend, health): (&Backend, &HealthSpec)| {
        let how = (health.clone(), backend.protocol);
        backend.endpoints.iter().map(|endpoint| (Arc::clone(endpoint), how.clone())).collect::<Vec<_>>()
    };
    checked.flat_map(of_backend).collect()
}

async fn is_well(endpoint: &Endpoint, health: &HealthSpec, protocol: AppProtocol) -> bool {
    let (path, address) = (health.path.as_str(), endpoint.address);
    let question = async {
        match protocol {
            AppProtocol::Http1 => ask(path, address).await,
            AppProtocol::H2c => ask_h2(path, address).await,
        }
    };
    let status = time::timeout(health.timeout.get(), question).await.ok().flatten();
    status.is_some_and(|status| status.is_success() || status.is_redirection())
}

async fn ask(path: &str, address: SocketAddr) -> Option<StatusCode> {
    let head = format!(
        "GET {path} HTTP/1.1\r\nhost: {address}\r\nuser-agent: {USER_AGENT}\r\nconnection: close\r\n\r\n"
    );
    let mut stream = BufReader::new(TcpStream::connect(address).await.ok()?);
    stream.write_all(head.as_bytes()).await.ok()?;
    let mut line = Vec::new();
    stream.take(LINE_MAX).read_until(b'\n', &mut line).await.ok()?;
    status_of(&line)
}

async fn ask_h2(path: &str, address: SocketAddr) -> Option<StatusCode> {
    let stream = TokioIo::new(TcpStream::connect(address).await.ok()?);
    let (mut sender, connection) = http2::handshake(TokioExecutor::new(), stream).await.ok()?;
    let request = Request::get(format!("http://{address}{path}")).header(header::USER_AGENT, USER_AGENT);
    let request = request.body(Empty::<Bytes>::new()).ok()?;
    // The connection ends with the question.
    tokio::select! {
        response = sender.send_request(request) => Some(response.ok()?.status()),
        _ = connection => None,
    }
}

/// The status in the first line of an answer (RFC 9112 §4).
fn status_of(line: &[u8]) -> Option<StatusCode> {
    let rest = line.strip_prefix(b"HTTP/1.").filter(|_| line.ends_with(b"\r\n"))?;
    StatusCode::from_bytes(rest.get(2..5)?).ok()
}

// === impl Probe ===

impl Probe {
    /// At once: a new endpoint is taken for well until it says otherwise.
    fn new(endpoint: Arc<Endpoint>) -> Self {
        Self { endpoint, due: Instant::now(), is_asking: false, contrary: 0, is_healthy: true }
    }

    fn begins(&mut self, health: &HealthSpec) -> bool {
        let now = Instant::now();
        if self.is_asking || self.due > now {
            return false;
        }
        self.is_asking = true;
        self.due = now + health.interval.get().max(LOOK_INTERVAL);
        true
    }

    fn ends(&mut self, is_well: bool, health: &HealthSpec) {
        self.is_asking = false;
        if is_well == self.is_healthy {
            self.contrary = 0;
            return;
        }
        self.contrary += 1;
        let needed = if is_well { health.healthy_after } else { health.unhealthy_after };
        if self.contrary >= needed.get() {
            (self.is_healthy, self.contrary) = (is_well, 0);
            self.endpoint.set_healthy(is_well);
            let address = self.endpoint.address;
            if is_well {
                tracing::info!(%address, "{address} passes its health check again");
            } else {
                tracing::warn!(%address, "{address} failed {needed} health checks in a row");
            }
        }
    }
}

impl Drop for Probe {
    /// An endpoint that nobody checks is taken for well: what was found out goes out of date.
    fn drop(&mut self) {
        self.endpoint.set_healthy(true);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_whole_status_line_says_how_it_is() {
        assert_eq!(status_of(b"HTTP/1.1 204 No Content\r\n"), Some(StatusCode::NO_CONTENT));
        for line in [&b"HTTP/1.1 200 OK"[..], b"HTTP/1.1 20\r\n", b"SSH-2.0\r\n", b""] {
            assert_eq!(status_of(line), None);
        }
    }
}
