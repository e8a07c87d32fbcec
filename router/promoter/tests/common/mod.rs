//! A workload of real processes behind a router that only keeps the books.
#![allow(
    dead_code,
    unused_imports,
    clippy::unwrap_used,
    clippy::expect_used,
    reason = "a test may fail by panicking, in its helpers too, and uses its part of them"
)]

mod hook;
mod router;

pub(crate) use hook::Hook;
pub(crate) use router::{FakeRouter, Routing};

use serde_json::Value;
use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::sync::atomic::{AtomicU16, Ordering};
use std::time::{Duration, Instant};
use tempfile::TempDir;

/// No wait of a test takes longer; a machine under load needs a fraction of it.
const PATIENCE: Duration = Duration::from_secs(30);

/// Each world has its own block of ports for its processes.
const PORTS_PER_WORLD: u16 = 20;
static WORLDS: AtomicU16 = AtomicU16::new(0);

/// A folder, a router, and a promoter that may come and go.
pub(crate) struct World {
    folder: TempDir,
    pub(crate) router: FakeRouter,
    pub(crate) ports: (u16, u16),
    api: u16,
    promoter: Option<Child>,
    /// The configuration, by dotted path.
    pub(crate) settings: Settings,
}

/// What differs from test to test.
pub(crate) struct Settings {
    pub(crate) replicas: u32,
    pub(crate) env: BTreeMap<&'static str, String>,
    pub(crate) progress: &'static str,
    pub(crate) steps: &'static str,
    /// Lines added to `canary`.
    pub(crate) canary: String,
    /// Lines added at the end.
    pub(crate) more: String,
}

impl World {
    /// A world with the promoter running and three processes of v1 ready.
    pub(crate) async fn with_v1() -> Self {
        let mut world = Self::empty().await;
        world.start();
        world.until("stable", |canary| phase(canary) == "Stable");
        world
    }

