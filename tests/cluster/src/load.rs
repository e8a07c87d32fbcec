//! The project's own load driver as readers: open loop, a report for each version.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::Path;
use std::process::Stdio;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use anyhow::{Context as _, ensure};
use serde_json::Value;
use tokio::io::{AsyncBufReadExt as _, BufReader};
use tokio::process::{Child, Command};
use tokio::task::JoinHandle;

/// Readers that nobody stops go home.
const READING_MAX: &str = "15m";
/// The driver's last requests may take as long as its own timeout.
const END_PATIENCE: Duration = Duration::from_secs(40);

/// A load driver at work.
#[derive(Debug)]
pub struct Load {
    driver: Child,
    last: Arc<Mutex<Value>>,
    reading: JoinHandle<()>,
}

/// What its readers got.
#[derive(Clone, Debug)]
pub struct Report {
    /// Requests that ended.
    pub requests: u64,
    /// Those that failed, for whatever reason.
    pub failures: u64,
    /// How many each version answered.
    pub versions: BTreeMap<String, u64>,
    /// How many failed, by the driver's word for it.
    pub reasons: BTreeMap<String, u64>,
    /// The first failures, in the driver's words.
    pub told: String,
}

// === impl Load ===

impl Load {
    /// Starts reading what is at this address, `rate` requests a second whatever the answers take.
    ///
    /// # Errors
    /// When the driver cannot be started.
    pub fn start(program: &Path, address: SocketAddr, rate: u32) -> anyhow::Result<Self> {
        let mut command = Command::new(program);
        command.args(["run", "--allow-remote", "--progress", "jsonl", "--duration", READING_MAX]);
        command.args(["--target", &format!("http://{address}"), "--rate", &rate.to_string()]);
        let mut driver = command.stdin(Stdio::null()).stdout(Stdio::piped()).kill_on_drop(true).spawn()?;
        let mut lines = BufReader::new(driver.stdout.take().context("the driver has no output")?).lines();
        let last = Arc::new(Mutex::new(Value::Null));
        let store = Arc::clone(&last);
        let reading = tokio::spawn(async move {
            while let Ok(Some(line)) = lines.next_line().await {
                if let Ok(said) = serde_json::from_str(&line) {
                    *store.lock().unwrap_or_else(PoisonError::into_inner) = said;
                }
            }
        });
        Ok(Self { driver, last, reading })
    }

    /// What was counted up to now, as the driver wrote it last.
    #[must_use]
    pub fn seen(&self) -> Report {
        let last = self.last.lock().unwrap_or_else(PoisonError::into_inner);
        let count = |name: &str| last["total"][name].as_u64().unwrap_or_default();
        let requests = |of: &Value| of["requests"].as_u64().unwrap_or_default();
        let versions = match &last["versions"] {
            Value::Object(live) => {
                live.iter().map(|(name, counts)| (name.clone(), requests(&counts["total"]))).collect()
            }
            Value::Array(rows) => rows
                .iter()
                .filter_map(|row| Some((row["name"].as_str()?.to_owned(), requests(row))))
                .collect(),
            _ => BTreeMap::new(),
        };
        let reasons = last["failures"].as_object().into_iter().flatten();
        let reasons =
            reasons.map(|(reason, count)| (reason.clone(), count.as_u64().unwrap_or_default())).collect();
        let told = last["samples"].to_string().chars().take(2000).collect();
        Report { requests: count("requests"), failures: count("failures"), versions, reasons, told }
    }

    /// Sends the readers home and tells what they got.
    ///
    /// # Errors
    /// When the driver does not end.
    pub async fn stop(mut self) -> anyhow::Result<Report> {
        let pid = self.driver.id().and_then(|pid| rustix::process::Pid::from_raw(pid.cast_signed()));
        let pid = pid.context("the load driver has ended by itself")?;
        rustix::process::kill_process(pid, rustix::process::Signal::INT)?;
        tokio::time::timeout(END_PATIENCE, self.driver.wait())
            .await
            .context("the load driver does not end")??;
        (&mut self.reading).await?;
        Ok(self.seen())
    }
}

// === impl Report ===

impl Report {
    /// Whether there were requests, and none failed.
    ///
    /// # Errors
    /// What failed.
    pub fn nothing_failed(&self) -> anyhow::Result<()> {
        self.only_failed(&[])
    }

    /// Whether there were requests, and none failed for another reason than these.
    ///
    /// # Errors
    /// What failed.
    pub fn only_failed(&self, expected: &[&str]) -> anyhow::Result<()> {
        let Self { requests, failures, versions, reasons, told } = self;
        let unexpected = reasons.keys().any(|reason| !expected.contains(&reason.as_str()));
        ensure!(
            *requests > 0 && !unexpected,
            "{failures} of {requests} requests failed ({reasons:?}, {versions:?}): {told}"
        );
        Ok(())
    }
}
