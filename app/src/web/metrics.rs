//! Metrics, in the names that podinfo uses, so that every dashboard and example for it works here.

use std::time::Duration;

use prometheus::{
    HistogramOpts, HistogramVec, IntCounterVec, IntGauge, IntGaugeVec, Opts, Registry, TextEncoder,
};

use crate::store::PoolState;

/// The metrics of one process.
#[derive(Debug)]
pub(crate) struct Metrics {
    registry: Registry,
    duration: HistogramVec,
    requests: IntCounterVec,
    connections: IntGaugeVec,
    /// Requests being answered.
    pub(crate) in_flight: IntGauge,
    /// Page views that were counted and are not yet in the database.
    pub(crate) views_waiting: IntGauge,
}

impl Metrics {
    /// Registers every metric; `version` labels the build.
    ///
    /// # Errors
    /// When a name is registered twice, which is a mistake of the program.
    pub(crate) fn new(version: &str) -> Result<Self, prometheus::Error> {
        let registry = Registry::new();
        // From a cached page (under a millisecond) to the request timeout; the router's bounds are among them.
        let buckets = vec![0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0];
        let duration = HistogramVec::new(
            HistogramOpts::new("http_request_duration_seconds", "Seconds spent serving HTTP requests.")
                .buckets(buckets),
            &["method", "path", "status"],
        )?;
        let requests = IntCounterVec::new(
            Opts::new("http_requests_total", "The total number of HTTP requests."),
            &["status"],
        )?;
        let in_flight = IntGauge::new("http_requests_in_flight", "Requests being answered.")?;
        let views_waiting =
            IntGauge::new("blog_views_waiting", "Counted page views not yet in the database.")?;
        let connections = IntGaugeVec::new(
            Opts::new(
                "blog_database_connections",
                "Connections of a pool: open, idle, and the most there may be.",
            ),
            &["pool", "state"],
        )?;
        let build = IntGaugeVec::new(
            Opts::new("blog_build_info", "1; the labels name the running version and the schema it knows."),
            &["version", "schema"],
        )?;
        build.with_label_values(&[version, &crate::store::schema::known_version().to_string()]).set(1);
        registry.register(Box::new(duration.clone()))?;
        registry.register(Box::new(requests.clone()))?;
        registry.register(Box::new(in_flight.clone()))?;
        registry.register(Box::new(views_waiting.clone()))?;
        registry.register(Box::new(connections.clone()))?;
        registry.register(Box::new(build))?;
        Ok(Self { registry, duration, requests, connections, in_flight, views_waiting })
    }

    /// Counts one answered request; `path` is the route's pattern, so that labels stay few.
    pub(crate) fn observe(&self, (method, path): (&str, &str), status: u16, took: Duration) {
        let mut digits = [b'0'; 3];
        let mut rest = status;
        for digit in digits.iter_mut().rev() {
            *digit += u8::try_from(rest % 10).unwrap_or(0);
            rest /= 10;
        }
        let status = std::str::from_utf8(&digits).unwrap_or("000");
        self.duration.with_label_values(&[method, path, status]).observe(took.as_secs_f64());
        self.requests.with_label_values(&[status]).inc();
    }

    /// Takes the pools as they are now.
    pub(crate) fn pools(&self, pools: &[PoolState]) {
        for pool in pools {
            let idle = i64::try_from(pool.idle).unwrap_or(i64::MAX);
            for (state, count) in
                [("open", i64::from(pool.open)), ("idle", idle), ("max", i64::from(pool.max))]
            {
                self.connections.with_label_values(&[pool.name, state]).set(count);
            }
        }
    }

    /// Everything in Prometheus' text format.
    ///
    /// # Errors
    /// When a metric can't be written as text.
    pub(crate) fn text(&self) -> Result<String, prometheus::Error> {
        TextEncoder::new().encode_to_string(&self.registry.gather())
    }
}
