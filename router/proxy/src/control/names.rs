//! Names of endpoints, asked for again and again: replicas come and go behind a name.

use super::Control;
use crate::config::{BackendSpec, EndpointAddress, EndpointName, EndpointSpec, RouteSpec};
use futures_util::{StreamExt, future::BoxFuture, stream};
use std::{collections::HashMap, io, net::SocketAddr, sync::Arc, time::Duration};
use tokio::{net, time};

/// What names stood for when they were last asked for successfully.
#[derive(Debug, Default)]
pub(super) struct Names(HashMap<EndpointName, Vec<EndpointAddress>>);

/// Asks the system's resolver, which knows `/etc/hosts` and DNS; a function so that a test can let it fail.
pub(super) type Lookup = fn(EndpointName) -> BoxFuture<'static, io::Result<Vec<SocketAddr>>>;

/// Names, and what each of them was found to stand for.
type Answers = Vec<(EndpointName, io::Result<Vec<SocketAddr>>)>;

/// One question takes no longer: a resolver that hangs must not hold up a change of weights.
const TIMEOUT: Duration = Duration::from_secs(2);

/// Questions at a time.
const QUESTIONS_MAX: usize = 16;

/// More replicas than these behind one name are left out.
const ADDRESSES_MAX: usize = 256;

/// Asks for the names of all routes once in `interval`, until the process ends. What can't be resolved keeps its last
/// addresses.
pub async fn refresh(control: Arc<Control>, interval: Duration) {
    let mut ticks = time::interval(interval);
    ticks.set_missed_tick_behavior(time::MissedTickBehavior::Delay);
    loop {
        ticks.tick().await;
        control.refresh_names().await;
    }
}

pub(super) fn lookup(name: EndpointName) -> BoxFuture<'static, io::Result<Vec<SocketAddr>>> {
    Box::pin(async move { Ok(net::lookup_host((name.host(), name.port())).await?.collect()) })
}

// === impl Names ===

impl Names {
    /// The names in `routes` that nothing is known of.
    pub(super) fn unknown(&self, routes: &[RouteSpec]) -> Vec<EndpointName> {
        of(routes).into_iter().filter(|name| !self.0.contains_key(name)).collect()
    }

    /// Takes what was found, and writes into `routes` what their names stand for; others are forgotten.
    pub(super) fn fill(&mut self, routes: &mut [RouteSpec], answers: Answers) {
        let names = of(routes.iter());
        self.0.retain(|name, _| names.contains(name));
        self.learn(answers);
        write(routes, self.known());
    }

    /// Takes what was found; a name without an answer keeps its last addresses.
    pub(super) fn learn(&mut self, answers: Answers) {
        for (name, answer) in answers {
            match answer {
                Ok(mut addresses) => {
                    addresses.sort_unstable();
                    addresses.dedup();
                    if addresses.len() > ADDRESSES_MAX {
                        tracing::warn!(%name, "{name} has {} addresses; the first {ADDRESSES_MAX} are used", addresses.len());
                        addresses.truncate(ADDRESSES_MAX);
                    }
                    let addresses: Vec<_> = addresses.into_iter().map(EndpointAddress).collect();
                    if self.0.get(&name) != Some(&addresses) {
                        tracing::info!(%name, ?addresses, "{name} has {} addresses", addresses.len());
                    }
                    self.0.insert(name, addresses);
                }
                Err(error) => {
                    let kept = self.0.get(&name).map_or(0, Vec::len);
                    tracing::warn!(%name, %error, "Can't resolve {name}, keeping {kept} addresses: {error}");
                }
            }
        }
    }

    /// What is known of each name, to write it elsewhere.
    pub(super) const fn known(&self) -> &HashMap<EndpointName, Vec<EndpointAddress>> {
        &self.0
    }
}

/// All names in `routes`, each once.
pub(super) fn of<'a>(routes: impl IntoIterator<Item = &'a RouteSpec>) -> Vec<EndpointName> {
    let mut names: Vec<EndpointName> = Vec::new();
    let endpoints =
        routes.into_iter().flat_map(|route| &route.backends).flat_map(|backend| &backend.endpoints);
    for endpoint in endpoints {
        if let EndpointSpec::Name { name, .. } = endpoint
            && !names.contains(name)
        {
            names.push(name.clone());
        }
    }
    names
}

/// Asks for all of them, some at a time.
pub(super) async fn ask(names: Vec<EndpointName>, lookup: Lookup) -> Answers {
    let question = async |name: EndpointName| {
        let answer = time::timeout(TIMEOUT, lookup(name.clone())).await;
        (name, answer.unwrap_or_else(|_| Err(io::ErrorKind::TimedOut.into())))
    };
    stream::iter(names).map(question).buffer_unordered(QUESTIONS_MAX).collect().await
}

