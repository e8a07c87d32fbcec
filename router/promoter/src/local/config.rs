//! The file that a person writes: the workload, its routers and how it is released.

use super::template::Template;
use crate::evidence::{LATENCY_BOUNDS, PrometheusSource, bucket_of};
use crate::limits::{Backends, Timeouts};
use crate::routers::Admin;
use crate::yaml::{self, FileError};
use release::{Duration, Mode, Spec};
use serde::{Deserialize, Deserializer, Serialize, de};
use std::net::SocketAddr;
use std::ops::RangeInclusive;
use std::path::{Path, PathBuf};

/// Everything that `promoter local` needs to know. Paths are relative to the file's own folder.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Config {
    /// The name of the workload, its route and its Canary.
    #[serde(deserialize_with = "name")]
    pub name: String,
    /// What runs.
    pub deployment: Deployment,
    /// Who sends requests to it.
    pub routers: Routers,
    /// Where the state is kept; it also marks the processes that belong to this workload.
    pub state_file: PathBuf,
    /// The folder of the processes' output, one file each.
    pub logs: PathBuf,
    /// Where `kubectl-canary` reaches this promoter.
    pub api: SocketAddr,
    /// Where Prometheus reaches this promoter; the page is at `api` in any case.
    #[serde(default)]
    pub metrics: Option<SocketAddr>,
    /// The folder of the values that gates and webhooks want as a header, one file each. Default `secrets`.
    #[serde(default = "secrets")]
    pub secrets: PathBuf,
    /// Where the counts come from.
    #[serde(default)]
    pub evidence: EvidenceSource,
    /// How a release goes.
    #[serde(default, deserialize_with = "spec")]
    pub canary: Spec,
}

/// What runs, and how often.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(try_from = "WrittenDeployment")]
pub struct Deployment {
    /// How many processes readers have; a release needs up to twice as many for a while.
    pub replicas: u32,
    /// The ports that are handed to them.
    pub ports: Ports,
    /// What a process is. Changing it begins a release.
    pub template: Template,
    /// How a process says that it can take requests.
    pub readiness_probe: Probe,
    /// How long a process may take from SIGTERM to its end before it gets SIGKILL.
    pub termination_grace_period: Duration,
    /// How long to wait before a process that ended is started again.
    pub restart_backoff: RestartBackoff,
}

/// The first and the last port.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Ports {
    /// The first.
    pub from: u16,
    /// The last.
    pub to: u16,
}

/// How a process says that it can take requests: by 200 to 399 on a path, or by accepting connections.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct Probe {
    /// The path to GET; none: a connection that is accepted is enough.
    pub path: Option<String>,
    /// The time between two probes. Default 1s.
    pub period: Duration,
    /// How long an answer may take. Default 1s.
    pub timeout: Duration,
    /// How many failures in a row take a ready process out. Default 3.
    pub failure_threshold: u32,
}

/// As Kubernetes backs off from a crash loop: doubling, with a limit, beginning anew after a long good run.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct RestartBackoff {
    /// Before the first restart. Default 1s.
    pub initial: Duration,
    /// The longest. Default 5m.
    pub limit: Duration,
}

/// The routers and what they are told.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Routers {
    /// The file that the routers read.
    pub routes_file: PathBuf,
    /// The admin address of each router.
    #[serde(deserialize_with = "admins")]
    pub admins: Vec<Admin>,
    /// The hosts of the route; none: every host.
    #[serde(default)]
    pub hostnames: Vec<String>,
    /// Whether and by what clients stay on their track.
    #[serde(default)]
    pub sticky: Option<Sticky>,
    /// Where a request may choose its track itself.
    #[serde(default, rename = "override")]
    pub overrides: Option<Overrides>,
    /// How long an answer may take.
    #[serde(default)]
    pub timeouts: Option<Timeouts>,
    /// What holds for each replica.
    #[serde(default)]
    pub backends: Backends,
}

/// What a client is known by.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub enum Sticky {
    /// The value of this header.
    Header(String),
    /// The value of this cookie.
    Cookie(String),
    /// The address that the connection comes from.
    Address(bool),
}

/// Where a request says `always` or `never`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Overrides {
    /// This header.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub header: Option<String>,
    /// This cookie.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cookie: Option<String>,
}

/// Where the counts come from.
#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub enum EvidenceSource {
    /// The metrics of the routers themselves.
    #[default]
    Router,
    /// A Prometheus server that scrapes the routers.
    Prometheus(PrometheusSource),
}

// === impl Config ===

impl Config {
    /// Reads the file.
    ///
    /// # Errors
    /// Where it cannot be read or makes no sense; the text names the file, the line, the field and the remedy.
    pub fn load(path: &Path) -> Result<Self, FileError> {
        let mut config: Self = yaml::read(path)?;
        let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
        let folder = folder.canonicalize().unwrap_or_else(|_| folder.to_owned());
        let routes_file = &mut config.routers.routes_file;
        for path in [&mut config.state_file, &mut config.logs, &mut config.secrets, routes_file] {
            *path = folder.join(&path);
        }
        config.deployment.template.resolve(&folder);
        Ok(config)
    }

