use super::{
    Parent,
    contact::{Contact, RENEWED_AFTER},
    proven::Proven,
    translate::{Objects, translate},
};
use crate::{
    config::{ConfigError, RoutesSpec},
    control::source::{Source, SourceKind, SourceView, ViewSource},
};
use futures_util::{FutureExt, Stream, StreamExt, stream, stream::BoxStream};
use jiff::Timestamp;
use k8s_openapi::api::{core::v1::Service, discovery::v1::EndpointSlice};
use kube::{
    Api, Client, Config, Resource,
    api::ApiResource,
    client::ClientBuilder,
    core::{DynamicObject, GroupVersionKind},
    runtime::{WatchStreamExt, reflector, utils::Backoff, watcher},
};
use serde::de::DeserializeOwned;
use std::{fmt, hash::Hash, sync::Arc, time::Duration};
use tower::util::MapResponseLayer;

/// The HTTPRoutes of a cluster, for as long as the process lives.
pub struct KubernetesSource {
    parents: Vec<Parent>,
    watches: Vec<Watch>,
    changes: BoxStream<'static, (usize, Change)>,
    stores: Stores,
    applied: Option<RoutesSpec>,
    generation: u64,
}

/// Why a cluster can't be watched at all.
#[derive(Debug, thiserror::Error)]
pub enum KubernetesError {
    /// There is neither a service account nor a kubeconfig.
    #[error("--kubernetes: {0}; run in a pod with a service account, or set KUBECONFIG")]
    Config(#[from] kube::config::InferConfigError),
    /// The configuration can't be used.
    #[error("--kubernetes: {0}")]
    Client(#[from] kube::Error),
}

/// One kind in one namespace.
struct Watch {
    contact: Arc<Contact>,
    is_listed: bool,
}

enum Change {
    /// A list begins or goes on; nothing can be said before its end.
    Listing,
    /// The list is complete.
    Listed,
    Changed,
    Failed(watcher::Error),
}

#[derive(Default)]
struct Stores {
    routes: Vec<reflector::Store<DynamicObject>>,
    services: Vec<reflector::Store<Service>>,
    slices: Vec<reflector::Store<EndpointSlice>>,
    proven: Proven,
}

/// Doubles from one failure to the next, with as much again at random: many routers lose an API server at once.
#[derive(Clone, Copy, Debug)]
struct Patience(Duration);

const WAIT_MIN: Duration = Duration::from_millis(100);
const WAIT_MAX: Duration = Duration::from_secs(4);

// === impl KubernetesSource ===

impl KubernetesSource {
    /// Watches `namespaces`, or the own one where none is stated. Nothing is asked before [`Source::next`].
    ///
    /// # Errors
    /// There is no configuration of a cluster.
    pub async fn new(namespaces: &[String], parents: Vec<Parent>) -> Result<Self, KubernetesError> {
        let config = Config::infer().await?;
        let own = [config.default_namespace.clone()];
        let namespaces = if namespaces.is_empty() { &own[..] } else { namespaces };
        let (mut watches, mut changes) = (Watches::default(), Vec::new());
        let mut stores = Stores::default();
        let gvk = GroupVersionKind::gvk("gateway.networking.k8s.io", "v1", "HTTPRoute");
        let http_routes = ApiResource::from_gvk(&gvk);
        for namespace in namespaces {
            let client = watches.client("HTTPRoutes", namespace, &config)?;
            let api = Api::namespaced_with(client, namespace, &http_routes);
            let (store, stream) = watch(api, http_routes.clone());
            stores.routes.push(store);
            changes.push(stream);
            let client = watches.client("Services", namespace, &config)?;
            let (store, stream) = watch(Api::namespaced(client, namespace), ());
            stores.services.push(store);
            changes.push(stream);
            let client = watches.client("EndpointSlices", namespace, &config)?;
            let (store, stream) = watch(Api::namespaced(client, namespace), ());
            stores.slices.push(store);
            changes.push(stream);
        }
        let numbered = changes.into_iter().enumerate();
        let numbered = numbered.map(|(index, stream)| stream.map(move |change| (index, change)).boxed());
        let changes = stream::select_all(numbered).boxed();
        Ok(Self { parents, watches: watches.0, changes, stores, applied: None, generation: 0 })
    }

    /// Waits for a change, and takes whatever else is there already.
    async fn changed(&mut self) {
        let mut next = self.changes.next().await;
        while let Some((index, change)) = next {
            if let Some(watch) = self.watches.get_mut(index) {
                watch.note(&change);
            }
            next = self.changes.next().now_or_never().flatten();
        }
    }
}

impl Source for KubernetesSource {
    fn name(&self) -> String {
        "kubernetes".to_owned()
    }

    fn view(&self) -> ViewSource {
        let contacts: Vec<_> = self.watches.iter().map(|watch| Arc::clone(&watch.contact)).collect();
        Box::new(move || {
            let now = Timestamp::now();
            let error = contacts.iter().find_map(|contact| contact.trouble(now));
            let last_event = contacts.iter().filter_map(|contact| contact.heard_at()).max();
            SourceView { kind: SourceKind::Kubernetes, connected: error.is_none(), last_event, error }
        })
    }

    async fn next(&mut self) -> Option<Result<RoutesSpec, ConfigError>> {
        loop {
            self.changed().await;
            if !self.watches.iter().all(|watch| watch.is_listed) {
                continue;
            }
            let next = translate(&self.stores.objects(), &self.parents, self.generation);
            if self.applied.as_ref() == Some(&next) {
                continue;
            }
            self.generation += 1;
            self.applied = Some(RoutesSpec { generation: self.generation, ..next });
            return self.applied.clone().map(Ok);
        }
    }
}

impl fmt::Debug for KubernetesSource {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let contacts: Vec<_> = self.watches.iter().map(|watch| &watch.contact).collect();
        f.debug_struct("KubernetesSource").field("watches", &contacts).finish_non_exhaustive()
    }
}

/// A store, and the stream that keeps it.
fn watch<K>(api: Api<K>, kind: K::DynamicType) -> (reflector::Store<K>, BoxStream<'static, Change>)
where
    K: Resource + Clone + fmt::Debug + DeserializeOwned + Send + Sync + 'static,
    K::DynamicType: Clone + Eq + Hash + Send,
{
    let writer = reflector::store::Writer::<K>::new(kind);
    let store = writer.as_reader();
    let seconds = u32::try_from(RENEWED_AFTER.as_secs()).unwrap_or(u32::MAX);
    let events = watcher(api, watcher::Config::default().timeout(seconds)).backoff(Patience(WAIT_MIN));
    (store, changes(events, writer).boxed())
}

fn changes<K>(
    events: impl Stream<Item = Result<watcher::Event<K>, watcher::Error>>,
    mut writer: reflector::store::Writer<K>,
) -> impl Stream<Item = Change>
where
    K: Resource + Clone,
    K::DynamicType: Clone + Eq + Hash,
{
    events.map(move |event| match event {
        Ok(event) => {
            writer.apply_watcher_event(&event);
            match event {
                watcher::Event::Apply(_) | watcher::Event::Delete(_) => Change::Changed,
                watcher::Event::Init | watcher::Event::InitApply(_) => Change::Listing,
                watcher::Event::InitDone => Change::Listed,
            }
        }
        Err(error) => Change::Failed(error),
    })
}

// === impl Watch ===

impl Watch {
    fn note(&mut self, change: &Change) {
        match change {
            Change::Listing | Change::Changed => {}
            Change::Listed => self.is_listed = true,
            Change::Failed(error) => self.contact.fails(&causes(error)),
        }
    }
}

/// The error and what it comes from, each said once.
fn causes(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        let cause_text = cause.to_string();
        if !text.contains(&cause_text) {
            text = format!("{text}: {cause_text}");
        }
        source = cause.source();
    }
    text
}

/// The watches, as they are added.
#[derive(Default)]
struct Watches(Vec<Watch>);

// === impl Watches ===

impl Watches {
    /// Another watch, and a client whose answers count as its contact.
    fn client(&mut self, kind: &str, namespace: &str, config: &Config) -> Result<Client, kube::Error> {
        let contact = Arc::new(Contact::new(format!("{kind} in {namespace}")));
        self.0.push(Watch { contact: Arc::clone(&contact), is_listed: false });
        let note = move |response: hyper::Response<_>| {
            // What else it says comes with the watch's own error.
            if response.status().is_success() {
                contact.hears();
            }
            response
        };
        Ok(ClientBuilder::try_from(config.clone())?.with_layer(&MapResponseLayer::new(note)).build())
    }
}

// === impl Stores ===

impl Stores {
    fn objects(&mut self) -> Objects {
        let slices: Vec<_> = self.slices.iter().flat_map(reflector::Store::state).collect();
        self.proven.note(&slices);
        Objects {
            routes: self.routes.iter().flat_map(reflector::Store::state).collect(),
            services: self.services.iter().flat_map(reflector::Store::state).collect(),
            slices,
            proven: self.proven.clone(),
        }
    }
}

// === impl Patience ===

impl Iterator for Patience {
    type Item = Duration;

    fn next(&mut self) -> Option<Duration> {
        let wait = self.0;
        self.0 = (2 * wait).min(WAIT_MAX);
        Some(wait.mul_f64(1.0 + rand::random::<f64>()))
    }
}

impl Backoff for Patience {
    fn reset(&mut self) {
        self.0 = WAIT_MIN;
    }
}
