//! A process on a core of its own, and what the system says about it.

use anyhow::Context;
use rustix::{
    process::{Pid, Signal, kill_process},
    thread::{CpuSet, sched_setaffinity},
};
use std::{
    fs,
    net::{Ipv4Addr, TcpStream},
    process::{Child, Command, Stdio},
    thread,
    time::{Duration, Instant},
};

/// The core of the proxies, as taskset names it; load and origin have the other one.
pub const PROXY_CORE: &str = "0";
pub const LOAD_CORE: usize = 1;

/// A child that ends with its owner.
pub struct Process(Child);

/// How long a proxy may take to listen.
const START_MAX: Duration = Duration::from_secs(60);

/// Puts the calling thread, and the threads and processes that it starts, on a core.
pub fn pin_to(core: usize) -> anyhow::Result<()> {
    let mut set = CpuSet::new();
    set.set(core);
    sched_setaffinity(None, &set).context("CPU affinity")
}

// === impl Process ===

impl Process {
    /// Starts `command` on `cores` and waits until all `ports` are open.
    pub fn start(command: &[String], ports: &[u16], cores: &str) -> anyhow::Result<Self> {
        let mut started = Command::new("taskset");
        started.arg("-c").arg(cores).args(command);
        let child = started.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()).spawn();
        let mut process = Self(child.with_context(|| format!("{command:?}"))?);
        let begin = Instant::now();
        let is_open = |&port: &u16| TcpStream::connect((Ipv4Addr::LOCALHOST, port)).is_ok();
        while !ports.iter().all(is_open) {
            if let Some(status) = process.0.try_wait()? {
                anyhow::bail!("{} ended with {status}", command.join(" "));
            }
            anyhow::ensure!(begin.elapsed() < START_MAX, "{} does not listen", command.join(" "));
            thread::sleep(Duration::from_millis(20));
        }
        Ok(process)
    }

    /// User and system time so far, of all threads.
    pub fn cpu(&self) -> anyhow::Result<Duration> {
        let stat = fs::read_to_string(format!("/proc/{}/stat", self.0.id()))?;
        // The name, which may hold spaces, is in parentheses; utime and stime are fields 14 and 15 (proc(5)).
        let fields = stat.rsplit_once(')').context("the format of /proc/PID/stat")?.1.split_whitespace();
        let ticks: u64 = fields.skip(11).take(2).map(|field| field.parse::<u64>().unwrap_or(0)).sum();
        Ok(Duration::from_secs(1) * u32::try_from(ticks)?
            / u32::try_from(rustix::param::clock_ticks_per_second())?)
    }

    /// Resident memory in KiB.
    pub fn memory_kib(&self) -> anyhow::Result<u64> {
        let status = fs::read_to_string(format!("/proc/{}/status", self.0.id()))?;
        let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).context("VmRSS")?;
        Ok(line.trim_end_matches("kB").trim().parse()?)
    }

    /// Asks it to end, and waits until it has.
    pub fn interrupt(&mut self, signal: Signal) -> anyhow::Result<()> {
        kill_process(Pid::from_child(&self.0), signal)?;
        self.0.wait()?;
        Ok(())
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        // It may have ended already.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}
