use super::{
    names::{self, Lookup, Names},
    source::{SourceKind, SourceView, ViewSource},
};
use crate::{
    access_log::AccessLog,
    config::{AccessLogSpec, BackendWeight, ConfigError, RouteSpec, RoutesSpec},
    metrics::Metrics,
    routes::{Route, Table},
    tls::TlsError,
};
use arc_swap::{ArcSwap, ArcSwapOption};
use split::{MAX_BACKEND_WEIGHT, SharesError, Track};
use std::{
    collections::BTreeMap,
    sync::{Arc, OnceLock},
    time::Duration,
};
use tokio::{sync::Mutex, time};

/// The one place that replaces the table.
#[derive(Debug)]
pub struct Control {
    /// Read by every worker, once per request.
    pub table: Arc<ArcSwap<Table>>,
    /// What Prometheus scrapes.
    pub metrics: Arc<Metrics>,
    /// Written by the workers.
    pub access_log: Arc<AccessLog>,
    /// What it has where the routes say nothing about it.
    access_log_default: AccessLogSpec,
    /// Random per process, so that a restart is seen.
    pub instance: String,
    last_error: ArcSwapOption<ConfigError>,
    tls_error: ArcSwapOption<String>,
    source: OnceLock<SourceCell>,
    /// Held by whoever puts routes in force, from the questions for their names on: the last to come has the last word.
    turn: Mutex<()>,
    /// Asks for the names of endpoints.
    pub(super) lookup: Lookup,
    /// Held while a table is being put in force: whoever holds it sees acknowledged generations only.
    applying: Mutex<Applying>,
}

/// A function has no text of its own.
struct SourceCell(ViewSource);

/// What changes with each table.
#[derive(Debug)]
struct Applying {
    applied: Applied,
    names: Names,
    /// What the routes said about the access log.
    access_log: Option<AccessLogSpec>,
}

/// Whether any configuration was ever applied.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Applied {
    Never,
    Once,
}

