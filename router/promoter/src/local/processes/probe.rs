//! Whether a process can take requests, as a kubelet asks it.

use crate::http::Client;
use crate::local::config::Probe;
use std::net::SocketAddr;
use tokio::net::TcpStream;
use tokio::sync::watch;
use tokio::time;

/// What a probe found, told when it changes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Health {
    /// The process can take requests.
    Ready,
    /// It cannot; the text says why.
    NotReady(String),
}

/// Probes `address` for as long as it is let, and tells each change.
pub(super) async fn run(
    address: SocketAddr,
    probe: watch::Receiver<Probe>,
    mut health: Option<Health>,
    tell: impl AsyncFn(Health),
) {
    let mut failures = 0u32;
    loop {
        let settings = probe.borrow().clone();
        let seen = match once(address, &settings).await {
            Ok(()) => {
                failures = 0;
                Some(Health::Ready)
            }
            Err(why) => {
                failures = failures.saturating_add(1);
                let patient = health == Some(Health::Ready) && failures < settings.failure_threshold;
                (!patient).then_some(Health::NotReady(why))
            }
        };
        if let Some(seen) = seen
            && health.as_ref() != Some(&seen)
        {
            tell(seen.clone()).await;
            health = Some(seen);
        }
        // A process that is just starting is asked more often: readers wait for it.
        let waiting = health != Some(Health::Ready);
        let pause = settings.period.get();
        time::sleep(if waiting { pause.min(WHILE_STARTING) } else { pause }).await;
    }
}

/// The pause between probes of a process that is not ready.
const WHILE_STARTING: time::Duration = time::Duration::from_millis(200);

async fn once(address: SocketAddr, probe: &Probe) -> Result<(), String> {
    let Some(path) = &probe.path else {
        let connection = time::timeout(probe.timeout.get(), TcpStream::connect(address)).await;
        return match connection {
            Ok(Ok(_)) => Ok(()),
            Ok(Err(error)) => Err(format!("nothing accepts connections at {address}: {error}")),
            Err(_) => Err(format!("no connection to {address} within {}", probe.timeout)),
        };
    };
    let answer = Client::without_reuse(probe.timeout.get()).get(&format!("http://{address}{path}")).await;
    match answer {
        // As Kubernetes has it: any status from 200 to 399 is good.
        Ok(answer) if (200..400).contains(&answer.status.as_u16()) => Ok(()),
        Ok(answer) => Err(format!("GET {path} answered {}", answer.status)),
        Err(error) => Err(format!("GET {path}: {error}")),
    }
}