/// Whether anything changed.
pub(super) fn write(routes: &mut [RouteSpec], known: &HashMap<EndpointName, Vec<EndpointAddress>>) -> bool {
    let mut has_changed = false;
    for BackendSpec { endpoints, .. } in routes.iter_mut().flat_map(|route| &mut route.backends) {
        for endpoint in endpoints {
            if let EndpointSpec::Name { name, addresses } = endpoint
                && let Some(found) = known.get(name)
                && found != addresses
            {
                addresses.clone_from(found);
                has_changed = true;
            }
        }
    }
    has_changed
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        access_log::AccessLog,
        config::{AccessLogSpec, RoutesSpec, from_yaml},
        control::apply::Applied,
        metrics::Metrics,
    };
    use std::sync::atomic::{AtomicU16, Ordering::SeqCst};

    const YAML: &str =
        "routes: [{name: r, backends: [{name: b, track: stable, endpoints: ['blog:80', 'other:80']}]}]";

    fn found(spec: &RoutesSpec) -> Vec<String> {
        let endpoints = spec.routes[0].backends[0].endpoints.iter().flat_map(EndpointSpec::addresses);
        endpoints.map(|address| address.0.to_string()).collect()
    }

    fn answer(text: &str) -> io::Result<Vec<SocketAddr>> {
        Ok(text.split(' ').map(|address| address.parse().unwrap()).collect())
    }

    async fn fill(names: &mut Names, spec: &mut RoutesSpec, lookup: Lookup) {
        let answers = ask(names.unknown(&spec.routes), lookup).await;
        names.fill(&mut spec.routes, answers);
    }

    #[tokio::test]
    async fn a_name_that_can_not_be_resolved_keeps_its_last_addresses() {
        let mut names = Names::default();
        let mut spec = from_yaml("test", YAML).unwrap();
        let good: Lookup = |name| {
            Box::pin(async move {
                match name.host() {
                    "blog" => answer("10.0.0.2:80 10.0.0.1:80 10.0.0.1:80"),
                    _ => Err(io::ErrorKind::NotFound.into()),
                }
            })
        };
        fill(&mut names, &mut spec, good).await;
        assert_eq!(found(&spec), ["10.0.0.1:80", "10.0.0.2:80"]);

        let bad: Lookup = |_| Box::pin(async { Err(io::ErrorKind::NotFound.into()) });
        names.learn(ask(of(&spec.routes), bad).await);
        let mut again = from_yaml("test", YAML).unwrap();
        fill(&mut names, &mut again, bad).await;
        assert_eq!(found(&again), ["10.0.0.1:80", "10.0.0.2:80"]);

        let moved: Lookup = |_| Box::pin(async { answer("10.0.0.3:80") });
        names.learn(ask(of(&spec.routes), moved).await);
        assert!(write(&mut spec.routes, names.known()) && !write(&mut again.routes, &HashMap::new()));
        assert_eq!(found(&spec), ["10.0.0.3:80", "10.0.0.3:80"]);
    }

    #[tokio::test(start_paused = true)]
    async fn a_resolver_that_hangs_is_not_waited_for() {
        let mut spec = from_yaml("test", YAML).unwrap();
        let hangs: Lookup = |_| Box::pin(std::future::pending());
        fill(&mut Names::default(), &mut spec, hangs).await;
        assert!(found(&spec).is_empty());
    }

    fn control(lookup: Lookup) -> Arc<Control> {
        let metrics = Arc::new(Metrics::new().unwrap());
        let lost = metrics.access_log_lost.clone();
        let access_log = Arc::new(AccessLog::start(AccessLogSpec::default(), lost).unwrap());
        let mut control = Control::new(Arc::default(), metrics, access_log);
        control.lookup = lookup;
        Arc::new(control)
    }

    #[tokio::test(start_paused = true)]
    async fn names_are_asked_for_again_and_their_endpoints_replaced() {
        static QUESTIONS: AtomicU16 = AtomicU16::new(0);
        // Both names stand for the same replica, at another port every two questions.
        let control = control(|_| {
            let port = QUESTIONS.fetch_add(1, SeqCst) / 2 + 1;
            Box::pin(async move { Ok(vec![SocketAddr::from(([10, 0, 0, 1], port))]) })
        });
        let ports = async || {
            let (table, _) = control.acknowledged().await;
            table.endpoints().map(|endpoint| endpoint.address.port()).collect::<Vec<_>>()
        };
        control.apply("test", from_yaml("test", YAML).unwrap()).await;
        assert_eq!(ports().await, [1]);
        let route = Arc::clone(&control.table.load().routes[0]);
        let refreshing = tokio::spawn(refresh(Arc::clone(&control), Duration::from_secs(5)));
        time::sleep(Duration::from_secs(1)).await;
        assert_eq!(ports().await, [2], "at once, and then every five seconds");
        time::sleep(Duration::from_secs(5)).await;
        assert_eq!((ports().await, QUESTIONS.load(SeqCst)), (vec![3], 6));
        assert!(Arc::ptr_eq(&route.state, &control.table.load().routes[0].state), "its sequence goes on");
        refreshing.abort();
    }

    #[tokio::test(start_paused = true)]
    async fn whoever_reads_routes_does_not_wait_for_a_resolver() {
        let control = control(|_| Box::pin(std::future::pending()));
        let applying = tokio::spawn({
            let control = Arc::clone(&control);
            async move { control.apply("test", from_yaml("test", YAML).unwrap()).await }
        });
        tokio::task::yield_now().await;
        assert_eq!(control.acknowledged().await.1, Applied::Never, "the question is still open");
        applying.await.unwrap();
        assert_eq!(control.acknowledged().await.1, Applied::Once);
    }
}
