//! The command line.

use std::{fs::OpenOptions, path::PathBuf, sync::Arc, time::Duration};

use anyhow::{Context, anyhow, ensure};
use clap::{Args, Parser, Subcommand, value_parser};
use duration::Duration as Span;
use hyper::header::HeaderName;

use crate::{
    client::{Retry, Settings, header_field},
    drive::Plan,
    limits::{Limits, Share},
    progress::Progress,
    scenario::{BUILT_IN, Scenario},
    schedule::{Arrivals, RUN_MAX, Rate, Stage},
    session::Credentials,
    target::{Reach, Target},
};

/// Sends the requests of blog readers at a stated rate and reports what came of them, by version.
#[derive(Debug, Parser)]
#[command(name = "load", version)]
pub struct Cli {
    /// What to do.
    #[command(subcommand)]
    pub command: Command,
}

/// What the program can do.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Run a load test. Exit status: 0 fine, 1 a limit was broken, 64 wrong usage, 74 a report could not be
    /// written.
    Run(Box<RunArgs>),
    /// Check scenario files without sending anything.
    Check {
        /// Files, or names of scenarios of the program.
        #[arg(required = true)]
        scenarios: Vec<String>,
    },
    /// Print a scenario of the program, as a start for your own.
    Show {
        /// Its name.
        #[arg(value_parser = BUILT_IN.map(|(name, _)| name))]
        name: String,
    },
}

/// Flags of `load run`.
#[derive(Args, Debug)]
pub struct RunArgs {
    #[command(flatten)]
    destination: DestinationArgs,
    #[command(flatten)]
    pace: PaceArgs,
    #[command(flatten)]
    people: PeopleArgs,
    #[command(flatten)]
    output: OutputArgs,
    #[command(flatten)]
    limits: LimitArgs,
}

#[derive(Args, Debug)]
#[command(next_help_heading = "Where to")]
struct DestinationArgs {
    /// The only address that anything is sent to: `http://host:port`, with a path if the blog is below one.
    #[arg(long, env = "LOAD_TARGET")]
    target: String,
    /// Allow a target that is not this machine.
    #[arg(long)]
    allow_remote: bool,
    /// Longest time from sending a request to the last byte of its answer, from 1ms to 1h.
    #[arg(long, env = "LOAD_TIMEOUT", default_value = "10s")]
    timeout: Span,
    /// Never send a request a second time. Otherwise one with an idempotent method whose connection closed
    /// before any byte of the answer is sent once more, as browsers do, and shown as retried.
    #[arg(long)]
    no_retry: bool,
    /// The header field of answers that names the version.
    #[arg(long, env = "LOAD_VERSION_HEADER", default_value = "x-app-version")]
    version_header: HeaderName,
}

#[derive(Args, Debug)]
#[command(next_help_heading = "How much")]
struct PaceArgs {
    /// Requests started per second, above 0 and at most 1000000. Takes the place of the scenario's stages;
    /// 100 where there are none.
    #[arg(long, env = "LOAD_RATE", allow_negative_numbers = true)]
    rate: Option<Rate>,
    /// Length of the run, such as 90s or 1m30s. Takes the place of the scenario's stages; 60s where there
    /// are none.
    #[arg(long, env = "LOAD_DURATION")]
    duration: Option<Span>,
    /// How starts are spread: evenly, or like independent readers.
    #[arg(long, env = "LOAD_ARRIVALS", value_enum, default_value = "constant")]
    arrivals: Arrivals,
    /// Repeats a run's random choices; drawn and reported where it is not given.
    #[arg(long, env = "LOAD_SEED")]
    seed: Option<u64>,
    /// Requests under way, from 1 to 100000, beyond which arrivals are not sent but counted as dropped.
    #[arg(long, env = "LOAD_MAX_IN_FLIGHT", default_value_t = 1_000, value_parser = value_parser!(u32).range(1..=100_000))]
    max_in_flight: u32,
}

#[derive(Args, Debug)]
#[command(next_help_heading = "Who")]
struct PeopleArgs {
    /// A YAML file, or one of: readers, sticky, authors.
    #[arg(long, env = "LOAD_SCENARIO", default_value = "readers")]
    scenario: String,
    /// Number of different people; takes the place of the scenario's `users`.
    #[arg(long, env = "LOAD_USERS", value_parser = value_parser!(u32).range(1..=1_000_000))]
    users: Option<u32>,
    /// A header field of every request; may be repeated.
    #[arg(long = "header", value_name = "NAME: VALUE")]
    headers: Vec<String>,
    /// Who logs in, for scenarios with authors; the password comes from LOAD_PASSWORD or --password-file.
    #[arg(long, env = "LOAD_USERNAME")]
    username: Option<String>,
    /// A file with the password on its first line.
    #[arg(long, env = "LOAD_PASSWORD_FILE")]
    password_file: Option<PathBuf>,
}

#[derive(Args, Debug)]
#[command(next_help_heading = "What is shown")]
struct OutputArgs {
    /// What is shown while the run goes on.
    #[arg(long, env = "LOAD_PROGRESS", value_enum, default_value = "auto")]
    progress: Progress,
    /// Write the report as JSON.
    #[arg(long, value_name = "FILE")]
    report_json: Option<PathBuf>,
    /// Write the report with plots as one HTML file.
    #[arg(long, value_name = "FILE")]
    report_html: Option<PathBuf>,
}

