//! What Prometheus can scrape of the promoter. ARCHITECTURE.md lists it.

use crate::canary::{Canary, Metadata};
use crate::notify::Told;
use axum::Router;
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse as _, Response};
use axum::routing;
use prometheus::core::Collector;
use prometheus::{
    Encoder, Error, Gauge, GaugeVec, HistogramOpts, HistogramVec, IntCounter, IntCounterVec, Opts, Registry,
    TextEncoder,
};
use split::Track;
use std::collections::BTreeMap;
use std::sync::atomic::Ordering;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use tokio::net::TcpListener;

/// The names of the phases.
const PHASES: [&str; 6] = ["Initializing", "Stable", "Progressing", "Promoting", "RollingBack", "Failed"];

/// All metrics of a promoter. Everything about a canary has the labels `namespace` (left out without a cluster) and
/// `canary`.
#[derive(Clone, Debug)]
pub struct Metrics {
    registry: Registry,
    gauges: Gauges,
    decision_duration: HistogramVec,
    errors: IntCounterVec,
    config_errors: IntCounter,
    leader: Gauge,
    notifications: IntCounterVec,
    /// What the gauges are about, as it was seen last.
    seen: Arc<Mutex<BTreeMap<(String, String), Canary>>>,
}

/// What is derived from the canaries as they are when somebody asks.
#[derive(Clone, Debug)]
struct Gauges {
    weight_wanted: GaugeVec,
    weight_acknowledged: GaugeVec,
    phase: GaugeVec,
    hold: GaugeVec,
    step: GaugeVec,
    e_value: GaugeVec,
    requests: GaugeVec,
    request_errors: GaugeVec,
    ready: GaugeVec,
    routers_pending: GaugeVec,
}

// === impl Metrics ===

impl Metrics {
    /// Metrics with nothing seen yet.
    ///
    /// # Errors
    /// None in practice: names are constants, and the registry is new.
    pub fn new() -> Result<Self, Error> {
        let registry = Registry::new_custom(Some("huidu_promoter".to_owned()), None)?;
        // A decision is arithmetic: microseconds, unless something is very wrong.
        let buckets = vec![0.000_01, 0.000_03, 0.000_1, 0.000_3, 0.001, 0.003, 0.01, 0.1];
        let duration =
            HistogramOpts::new("decision_duration_seconds", "How long a decision took.").buckets(buckets);
        let errors = Opts::new("errors_total", "Things that could not be done and are tried again.");
        let config_errors = "Configurations refused; the last good one stays.";
        let leader = "1 while this promoter leads, 0 while it stands by.";
        let notifications =
            Opts::new("notifications_total", "Events for webhooks: delivered, failed attempts, dropped.");
        let labels = ["namespace", "canary"];
        Ok(Self {
            gauges: Gauges::new(&registry)?,
            decision_duration: registered(&registry, HistogramVec::new(duration, &labels))?,
            errors: registered(&registry, IntCounterVec::new(errors, &["namespace", "canary", "operation"]))?,
            config_errors: registered(&registry, IntCounter::new("config_errors_total", config_errors))?,
            leader: registered(&registry, Gauge::new("leader", leader))?,
            notifications: registered(&registry, IntCounterVec::new(notifications, &["outcome"]))?,
            seen: Arc::default(),
            registry,
        })
    }

    /// Notes how long a decision took.
    pub fn observe_decision(&self, canary: &Metadata, took: Duration) {
        self.decision_duration.with_label_values(&labels(canary)).observe(took.as_secs_f64());
    }

    /// Notes that something could not be done and is tried again.
    pub fn count_error(&self, canary: &Metadata, operation: &str) {
        let [namespace, name] = labels(canary);
        self.errors.with_label_values(&[namespace, name, operation]).inc();
    }

    /// Notes that a configuration was refused.
    pub fn count_config_error(&self) {
        self.config_errors.inc();
    }

    /// Notes that this promoter leads.
    pub fn lead(&self) {
        self.leader.set(1.0);
    }

    /// Shows a canary as it is now.
    pub fn show(&self, canary: &Canary) {
        let [namespace, name] = labels(&canary.metadata).map(str::to_owned);
        self.seen.lock().unwrap_or_else(PoisonError::into_inner).insert((namespace, name), canary.clone());
    }

    /// Forgets a canary that is gone.
    pub fn forget(&self, canary: &Metadata) {
        let [namespace, name] = labels(canary);
        let key = (namespace.to_owned(), name.to_owned());
        self.seen.lock().unwrap_or_else(PoisonError::into_inner).remove(&key);
    }

    /// The text format.
    ///
    /// # Errors
    /// None in practice: writing to memory does not fail.
    pub fn render(&self, told: &Told) -> Result<Vec<u8>, Error> {
        let seen = self.seen.lock().unwrap_or_else(PoisonError::into_inner);
        self.gauges.set(seen.values());
        drop(seen);
        for (outcome, count) in
            [("delivered", &told.delivered), ("failed", &told.failed), ("dropped", &told.dropped)]
        {
            let counter = self.notifications.with_label_values(&[outcome]);
            counter.inc_by(count.load(Ordering::Relaxed).saturating_sub(counter.get()));
        }
        let mut text = Vec::new();
        TextEncoder::new().encode(&self.registry.gather(), &mut text)?;
        Ok(text)
    }

