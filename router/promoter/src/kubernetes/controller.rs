//! When to look at which Canary, and what a look does.

use super::cluster::{Cluster, FINALIZER};
use super::conditions::Trouble;
use super::counting::{Ledger, order};
use super::deletion::give_back;
use super::gateway::HttpRoute;
use super::object::{CanaryObject, Deployment, ReplicaSet, name_of};
use super::outward::Outward;
use super::platform::{TurnError, Workload, metadata, store};
use super::prepare::{counting, prepare, source};
use super::refusal::Refusal;
use super::status::CanaryStatus;
use super::telling::Teller;
use super::verb::{forget, listen};
use crate::http;
use crate::platform::turn;
use futures_util::{Stream, StreamExt as _};
use jiff::Timestamp;
use k8s_openapi::api::core::v1::{Pod, Service};
use kube::api::{Api, PartialObjectMeta};
use kube::runtime::controller::{Action, Config, Controller};
use kube::runtime::events::{Event, EventType, Reporter};
use kube::runtime::reflector::{ObjectRef, Store};
use kube::runtime::utils::Backoff;
use kube::runtime::watcher;
use kube::{Client, Resource, ResourceExt as _};
use release::{EventReason, Hold, HoldReason};
use serde_json::Value;
use std::sync::Arc;
use std::time::Duration;

/// Pods come and go in swarms: one look for all that happens in this time.
const DEBOUNCE: Duration = Duration::from_millis(100);
/// How many Canaries are looked at at the same time.
const CONCURRENCY: u16 = 8;
/// The pause before something that failed is tried again.
const RETRY: Duration = Duration::from_secs(2);
/// The pause before another look where an action's end is not told by a watch.
const SOON: Duration = Duration::from_secs(1);
/// The pause before the routers are asked again, while something waits for their answer.
const ASK_AGAIN: Duration = Duration::from_millis(300);
/// How long a router may take to answer.
const ROUTER_TIMEOUT: Duration = Duration::from_secs(1);
/// The pause after a watch broke. All watches share it: with pauses that grow up to a minute, as is usual, an API server
/// that was away for some seconds left the promoter deaf for minutes, since each watch breaks once or twice.
const WATCH_AGAIN: Duration = Duration::from_millis(300);
/// The longest pause between two looks; watches tell of most changes at once.
const RESYNC: Duration = Duration::from_secs(300);

/// What every look needs.
struct Context {
    client: Client,
    recorder: Teller,
    http: http::Client,
    ledger: Ledger,
    outward: Outward,
    /// The promoter's own Prometheus server.
    prometheus: Option<String>,
}

