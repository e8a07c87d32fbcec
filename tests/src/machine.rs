//! One machine with everything on it.

use crate::child::sweep;
use crate::{Child, Readers, program};
use anyhow::{Context, Result, bail, ensure};
use promoter::canary::Canary;
use promoter::http::Client;
use std::net::{Ipv4Addr, TcpListener};
use std::path::{Path, PathBuf};
use std::time::Duration;

/// The name of the workload.
pub const NAME: &str = "blog";

/// How long a program may take to answer for the first time; a machine that is compiling beside it is slow.
const START_LIMIT: Duration = Duration::from_secs(60);
/// How long a program may take to end; longer than its own deadlines.
const END_LIMIT: Duration = Duration::from_secs(40);

/// Where everything listens, on the loopback address.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Ports {
    /// Readers' port, shared by both routers.
    pub http: u16,
    /// The routers' admin ports.
    pub admin: [u16; 2],
    /// The promoter's port.
    pub api: u16,
    /// The first of the blog's ports; there are [`Ports::BLOGS`].
    pub blogs: u16,
}

/// One version of the blog.
#[derive(Clone, Debug)]
pub struct Version {
    /// Its name, as pages show it.
    pub name: &'static str,
    /// Its colour.
    pub accent: &'static str,
    /// Further flags of `blog serve`.
    pub flags: &'static [&'static str],
}

/// A blog, its routers and its promoter.
#[derive(Debug)]
pub struct Machine {
    folder: PathBuf,
    ports: Ports,
    spec: String,
    routers: [Child; 2],
    promoter: Child,
    client: Client,
}

// === impl Ports ===

impl Ports {
    /// How many ports the blog's processes need: twice the replicas, and some that are still ending.
    pub const BLOGS: u16 = 12;

    /// The ports from `http` on.
    pub const fn from(http: u16) -> Self {
        Self { http, admin: [http + 1, http + 2], api: http + 10, blogs: http + 20 }
    }

    /// Fails where something listens already, with the remedy.
    ///
    /// # Errors
    /// Where a port is taken.
    pub fn check_free(self) -> Result<()> {
        let blogs = self.blogs..self.blogs + Self::BLOGS;
        for port in [self.http, self.admin[0], self.admin[1], self.api].into_iter().chain(blogs) {
            TcpListener::bind((Ipv4Addr::LOCALHOST, port)).with_context(|| {
                format!("port {port} is taken: end what listens there, or choose others with --port")
            })?;
        }
        Ok(())
    }

    /// The address that readers open.
    pub fn url(self) -> String {
        format!("http://127.0.0.1:{}", self.http)
    }
}

// === impl Machine ===

impl Machine {
    /// Starts everything in `folder`, with this version of the blog and so many posts, and waits until it serves.
    ///
    /// `spec` is the `canary` part of the promoter's file, in YAML.
    ///
    /// # Errors
    /// Where something does not start; the text says what and why.
    pub async fn start(
        folder: &Path,
        ports: Ports,
        posts: u32,
        version: &Version,
        spec: &str,
    ) -> Result<Self> {
        std::fs::create_dir_all(folder)?;
        let folder = folder.canonicalize()?;
        Self::sweep(&folder);
        std::fs::remove_dir_all(&folder)?;
        std::fs::create_dir_all(folder.join("logs"))?;
        ports.check_free()?;
        let spec = spec.to_owned();
        let database = database(&folder);
        run(&folder, "blog", &["migrate", "--database-url", &database]).await?;
        run(&folder, "blog", &["seed", "--posts", &posts.to_string(), "--database-url", &database]).await?;
        write_config(&folder, ports, version, &spec)?;
        let routers = [start_router(&folder, ports, 0)?, start_router(&folder, ports, 1)?];
        let promoter = start_promoter(&folder)?;
        let mut machine =
            Self { folder, ports, spec, routers, promoter, client: Client::new(Duration::from_secs(5)) };
        machine
            .until(START_LIMIT, "the blog serves", |canary| canary.status.release.phase.name() == "Stable")
            .await?;
        machine.until_readable().await?;
        Ok(machine)
    }

    /// Ends whatever a machine in this folder left behind, where it could not do so itself.
    pub fn sweep(folder: &Path) {
        if let Ok(folder) = folder.canonicalize() {
            sweep(&folder);
        }
    }

    /// The folder with logs, state and database.
    pub fn folder(&self) -> &Path {
        &self.folder
    }

    /// Asks for this version, as `kubectl apply` would.
    ///
    /// # Errors
    /// Where the file cannot be written.
    pub fn apply(&self, version: &Version) -> Result<()> {
        write_config(&self.folder, self.ports, version, &self.spec)
    }

    /// What the promoter says.
    ///
    /// # Errors
    /// Where it does not answer.
    pub async fn canary(&self) -> Result<Canary> {
        let answer = self.client.get(&format!("http://127.0.0.1:{}/canaries/{NAME}", self.ports.api)).await?;
        ensure!(answer.status.is_success(), "the promoter answers {}", answer.status);
        Ok(serde_json::from_slice(&answer.body)?)
    }