    pub(crate) async fn empty() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let router = FakeRouter::start(folder.path().join("run/routes.yaml")).await;
        let block = u16::try_from(std::process::id() % 500).unwrap() + WORLDS.fetch_add(1, Ordering::Relaxed);
        let from = 20_000 + block % 500 * PORTS_PER_WORLD;
        let settings = Settings {
            replicas: 3,
            env: [("HELLO_VERSION", "v1".to_owned())].into(),
            progress: "20s",
            steps: "[{weight: 10%}, {weight: 100%}]",
            canary: String::new(),
            more: String::new(),
        };
        let api = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        let ports = (from, from + PORTS_PER_WORLD - 1);
        let world = Self { folder, router, ports, api, promoter: None, settings };
        world.write();
        world
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// Writes the configuration as an editor does: whole, and renamed into place.
    pub(crate) fn write(&self) {
        let Settings { replicas, env, progress, steps, canary, more } = &self.settings;
        let env = env.iter().fold(String::new(), |mut text, (name, value)| {
            write!(text, "{name}: \"{value}\", ").unwrap();
            text
        });
        let (from, to) = self.ports;
        let text = format!(
            "name: hello
deployment:
  replicas: {replicas}
  ports: {{from: {from}, to: {to}}}
  template:
    command: [{hello:?}, --listen, \"127.0.0.1:{{port}}\"]
    env: {{{env}}}
  readinessProbe: {{path: /readyz, period: 100ms, timeout: 1s}}
  terminationGracePeriod: 2s
  restartBackoff: {{initial: 10ms, limit: 200ms}}
routers:
  routesFile: run/routes.yaml
  admins: [\"{router}\"]
stateFile: run/state.json
logs: run/logs
api: 127.0.0.1:{api}
canary:
  steps: {steps}
  analysis: {{interval: 100ms}}
  deadlines: {{progress: {progress}, drain: 2s}}
{canary}{more}",
            hello = hello(),
            router = self.router.address,
            api = self.api,
        );
        self.replace("hello.yaml", &text);
    }

    /// Changes the template: what makes a release begin.
    pub(crate) fn release(&mut self, env: &[(&'static str, &str)]) {
        self.settings.env = env.iter().map(|(name, value)| (*name, (*value).to_owned())).collect();
        self.write();
    }

    pub(crate) fn replace(&self, name: &str, text: &str) {
        fs::write(self.path("draft"), text).unwrap();
        fs::rename(self.path("draft"), self.path(name)).unwrap();
    }

    pub(crate) fn start(&mut self) {
        self.start_with(&[]);
    }

    pub(crate) fn start_with(&mut self, flags: &[&str]) {
        self.spawn(self.command(flags));
    }

    /// A promoter that trusts this certificate, and no other.
    pub(crate) fn start_trusting(&mut self, certificate: &str) {
        let mut command = self.command(&[]);
        command.env("SSL_CERT_FILE", certificate);
        self.spawn(command);
    }

    fn spawn(&mut self, mut command: Command) {
        let log = fs::OpenOptions::new().create(true).append(true).open(self.path("promoter.log")).unwrap();
        let promoter = command.stderr(log).spawn().unwrap();
        self.promoter = Some(promoter);
        let began = Instant::now();
        while !self.cli(&["status"]).status.success() {
            assert!(began.elapsed() < PATIENCE, "the promoter does not answer:\n{}", self.log());
            pause();
        }
    }

    /// A second promoter with the same configuration; its exit code and what it said.
    pub(crate) fn try_start(&self) -> (i32, String) {
        let output = self.command(&[]).stderr(Stdio::piped()).output().unwrap();
        (output.status.code().unwrap(), String::from_utf8(output.stderr).unwrap())
    }

    fn command(&self, flags: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_promoter"));
        command.arg("local").arg("--config").arg(self.path("hello.yaml")).args(flags).stdout(Stdio::null());
        command
    }

    /// SIGKILL: nothing is said, nothing is tidied up.
    pub(crate) fn kill_promoter(&mut self) {
        let mut promoter = self.promoter.take().expect("a promoter runs");
        promoter.kill().unwrap();
        promoter.wait().unwrap();
    }

    /// SIGTERM, and waits for the end.
    pub(crate) fn end_promoter(&mut self) {
        let mut promoter = self.promoter.take().expect("a promoter runs");
        signal(promoter.id(), rustix::process::Signal::TERM);
        assert!(promoter.wait().unwrap().success(), "{}", self.log());
    }

    pub(crate) fn cli(&self, arguments: &[&str]) -> Output {
        self.cli_command(arguments).output().unwrap()
    }

    pub(crate) fn cli_command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_kubectl-canary"));
        command.args(["--server", &self.api()]).args(arguments);
        command
    }

    pub(crate) fn api(&self) -> String {
        format!("http://127.0.0.1:{}", self.api)
    }

    /// Says a verb that must be accepted; what was printed.
    pub(crate) fn say(&self, arguments: &[&str]) -> String {
        let output = self.cli(arguments);
        assert!(output.status.success(), "{arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8(output.stdout).unwrap()
    }

    pub(crate) fn canary(&self) -> Value {
        serde_json::from_str(&self.say(&["status", "-o", "json"])).unwrap()
    }

    /// Waits until the canary is as wanted.
    pub(crate) fn until(&self, what: &str, wanted: impl Fn(&Value) -> bool) -> Value {
        let began = Instant::now();
        loop {
            let canary = self.canary();
            if wanted(&canary) {
                return canary;
            }
            assert!(began.elapsed() < PATIENCE, "not {what}:\n{}\n{}", self.say(&["status"]), self.log());
            pause();
        }
    }

    pub(crate) fn log(&self) -> String {
        fs::read_to_string(self.path("promoter.log")).unwrap_or_default()
    }

    pub(crate) fn routes(&self) -> String {
        fs::read_to_string(self.path("run/routes.yaml")).unwrap()
    }

    /// All processes of this world, whoever started them.
    pub(crate) fn processes(&self) -> Vec<u32> {
        let owner = self.path("run").canonicalize().unwrap_or_default().join("state.json");
        let mark = format!("HUIDU_OWNER={}", owner.display());
        let pids =
            fs::read_dir("/proc").unwrap().filter_map(|entry| entry.ok()?.file_name().to_str()?.parse().ok());
        let is_ours = |pid: &u32| {
            let environment =
                fs::read(Path::new("/proc").join(pid.to_string()).join("environ")).unwrap_or_default();
            environment.split(|byte| *byte == 0).any(|entry| entry == mark.as_bytes())
        };
        pids.filter(is_ours).collect()
    }
}

impl Drop for World {
    fn drop(&mut self) {
        if let Some(mut promoter) = self.promoter.take() {
            let _ = promoter.kill();
            let _ = promoter.wait();
        }
        for pid in self.processes() {
            signal(pid, rustix::process::Signal::KILL);
        }
    }
}

pub(crate) fn phase(canary: &Value) -> &str {
    canary["status"]["phase"].as_str().unwrap()
}

pub(crate) fn weight(canary: &Value) -> &str {
    canary["status"]["route"]["weight"].as_str().unwrap()
}

/// The processes of one revision, by replica.
pub(crate) fn pids(canary: &Value, revision: &str) -> BTreeMap<String, u64> {
    let replicas = canary["status"]["replicas"].as_array().unwrap().iter();
    replicas
        .filter(|replica| replica["revision"] == revision)
        .filter_map(|replica| Some((replica["name"].as_str()?.to_owned(), replica["pid"].as_u64()?)))
        .collect()
}

pub(crate) fn stable(canary: &Value) -> String {
    canary["status"]["stable"].as_str().unwrap().to_owned()
}

/// The revision that is tried, or that failed.
pub(crate) fn candidate(canary: &Value) -> String {
    canary["status"]["release"]["candidate"].as_str().unwrap_or_default().to_owned()
}

pub(crate) fn signal(pid: u32, signal: rustix::process::Signal) {
    let pid = rustix::process::Pid::from_raw(i32::try_from(pid).unwrap()).unwrap();
    // It may have ended in the meantime.
    let _ = rustix::process::kill_process(pid, signal);
}

#[expect(clippy::disallowed_methods, reason = "a test has nothing else to do on its thread")]
pub(crate) fn pause() {
    std::thread::sleep(Duration::from_millis(50));
}

/// A Prometheus server that scrapes the router every second, where one is installed.
pub(crate) struct Prometheus {
    pub(crate) address: String,
    server: Child,
    _folder: TempDir,
}

impl Prometheus {
    pub(crate) fn scraping(router: &FakeRouter) -> Option<Self> {
        let folder = tempfile::tempdir().unwrap();
        let target = router.address.strip_prefix("http://").unwrap();
        let config = format!(
            "global: {{scrape_interval: 1s, scrape_timeout: 1s}}\nscrape_configs:\n  - job_name: router\n    static_configs: [{{targets: [\"{target}\"]}}]\n"
        );
        fs::write(folder.path().join("prometheus.yml"), config).unwrap();
        let port = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        let server = Command::new("prometheus")
            .arg(format!("--config.file={}", folder.path().join("prometheus.yml").display()))
            .arg(format!("--storage.tsdb.path={}", folder.path().join("data").display()))
            .arg(format!("--web.listen-address=127.0.0.1:{port}"))
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .ok()?;
        Some(Self { address: format!("http://127.0.0.1:{port}"), server, _folder: folder })
    }

    pub(crate) fn end(&mut self) {
        let _ = self.server.kill();
        let _ = self.server.wait();
    }
}

impl Drop for Prometheus {
    fn drop(&mut self) {
        self.end();
    }
}

/// The workload, built beside the tests.
fn hello() -> PathBuf {
    let tests = std::env::current_exe().unwrap();
    let hello = tests.parent().unwrap().parent().unwrap().join("examples/hello");
    assert!(hello.exists(), "{} is not built; run `cargo build -p promoter --examples`", hello.display());
    hello
}
