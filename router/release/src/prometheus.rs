//! Where counts come from, if not from the routers themselves.

use crate::{Duration, InvalidSpec};
use serde::{Deserialize, Serialize};

/// A Prometheus server.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct Prometheus {
    /// Its address, such as `http://prometheus.monitoring:9090`; by default the one that the promoter was started with.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub address: Option<String>,
    /// More label matchers for the routers' series, such as `job="router"`.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub matchers: String,
    /// The label that tells routers apart. Default `instance`.
    pub instance_label: String,
    /// A router that was scraped longer ago than this counts as unreadable. Default 1m.
    pub stale_after: Duration,
    /// Queries in place of those for Huidu's routers.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub queries: Option<Queries>,
}

/// Four instant queries, each for counters that only grow: no `rate()`, no ratios. Where the answer has several series,
/// the instance label tells them apart.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Queries {
    /// All requests to stable.
    pub stable_requests: String,
    /// Those of them that failed.
    pub stable_errors: String,
    /// All requests to the candidate.
    pub canary_requests: String,
    /// Those of them that failed.
    pub canary_errors: String,
    /// How far the server's numbers may lie behind: the longest time between two scrapes. Default 15s.
    #[serde(default = "fifteen_seconds")]
    pub lag: Duration,
}

// === impl Prometheus ===

impl Prometheus {
    pub(crate) fn check(&self, latency_bound: Option<Duration>) -> Result<(), InvalidSpec> {
        if self.stale_after.is_zero() {
            return Err(InvalidSpec::ZeroDuration("analysis.prometheus.staleAfter"));
        }
        let Some(queries) = &self.queries else { return Ok(()) };
        let Queries { stable_requests, stable_errors, canary_requests, canary_errors, lag } = queries;
        let texts = [stable_requests, stable_errors, canary_requests, canary_errors];
        match latency_bound {
            _ if texts.iter().any(|text| text.trim().is_empty()) => Err(InvalidSpec::EmptyQuery),
            _ if lag.is_zero() => Err(InvalidSpec::ZeroDuration("analysis.prometheus.queries.lag")),
            Some(_) => Err(InvalidSpec::BoundBesideQueries),
            None => Ok(()),
        }
    }
}

impl Default for Prometheus {
    fn default() -> Self {
        Self {
            address: None,
            matchers: String::new(),
            instance_label: "instance".to_owned(),
            stale_after: Duration::from_secs(60),
            queries: None,
        }
    }
}

fn fifteen_seconds() -> Duration {
    Duration::from_secs(15)
}

#[cfg(test)]
mod tests {
    use crate::Spec;

    fn refused(analysis: &str) -> String {
        let spec = format!(r#"{{"analysis": {analysis}}}"#);
        serde_json::from_str::<Spec>(&spec).unwrap_err().to_string()
    }

    #[test]
    fn nonsense_is_refused_with_the_field_and_the_remedy() {
        for (analysis, part) in [
            (r#"{"prometheus": {"staleAfter": "0s"}}"#, "analysis.prometheus.staleAfter"),
            (r#"{"prometheus": {"adress": "x"}}"#, "unknown field `adress`"),
            (r#"{"prometheus": {"queries": {"stableRequests": "a"}}}"#, "stableErrors"),
            (
                r#"{"prometheus": {"queries":
                    {"stableRequests": "a", "stableErrors": " ", "canaryRequests": "a", "canaryErrors": "a"}}}"#,
                "a query is empty",
            ),
            (
                r#"{"latencyBound": "1s", "prometheus": {"queries":
                    {"stableRequests": "a", "stableErrors": "a", "canaryRequests": "a", "canaryErrors": "a"}}}"#,
                "count slow requests in the queries",
            ),
        ] {
            let error = refused(analysis);
            assert!(error.contains(part), "{analysis}: {error}");
        }
    }

    #[test]
    fn a_server_may_be_left_to_the_promoter() {
        let spec: Spec = serde_json::from_str(r#"{"analysis": {"prometheus": {}}}"#).unwrap();
        assert_eq!(spec.analysis.prometheus.unwrap().address, None);
    }
}