    /// Waits until the promoter says something.
    ///
    /// # Errors
    /// Where it does not within `limit`, or a program ended.
    pub async fn until(
        &mut self,
        limit: Duration,
        what: &str,
        met: impl Fn(&Canary) -> bool,
    ) -> Result<Canary> {
        let end = tokio::time::Instant::now() + limit;
        let mut last = None;
        while tokio::time::Instant::now() < end {
            self.check()?;
            if let Ok(canary) = self.canary().await {
                if met(&canary) {
                    return Ok(canary);
                }
                last = Some(canary);
            }
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
        let (phase, hold) = last.map_or(("unknown", None), |canary| {
            let release = canary.status.release;
            (release.phase.name(), release.hold.map(|hold| hold.message))
        });
        bail!("not within {limit:?}: {what}; the phase is {phase}, {}", hold.unwrap_or_default())
    }

    async fn until_readable(&mut self) -> Result<()> {
        for _ in 0..100 {
            if self.client.get(&self.ports.url()).await.is_ok_and(|answer| answer.status.is_success()) {
                return Ok(());
            }
            self.check()?;
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
        bail!("{} does not answer with the blog", self.ports.url())
    }

    /// Sends readers: so many requests per second, until they are told to end.
    ///
    /// # Errors
    /// Where the load driver does not start.
    pub fn readers(&self, rate: u32) -> Result<Readers> {
        let arguments =
            ["run", "--target", &self.ports.url(), "--rate", &rate.to_string(), "--duration", "30m"];
        let output = ["--progress", "jsonl", "--arrivals", "poisson", "--seed", "1"];
        let arguments: Vec<_> =
            arguments.iter().chain(&output).map(|argument| (*argument).to_owned()).collect();
        Readers::new(Child::start(&self.folder, "load", &program("load")?, &arguments)?)
    }

    /// Ends the promoter as `kill -9` does, and starts it again.
    ///
    /// # Errors
    /// Where that fails.
    pub async fn kill_promoter(&mut self, pause: Duration) -> Result<()> {
        self.promoter.kill().await?;
        tokio::time::sleep(pause).await;
        self.promoter = start_promoter(&self.folder)?;
        Ok(())
    }

    /// Ends a router as `kill -9` does, and starts it again.
    ///
    /// # Errors
    /// Where that fails.
    pub async fn kill_router(&mut self, which: usize, pause: Duration) -> Result<()> {
        self.routers[which].kill().await?;
        tokio::time::sleep(pause).await;
        self.routers[which] = start_router(&self.folder, self.ports, which)?;
        Ok(())
    }

    /// Fails where a program has ended by itself.
    ///
    /// # Errors
    /// Where one has.
    pub fn check(&mut self) -> Result<()> {
        self.routers.iter_mut().chain([&mut self.promoter]).try_for_each(Child::check)
    }

    /// Ends everything: the promoter ends the blog's processes, then the routers go.
    ///
    /// # Errors
    /// Where something does not end.
    pub async fn end(mut self) -> Result<()> {
        self.promoter.end(END_LIMIT).await?;
        for router in &mut self.routers {
            router.end(END_LIMIT).await?;
        }
        Ok(())
    }
}

fn database(folder: &Path) -> String {
    format!("sqlite:{}", folder.join("blog.db").display())
}

async fn run(folder: &Path, name: &str, arguments: &[&str]) -> Result<()> {
    let output =
        tokio::process::Command::new(program(name)?).args(arguments).current_dir(folder).output().await?;
    let said = String::from_utf8_lossy(&output.stderr);
    ensure!(output.status.success(), "{name} {} ended with {}: {said}", arguments[0], output.status);
    Ok(())
}

fn start_router(folder: &Path, ports: Ports, which: usize) -> Result<Child> {
    let arguments = [
        "--listen".to_owned(),
        format!("127.0.0.1:{}", ports.http),
        "--reuse-port".to_owned(),
        "--admin-listen".to_owned(),
        format!("127.0.0.1:{}", ports.admin[which]),
        "--routes".to_owned(),
        folder.join("routes.yaml").display().to_string(),
    ];
    Child::start(folder, ["router-a", "router-b"][which], &program("router")?, &arguments)
}

fn start_promoter(folder: &Path) -> Result<Child> {
    let config = folder.join("huidu.yaml").display().to_string();
    let arguments = ["local", "--config", &config, "--stop-workload-on-exit"].map(str::to_owned);
    Child::start(folder, "promoter", &program("promoter")?, &arguments)
}

/// Writes the promoter's file whole and renames it into place, so that nobody reads half of it.
fn write_config(folder: &Path, ports: Ports, version: &Version, spec: &str) -> Result<()> {
    let Ports { admin: [a, b], api, blogs, .. } = ports;
    let last = blogs + Ports::BLOGS - 1;
    let flags: String = version.flags.iter().map(|flag| format!(", {flag:?}")).collect();
    let text = format!(
        r#"name: {NAME}
deployment:
  replicas: 3
  ports: {{from: {blogs}, to: {last}}}
  template:
    command: [{blog:?}, serve, --listen, "127.0.0.1:{{port}}", --plain-http, --drain-delay, 500ms, --accent, {accent:?}{flags}]
    env: {{APP_VERSION: {version:?}, BLOG_DATABASE_URL: {database:?}}}
  readinessProbe: {{path: /readyz, period: 500ms}}
routers:
  routesFile: routes.yaml
  admins: ["http://127.0.0.1:{a}", "http://127.0.0.1:{b}"]
  timeouts: {{request: 20s}}
  backends: {{maxRequests: 500, queue: {{maxRequests: 100}}, slowStart: 1s}}
stateFile: state.json
logs: logs
api: 127.0.0.1:{api}
canary: {spec}
"#,
        blog = program("blog")?,
        accent = version.accent,
        version = version.name,
        database = database(folder),
    );
    let temporary = folder.join("huidu.yaml.new");
    std::fs::write(&temporary, text)?;
    std::fs::rename(temporary, folder.join("huidu.yaml"))?;
    Ok(())
}