    /// The field that a running promoter cannot take over from `next`, if there is one.
    pub fn fixed_field_changed(&self, next: &Self) -> Option<&'static str> {
        [
            ("name", self.name != next.name),
            ("stateFile", self.state_file != next.state_file),
            ("api", self.api != next.api),
            ("metrics", self.metrics != next.metrics),
            ("secrets", self.secrets != next.secrets),
            ("routers.routesFile", self.routers.routes_file != next.routers.routes_file),
            ("routers.admins", self.routers.admins != next.routers.admins),
            ("evidence", self.evidence != next.evidence),
        ]
        .into_iter()
        .find_map(|(field, changed)| changed.then_some(field))
    }
}

// === impl Ports ===

impl Ports {
    /// All of them.
    pub fn range(self) -> RangeInclusive<u16> {
        self.from..=self.to
    }
}

// === impl Probe ===

impl Default for Probe {
    fn default() -> Self {
        let second = Duration::from_secs(1);
        Self { path: None, period: second, timeout: second, failure_threshold: 3 }
    }
}

// === impl RestartBackoff ===

impl Default for RestartBackoff {
    fn default() -> Self {
        Self { initial: Duration::from_secs(1), limit: Duration::from_secs(300) }
    }
}

/// A deployment as it is written.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct WrittenDeployment {
    replicas: u32,
    ports: Ports,
    template: Template,
    #[serde(default)]
    readiness_probe: Probe,
    #[serde(default = "ten_seconds")]
    termination_grace_period: Duration,
    #[serde(default)]
    restart_backoff: RestartBackoff,
}

impl TryFrom<WrittenDeployment> for Deployment {
    type Error = String;

    fn try_from(written: WrittenDeployment) -> Result<Self, String> {
        let WrittenDeployment {
            replicas,
            ports,
            template,
            readiness_probe: probe,
            termination_grace_period,
            restart_backoff,
        } = written;
        let room = u32::from(ports.to.saturating_sub(ports.from)) + 1;
        if replicas == 0 {
            return Err("replicas: 0 processes cannot answer requests; write at least 1".to_owned());
        }
        if ports.from == 0 || ports.to < ports.from {
            return Err(format!(
                "ports: {} to {} is not a range; write the first and the last port, such as {{from: 18100, to: 18199}}",
                ports.from, ports.to
            ));
        }
        if room < replicas.saturating_mul(2) {
            return Err(format!(
                "ports: {room} ports are too few, since a release of {replicas} replicas runs {} processes for a \
                 while; write {{from: {}, to: {}}} or more",
                replicas.saturating_mul(2),
                ports.from,
                u32::from(ports.from) + replicas.saturating_mul(2) - 1
            ));
        }
        for (field, span) in [("period", probe.period), ("timeout", probe.timeout)] {
            if span.is_zero() {
                return Err(format!(
                    "readinessProbe.{field}: 0s leaves no time; write a duration such as 1s"
                ));
            }
        }
        if probe.failure_threshold == 0 {
            return Err("readinessProbe.failureThreshold: 0 would take every process out; write at least 1"
                .to_owned());
        }
        if probe.path.as_ref().is_some_and(|path| !path.starts_with('/')) {
            return Err("readinessProbe.path: a path begins with /; write it as /readyz".to_owned());
        }
        if restart_backoff.initial.is_zero() || restart_backoff.limit < restart_backoff.initial {
            return Err(
                "restartBackoff: write an initial wait above 0s and a limit that is not below it".to_owned()
            );
        }
        Ok(Self {
            replicas,
            ports,
            template,
            readiness_probe: probe,
            termination_grace_period,
            restart_backoff,
        })
    }
}

fn secrets() -> PathBuf {
    PathBuf::from("secrets")
}

fn ten_seconds() -> Duration {
    Duration::from_secs(10)
}

/// A name as Kubernetes wants them: an RFC 1123 label.
fn name<'de, D: Deserializer<'de>>(deserializer: D) -> Result<String, D::Error> {
    let text = String::deserialize(deserializer)?;
    let inner = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-';
    let fits = (1..=63).contains(&text.len()) && text.bytes().all(inner);
    if fits && !text.starts_with('-') && !text.ends_with('-') {
        return Ok(text);
    }
    Err(de::Error::custom(format!(
        "`{text}` is not a name; write 1 to 63 of a-z, 0-9 and -, with a letter or a digit at both ends"
    )))
}

fn admins<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<Admin>, D::Error> {
    let admins = Vec::<Admin>::deserialize(deserializer)?;
    if admins.is_empty() {
        return Err(de::Error::custom(
            "the list is empty, so nobody could confirm a weight; write the admin address of each router",
        ));
    }
    for (index, admin) in admins.iter().enumerate() {
        if admins.iter().take(index).any(|other| other == admin) {
            return Err(de::Error::custom(format!(
                "{} is there twice; write each router once",
                admin.as_str()
            )));
        }
    }
    Ok(admins)
}

/// A spec that can be followed without a cluster and with the routers' buckets.
fn spec<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Spec, D::Error> {
    let spec = Spec::deserialize(deserializer)?;
    if spec.mode == Mode::Replicas {
        return Err(de::Error::custom(
            "mode: replicas needs a Service of Kubernetes before all replicas; write httpRoute",
        ));
    }
    match spec.analysis.latency_bound {
        Some(bound) if bucket_of(bound).is_none() => Err(de::Error::custom(format!(
            "analysis.latencyBound: {bound} is not the bound of a bucket, so slow requests could not be counted; \
             write one of {}",
            LATENCY_BOUNDS.map(|bound| bound.to_string()).join(", ")
        ))),
        _ => Ok(spec),
    }
}
