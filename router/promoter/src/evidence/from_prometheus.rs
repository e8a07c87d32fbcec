//! The same counters, read from a Prometheus server that scrapes the routers.
//!
//! Raw counters are asked for and subtracted here: `rate()` would reach across a change of weight. All queries of a
//! reading name the same moment, so that they see the same scrapes.

use super::queries;
use super::text::count;
use super::{Counters, FAMILY, Reading, bucket_of};
use crate::http::Client;
use jiff::Timestamp;
use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
use release::{Duration, Prometheus, Queries};
use serde::{Deserialize, Deserializer, de};
use split::Track;
use std::collections::BTreeMap;
use std::str::FromStr as _;

/// How long the server may take to answer.
const TIMEOUT: std::time::Duration = std::time::Duration::from_secs(5);

/// A Prometheus server.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct PrometheusSource {
    /// Its address, such as `http://127.0.0.1:9090`.
    #[serde(deserialize_with = "address")]
    pub address: String,
    /// More label matchers for the routers' series, such as `job="router"`.
    #[serde(default)]
    pub matchers: String,
    /// The label that tells routers apart. Default `instance`.
    #[serde(default = "instance")]
    pub instance_label: String,
    /// A router that was scraped longer ago than this counts as unreadable. Default 1m.
    #[serde(default = "one_minute")]
    pub stale_after: Duration,
    /// Queries in place of those for Huidu's routers.
    #[serde(default)]
    pub queries: Option<Queries>,
}

/// Asks a server.
#[derive(Debug)]
pub struct PrometheusReader {
    source: PrometheusSource,
    route: String,
    client: Client,
}

/// An answer of `/api/v1/query`. Source: <https://prometheus.io/docs/prometheus/latest/querying/api/>.
#[derive(Deserialize)]
#[serde(tag = "status", rename_all = "lowercase")]
enum Answer {
    Success { data: Data },
    Error { error: String },
}

#[derive(Deserialize)]
struct Data {
    #[serde(rename = "resultType")]
    result_type: String,
    result: serde_json::Value,
}

#[derive(Deserialize)]
pub(super) struct Item {
    pub(super) metric: BTreeMap<String, String>,
    value: (f64, String),
}

// === impl PrometheusSource ===

impl PrometheusSource {
    /// A server at this address, with everything else by default.
    pub fn at(address: &str) -> Self {
        Self {
            address: address.trim_end_matches('/').to_owned(),
            matchers: String::new(),
            instance_label: instance(),
            stale_after: one_minute(),
            queries: None,
        }
    }

    /// The server that a spec names, or the promoter's own.
    ///
    /// # Errors
    /// A sentence where neither names one, or where it is no address.
    pub fn of(spec: &Prometheus, own: Option<&str>) -> Result<Self, String> {
        let Prometheus { address, matchers, instance_label, stale_after, queries } = spec.clone();
        let address = address.as_deref().or(own).ok_or(
            "analysis.prometheus.address: neither the Canary nor the promoter (--prometheus) names a server",
        )?;
        let address = checked(address).map_err(|why| format!("analysis.prometheus.address: {why}"))?;
        Ok(Self { address, matchers, instance_label, stale_after, queries })
    }
}

// === impl PrometheusReader ===

impl PrometheusReader {
    /// A reader of `route`.
    pub fn new(source: &PrometheusSource, route: &str) -> Self {
        Self { source: source.clone(), route: route.to_owned(), client: Client::new(TIMEOUT) }
    }

    /// Reads all routers at once.
    pub async fn read(&self, latency_bound: Option<Duration>) -> Reading {
        let now = Timestamp::now();
        self.read_at(now, latency_bound).await.unwrap_or_else(|why| {
            let address = self.source.address.clone();
            let routers = [(address.clone(), Err(format!("{address}: {why}")))].into();
            Reading { at: now, routers }
        })
    }

    /// What is asked, as a person may ask it too.
    pub fn queries(&self, latency_bound: Option<Duration>) -> Vec<String> {
        if let Some(queries) = &self.source.queries {
            return queries::texts(queries).map(str::to_owned).to_vec();
        }
        let label = &self.source.instance_label;
        let sum = |selector: String| format!("sum by ({label}, track, class) ({selector})");
        let slow = latency_bound.and_then(bucket_of).map(|bound| sum(self.in_time(bound)));
        std::iter::once(sum(self.selector("count", ""))).chain(slow).collect()
    }

    async fn read_at(&self, now: Timestamp, latency_bound: Option<Duration>) -> Result<Reading, String> {
        if let Some(queries) = &self.source.queries {
            return queries::read(self, queries, now).await;
        }
        let label = &self.source.instance_label;
        let counts = self.selector("count", "");
        let scraped = self.ask(now, &format!("min by ({label}) (timestamp({counts}))")).await?;
        let requests = format!("sum by ({label}, track, class) ({counts})");
        let requests = self.ask(now, &requests).await?;
        if requests.is_empty() {
            return Err(format!("no data for {counts}; does it scrape the routers?"));
        }
        let in_time = match latency_bound.and_then(bucket_of) {
            Some(bound) => {
                let query = format!("sum by ({label}, track, class) ({})", self.in_time(bound));
                Some((query.clone(), self.ask(now, &query).await?))
            }
            None => None,
        };
        self.reading(now, &scraped, &requests, in_time.as_ref())
    }

