//! Groups, and the rows that they tell.

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

use crate::cluster::{Cluster, Given};
use crate::images::{Images, Wanted};
use crate::scripts::{self, output};
use crate::table::{End, Row, table};

/// A row that takes longer has failed.
const ROW_PATIENCE: Duration = Duration::from_secs(240);
/// The same for one that only `FULL=1` shows.
const LONG_ROW_PATIENCE: Duration = Duration::from_secs(900);
/// Kubernetes is compiled once, on two cores in some ten minutes.
const BUILD_PATIENCE: Duration = Duration::from_secs(3600);
/// Clusters at once, unless HUIDU_CLUSTERS says otherwise: on two cores a third makes all of them slower.
const CLUSTERS_MAX: usize = 2;
/// Rows of a run that may have a second try: where more fail, something is broken, not disturbed.
const SECOND_TRIES: usize = 4;
/// Beyond every list of groups, however often it is counted up.
const NO_GROUP: usize = usize::MAX / 2;

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
    tries: Arc<AtomicUsize>,
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

/// Runs every group, prints the table, and fails when a row did.
///
/// Words on the command line choose the rows whose group or sentence contains one of them.
#[must_use]
pub fn run(groups: &[Group], wanted: &Wanted) -> ExitCode {
    let filter: Arc<[String]> = std::env::args().skip(1).filter(|word| !word.starts_with('-')).collect();
    let images = prepare(wanted);
    let tries = Arc::new(AtomicUsize::new(SECOND_TRIES));
    let next = AtomicUsize::new(0);
    let work = || {
        let mut told = Vec::new();
        while let Some(group) = groups.get(next.fetch_add(1, Ordering::Relaxed)) {
            let (filter, images, tries) = (Arc::clone(&filter), images.clone(), Arc::clone(&tries));
            let (cluster, first) = (None, Vec::new());
            let rows = Rows { group: group.name, filter, images, cluster, tries, told: first };
            told.extend(rows.tell(group, &next));
        }
        told
    };
    let mut told = thread::scope(|scope| {
        let workers: Vec<_> = (0..clusters()).map(|_| scope.spawn(work)).collect();
        // A panic has printed itself; what its worker had told is lost, so the run must fail.
        workers.into_iter().map(thread::ScopedJoinHandle::join).collect::<Result<Vec<_>, _>>()
    })
    .map(|told| told.concat());
    if let Ok(told) = &mut told {
        told.sort_by_key(|row| groups.iter().position(|group| group.name == row.group));
        print(&table(told));
    }
    let failed = told.map_or(true, |told| told.iter().any(|row| matches!(row.end, End::Failed(_))));
    if failed { ExitCode::FAILURE } else { ExitCode::SUCCESS }
}

/// How many groups tell their rows at the same time.
fn clusters() -> usize {
    let said = std::env::var("HUIDU_CLUSTERS").ok().and_then(|text| text.parse().ok());
    // A cluster that is given is one.
    if Given::from_env().is_some() { 1 } else { said.unwrap_or(CLUSTERS_MAX).clamp(1, 8) }
}

// === impl Rows ===

impl Rows {
    fn tell(mut self, group: &Group, next: &AtomicUsize) -> Vec<Row> {
        let told = runtime().map(|runtime| {
            runtime.block_on(async {
                tokio::select! {
                    () = (group.tell)(&mut self) => {}
                    // The rows that are missing then are no success, but the cluster ends as it should.
                    _ = tokio::signal::ctrl_c() => {
                        next.store(NO_GROUP, Ordering::Relaxed);
                        self.record("told to the end", End::Failed("interrupted".into()), Duration::ZERO);
                    }
                }
            });
        });
        if let Err(obstacle) = told {
            self.record("told", obstacle.end(), Duration::ZERO);
        }
        self.told
    }

