//! What Prometheus can scrape of the promoter.

use crate::canary::Canary;
use prometheus::{
    Encoder, Gauge, GaugeVec, Histogram, HistogramOpts, IntCounter, IntCounterVec, Opts, Registry,
    TextEncoder,
};
use split::Track;
use std::time::Duration;

/// The names of the phases.
const PHASES: [&str; 6] = ["Initializing", "Stable", "Progressing", "Promoting", "RollingBack", "Failed"];

/// All metrics of one workload's promoter.
#[derive(Clone, Debug)]
pub struct Metrics {
    registry: Registry,
    weight_wanted: Gauge,
    weight_acknowledged: Gauge,
    phase: GaugeVec,
    step: Gauge,
    e_value: Gauge,
    requests: GaugeVec,
    request_errors: GaugeVec,
    ready: GaugeVec,
    routers_pending: Gauge,
    decision_duration: Histogram,
    /// Things that could not be done and are tried again, by what was tried.
    pub errors: IntCounterVec,
    /// Configurations refused; the last good one stays.
    pub config_errors: IntCounter,
}

// === impl Metrics ===

impl Metrics {
    /// The metrics of the workload `canary`.
    ///
    /// # Errors
    /// None in practice: names are constants, and the registry is new.
    pub fn new(canary: &str) -> Result<Self, prometheus::Error> {
        let labels = [("canary".to_owned(), canary.to_owned())].into();
        let registry = Registry::new_custom(Some("huidu_promoter".to_owned()), Some(labels))?;
        // A decision is arithmetic: microseconds, unless something is very wrong.
        let buckets = vec![0.000_01, 0.000_03, 0.000_1, 0.000_3, 0.001, 0.003, 0.01, 0.1];
        let metrics = Self {
            weight_wanted: Gauge::new("weight_wanted", "The candidate's share as decided, 0 to 1.")?,
            weight_acknowledged: Gauge::new(
                "weight_acknowledged",
                "The largest share that some router may use, 0 to 1.",
            )?,
            phase: GaugeVec::new(Opts::new("phase", "1 for the phase that the workload is in."), &["phase"])?,
            step: Gauge::new("step", "The step of the release, counted from 0.")?,
            e_value: Gauge::new("e_value", "The evidence that the candidate is worse; it fails at 1/alpha.")?,
            requests: GaugeVec::new(
                Opts::new("release_requests", "Requests counted in this release."),
                &["track"],
            )?,
            request_errors: GaugeVec::new(
                Opts::new("release_request_errors", "Failed requests counted in this release."),
                &["track"],
            )?,
            ready: GaugeVec::new(Opts::new("ready_replicas", "Ready replicas by revision."), &["revision"])?,
            routers_pending: Gauge::new(
                "routers_pending",
                "Routers that have not confirmed what is written.",
            )?,
            decision_duration: Histogram::with_opts(
                HistogramOpts::new("decision_duration_seconds", "How long a decision took.").buckets(buckets),
            )?,
            errors: IntCounterVec::new(
                Opts::new("errors_total", "Things that could not be done and are tried again."),
                &["operation"],
            )?,
            config_errors: IntCounter::new(
                "config_errors_total",
                "Configurations refused; the last good one stays.",
            )?,
            registry,
        };
        metrics.register()?;
        Ok(metrics)
    }

    fn register(&self) -> Result<(), prometheus::Error> {
        let registry = &self.registry;
        registry.register(Box::new(self.weight_wanted.clone()))?;
        registry.register(Box::new(self.weight_acknowledged.clone()))?;
        registry.register(Box::new(self.phase.clone()))?;
        registry.register(Box::new(self.step.clone()))?;
        registry.register(Box::new(self.e_value.clone()))?;
        registry.register(Box::new(self.requests.clone()))?;
        registry.register(Box::new(self.request_errors.clone()))?;
        registry.register(Box::new(self.ready.clone()))?;
        registry.register(Box::new(self.routers_pending.clone()))?;
        registry.register(Box::new(self.decision_duration.clone()))?;
        registry.register(Box::new(self.errors.clone()))?;
        registry.register(Box::new(self.config_errors.clone()))
    }

    /// Notes how long a decision took.
    pub fn observe_decision(&self, took: Duration) {
        self.decision_duration.observe(took.as_secs_f64());
    }

    /// The text format, with gauges as `canary` has them now.
    ///
    /// # Errors
    /// None in practice: writing to memory does not fail.
    #[expect(clippy::cast_precision_loss, reason = "counts stay far below 2^52")]
    pub fn render(&self, canary: &Canary) -> Result<Vec<u8>, prometheus::Error> {
        let status = &canary.status.release;
        self.weight_wanted.set(status.route.weight.fraction());
        self.weight_acknowledged.set(status.route.largest_in_use.fraction());
        for phase in PHASES {
            let here = u8::from(phase == status.phase.name());
            self.phase.with_label_values(&[phase]).set(f64::from(here));
        }
        let release = status.release();
        let total = release.map(|release| release.total).unwrap_or_default();
        for (track, tally) in [(Track::Stable, total.stable), (Track::Canary, total.canary)] {
            self.requests.with_label_values(&[track.as_str()]).set(tally.requests as f64);
            self.request_errors.with_label_values(&[track.as_str()]).set(tally.errors as f64);
        }
        self.step.set(release.map_or(0.0, |release| release.step as f64));
        self.e_value.set(release.map_or(1.0, |release| release.evidence.e()));
        self.ready.reset();
        for replica in &canary.status.replicas {
            let ready = f64::from(u8::from(replica.ready));
            self.ready.with_label_values(&[replica.revision.as_str()]).add(ready);
        }
        self.routers_pending.set(canary.status.routing.pending.len() as f64);
        let mut text = Vec::new();
        TextEncoder::new().encode(&self.registry.gather(), &mut text)?;
        Ok(text)
    }
}