    fn reading(
        &self,
        now: Timestamp,
        scraped: &[Item],
        requests: &[Item],
        in_time: Option<&(String, Vec<Item>)>,
    ) -> Result<Reading, String> {
        let mut routers = BTreeMap::<String, Result<Counters, String>>::new();
        for item in requests {
            let (router, key) = self.key(item)?;
            let requests = count(number(item)?, &format!("{FAMILY}_count of {router}"))?;
            let entry = routers.entry(router).or_insert_with(|| Ok(Counters::default()));
            if let Ok(counters) = entry {
                let series = counters.series.entry(key).or_default();
                (series.requests, series.in_time) = (requests, requests);
            }
        }
        if let Some((query, buckets)) = in_time {
            if buckets.len() < requests.len() {
                return Err(format!(
                    "too few answers to {query}; is analysis.latencyBound the bound of a bucket?"
                ));
            }
            for item in buckets {
                let (router, key) = self.key(item)?;
                let in_time = count(number(item)?, &format!("{FAMILY}_bucket of {router}"))?;
                if let Some(Ok(counters)) = routers.get_mut(&router)
                    && let Some(series) = counters.series.get_mut(&key)
                {
                    series.in_time = in_time;
                }
            }
        }
        let mut at = now;
        for item in scraped {
            let router = self.router(item)?;
            let when = moment(number(item)?)?;
            let age = now.duration_since(when).unsigned_abs();
            if age > self.source.stale_after.get() {
                let why = format!("{router} was scraped {}s ago; is it up?", age.as_secs());
                routers.insert(router, Err(format!("{}: {why}", self.source.address)));
            } else {
                at = at.min(when);
            }
        }
        Ok(Reading { at, routers })
    }

    /// The series of one kind, as a query selects them.
    fn selector(&self, kind: &str, more: &str) -> String {
        let matchers = self.source.matchers.trim_matches([',', ' ']);
        let comma = if matchers.is_empty() { "" } else { "," };
        format!("{FAMILY}_{kind}{{route=\"{}\"{comma}{matchers}{more}}}", self.route)
    }

    /// The requests that took no longer than `bound`.
    fn in_time(&self, bound: f64) -> String {
        self.selector("bucket", &format!(",le=~\"{}\"", le_pattern(bound)))
    }

    /// The server's address.
    pub(crate) fn address(&self) -> &str {
        &self.source.address
    }

    /// The label that tells routers apart.
    pub(super) fn instance_label(&self) -> &str {
        &self.source.instance_label
    }

    /// The items of an instant query.
    pub(super) async fn ask(&self, now: Timestamp, query: &str) -> Result<Vec<Item>, String> {
        let encoded = utf8_percent_encode(query, NON_ALPHANUMERIC);
        let time = format!("{}.{:03}", now.as_second(), now.subsec_millisecond());
        let uri = format!("{}/api/v1/query?query={encoded}&time={time}", self.source.address);
        let answer = self.client.get(&uri).await.map_err(|error| error.to_string())?;
        match serde_json::from_slice::<Answer>(&answer.body) {
            Ok(Answer::Success { data }) if data.result_type == "vector" => {
                serde_json::from_value(data.result)
                    .map_err(|error| format!("the answer to {query} is malformed: {error}"))
            }
            Ok(Answer::Success { data }) => {
                Err(format!("the answer to {query} is a {}, not a vector", data.result_type))
            }
            Ok(Answer::Error { error }) => Err(format!("it refused {query}: {error}")),
            Err(_) => Err(format!("answered {} and no Prometheus JSON; check the address", answer.status)),
        }
    }

    fn key(&self, item: &Item) -> Result<(String, (Track, String)), String> {
        let track = Track::from_str(label(item, "track")?).map_err(|error| error.to_string())?;
        Ok((self.router(item)?, (track, label(item, "class")?.to_owned())))
    }

    fn router(&self, item: &Item) -> Result<String, String> {
        label(item, &self.source.instance_label).map(str::to_owned)
    }
}

fn label<'a>(item: &'a Item, name: &str) -> Result<&'a str, String> {
    let value = item.metric.get(name).map(String::as_str);
    value.ok_or_else(|| format!("a series of {FAMILY} has no label `{name}`"))
}

pub(super) fn number(item: &Item) -> Result<f64, String> {
    item.value.1.parse().map_err(|_| format!("`{}` is not a number", item.value.1))
}

/// A time as Prometheus has it, in seconds with fractions.
fn moment(seconds: f64) -> Result<Timestamp, String> {
    let invalid = || format!("{seconds} is not a time of scraping");
    let since = jiff::SignedDuration::try_from_secs_f64(seconds).map_err(|_| invalid())?;
    Timestamp::from_duration(since).map_err(|_| invalid())
}

