//! What Prometheus scrapes. Handles are resolved when a table is built, so that a request hashes no label.

use crate::routes::Table;
use prometheus::{
    Encoder, Gauge, GaugeVec, Histogram, HistogramOpts, HistogramVec, IntCounter, IntCounterVec, Opts,
    Registry, TextEncoder,
};
use split::Track;
use std::time::Duration;

/// The names of the metrics, for tests that compare them with the documents.
pub const NAMES: [&str; 9] = [
    "huidu_router_first_attempt_duration_seconds",
    "huidu_router_request_duration_seconds",
    "huidu_router_failovers_total",
    "huidu_router_tripped",
    "huidu_router_in_flight",
    "huidu_router_weight",
    "huidu_router_generation",
    "huidu_router_config_errors_total",
    "huidu_router_access_log_lost_total",
];

/// A latency bound of the analysis must be one of these seconds, so that slow requests can be counted.
pub const BUCKETS: [f64; 12] = [0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0];

/// How a request ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Class {
    /// The first digit of the status, 1 to 5.
    Status(u8),
    /// No usable response: connect, reset, timeout or broken framing.
    Error,
}

/// All metrics of the process.
#[derive(Debug)]
pub struct Metrics {
    registry: Registry,
    first_attempts: HistogramVec,
    requests: HistogramVec,
    failovers: IntCounterVec,
    tripped: GaugeVec,
    in_flight: GaugeVec,
    weight: GaugeVec,
    generation: Gauge,
    /// Configurations refused; the last good one stays.
    pub config_errors: IntCounter,
    /// Lines of the access log that nobody could take in time.
    pub access_log_lost: IntCounter,
}

/// The handles of one track of one route, by [`Class`].
#[derive(Debug)]
pub struct TrackMetrics {
    first_attempts: [Histogram; Class::COUNT],
    requests: [Histogram; Class::COUNT],
}

// === impl Class ===

impl Class {
    const COUNT: usize = 6;
    const ALL: [Self; Self::COUNT] =
        [Self::Error, Self::Status(1), Self::Status(2), Self::Status(3), Self::Status(4), Self::Status(5)];

    /// The class of a status; a status outside of 100 to 599 is no usable response.
    #[must_use]
    pub fn of(status: hyper::StatusCode) -> Self {
        match u8::try_from(status.as_u16() / 100) {
            Ok(digit @ 1..=5) => Self::Status(digit),
            _ => Self::Error,
        }
    }

    /// Whether the judgement counts it as an error.
    #[must_use]
    pub const fn is_error(self) -> bool {
        matches!(self, Self::Error | Self::Status(5))
    }

    const fn index(self) -> usize {
        match self {
            Self::Error => 0,
            Self::Status(digit) => digit as usize,
        }
    }

    const fn label(self) -> &'static str {
        match self {
            Self::Status(1) => "1xx",
            Self::Status(2) => "2xx",
            Self::Status(3) => "3xx",
            Self::Status(4) => "4xx",
            Self::Status(5) => "5xx",
            _ => "error",
        }
    }
}

// === impl Metrics ===

impl Metrics {
    /// Registers everything.
    ///
    /// # Errors
    /// None in practice: names are constants, and the registry is new.
    pub fn new() -> Result<Self, prometheus::Error> {
        let registry = Registry::new();
        let [first, request, failovers, tripped, in_flight, weight, generation, config_errors, lost] = NAMES;
        let histogram = |name, help| {
            let opts = HistogramOpts::new(name, help).buckets(BUCKETS.to_vec());
            HistogramVec::new(opts, &["route", "track", "class"])
        };
        let gauges = |name, help, labels: &[&str]| GaugeVec::new(Opts::new(name, help), labels);
        let metrics = Self {
            first_attempts: histogram(
                first,
                "First attempts on the track that the split or an override chose.",
            )?,
            requests: histogram(request, "What clients got in the end, and from which track.")?,
            failovers: IntCounterVec::new(
                Opts::new(failovers, "Canary failures answered by stable."),
                &["route", "reason"],
            )?,
            tripped: gauges(tripped, "1 while the local trip keeps the canary at 0.", &["route"])?,
            in_flight: gauges(in_flight, "Requests not yet ended.", &["route", "track"])?,
            weight: gauges(weight, "Applied weight.", &["route", "backend"])?,
            generation: Gauge::new(generation, "Applied generation.")?,
            config_errors: IntCounter::new(
                config_errors,
                "Configurations refused; the last good one stays.",
            )?,
            access_log_lost: IntCounter::new(
                lost,
                "Lines of the access log that standard output did not take in time.",
            )?,
            registry,
        };
        metrics.register()?;
        Ok(metrics)
    }