    /// One row: a sentence, and what shows it on the group's cluster. A row that fails is tried once more on a fresh
    /// cluster, which the table tells; it does not end the group.
    pub async fn row<F>(&mut self, sentence: &'static str, shown: F)
    where
        F: AsyncFn(&Cluster) -> anyhow::Result<()>,
    {
        self.row_within(ROW_PATIENCE, sentence, shown).await;
    }

    /// A row that may take so long.
    pub async fn row_within<F>(&mut self, patience: Duration, sentence: &'static str, shown: F)
    where
        F: AsyncFn(&Cluster) -> anyhow::Result<()>,
    {
        if self.is_chosen(sentence) {
            self.show(patience, sentence, shown).await;
        }
    }

    /// A row that only `FULL=1` shows.
    pub async fn long_row<F>(&mut self, sentence: &'static str, shown: F)
    where
        F: AsyncFn(&Cluster) -> anyhow::Result<()>,
    {
        if std::env::var_os("FULL").is_some() {
            self.row_within(LONG_ROW_PATIENCE, sentence, shown).await;
        } else if self.is_chosen(sentence) {
            let end = End::Skipped("takes long; FULL=1 runs it".to_owned());
            self.record(sentence, end, Duration::ZERO);
        }
    }

    fn is_chosen(&self, sentence: &str) -> bool {
        let chosen = |word: &String| sentence.contains(word.as_str()) || self.group.contains(word.as_str());
        self.filter.is_empty() || self.filter.iter().any(chosen)
    }

    async fn show<F>(&mut self, patience: Duration, sentence: &'static str, shown: F)
    where
        F: AsyncFn(&Cluster) -> anyhow::Result<()>,
    {
        let (mut end, mut took) = self.attempt(patience, &shown).await;
        if let End::Failed(first) = &end
            && matches!(self.cluster, Some(Ok(_)))
            && self
                .tries
                .fetch_update(Ordering::Relaxed, Ordering::Relaxed, |left| left.checked_sub(1))
                .is_ok()
        {
            let first = first.clone();
            self.record(sentence, end, took);
            self.told.pop();
            self.cluster = None;
            (end, took) = self.attempt(patience, &shown).await;
            if matches!(end, End::Passed) {
                end = End::PassedAtSecondTry(first);
            }
        }
        self.record(sentence, end, took);
    }

    async fn attempt<F>(&mut self, patience: Duration, shown: &F) -> (End, Duration)
    where
        F: AsyncFn(&Cluster) -> anyhow::Result<()>,
    {
        let cluster = match self.cluster().await {
            Ok(cluster) => cluster,
            Err(obstacle) => return (obstacle.end(), Duration::ZERO),
        };
        let start = Instant::now();
        let end = match tokio::time::timeout(patience, shown(cluster)).await {
            Ok(Ok(())) => End::Passed,
            Ok(Err(error)) => match error.downcast_ref() {
                Some(Skip(reason)) => End::Skipped((*reason).to_owned()),
                None => End::Failed(format!("{error:#}\n{}", state(cluster).await)),
            },
            Err(_) => End::Failed(format!("no end within {patience:?}\n{}", state(cluster).await)),
        };
        (end, start.elapsed())
    }

    /// The group's cluster, started for its first row.
    async fn cluster(&mut self) -> Result<&Cluster, Obstacle> {
        let images = self.images.clone()?;
        if self.cluster.is_none() {
            let name = format!("{}-{}", self.group, std::process::id());
            let mut started = Cluster::start(&name, Arc::clone(&images)).await;
            if let Err(error) = &started {
                eprintln!("{name} did not start, once more: {error:#}");
                started = Cluster::start(&name, images).await;
            }
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

fn runtime() -> Result<Runtime, Obstacle> {
    Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(|error| Obstacle::Broken(format!("no runtime: {error}")))
}

/// What all clusters need: packages, Kubernetes compiled, images. Each is told about while it is waited for.
fn prepare(wanted: &Wanted) -> Result<Arc<Images>, Obstacle> {
    let broken = |error: anyhow::Error| Obstacle::Broken(format!("{error:#}"));
    runtime()?.block_on(async {
        match Given::from_env() {
            Some(given) => eprintln!(
                "The rows are shown on the cluster of KUBECONFIG, with images in {}",
                given.registry
            ),
            None => own_clusters().await?,
        }
        Ok(Arc::new(Images::build(wanted).await.map_err(broken)?))
    })
}

/// Whether this machine can run clusters; compiles what they run.
async fn own_clusters() -> Result<(), Obstacle> {
    let script = |name: &str| Command::new(scripts::folder().join(name));
    let checked = output(&mut script("fit"), "", BUILD_PATIENCE).await;
    checked.map_err(|error| {
        let remedy =
            "or give a cluster with KUBECONFIG, and with HUIDU_REGISTRY a registry that it pulls from";
        Obstacle::Unfit(format!("{error:#}; {remedy}"))
    })?;
    eprintln!("Kubernetes and the images are compiled where they are not yet; the first time takes minutes");
    let built = output(&mut script("build"), "", BUILD_PATIENCE).await;
    built.map(drop).map_err(|error| Obstacle::Broken(format!("{error:#}")))
}

/// What a person would look at first when something went wrong.
async fn state(cluster: &Cluster) -> String {
    let mut text = String::new();
    for line in [
        "get deployments,replicasets,pods -A",
        "get events -A --sort-by .lastTimestamp",
        "get canaries -A",
        "logs -n huidu -l app=promoter --tail 12 --prefix",
    ] {
        // Not every cluster has a promoter.
        let shown = cluster.kubectl(line).await.unwrap_or_default();
        let lines: Vec<&str> = shown.lines().collect();
        text += &lines[lines.len().saturating_sub(14)..].join("\n");
        text.push('\n');
    }
    text
}

#[expect(clippy::print_stdout, reason = "the table is the program's answer")]
fn print(table: &str) {
    println!("\n{table}");
}