/// Prometheus 2 keeps `le="1"` as it was scraped, Prometheus 3 writes it `1.0`.
fn le_pattern(bound: f64) -> String {
    let text = bound.to_string();
    if text.contains('.') { text.replace('.', "\\\\.") } else { format!("{text}(\\\\.0)?") }
}

fn address<'de, D: Deserializer<'de>>(deserializer: D) -> Result<String, D::Error> {
    checked(&String::deserialize(deserializer)?).map_err(de::Error::custom)
}

fn checked(text: &str) -> Result<String, String> {
    let uri = text.parse::<hyper::Uri>().ok();
    let uri = uri.filter(|uri| uri.scheme_str() == Some("http") && uri.host().is_some());
    uri.map(|_| text.trim_end_matches('/').to_owned()).ok_or_else(|| {
        format!("`{text}` is not the address of a Prometheus; write it as http://127.0.0.1:9090")
    })
}

fn instance() -> String {
    "instance".to_owned()
}

fn one_minute() -> Duration {
    Duration::from_secs(60)
}

#[cfg(test)]
mod tests {
    use super::super::{Baseline, Series};
    use super::*;
    use axum::Router;
    use axum::extract::Query;
    use axum::routing::get;
    use release::Sample;

    /// A server that answers each query by what it contains, as `(part of the query, answer)`.
    async fn server(answers: Vec<(&'static str, String)>) -> PrometheusReader {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = format!("http://{}", listener.local_addr().unwrap());
        let app = Router::new().route(
            "/api/v1/query",
            get(async move |Query(query): Query<BTreeMap<String, String>>| {
                let answer = answers.iter().find(|(part, _)| query["query"].contains(part));
                answer.map(|(_, answer)| answer.clone()).unwrap_or_default()
            }),
        );
        tokio::spawn(async move { axum::serve(listener, app).await.unwrap() });
        PrometheusReader::new(&PrometheusSource::at(&address), "blog")
    }

    fn vector(items: &[(&str, &str, &str)]) -> String {
        let items = items.iter().map(|(instance, class, value)| {
            serde_json::json!({
                "metric": {"instance": instance, "track": "canary", "class": class}, "value": [0, value],
            })
        });
        let result: Vec<_> = items.collect();
        serde_json::json!({"status": "success", "data": {"resultType": "vector", "result": result}})
            .to_string()
    }

    fn scraped(seconds_ago: i64) -> String {
        let when = Timestamp::now().as_second() - seconds_ago;
        vector(&[("a", "", &when.to_string())])
    }

    async fn problem(answers: Vec<(&'static str, String)>) -> String {
        let reader = server(answers).await;
        match Baseline::default().advance(reader.read(None).await) {
            Some(Sample::Unavailable(why)) => {
                assert!(why.starts_with(&reader.source.address), "{why}");
                why
            }
            other => panic!("readable: {other:?}"),
        }
    }

    #[tokio::test]
    async fn raw_counters_are_read_with_the_time_of_their_scrape() {
        let reader = server(vec![
            ("timestamp", scraped(7)),
            ("le=~\"0\\\\.25\"", vector(&[("a", "2xx", "7")])),
            ("_count", vector(&[("a", "2xx", "9")])),
        ])
        .await;
        let reading = reader.read(Some(Duration::from_millis(250))).await;
        let counters = reading.routers["a"].clone().unwrap();
        assert_eq!(counters.series[&(Track::Canary, "2xx".to_owned())], Series { requests: 9, in_time: 7 });
        let age = Timestamp::now().duration_since(reading.at).as_secs();
        assert!((7..60).contains(&age), "{age}");
    }

    #[tokio::test]
    async fn answers_that_say_nothing_are_named() {
        let good = || vector(&[("a", "2xx", "9")]);
        let matrix = r#"{"status":"success","data":{"resultType":"matrix","result":[]}}"#.to_owned();
        let refused =
            r#"{"status":"error","errorType":"bad_data","error":"parse error at char 3"}"#.to_owned();
        for (answers, part) in [
            (
                vec![("timestamp", vector(&[])), ("_count", vector(&[]))],
                "no data for huidu_router_first_attempt",
            ),
            (vec![("timestamp", scraped(3600)), ("_count", good())], "a was scraped 3600s ago; is it up?"),
            (
                vec![("timestamp", scraped(1)), ("_count", vector(&[("a", "2xx", "NaN")]))],
                "is NaN, and a counter",
            ),
            (vec![("timestamp", matrix)], "is a matrix, not a vector"),
            (vec![("timestamp", refused)], "parse error at char 3"),
            (vec![("timestamp", "<html>".to_owned())], "no Prometheus JSON"),
        ] {
            let why = problem(answers).await;
            assert!(why.contains(part), "{part}: {why}");
        }
    }

    #[tokio::test]
    async fn a_server_that_is_down_is_named() {
        let reader = PrometheusReader::new(&PrometheusSource::at("http://127.0.0.1:1"), "blog");
        let reading = reader.read(None).await;
        let why = reading.routers["http://127.0.0.1:1"].clone().unwrap_err();
        assert_eq!(why, "http://127.0.0.1:1: connection refused");
    }
}
