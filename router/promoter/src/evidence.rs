//! From counters to what came in a window of time.
//!
//! A source gives a [`Reading`]: what each router has counted since it began. [`Baseline`] turns two of them into a
//! [`Window`](release::Window), never across a change of weight and never with negative counts.

mod baseline;
mod counters;
mod from_prometheus;
mod from_routers;
mod queries;
mod sampler;
mod text;

pub use baseline::Baseline;
pub use counters::{Counters, LATENCY_BOUNDS, Reading, Series, bucket_of};
pub use from_prometheus::PrometheusSource;
pub use sampler::{Counting, Order, Sampler};

pub(crate) use from_prometheus::PrometheusReader;
pub(crate) use from_routers::RouterReader;

use crate::routers::Admin;
use jiff::Timestamp;
use release::Duration;

/// The family of metrics that is judged.
pub const FAMILY: &str = "huidu_router_first_attempt_duration_seconds";

/// Something that can be read.
#[derive(Debug)]
pub enum Source {
    /// The routers themselves.
    Routers(RouterReader),
    /// A Prometheus server.
    Prometheus(PrometheusReader),
    /// Nothing, for the reason that the text says.
    Missing(String),
}

// === impl Source ===

impl Source {
    /// The routers at `admins`, of which `route` is judged.
    pub fn routers(admins: &[Admin], route: &str) -> Self {
        Self::Routers(RouterReader::new(admins, route))
    }

    /// A Prometheus server that scrapes the routers, of which `route` is judged.
    pub fn prometheus(source: &PrometheusSource, route: &str) -> Self {
        Self::Prometheus(PrometheusReader::new(source, route))
    }

    /// What is asked, as a person may ask it too; nothing where the routers themselves are.
    pub fn queries(&self, latency_bound: Option<Duration>) -> Vec<String> {
        match self {
            Self::Routers(_) | Self::Missing(_) => Vec::new(),
            Self::Prometheus(reader) => reader.queries(latency_bound),
        }
    }

    /// What has been counted up to now.
    pub async fn read(&self, latency_bound: Option<Duration>) -> Reading {
        match self {
            Self::Routers(reader) => reader.read(latency_bound).await,
            Self::Prometheus(reader) => reader.read(latency_bound).await,
            Self::Missing(why) => {
                Reading { at: Timestamp::now(), routers: [(String::new(), Err(why.clone()))].into() }
            }
        }
    }
}