#[derive(Args, Debug)]
#[command(next_help_heading = "Limits (exit status 1 if one is broken)")]
struct LimitArgs {
    /// At most so many failed requests.
    #[arg(long, value_name = "COUNT")]
    max_failures: Option<u64>,
    /// At most this share of the requests fails, such as 0.1%.
    #[arg(long, value_name = "SHARE")]
    max_failure_rate: Option<Share>,
    /// The 99th percentile of the latency is at most this, such as 200ms.
    #[arg(long, value_name = "DURATION")]
    max_p99: Option<Span>,
    /// At most so many arrivals are dropped by the driver.
    #[arg(long, value_name = "COUNT")]
    max_dropped: Option<u64>,
}

/// A run, ready to start.
pub struct Run {
    /// What is sent.
    pub plan: Plan,
    /// What it must keep to.
    pub limits: Limits,
    /// What is shown.
    pub progress: Progress,
    /// Where the JSON report goes.
    pub report_json: Option<PathBuf>,
    /// Where the HTML report goes.
    pub report_html: Option<PathBuf>,
}

impl RunArgs {
    /// Validates every flag and reads the files that they name.
    ///
    /// # Errors
    /// A sentence with the flag or the file, and the remedy.
    pub async fn prepare(self) -> anyhow::Result<Run> {
        let Self { destination, pace, people, output, limits } = self;
        let OutputArgs { progress, report_json, report_html } = output;
        let DestinationArgs { target, allow_remote, timeout, no_retry, version_header } = destination;
        let is_possible = (MILLISECOND..=MILLISECOND * 3_600_000).contains(&timeout.get());
        ensure!(is_possible, "--timeout {timeout} is out of range; give 1ms to 1h");
        let (scenario, credentials) = people.prepare()?;
        let stages = pace.stages(&scenario)?;
        let PaceArgs { arrivals, seed, max_in_flight, .. } = pace;
        let target =
            Target::resolve(&target, if allow_remote { Reach::Remote } else { Reach::Loopback }).await?;
        for path in report_json.iter().chain(&report_html) {
            // Before the run, so that no result of an hour is lost to a spelling mistake.
            OpenOptions::new().append(true).create(true).open(path).with_context(|| {
                format!(
                    "the report {} cannot be written; give a file in a folder that exists",
                    path.display()
                )
            })?;
        }
        let retry = if no_retry { Retry::Never } else { Retry::Idempotent };
        let plan = Plan {
            target,
            scenario: Arc::new(scenario),
            stages,
            arrivals,
            // A drawn seed is short enough to be typed, and exact in every JSON reader.
            seed: seed.unwrap_or_else(|| u64::from(rand::random::<u32>())),
            settings: Settings { timeout: timeout.get(), retry },
            in_flight_max: usize::try_from(max_in_flight)?,
            version_header,
            credentials,
        };
        Ok(Run { plan, limits: limits.into(), progress, report_json, report_html })
    }
}

const MILLISECOND: Duration = Duration::from_millis(1);

impl PaceArgs {
    /// The flags' single stage, or the scenario's stages where neither flag is given.
    fn stages(&self, scenario: &Scenario) -> anyhow::Result<Vec<Stage>> {
        if self.rate.is_none() && self.duration.is_none() && !scenario.stages.is_empty() {
            return Ok(scenario.stages.clone());
        }
        let rate = self.rate.map_or_else(|| Rate::try_new(100.0), Ok)?;
        let duration = self.duration.unwrap_or(Span::from(Duration::from_secs(60)));
        let is_possible = !duration.get().is_zero() && duration.get() <= RUN_MAX;
        ensure!(is_possible, "--duration {duration} is out of range; give more than 0s and at most 24h");
        ensure!(rate.per_second() > 0.0, "--rate 0 sends nothing; give a number above 0");
        Ok(vec![Stage { from: None, rate, duration }])
    }
}

impl PeopleArgs {
    fn prepare(self) -> anyhow::Result<(Scenario, Option<Credentials>)> {
        let Self { scenario, users, headers, username, password_file } = self;
        let mut scenario = Scenario::load(&scenario)?;
        for field in headers {
            let (name, value) = field.split_once(':').with_context(|| {
                format!("--header `{field}` has no colon; write it like 'x-canary: always'")
            })?;
            let (name, value) = header_field(name.trim(), value.trim())
                .map_err(|what| anyhow!("--header `{field}`: {what}"))?;
            scenario.headers.insert(name, value);
        }
        if let Some(users) = users {
            scenario.users = usize::try_from(users)?;
        }
        Ok((scenario, credentials(username, password_file)?))
    }
}

impl From<LimitArgs> for Limits {
    fn from(args: LimitArgs) -> Self {
        let LimitArgs { max_failures, max_failure_rate, max_p99, max_dropped } = args;
        Self {
            failures_max: max_failures,
            failure_rate_max: max_failure_rate,
            p99_max: max_p99.map(Span::get),
            dropped_max: max_dropped,
        }
    }
}

fn credentials(username: Option<String>, file: Option<PathBuf>) -> anyhow::Result<Option<Credentials>> {
    let Some(username) = username else {
        ensure!(file.is_none(), "--password-file is given without --username; say who logs in");
        return Ok(None);
    };
    let password = match file {
        Some(path) => {
            let text = std::fs::read_to_string(&path)
                .with_context(|| format!("--password-file {} cannot be read", path.display()))?;
            text.lines().next().unwrap_or_default().to_owned()
        }
        None => std::env::var("LOAD_PASSWORD").unwrap_or_default(),
    };
    ensure!(
        !password.is_empty(),
        "--username is given without a password; set LOAD_PASSWORD or --password-file"
    );
    Ok(Some(Credentials { username, password }))
}
