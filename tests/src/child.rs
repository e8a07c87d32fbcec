//! A process that ends with its owner.

use anyhow::{Context, Result, bail};
use rustix::process::{Pid, Signal, kill_process};
use std::path::{Path, PathBuf};
use std::process::{ExitStatus, Stdio};
use std::time::Duration;
use tokio::process::Command;

/// The variable that marks every process of a machine with its folder, also those that its processes start.
pub(crate) const MARK: &str = "HUIDU_MACHINE";

/// A process with its output in a file.
#[derive(Debug)]
pub struct Child {
    name: String,
    log: PathBuf,
    process: tokio::process::Child,
}

// === impl Child ===

impl Child {
    /// Starts `program` with these arguments; what it prints goes to `NAME.log` in `folder`.
    ///
    /// It gets a process group of its own: a Ctrl-C at the terminal reaches only the owner, who ends it in order.
    ///
    /// # Errors
    /// Where the program cannot be started.
    pub fn start(folder: &Path, name: &str, program: &Path, arguments: &[String]) -> Result<Self> {
        let log = folder.join(format!("{name}.log"));
        let out = std::fs::File::options().create(true).append(true).open(&log)?;
        let process = Command::new(program)
            .args(arguments)
            .env(MARK, folder)
            .stdin(Stdio::null())
            .stdout(if name == "load" { Stdio::piped() } else { out.try_clone()?.into() })
            .stderr(out)
            .process_group(0)
            .kill_on_drop(true)
            .spawn()
            .with_context(|| format!("{} does not start", program.display()))?;
        Ok(Self { name: name.to_owned(), log, process })
    }

    /// Its process number, while it runs.
    pub fn pid(&self) -> Option<u32> {
        self.process.id()
    }

    /// Its standard output, for the one who asks first; only of the load driver.
    pub fn take_output(&mut self) -> Option<tokio::process::ChildStdout> {
        self.process.stdout.take()
    }

    /// Sends a signal.
    pub fn signal(&self, signal: Signal) {
        if let Some(pid) = self.pid().and_then(|pid| i32::try_from(pid).ok()).and_then(Pid::from_raw) {
            // A process that is gone already needs no signal.
            let _ = kill_process(pid, signal);
        }
    }

    /// Ends it as `kill -9` does.
    ///
    /// # Errors
    /// Where it cannot be waited for.
    pub async fn kill(&mut self) -> Result<()> {
        self.signal(Signal::KILL);
        self.process.wait().await?;
        Ok(())
    }

    /// Asks it to end, and waits.
    ///
    /// # Errors
    /// Where it is still there after `limit`.
    pub async fn end(&mut self, limit: Duration) -> Result<ExitStatus> {
        self.signal(Signal::TERM);
        match tokio::time::timeout(limit, self.process.wait()).await {
            Ok(status) => Ok(status?),
            Err(_) => bail!(
                "{} did not end within {limit:?} of SIGTERM; its log is {}",
                self.name,
                self.log.display()
            ),
        }
    }

    /// Fails where it has ended, with the last lines of its log.
    ///
    /// # Errors
    /// Where it has ended.
    pub fn check(&mut self) -> Result<()> {
        let Some(status) = self.process.try_wait()? else { return Ok(()) };
        let log = std::fs::read_to_string(&self.log).unwrap_or_default();
        let last: Vec<_> = log.lines().rev().take(5).collect();
        let last: Vec<_> = last.into_iter().rev().collect();
        bail!("{} ended with {status}:\n{}", self.name, last.join("\n"))
    }
}

/// The path of one of our programs: they are built into the folder of the running one.
///
/// # Errors
/// Where it was not built.
pub fn program(name: &str) -> Result<PathBuf> {
    let here = std::env::current_exe()?;
    let folder = here.ancestors().skip(1).find(|folder| !folder.ends_with("deps"));
    let path = folder.unwrap_or(Path::new(".")).join(name);
    if path.is_file() {
        Ok(path)
    } else {
        bail!("{} is not there: build it with `cargo build --workspace`", path.display())
    }
}

/// Ends what an earlier machine in this folder left behind, if it could not do so itself.
pub(crate) fn sweep(folder: &Path) {
    let mark = format!("{MARK}={}", folder.display());
    let Ok(processes) = std::fs::read_dir("/proc") else { return };
    for process in processes.flatten() {
        let Some(pid) =
            process.file_name().to_str().and_then(|name| name.parse().ok()).and_then(Pid::from_raw)
        else {
            continue;
        };
        let environment = std::fs::read(process.path().join("environ")).unwrap_or_default();
        if environment.split(|byte| *byte == 0).any(|variable| variable == mark.as_bytes()) {
            let _ = kill_process(pid, Signal::KILL);
        }
    }
}
