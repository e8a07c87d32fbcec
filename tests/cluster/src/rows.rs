//! Groups, rows and the table.

use std::fmt;
use std::pin::Pin;
use std::process::ExitCode;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;
use std::time::Duration;

use tokio::process::Command;
use tokio::runtime::{Builder, Runtime};
use tokio::time::Instant;

use crate::cluster::Cluster;
use crate::images::{Images, Wanted};
use crate::scripts::{self, output};

/// A row that takes longer has failed.
const ROW_PATIENCE: Duration = Duration::from_secs(240);
/// Kubernetes is compiled once, on two cores in some ten minutes.
const BUILD_PATIENCE: Duration = Duration::from_secs(3600);
/// Clusters at once: on two cores a third makes all of them slower.
const CLUSTERS_MAX: usize = 2;

/// Rows that share a cluster.
#[derive(Clone, Copy, Debug)]
pub struct Group {
    /// Its name in the table and in its cluster's name: a word of a-z.
    pub name: &'static str,
    /// Tells its rows.
    pub tell: for<'a> fn(&'a mut Rows) -> Pin<Box<dyn Future<Output = ()> + 'a>>,
}

/// Where a group tells its rows.
#[derive(Debug)]
pub struct Rows {
    group: &'static str,
    filter: Arc<[String]>,
    images: Result<Arc<Images>, Obstacle>,
    cluster: Option<Result<Cluster, Obstacle>>,
    told: Vec<Row>,
}

/// Why a row cannot be shown here; a row answers with it as its error.
#[derive(Clone, Debug)]
pub struct Skip(pub &'static str);

/// What keeps all rows of a group from being shown.
#[derive(Clone, Debug)]
enum Obstacle {
    /// This machine is not made for it.
    Unfit(String),
    /// It should have worked.
    Broken(String),
}

#[derive(Clone, Debug)]
struct Row {
    group: &'static str,
    sentence: &'static str,
    end: End,
    took: Duration,
}

#[derive(Clone, Debug)]
enum End {
    Passed,
    Failed(String),
    Skipped(String),
}

/// Runs every group, prints the table, and fails when a row did.
///
/// Words on the command line choose the rows whose group or sentence contains one of them.
#[must_use]
pub fn run(groups: &[Group], wanted: &Wanted) -> ExitCode {
    let filter: Arc<[String]> = std::env::args().skip(1).filter(|word| !word.starts_with('-')).collect();
    let images = prepare(wanted);
    let next = AtomicUsize::new(0);
    let work = || {
        let mut told = Vec::new();
        while let Some(group) = groups.get(next.fetch_add(1, Ordering::Relaxed)) {
            let rows = Rows::new(group.name, Arc::clone(&filter), images.clone());
            told.extend(rows.tell(group));
        }
        told
    };
    let mut told = thread::scope(|scope| {
        let workers: Vec<_> = (0..CLUSTERS_MAX).map(|_| scope.spawn(work)).collect();
        // A panic has printed itself; what its worker had told is lost, so the run must fail.
        workers.into_iter().map(thread::ScopedJoinHandle::join).collect::<Result<Vec<_>, _>>()
    })
    .map(|told| told.concat());
    if let Ok(told) = &mut told {
        told.sort_by_key(|row| groups.iter().position(|group| group.name == row.group));
        print(told);
    }
    let failed = told.map_or(true, |told| told.iter().any(|row| matches!(row.end, End::Failed(_))));
    if failed { ExitCode::FAILURE } else { ExitCode::SUCCESS }
}

// === impl Rows ===

impl Rows {
    fn new(group: &'static str, filter: Arc<[String]>, images: Result<Arc<Images>, Obstacle>) -> Self {
        Self { group, filter, images, cluster: None, told: Vec::new() }
    }

    fn tell(mut self, group: &Group) -> Vec<Row> {
        let told = runtime().map(|runtime| {
            runtime.block_on(async {
                tokio::select! {
                    () = (group.tell)(&mut self) => {}
                    // The rows that are missing then are no success, but the cluster ends as it should.
                    _ = tokio::signal::ctrl_c() => self.record("told to the end", End::Failed("interrupted".into()), Duration::ZERO),
                }
            });
        });
        if let Err(obstacle) = told {
            self.record("told", obstacle.end(), Duration::ZERO);
        }
        self.told
    }

    /// One row: a sentence, and what shows it on the group's cluster. A row that fails does not end the group.
    pub async fn row<F>(&mut self, sentence: &'static str, shown: F)
    where
        F: AsyncFnOnce(&Cluster) -> anyhow::Result<()>,
    {
        let chosen = |word: &String| sentence.contains(word.as_str()) || self.group.contains(word.as_str());
        if !self.filter.is_empty() && !self.filter.iter().any(chosen) {
            return;
        }
        let (start, end) = match self.cluster().await {
            Err(obstacle) => (Instant::now(), obstacle.end()),
            Ok(cluster) => {
                let start = Instant::now();
                let end = match tokio::time::timeout(ROW_PATIENCE, shown(cluster)).await {
                    Ok(Ok(())) => End::Passed,
                    Ok(Err(error)) => match error.downcast_ref() {
                        Some(Skip(reason)) => End::Skipped((*reason).to_owned()),
                        None => End::Failed(format!("{error:#}\n{}", state(cluster).await)),
                    },
                    Err(_) => {
                        End::Failed(format!("no end within {ROW_PATIENCE:?}\n{}", state(cluster).await))
                    }
                };
                (start, end)
            }
        };
        self.record(sentence, end, start.elapsed());
    }

    /// The group's cluster, started for its first row.
    async fn cluster(&mut self) -> Result<&Cluster, Obstacle> {
        let images = self.images.clone()?;
        if self.cluster.is_none() {
            let name = format!("{}-{}", self.group, std::process::id());
            let started = Cluster::start(&name, images).await;
            self.cluster = Some(started.map_err(|error| Obstacle::Broken(format!("no cluster: {error:#}"))));
        }
        match &self.cluster {
            Some(Ok(cluster)) => Ok(cluster),
            Some(Err(obstacle)) => Err(obstacle.clone()),
            None => Err(Obstacle::Broken("no cluster".to_owned())),
        }
    }

    fn record(&mut self, sentence: &'static str, end: End, took: Duration) {
        let row = Row { group: self.group, sentence, end, took };
        // Progress for whoever waits; the table comes at the end.
        eprintln!("{row}");
        self.told.push(row);
    }
}

// === impl Obstacle ===

impl Obstacle {
    fn end(self) -> End {
        match self {
            Self::Unfit(reason) => End::Skipped(reason),
            Self::Broken(reason) => End::Failed(reason),
        }
    }
}

impl fmt::Display for Skip {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.0)
    }
}

