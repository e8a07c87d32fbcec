//! The program `router` in a process of its own.

use crate::support::eventually;
use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;
use std::{
    net::SocketAddr,
    process::{ExitStatus, Stdio},
    sync::{Arc, Mutex},
    time::Duration,
};
use tempfile::TempDir;
use tokio::{
    io::{AsyncBufReadExt, AsyncRead, BufReader},
    process::{Child, Command},
    time,
};

/// A router that is ready; killed when dropped.
pub(crate) struct Program {
    pub(crate) address: SocketAddr,
    pub(crate) admin_address: SocketAddr,
    pub(crate) folder: TempDir,
    child: Child,
    lines: Lines,
    log: Lines,
}

/// What was printed, one JSON object a line.
type Lines = Arc<Mutex<Vec<Value>>>;

// === impl Program ===

impl Program {
    /// Starts it with a routes file, and waits until it serves.
    pub(crate) async fn start(yaml: &str, flags: &[&str]) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let routes = folder.path().join("routes.yaml");
        std::fs::write(&routes, yaml).unwrap();
        Self::start_in(folder, &[&["--routes", routes.to_str().unwrap()], flags].concat(), &[]).await
    }

    /// Starts it with flags and environment variables that refer to a folder, and waits until it serves.
    pub(crate) async fn start_in(folder: TempDir, flags: &[&str], environment: &[(&str, &str)]) -> Self {
        let listens = flags.iter().any(|flag| flag.starts_with("--listen"));
        let mut command = Command::new(env!("CARGO_BIN_EXE_router"));
        command.args((!listens).then_some("--listen=127.0.0.1:0"));
        command.args(["--admin-listen=127.0.0.1:0", "--workers=2", "--log-format=json"]).args(flags);
        command.envs(environment.iter().copied()).kill_on_drop(true);
        let mut child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        let (lines, log) = (read(child.stdout.take().unwrap()), read(child.stderr.take().unwrap()));
        let serving = || {
            let log = log.lock().unwrap();
            log.iter().map(|line| &line["fields"]).find(|fields| !fields["admin_address"].is_null()).cloned()
        };
        eventually("it serves", || async { serving().is_some() }).await;
        let fields = serving().unwrap();
        let address = |name: &str| fields[name].as_str().unwrap().parse().unwrap();
        let (address, admin_address) = (address("address"), address("admin_address"));
        Self { address, admin_address, folder, child, lines, log }
    }

    /// Replaces the routes file.
    pub(crate) fn write(&self, yaml: &str) {
        let (next, file) = (self.folder.path().join("next"), self.folder.path().join("routes.yaml"));
        std::fs::write(&next, yaml).unwrap();
        std::fs::rename(next, file).unwrap();
    }

    /// The lines of the access log so far, in the order of the requests.
    pub(crate) fn lines(&self) -> Vec<Value> {
        let mut lines = self.lines.lock().unwrap().clone();
        lines.sort_by_key(|line| line["time"].as_str().unwrap().parse::<jiff::Timestamp>().unwrap());
        lines
    }

    /// The lines of its own log so far.
    pub(crate) fn log(&self) -> Vec<Value> {
        self.log.lock().unwrap().clone()
    }

    /// So many lines of the access log, and no more of them for a while.
    pub(crate) async fn exactly(&self, count: usize) -> Vec<Value> {
        eventually("the lines are written", || async { self.lines().len() >= count }).await;
        time::sleep(Duration::from_millis(150)).await;
        let lines = self.lines();
        assert_eq!(lines.len(), count, "{lines:#?}");
        lines
    }

    /// Memory that it has now.
    pub(crate) fn resident_bytes(&self) -> usize {
        let pid = self.child.id().unwrap();
        let status = std::fs::read_to_string(format!("/proc/{pid}/status")).unwrap();
        let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).unwrap();
        line.trim().trim_end_matches(" kB").parse::<usize>().unwrap() * 1024
    }

    pub(crate) fn terminate(&self) {
        let pid = i32::try_from(self.child.id().unwrap()).unwrap();
        kill_process(Pid::from_raw(pid).unwrap(), Signal::TERM).unwrap();
    }

    /// Waits for its end; the access log is complete then.
    pub(crate) async fn ended(&mut self) -> ExitStatus {
        let status = time::timeout(Duration::from_secs(10), self.child.wait()).await;
        status.expect("it ends within ten seconds").unwrap()
    }
}

fn read(output: impl AsyncRead + Unpin + Send + 'static) -> Lines {
    let lines = Lines::default();
    let mut output = BufReader::new(output).lines();
    tokio::spawn({
        let lines = Arc::clone(&lines);
        async move {
            while let Ok(Some(line)) = output.next_line().await {
                let line = serde_json::from_str(&line).unwrap_or_else(|error| panic!("{error}: {line}"));
                lines.lock().unwrap().push(line);
            }
        }
    });
    lines
}