/// Why weights were not changed.
#[derive(Debug, thiserror::Error)]
pub enum WeightsError {
    /// No such route.
    #[error("there is no route {0:?}")]
    UnknownRoute(String),
    /// Somebody else wrote in between.
    #[error("the route is at generation {current}, not {seen}; read it again and decide anew")]
    Stale {
        /// The generation that the writer saw.
        seen: u64,
        /// The route as it is now.
        current: u64,
    },
    /// No such backend.
    #[error("weights.{0}: the route has no backend of that name")]
    UnknownBackend(String),
    /// Out of range.
    #[error("weights.{0}: {1} is above {MAX_BACKEND_WEIGHT}")]
    TooLarge(String, u32),
    /// The split refused.
    #[error(transparent)]
    Shares(#[from] SharesError),
    /// Whatever were written here would be overwritten.
    #[error("the routes are read from {0}; change them there")]
    Elsewhere(&'static str),
    /// A worker is stuck.
    #[error("requests still use the old weights after {0:?}")]
    NotAcknowledged(Duration),
}

/// Choosing takes microseconds, so a worker that still holds the old table after this long is stuck.
const ACKNOWLEDGE_TIMEOUT: Duration = Duration::from_secs(10);

// === impl Control ===

impl Control {
    /// No routes yet.
    #[must_use]
    pub fn new(table: Arc<ArcSwap<Table>>, metrics: Arc<Metrics>, access_log: Arc<AccessLog>) -> Self {
        Self {
            table,
            metrics,
            access_log_default: access_log.spec(),
            access_log,
            instance: format!("{:016x}", rand::random::<u64>()),
            last_error: ArcSwapOption::empty(),
            tls_error: ArcSwapOption::empty(),
            source: OnceLock::new(),
            turn: Mutex::default(),
            lookup: names::lookup,
            applying: Mutex::new(Applying {
                applied: Applied::Never,
                names: Names::default(),
                access_log: None,
            }),
        }
    }

    /// From now on the routes come from this source. Only the first one counts.
    pub fn fed_by(&self, source: ViewSource) {
        let _ = self.source.set(SourceCell(source));
    }

    /// How the source is now.
    pub(super) fn source(&self) -> SourceView {
        self.source.get().map_or_else(|| SourceView::near(SourceKind::Admin), |SourceCell(view)| view())
    }

    /// Whether routes may be written through the admin port. A file may be overruled until it is written again;
    /// in a cluster a writer would be mistaken about who decides.
    pub(super) fn writable(&self) -> Result<(), WeightsError> {
        match self.source().kind {
            SourceKind::Kubernetes => Err(WeightsError::Elsewhere("HTTPRoutes")),
            SourceKind::Admin | SourceKind::File => Ok(()),
        }
    }

    /// Puts `spec` in force. Returns when no later request can use older weights.
    pub async fn apply(&self, origin: &str, mut spec: RoutesSpec) {
        let _turn = self.turn.lock().await;
        let unknown = self.applying.lock().await.names.unknown(&spec.routes);
        // Whoever reads routes has not to wait for a resolver.
        let answers = names::ask(unknown, self.lookup).await;
        let mut applying = self.applying.lock().await;
        applying.names.fill(&mut spec.routes, answers);
        let (generation, problems, access_log) = (spec.generation, spec.problems.join("; "), spec.access_log);
        // The old table must be let go before it is replaced: see `replace`.
        let built = Table::build(spec, &self.table.load(), &self.metrics);
        let result = match built {
            Ok(table) => self.replace(table).await.map_err(|error| error.to_string()),
            Err(error) => Err(error.to_string()),
        };
        match result {
            Ok(()) => {
                applying.applied = Applied::Once;
                // What was changed by hand stays until the routes say something else than before.
                if std::mem::replace(&mut applying.access_log, access_log) != access_log {
                    self.access_log.change(access_log.unwrap_or(self.access_log_default));
                }
                self.last_error.store(None);
                tracing::info!(generation, origin, "Applied generation {generation} of {origin}");
                if !problems.is_empty() {
                    let (origin, message) = (origin.to_owned(), problems);
                    self.report(ConfigError { origin, line: None, field: None, message });
                }
            }
            Err(message) => {
                self.refuse(ConfigError { origin: origin.to_owned(), line: None, field: None, message });
            }
        }
    }

    /// Reports a configuration that can't be used; the last good one stays in force.
    pub fn refuse(&self, error: ConfigError) {
        tracing::error!(%error, "Kept the last good routes: {error}");
        self.report(error);
    }

    fn report(&self, error: ConfigError) {
        self.metrics.config_errors.inc();
        self.last_error.store(Some(Arc::new(error)));
    }

    /// Reports whether certificate and key can be used; the last good ones stay in force.
    pub(super) fn note_tls(&self, result: Result<(), TlsError>) {
        let error = result.err().map(|error| Arc::new(error.to_string()));
        if let Some(error) = &error {
            tracing::error!(%error, "Kept the last good certificate: {error}");
            self.metrics.config_errors.inc();
        }
        self.tls_error.store(error);
    }

    pub(super) fn tls_error(&self) -> Option<String> {
        self.tls_error.load().as_ref().map(|error| error.as_ref().clone())
    }

    /// Changes weights of `route`; backends that are not named keep theirs.
    ///
    /// # Errors
    /// Unknown names, weights out of range, or a `seen` generation that is not the current one.
    pub async fn set_weights(
        &self,
        route: &str,
        seen: u64,
        weights: &BTreeMap<String, u32>,
    ) -> Result<Arc<Route>, WeightsError> {
        self.writable()?;
        let _applying = self.applying.lock().await;
        let table = self.table.load_full();
        let old = table.named(route).ok_or_else(|| WeightsError::UnknownRoute(route.to_owned()))?;
        if old.generation != seen {
            return Err(WeightsError::Stale { seen, current: old.generation });
        }
        let spec = with_weights(&old.spec, weights)?;
        let next = Arc::new(Route::build(spec, seen.saturating_add(1), Some(old), &self.metrics)?);
        let replace = |route: &Arc<Route>| Arc::clone(if Arc::ptr_eq(route, old) { &next } else { route });
        let routes = table.routes.iter().map(replace).collect();
        let next_table = Table { generation: table.generation, routes };
        drop(table);
        self.replace(next_table).await?;
        tracing::info!(route, ?weights, "Changed the weights of {route}");
        Ok(next)
    }

    /// Asks for the names of all endpoints, and puts in force what changed.
    pub(super) async fn refresh_names(&self) {
        let names = names::of(self.table.load().routes.iter().map(|route| &route.spec));
        if names.is_empty() {
            return;
        }
        // Nobody has to wait for a resolver.
        let answers = names::ask(names, self.lookup).await;
        let mut applying = self.applying.lock().await;
        applying.names.learn(answers);
        let table = self.table.load_full();
        let mut routes: Vec<_> = table.routes.iter().map(|route| route.spec.clone()).collect();
        if !names::write(&mut routes, applying.names.known()) {
            return;
        }
        let next = table.with_specs(routes, &self.metrics);
        drop(table);
        let result = match next {
            Ok(next) => self.replace(next).await.map_err(|error| error.to_string()),
            Err(error) => Err(error.to_string()),
        };
        if let Err(message) = result {
            self.refuse(ConfigError { origin: "names".to_owned(), line: None, field: None, message });
        }
    }

    /// The table, once it is acknowledged, and whether it is more than the empty one of the start.
    pub(super) async fn acknowledged(&self) -> (Arc<Table>, Applied) {
        let applying = self.applying.lock().await;
        (self.table.load_full(), applying.applied)
    }

    pub(super) fn last_error(&self) -> Option<String> {
        self.last_error.load().as_ref().map(|error| error.to_string())
    }

    /// Swaps the table and waits until no request can choose by the old one.
    async fn replace(&self, next: Table) -> Result<(), WeightsError> {
        let next = Arc::new(next);
        for route in next.routes.iter().filter(|route| route.weight_of(Track::Canary) == 0) {
            route.state.trip.reset();
        }
        let old = self.table.swap(Arc::clone(&next));
        self.metrics.forget(&old, &next);
        for endpoint in old.endpoints().filter(|old| !next.endpoints().any(|new| Arc::ptr_eq(new, old))) {
            endpoint.retire();
        }
        // A worker holds the table only while it chooses, without waiting in between, and counts the request as
        // in flight before it lets go. After the swap nobody can take the old table anew.
        let released = async {
            while Arc::strong_count(&old) > 1 {
                time::sleep(Duration::from_millis(1)).await;
            }
        };
        let released = time::timeout(ACKNOWLEDGE_TIMEOUT, released).await;
        released.map_err(|_| WeightsError::NotAcknowledged(ACKNOWLEDGE_TIMEOUT))
    }
}

impl std::fmt::Debug for SourceCell {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.0().fmt(f)
    }
}

fn with_weights(spec: &RouteSpec, weights: &BTreeMap<String, u32>) -> Result<RouteSpec, WeightsError> {
    let mut spec = spec.clone();
    for (name, &weight) in weights {
        let backend = spec.backends.iter_mut().find(|backend| backend.name == *name);
        let backend = backend.ok_or_else(|| WeightsError::UnknownBackend(name.clone()))?;
        if weight > MAX_BACKEND_WEIGHT {
            return Err(WeightsError::TooLarge(name.clone(), weight));
        }
        backend.weight = BackendWeight(weight);
    }
    Ok(spec)
}