impl std::error::Error for Skip {}

impl fmt::Display for Row {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { group, sentence, end, took } = self;
        let (word, why) = match end {
            End::Passed => ("pass", ""),
            End::Failed(why) => ("FAIL", why.as_str()),
            End::Skipped(why) => ("skip", why.as_str()),
        };
        write!(f, "{word}  {:>6.1} s  {group:<12} {sentence}", took.as_secs_f64())?;
        why.lines().try_for_each(|line| write!(f, "\n      {line}"))
    }
}

fn runtime() -> Result<Runtime, Obstacle> {
    Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(|error| Obstacle::Broken(format!("no runtime: {error}")))
}

/// What all clusters need: packages, Kubernetes compiled, images. Each is told about while it is waited for.
fn prepare(wanted: &Wanted) -> Result<Arc<Images>, Obstacle> {
    if !cfg!(target_os = "linux") {
        return Err(Obstacle::Unfit("a cluster runs on Linux".to_owned()));
    }
    if !rustix::process::geteuid().is_root() {
        return Err(Obstacle::Unfit("a cluster needs root".to_owned()));
    }
    let broken = |error: anyhow::Error| Obstacle::Broken(format!("{error:#}"));
    runtime()?.block_on(async {
        let script = |name: &str| Command::new(scripts::folder().join(name));
        let checked = output(script("packages").arg("--check"), "", BUILD_PATIENCE).await;
        checked.map_err(|error| Obstacle::Unfit(format!("{error:#}")))?;
        eprintln!(
            "Kubernetes and the images are compiled where they are not yet; the first time takes minutes"
        );
        output(&mut script("build"), "", BUILD_PATIENCE).await.map_err(broken)?;
        Ok(Arc::new(Images::build(wanted).await.map_err(broken)?))
    })
}

/// What a person would look at first when something went wrong.
async fn state(cluster: &Cluster) -> String {
    let mut text = String::new();
    for line in ["get deployments,replicasets,pods -A", "get events -A --sort-by .lastTimestamp"] {
        let shown = cluster.kubectl(line).await.unwrap_or_else(|error| format!("{error:#}"));
        let lines: Vec<&str> = shown.lines().collect();
        text += &lines[lines.len().saturating_sub(14)..].join("\n");
        text.push('\n');
    }
    text
}

#[expect(clippy::print_stdout, reason = "the table is the program's answer")]
fn print(told: &[Row]) {
    let count = |matches: fn(&End) -> bool| told.iter().filter(|row| matches(&row.end)).count();
    println!();
    for row in told {
        println!("{row}");
    }
    println!(
        "\n{} passed, {} failed, {} skipped",
        count(|end| matches!(end, End::Passed)),
        count(|end| matches!(end, End::Failed(_))),
        count(|end| matches!(end, End::Skipped(_)))
    );
}
