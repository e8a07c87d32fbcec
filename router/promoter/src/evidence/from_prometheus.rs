//! The same counters, read from a Prometheus server that scrapes the routers.

use super::Reading;
use jiff::Timestamp;
use release::Duration;
use serde::Deserialize;
use std::collections::BTreeMap;

/// A Prometheus server.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct PrometheusSource {
    /// Its address, such as `http://127.0.0.1:9090`.
    pub address: String,
}

/// Asks the server.
#[derive(Debug)]
pub struct PrometheusReader {
    source: PrometheusSource,
}

impl PrometheusSource {
    /// A server at this address.
    pub fn at(address: &str) -> Self {
        Self { address: address.to_owned() }
    }
}

impl PrometheusReader {
    /// A reader of `route`.
    pub fn new(source: &PrometheusSource, _route: &str) -> Self {
        Self { source: source.clone() }
    }

    /// Reads all routers at once.
    pub async fn read(&self, _latency_bound: Option<Duration>) -> Reading {
        let why = format!("{}: not asked yet", self.source.address);
        Reading { at: Timestamp::now(), routers: BTreeMap::from([(self.source.address.clone(), Err(why))]) }
    }
}