    fn register(&self) -> Result<(), prometheus::Error> {
        let registry = &self.registry;
        registry.register(Box::new(self.first_attempts.clone()))?;
        registry.register(Box::new(self.requests.clone()))?;
        registry.register(Box::new(self.failovers.clone()))?;
        registry.register(Box::new(self.tripped.clone()))?;
        registry.register(Box::new(self.in_flight.clone()))?;
        registry.register(Box::new(self.weight.clone()))?;
        registry.register(Box::new(self.generation.clone()))?;
        registry.register(Box::new(self.config_errors.clone()))?;
        registry.register(Box::new(self.access_log_lost.clone()))
    }

    /// The handles for the tracks of `route`, stable first. The series exist from then on, at zero.
    #[must_use]
    pub fn tracks(&self, route: &str) -> [TrackMetrics; 2] {
        Track::ALL.map(|track| {
            let handles = |histograms: &HistogramVec| {
                Class::ALL.map(|class| histograms.with_label_values(&[route, track.as_str(), class.label()]))
            };
            TrackMetrics { first_attempts: handles(&self.first_attempts), requests: handles(&self.requests) }
        })
    }

    /// Counts a canary failure that stable is asked to answer.
    pub fn count_failover(&self, route: &str, reason: &str) {
        self.failovers.with_label_values(&[route, reason]).inc();
    }

    /// Drops the series of routes that are in `old` and not in `new`.
    pub fn forget(&self, old: &Table, new: &Table) {
        for route in old.routes.iter().filter(|route| new.named(&route.spec.name).is_none()) {
            for (track, class) in Track::ALL.iter().flat_map(|track| Class::ALL.map(|class| (track, class))) {
                let labels = [route.spec.name.as_str(), track.as_str(), class.label()];
                // A series that is not there is as good as one removed.
                let _ = self.first_attempts.remove_label_values(&labels);
                let _ = self.requests.remove_label_values(&labels);
            }
        }
    }

    /// The text format, with gauges as `table` has them now.
    ///
    /// # Errors
    /// None in practice: writing to memory does not fail.
    pub fn render(&self, table: &Table) -> Result<Vec<u8>, prometheus::Error> {
        self.tripped.reset();
        self.in_flight.reset();
        self.weight.reset();
        self.generation.set(as_f64(table.generation));
        for route in &table.routes {
            let name = route.spec.name.as_str();
            self.tripped.with_label_values(&[name]).set(f64::from(u8::from(route.state.trip.is_tripped())));
            for track in Track::ALL {
                self.in_flight.with_label_values(&[name, track.as_str()]);
            }
            for backend in &route.backends {
                self.weight.with_label_values(&[name, &backend.name]).set(f64::from(backend.weight));
                let in_flight = u64::try_from(backend.state.in_flight()).unwrap_or(u64::MAX);
                self.in_flight.with_label_values(&[name, backend.track.as_str()]).add(as_f64(in_flight));
            }
        }
        let mut text = Vec::new();
        TextEncoder::new().encode(&self.registry.gather(), &mut text)?;
        Ok(text)
    }
}

// === impl TrackMetrics ===

impl TrackMetrics {
    /// The first attempt of a request on this track.
    pub fn first_attempt(&self, class: Class, took: Duration) {
        observe(&self.first_attempts, class, took);
    }

    /// An answer that a client got from this track.
    pub fn request(&self, class: Class, took: Duration) {
        observe(&self.requests, class, took);
    }
}

fn observe(handles: &[Histogram; Class::COUNT], class: Class, took: Duration) {
    if let Some(histogram) = handles.get(class.index()) {
        histogram.observe(took.as_secs_f64());
    }
}

/// Prometheus has floats only; 2⁵³ requests in flight are out of reach.
#[expect(clippy::cast_precision_loss, reason = "exact below 2⁵³")]
fn as_f64(number: u64) -> f64 {
    number as f64
}