/// Looks at Canaries until the process ends; `answered` says when a gate has.
pub(super) async fn run(
    client: Client,
    (namespace, identity): (Option<&str>, &str),
    prometheus: Option<String>,
    (outward, answered): (Outward, impl Stream<Item = ()> + Send + 'static),
) {
    let reporter = Reporter { controller: "huidu-promoter".to_owned(), instance: Some(identity.to_owned()) };
    let recorder = Teller::new(client.clone(), reporter);
    let (http, ledger) = (http::Client::new(ROUTER_TIMEOUT), Ledger::default());
    let context = Arc::new(Context { client: client.clone(), recorder, http, ledger, outward, prometheus });
    let controller = Controller::new(within::<CanaryObject>(&client, namespace), watcher::Config::default())
        .with_config(Config::default().debounce(DEBOUNCE).concurrency(CONCURRENCY));
    let known = controller.store();
    let related = |known: Store<CanaryObject>| {
        move |namespace: Option<String>, name: String| {
            known
                .state_filter(|canary| canary.namespace() == namespace && belongs(&canary.spec, &name))
                .iter()
                .map(|canary| ObjectRef::from_obj(canary.as_ref()))
                .collect::<Vec<_>>()
        }
    };
    let (of_deployment, of_set, of_pod) =
        (related(known.clone()), related(known.clone()), related(known.clone()));
    let controller = watch_routes(controller, &client, namespace).await;
    controller
        .watches(
            within::<PartialObjectMeta<Deployment>>(&client, namespace),
            watcher::Config::default(),
            move |object| of_deployment(object.namespace(), object.name_any()),
        )
        .watches(
            within::<PartialObjectMeta<ReplicaSet>>(&client, namespace),
            watcher::Config::default(),
            move |object| of_set(object.namespace(), object.name_any()),
        )
        .watches(
            within::<PartialObjectMeta<Pod>>(&client, namespace),
            watcher::Config::default(),
            move |object| of_pod(object.namespace(), object.name_any()),
        )
        .reconcile_all_on(answered)
        .trigger_backoff(Steady)
        .run(reconcile, |object, error, context| on_error(&object, error, &context), context)
        .for_each(|done| async {
            // What a look itself says was logged where it happened.
            if let Err(error @ kube::runtime::controller::Error::QueueError(_)) = done {
                tracing::warn!("A watch broke and begins again: {error}");
            }
        })
        .await;
}

/// Always the same pause.
struct Steady;

impl Iterator for Steady {
    type Item = Duration;

    fn next(&mut self) -> Option<Duration> {
        Some(WATCH_AGAIN)
    }
}

impl Backoff for Steady {
    fn reset(&mut self) {}
}

/// Drift of what shares requests out. HTTPRoutes can be watched only where the Gateway API is installed; where that
/// comes later, drift is seen at the next look.
async fn watch_routes(
    controller: Controller<CanaryObject>,
    client: &Client,
    namespace: Option<&str>,
) -> Controller<CanaryObject> {
    let neighbours = |known: Store<CanaryObject>| {
        move |namespace: Option<String>| {
            known
                .state_filter(|canary| canary.namespace() == namespace)
                .iter()
                .map(|canary| ObjectRef::from_obj(canary.as_ref()))
                .collect::<Vec<_>>()
        }
    };
    let (of_service, of_route) = (neighbours(controller.store()), neighbours(controller.store()));
    let controller = controller.watches(
        within::<PartialObjectMeta<Service>>(client, namespace),
        watcher::Config::default(),
        move |object| of_service(object.namespace()),
    );
    if let Err(error) = client.list_api_group_resources(&HttpRoute::api_version(&())).await {
        tracing::warn!("HTTPRoutes are not watched: {error}; is the Gateway API installed?");
        return controller;
    }
    controller.watches(
        within::<PartialObjectMeta<HttpRoute>>(client, namespace),
        watcher::Config::default().labels(super::candidate::CANARY),
        move |object| of_route(object.namespace()),
    )
}

fn within<K>(client: &Client, namespace: Option<&str>) -> Api<K>
where
    K: Resource<Scope = k8s_openapi::NamespaceResourceScope, DynamicType = ()>,
{
    match namespace {
        Some(namespace) => Api::namespaced(client.clone(), namespace),
        None => Api::all(client.clone()),
    }
}

/// Whether an object of this name may belong to the Deployment that a Canary follows: ReplicaSets, pods and candidates
/// are named after it, cut where the name is long. A look too many does no harm.
fn belongs(spec: &Value, name: &str) -> bool {
    const ALWAYS_KEPT: usize = 38;
    let deployment = spec.get("deployment").and_then(Value::as_str).unwrap_or_default();
    let start = deployment.get(..deployment.len().min(ALWAYS_KEPT)).unwrap_or(deployment);
    !start.is_empty() && name.starts_with(start)
}

fn on_error(object: &CanaryObject, error: &TurnError, context: &Context) -> Action {
    context.outward.metrics.count_error(&metadata(object), error.operation());
    if error.is_conflict() {
        return Action::requeue(DEBOUNCE);
    }
    tracing::warn!("Could not go on, trying again: {error}");
    Action::requeue(RETRY)
}

/// One look at one Canary.
async fn reconcile(seen: Arc<CanaryObject>, context: Arc<Context>) -> Result<Action, TurnError> {
    let cluster = Cluster::new(context.client.clone(), &seen.namespace().unwrap_or_default());
    let Some(mut object) = cluster.canary(name_of(&seen.metadata)).await? else {
        context.outward.forget(&seen);
        return Ok(Action::await_change());
    };
    if object.metadata.deletion_timestamp.is_some() {
        let done = give_back(&cluster, &object, &context.http).await?;
        if done {
            context.ledger.forget(&object.metadata);
        }
        return Ok(if done { Action::await_change() } else { Action::requeue(SOON) });
    }
    if !object.finalizers().iter().any(|finalizer| finalizer == FINALIZER) {
        let finalizers = [object.finalizers(), &[FINALIZER.to_owned()]].concat();
        object = cluster.set_finalizers(&object, &finalizers).await?;
    }
    let stored = object.status.clone().and_then(|status| serde_json::from_value(status).ok());
    let mut status = stored.unwrap_or_else(|| CanaryStatus::new(Timestamp::now()));
    forget(&object, &mut status);
    match prepare(&cluster, &object, &context.http, status.clone()).await? {
        Ok(workload) => work(&context, workload).await,
        Err(refusal) => refuse(&context, (&cluster, object), status, refusal).await,
    }
}

/// One turn of the engine, and what is told of it.
async fn work(context: &Context, mut workload: Workload) -> Result<Action, TurnError> {
    let metadata = workload.object.metadata.clone();
    let mut page = context.ledger.take(&metadata, order(&workload.spec.release, &workload.status));
    let source = source(&workload, context.prometheus.as_deref());
    workload.status.counting = Some(counting(&source, &workload.spec));
    page.turn(order(&workload.spec.release, &workload.status), &source).await;
    workload.sample = page.sample();
    workload.gates = context.outward.reports(&workload.object);
    let mut done = turn(&mut workload).await;
    if !done.as_ref().is_err_and(TurnError::is_conflict) {
        done = match hear(context, &mut workload).await {
            Ok(true) => turn(&mut workload).await,
            // What went wrong before says more.
            Ok(false) => done,
            Err(error) => done.and(Err(error)),
        };
    }
    // A weight that has just come into force is counted from now on.
    page.turn(order(&workload.spec.release, &workload.status), &source).await;
    let due = page.due();
    context.ledger.put(&metadata, page);
    report(context, &mut workload).await;
    match done {
        Ok(()) => Ok(Action::requeue(next_look(&workload.status, due))),
        Err(error) if error.is_conflict() => Err(error),
        Err(error) => {
            // The first error says more than that this one could not be told.
            let _ = workload.publish(Some(&error.trouble())).await;
            Err(error)
        }
    }
}

/// Does what a person said; whether anything was done.
async fn hear(context: &Context, workload: &mut Workload) -> Result<bool, TurnError> {
    let wanted = workload.world.next_template();
    let Workload { cluster, object, status, .. } = workload;
    let answer = listen(cluster, object, status, Ok(&wanted)).await?;
    let done = matches!(answer, Some(Ok(_)));
    tell_answer(context, object, answer).await;
    Ok(done)
}

async fn tell_answer(context: &Context, object: &CanaryObject, answer: Option<Result<String, String>>) {
    let (kind, reason, message) = match answer {
        None => return,
        Some(Ok(message)) => (EventType::Normal, "Said", message),
        Some(Err(message)) => (EventType::Warning, "VerbRefused", message),
    };
    tracing::info!(canary = %name_of(&object.metadata), "{reason}: {message}");
    let note = Note { kind, reason: reason.to_owned(), message };
    note.publish(&context.recorder, &object.object_ref(&())).await;
}

/// Tells what has happened: as events, to webhooks and to Prometheus.
async fn report(context: &Context, workload: &mut Workload) {
    let name = metadata(&workload.object);
    for took in workload.decided.drain(..) {
        context.outward.metrics.observe_decision(&name, took);
    }
    let repaired = |message| release::Event { reason: EventReason::DriftRepaired, message };
    workload.events.extend(workload.drift.drain(..).map(repaired));
    let about = (&workload.spec.release, &workload.status.release);
    context.outward.follow(&workload.object, about, &workload.events);
    let reference = workload.object.object_ref(&());
    for event in workload.events.drain(..) {
        let kind = severity(event.reason);
        let note = Note { kind, reason: format!("{:?}", event.reason), message: event.message };
        note.publish(&context.recorder, &reference).await;
    }
}

/// Says why a Canary is not followed.
async fn refuse(
    context: &Context,
    (cluster, mut object): (&Cluster, CanaryObject),
    mut status: CanaryStatus,
    refusal: Refusal,
) -> Result<Action, TurnError> {
    let answer = listen(cluster, &mut object, &mut status, Err(&refusal)).await?;
    tell_answer(context, &object, answer).await;
    let told = status.conditions.iter().any(|condition| condition.message == refusal.to_string());
    let note =
        Note { kind: EventType::Warning, reason: refusal.reason().to_owned(), message: refusal.to_string() };
    status.observed_generation = object.metadata.generation;
    let trouble = Trouble::Refused(refusal);
    status.conditions = super::conditions::conditions(&status, Some(&trouble), Timestamp::now());
    store(cluster, &mut object, &status).await?;
    if !told {
        tracing::warn!(canary = %name_of(&object.metadata), "{}: {}", note.reason, note.message);
        note.publish(&context.recorder, &object.object_ref(&())).await;
    }
    // Autoscalers and other Canaries are not watched.
    Ok(Action::requeue(Duration::from_secs(10)))
}

/// When something is due that no watch tells of: routers and counters have to be asked.
fn next_look(status: &CanaryStatus, reading: Option<Duration>) -> Duration {
    let hold = status.release.hold.as_ref();
    let by_hold = hold.map_or(RESYNC, |hold| due(hold, Timestamp::now()));
    let asked = hold.is_some_and(|hold| {
        matches!(hold.reason, HoldReason::AwaitingAcknowledgement | HoldReason::Draining)
    });
    let by_routers = match asked {
        true => ASK_AGAIN,
        // A router may take the candidate out by itself at any moment.
        false if !status.release.route.largest_in_use.is_zero() || !status.routing.pending.is_empty() => SOON,
        false => RESYNC,
    };
    by_hold.min(by_routers).min(reading.unwrap_or(RESYNC))
}

fn due(hold: &Hold, now: Timestamp) -> Duration {
    let left = Duration::try_from(hold.deadline.duration_since(now)).unwrap_or_default();
    if left.is_zero() { RESYNC } else { (left + DEBOUNCE).min(RESYNC) }
}

/// Something to tell as an event.
struct Note {
    kind: EventType,
    reason: String,
    message: String,
}

// === impl Note ===

impl Note {
    async fn publish(self, recorder: &Teller, reference: &k8s_openapi::api::core::v1::ObjectReference) {
        // The API server refuses notes of more than 1,024 bytes.
        let note: String = self.message.chars().take(250).collect();
        let action = "Release".to_owned();
        let event =
            Event { type_: self.kind, reason: self.reason, note: Some(note), action, secondary: None };
        if let Err(error) = recorder.publish(&event, reference).await {
            tracing::warn!("The event {} could not be told: {error}", event.reason);
        }
    }
}

fn severity(reason: EventReason) -> EventType {
    match reason {
        EventReason::Initialized
        | EventReason::ReleaseStarted
        | EventReason::CandidateReady
        | EventReason::WeightAcknowledged
        | EventReason::StepPassed
        | EventReason::Promoting
        | EventReason::Promoted
        | EventReason::Superseded => EventType::Normal,
        EventReason::RollingBack
        | EventReason::Failed
        | EventReason::SteppedBack
        | EventReason::WeightLowered
        | EventReason::StrayCandidate
        | EventReason::DriftRepaired => EventType::Warning,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn what_is_named_after_a_deployment_belongs_to_its_canary() {
        let spec = json!({"deployment": "django-blog"});
        for name in ["django-blog", "django-blog-6d4cf56db6-x2x4x", "django-blog-mjuohs00"] {
            assert!(belongs(&spec, name), "{name}");
        }
        assert!(!belongs(&spec, "router-6d4cf56db6-x2x4x"));
        assert!(!belongs(&json!({}), "router"));
        let long = "a".repeat(60);
        assert!(belongs(&json!({"deployment": long}), &"a".repeat(50)));
    }
}