    /// The answer to a scrape.
    pub fn page(&self, told: &Told) -> Response {
        match self.render(told) {
            Ok(text) => ([(header::CONTENT_TYPE, "text/plain; version=0.0.4")], text).into_response(),
            Err(error) => (StatusCode::INTERNAL_SERVER_ERROR, error.to_string()).into_response(),
        }
    }

    /// Answers `/metrics`, and nothing else, until the process ends.
    ///
    /// # Errors
    /// None: axum itself goes on after every failed connection.
    pub async fn serve(self, told: Arc<Told>, listener: TcpListener) -> std::io::Result<()> {
        let page = routing::get(async move || self.page(&told));
        axum::serve(listener, Router::new().route("/metrics", page)).await
    }
}

// === impl Gauges ===

impl Gauges {
    fn new(registry: &Registry) -> Result<Self, Error> {
        let gauge = |name: &str, help: &str, more: &[&str]| {
            let labels = [&["namespace", "canary"], more].concat();
            registered(registry, GaugeVec::new(Opts::new(name, help), &labels))
        };
        Ok(Self {
            weight_wanted: gauge("weight_wanted", "The candidate's share as decided, 0 to 1.", &[])?,
            weight_acknowledged: gauge(
                "weight_acknowledged",
                "The largest share that some router may use, 0 to 1.",
                &[],
            )?,
            phase: gauge("phase", "1 for the phase that the workload is in.", &["phase"])?,
            hold: gauge("hold", "1 for what the release waits for.", &["reason"])?,
            step: gauge("step", "The step of the release, counted from 0.", &[])?,
            e_value: gauge("e_value", "The evidence that the candidate is worse; it fails at 1/alpha.", &[])?,
            requests: gauge("release_requests", "Requests counted in this release.", &["track"])?,
            request_errors: gauge(
                "release_request_errors",
                "Failed requests counted in this release.",
                &["track"],
            )?,
            ready: gauge("ready_replicas", "Ready replicas by revision.", &["revision"])?,
            routers_pending: gauge(
                "routers_pending",
                "Routers that have not confirmed what is written.",
                &[],
            )?,
        })
    }

    /// Begins anew, so that nothing is left of what is gone.
    fn set<'a>(&self, canaries: impl Iterator<Item = &'a Canary>) {
        let Self {
            weight_wanted,
            weight_acknowledged,
            phase,
            hold,
            step,
            e_value,
            requests,
            request_errors,
            ready,
            routers_pending,
        } = self;
        let routes = [weight_wanted, weight_acknowledged, phase, hold, step];
        for gauge in routes.into_iter().chain([e_value, requests, request_errors, ready, routers_pending]) {
            gauge.reset();
        }
        canaries.for_each(|canary| self.set_one(canary));
    }

    #[expect(clippy::cast_precision_loss, reason = "counts stay far below 2^52")]
    fn set_one(&self, canary: &Canary) {
        let [namespace, name] = labels(&canary.metadata);
        let own = [namespace, name];
        let status = &canary.status.release;
        self.weight_wanted.with_label_values(&own).set(status.route.weight.fraction());
        self.weight_acknowledged.with_label_values(&own).set(status.route.largest_in_use.fraction());
        for phase in PHASES {
            let here = f64::from(u8::from(phase == status.phase.name()));
            self.phase.with_label_values(&[namespace, name, phase]).set(here);
        }
        if let Some(hold) = &status.hold {
            self.hold.with_label_values(&[namespace, name, &hold.reason.to_string()]).set(1.0);
        }
        let release = status.release();
        let total = release.map(|release| release.total).unwrap_or_default();
        for (track, tally) in [(Track::Stable, total.stable), (Track::Canary, total.canary)] {
            let labels = [namespace, name, track.as_str()];
            self.requests.with_label_values(&labels).set(tally.requests as f64);
            self.request_errors.with_label_values(&labels).set(tally.errors as f64);
        }
        self.step.with_label_values(&own).set(release.map_or(0.0, |release| release.step as f64));
        self.e_value.with_label_values(&own).set(release.map_or(1.0, |release| release.evidence.e()));
        for replica in &canary.status.replicas {
            let ready = self.ready.with_label_values(&[namespace, name, replica.revision.as_str()]);
            ready.add(f64::from(u8::from(replica.ready)));
        }
        self.routers_pending.with_label_values(&own).set(canary.status.routing.pending.len() as f64);
    }
}

fn labels(canary: &Metadata) -> [&str; 2] {
    [canary.namespace.as_deref().unwrap_or_default(), &canary.name]
}

fn registered<C: Collector + Clone + 'static>(
    registry: &Registry,
    metric: Result<C, Error>,
) -> Result<C, Error> {
    let metric = metric?;
    registry.register(Box::new(metric.clone()))?;
    Ok(metric)
}
