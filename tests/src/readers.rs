//! The load driver as readers, and what it saw.

use crate::Child;
use anyhow::{Context, Result};
use serde::Deserialize;
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use tokio::io::{AsyncBufReadExt, BufReader};

/// Readers at a steady rate.
#[derive(Debug)]
pub struct Readers {
    child: Child,
    seconds: Arc<Mutex<Vec<Second>>>,
    reading: tokio::task::JoinHandle<()>,
}

/// What happened in one second, and since the beginning.
#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Second {
    /// When.
    pub time: jiff::Timestamp,
    /// Since the readers began.
    pub elapsed_seconds: f64,
    /// Since the beginning.
    pub total: Tally,
    /// In this second.
    #[serde(default)]
    pub last: Tally,
    /// By version.
    pub versions: BTreeMap<String, Both>,
    /// Failures by their reason.
    pub failures: BTreeMap<String, u64>,
}

/// Since the beginning, and in this second.
#[derive(Clone, Copy, Debug, Default, Deserialize)]
pub struct Both {
    /// Since the beginning.
    pub total: Tally,
    /// In this second.
    pub last: Tally,
}

/// Counts.
#[derive(Clone, Copy, Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Tally {
    /// Requests that ended.
    pub requests: u64,
    /// Those that failed.
    pub failures: u64,
    /// Those that were sent once more on a new connection, as browsers do.
    pub retried: u64,
    /// Requests that were not sent, since the driver had too many under way.
    pub dropped: u64,
    /// How long they took.
    pub latency_ms: Option<Latency>,
}

/// Milliseconds.
#[derive(Clone, Copy, Debug, Default, Deserialize)]
pub struct Latency {
    /// Half of them were faster.
    pub p50: f64,
    /// All but one of a hundred were faster.
    pub p99: f64,
}

// === impl Readers ===

impl Readers {
    pub(crate) fn new(mut child: Child) -> Result<Self> {
        let output = child.take_output().context("the load driver has no output")?;
        let seconds = Arc::new(Mutex::new(Vec::new()));
        let store = Arc::clone(&seconds);
        let reading = tokio::spawn(async move {
            let mut lines = BufReader::new(output).lines();
            while let Ok(Some(line)) = lines.next_line().await {
                if let Ok(second) = serde_json::from_str(&line) {
                    store.lock().unwrap_or_else(PoisonError::into_inner).push(second);
                }
            }
        });
        Ok(Self { child, seconds, reading })
    }

    /// What they saw so far, second by second.
    pub fn seconds(&self) -> Vec<Second> {
        self.seconds.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// The counts since they began.
    pub fn total(&self) -> Tally {
        self.seconds
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .last()
            .map(|second| second.total)
            .unwrap_or_default()
    }

    /// Sends them home and waits until the last one has told.
    ///
    /// # Errors
    /// Where they do not end.
    pub async fn end(&mut self) -> Result<Tally> {
        self.child.end(Duration::from_secs(20)).await?;
        (&mut self.reading).await?;
        Ok(self.total())
    }

    /// Fails where the driver has ended by itself.
    ///
    /// # Errors
    /// Where it has.
    pub fn check(&mut self) -> Result<()> {
        self.child.check()
    }
}
