//! From the first request to the last: serving, and the drain after SIGTERM.

use std::time::Duration;
use tokio::{
    signal::unix::{SignalKind, signal},
    sync::watch,
    time,
};

/// Where the process is in its life. It only ever goes forward.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Phase {
    /// Ready and serving.
    Serving,
    /// Not ready any more, but still serving like before, until load balancers have noticed.
    NotReady,
    /// No new connections; every answer says `Connection: close`.
    Draining,
    /// Idle connections are closed; requests in flight go on to the deadline.
    Closing,
}

/// How long the stages of a drain take.
#[derive(Clone, Copy, Debug)]
pub struct DrainTimes {
    /// From not ready to draining.
    pub delay: Duration,
    /// From draining until whatever is still there is cut.
    pub timeout: Duration,
}

/// Clients that use a connection within this time learn from an answer that it ends; a quiet one is closed after it.
const IDLE_GRACE: Duration = Duration::from_millis(500);

/// Waits for SIGTERM or SIGINT.
///
/// # Errors
/// Signals can't be listened for.
pub async fn interrupted() -> std::io::Result<()> {
    let mut terminate = signal(SignalKind::terminate())?;
    let mut interrupt = signal(SignalKind::interrupt())?;
    tokio::select! {
        _ = terminate.recv() => {}
        _ = interrupt.recv() => {}
    }
    Ok(())
}

/// Leads the workers through the drain; returns when they may be cut. The caller ends earlier when all are done.
pub async fn drain(phase: &watch::Sender<Phase>, times: DrainTimes) {
    let DrainTimes { delay, timeout } = times;
    phase.send_replace(Phase::NotReady);
    tracing::info!("Not ready; serving on for {delay:?} until load balancers have noticed");
    time::sleep(delay).await;
    phase.send_replace(Phase::Draining);
    tracing::info!("Draining; requests in flight have {timeout:?}");
    let grace = IDLE_GRACE.min(timeout);
    time::sleep(grace).await;
    phase.send_replace(Phase::Closing);
    time::sleep(timeout - grace).await;
}
