//! The counters as the routers themselves show them.

use super::text::{count, lines_of};
use super::{Counters, FAMILY, Reading, bucket_of};
use crate::http::{Client, HttpError};
use crate::routers::Admin;
use jiff::Timestamp;
use release::Duration;
use serde::Deserialize;
use split::Track;
use std::collections::BTreeMap;
use std::str::FromStr;

/// A metric that every router has, with or without requests.
const PROOF: &str = "huidu_router_generation";

/// How long a router may take to show its counters.
const TIMEOUT: std::time::Duration = std::time::Duration::from_secs(2);

/// Reads the routers' own pages.
#[derive(Debug)]
pub struct RouterReader {
    admins: Vec<Admin>,
    route: String,
    client: Client,
}

/// The part of `GET /routes` that tells one process from the next.
#[derive(Deserialize)]
struct Identity {
    instance: String,
}

// === impl RouterReader ===

impl RouterReader {
    /// A reader of `route`.
    pub fn new(admins: &[Admin], route: &str) -> Self {
        Self { admins: admins.to_vec(), route: route.to_owned(), client: Client::new(TIMEOUT) }
    }

    /// Reads all routers at once.
    pub async fn read(&self, latency_bound: Option<Duration>) -> Reading {
        let at = Timestamp::now();
        let mut reads = tokio::task::JoinSet::new();
        for admin in self.admins.clone() {
            let (client, route) = (self.client.clone(), self.route.clone());
            reads.spawn(async move {
                let counters = read_one(&client, &admin, &route, latency_bound).await;
                (admin.as_str().to_owned(), counters)
            });
        }
        Reading { at, routers: reads.join_all().await.into_iter().collect() }
    }
}

async fn read_one(
    client: &Client,
    admin: &Admin,
    route: &str,
    latency_bound: Option<Duration>,
) -> Result<Counters, String> {
    let address = admin.page("/routes");
    let identity = page(&address, client.get(&address).await)?;
    let Identity { instance } = serde_json::from_str(&identity)
        .map_err(|_| format!("{address}: this is not the admin port of a router; check routers.admins"))?;
    let address = admin.page("/metrics");
    let text = page(&address, client.get(&address).await)?;
    let series = parse(&text, route, latency_bound).map_err(|why| format!("{address}: {why}"))?;
    Ok(Counters { instance, ..series })
}

fn page(address: &str, answer: Result<crate::http::Answer, HttpError>) -> Result<String, String> {
    let answer = answer.map_err(|error| format!("{address}: {error}"))?;
    if !answer.status.is_success() {
        return Err(format!("{address}: answered {}", answer.status));
    }
    String::from_utf8(answer.body.to_vec()).map_err(|_| format!("{address}: the answer is not text"))
}

/// The counters of `route` on a page of metrics.
fn parse(page: &str, route: &str, latency_bound: Option<Duration>) -> Result<Counters, String> {
    let mut counters = Counters::default();
    for line in lines_of(page, &format!("{FAMILY}_count"))? {
        if let Some(key) = key(&line.labels, route)? {
            let requests = count(line.value, &format!("line {}: {FAMILY}_count", line.number))?;
            let series = counters.series.entry(key).or_default();
            series.requests = requests;
            series.in_time = if latency_bound.is_some() { 0 } else { requests };
        }
    }
    if counters.series.is_empty() && lines_of(page, PROOF)?.is_empty() {
        return Err(format!("no metric {FAMILY} there; is this the admin port of a router?"));
    }
    let Some(bound) = latency_bound.and_then(bucket_of) else { return Ok(counters) };
    let mut found = 0;
    for line in lines_of(page, &format!("{FAMILY}_bucket"))? {
        let ends_there = line.labels.get("le").and_then(|le| le.parse::<f64>().ok()) == Some(bound);
        if let Some(series) = key(&line.labels, route)?.and_then(|key| counters.series.get_mut(&key))
            && ends_there
        {
            series.in_time = count(line.value, &format!("line {}: {FAMILY}_bucket", line.number))?;
            found += 1;
        }
    }
    if found < counters.series.len() {
        return Err(format!("{FAMILY} has no bucket le=\"{bound}\" for analysis.latencyBound"));
    }
    Ok(counters)
}

/// The track and the class of a line, where it is about `route`.
pub(super) fn key(labels: &BTreeMap<String, String>, route: &str) -> Result<Option<(Track, String)>, String> {
    if labels.get("route").map(String::as_str) != Some(route) {
        return Ok(None);
    }
    let label = |name: &str| labels.get(name).ok_or_else(|| format!("{FAMILY} has no label `{name}`"));
    let track = Track::from_str(label("track")?).map_err(|error| error.to_string())?;
    Ok(Some((track, label("class")?.clone())))
}

#[cfg(test)]
mod tests {
    use super::super::Series;
    use super::*;

    const PAGE: &str = r#"# TYPE huidu_router_first_attempt_duration_seconds histogram
huidu_router_first_attempt_duration_seconds_bucket{class="2xx",route="blog",track="canary",le="0.25"} 7
huidu_router_first_attempt_duration_seconds_bucket{class="2xx",route="blog",track="canary",le="+Inf"} 9
huidu_router_first_attempt_duration_seconds_sum{class="2xx",route="blog",track="canary"} 1.5
huidu_router_first_attempt_duration_seconds_count{class="2xx",route="blog",track="canary"} 9
huidu_router_first_attempt_duration_seconds_count{class="2xx",route="shop",track="canary"} 1000
huidu_router_generation 7
"#;

    fn only(page: &str, bound: Option<Duration>) -> Series {
        let counters = parse(page, "blog", bound).unwrap();
        assert_eq!(counters.series.len(), 1);
        counters.series[&(Track::Canary, "2xx".to_owned())]
    }

    #[test]
    fn a_route_is_counted_by_itself() {
        assert_eq!(only(PAGE, None), Series { requests: 9, in_time: 9 });
        assert_eq!(only(PAGE, Some(Duration::from_millis(250))), Series { requests: 9, in_time: 7 });
    }

    #[test]
    fn a_router_without_requests_has_counted_nothing() {
        assert_eq!(parse("huidu_router_generation 1\n", "blog", None).unwrap(), Counters::default());
    }

    #[test]
    fn a_page_of_an_unrelated_program_is_told_by_what_it_lacks() {
        let error = parse("node_cpu_seconds_total 5\n", "blog", None).unwrap_err();
        assert!(error.starts_with("no metric huidu_router_first_attempt_duration_seconds there"), "{error}");
    }

    #[test]
    fn nan_is_refused_with_its_line() {
        let page = PAGE.replace("track=\"canary\"} 9", "track=\"canary\"} NaN");
        let error = parse(&page, "blog", None).unwrap_err();
        assert!(
            error.starts_with("line 5: huidu_router_first_attempt_duration_seconds_count is NaN"),
            "{error}"
        );
    }

    #[test]
    fn a_missing_bucket_is_named() {
        let error = parse(PAGE, "blog", Some(Duration::from_millis(500))).unwrap_err();
        assert!(error.contains("no bucket le=\"0.5\" for analysis.latencyBound"), "{error}");
    }
}
