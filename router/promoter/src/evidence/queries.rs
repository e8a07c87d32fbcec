//! Counts by queries of the user's own, where something else than Huidu's router carries the requests.

use super::from_prometheus::{Item, PrometheusReader, number};
use super::text::count;
use super::{Counters, Reading, Series};
use jiff::{SignedDuration, Timestamp};
use release::Queries;
use split::Track;
use std::collections::BTreeMap;

/// The class of what did not fail, and of what did.
const GOOD: &str = "good";
const BAD: &str = "error";

/// The queries in the order in which they are asked.
pub(super) fn texts(queries: &Queries) -> [&str; 4] {
    let Queries { stable_requests, stable_errors, canary_requests, canary_errors, .. } = queries;
    [stable_requests, stable_errors, canary_requests, canary_errors]
}

/// Reads all four for the same moment.
///
/// When something was scraped cannot be seen through a query of any kind, so the answer is believed to be as old as it
/// may be.
pub(super) async fn read(
    reader: &PrometheusReader,
    queries: &Queries,
    now: Timestamp,
) -> Result<Reading, String> {
    let mut routers = BTreeMap::<String, Counters>::new();
    let Queries { stable_requests, stable_errors, canary_requests, canary_errors, lag } = queries;
    for (track, requests, errors) in
        [(Track::Stable, stable_requests, stable_errors), (Track::Canary, canary_requests, canary_errors)]
    {
        let all = counters(reader, requests, now).await?;
        if all.is_empty() && track == Track::Stable {
            return Err(format!("no data for {requests}"));
        }
        let failed = counters(reader, errors, now).await?;
        if let Some(router) = failed.keys().find(|router| !all.contains_key(*router)) {
            return Err(format!("{errors} has a series `{router}` that {requests} has not"));
        }
        for (router, requests) in all {
            let errors = failed.get(&router).copied().unwrap_or(0);
            let good = requests
                .checked_sub(errors)
                .ok_or_else(|| format!("{router}: {errors} failures among {requests} requests"))?;
            let series = |requests| Series { requests, in_time: requests };
            let counters = routers.entry(router).or_default();
            counters.series.insert((track, GOOD.to_owned()), series(good));
            counters.series.insert((track, BAD.to_owned()), series(errors));
        }
    }
    let lag = SignedDuration::try_from(lag.get()).unwrap_or(SignedDuration::MAX);
    let at = now.checked_sub(lag).unwrap_or(Timestamp::MIN);
    Ok(Reading {
        at,
        routers: routers.into_iter().map(|(router, counters)| (router, Ok(counters))).collect(),
    })
}

/// The counters of one query, by what the instance label says; `all` where there is none.
async fn counters(
    reader: &PrometheusReader,
    query: &str,
    now: Timestamp,
) -> Result<BTreeMap<String, u64>, String> {
    let mut counters = BTreeMap::new();
    for item in reader.ask(now, query).await? {
        let router = router(reader, &item);
        let value = count(number(&item)?, query)?;
        if counters.insert(router.clone(), value).is_some() {
            let label = reader.instance_label();
            return Err(format!("{query} has two series `{router}`; write it as sum by ({label}) (…)"));
        }
    }
    Ok(counters)
}

fn router(reader: &PrometheusReader, item: &Item) -> String {
    item.metric.get(reader.instance_label()).cloned().unwrap_or_else(|| "all".to_owned())
}

#[cfg(test)]
mod tests {
    use super::super::{Baseline, PrometheusSource};
    use super::*;
    use axum::Router;
    use axum::extract::Query;
    use axum::routing::get;
    use release::{Duration, Sample, Tally};
    use std::sync::{Arc, Mutex};

    /// A server whose answers can be changed, each by the query that asks for it.
    async fn server(answers: &[(&str, &str)]) -> (PrometheusReader, Arc<Mutex<BTreeMap<String, String>>>) {
        let answers = answers.iter().map(|(query, value)| ((*query).to_owned(), (*value).to_owned()));
        let answers = Arc::new(Mutex::new(answers.collect::<BTreeMap<_, _>>()));
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let mut source = PrometheusSource::at(&format!("http://{}", listener.local_addr().unwrap()));
        source.queries = Some(Queries {
            stable_requests: "sr".to_owned(),
            stable_errors: "se".to_owned(),
            canary_requests: "cr".to_owned(),
            canary_errors: "ce".to_owned(),
            lag: Duration::from_secs(15),
        });
        let served = answers.clone();
        let app = Router::new().route(
            "/api/v1/query",
            get(async move |Query(query): Query<BTreeMap<String, String>>| {
                let value = served.lock().unwrap().get(&query["query"]).cloned();
                let items = value.map(|value| serde_json::json!({"metric": {}, "value": [0, value]}));
                let result: Vec<_> = items.into_iter().collect();
                serde_json::json!({"status": "success", "data": {"resultType": "vector", "result": result}})
                    .to_string()
            }),
        );
        tokio::spawn(async move { axum::serve(listener, app).await.unwrap() });
        (PrometheusReader::new(&source, "blog"), answers)
    }

    async fn problem(answers: &[(&str, &str)]) -> String {
        let (reader, _) = server(answers).await;
        match Baseline::default().advance(reader.read(None).await) {
            Some(Sample::Unavailable(why)) => why,
            other => panic!("readable: {other:?}"),
        }
    }

    #[tokio::test]
    async fn four_counts_come_from_four_queries() {
        let (reader, answers) = server(&[("sr", "100"), ("cr", "10")]).await;
        assert_eq!(reader.queries(None), ["sr", "se", "cr", "ce"]);
        let mut baseline = Baseline::default();
        assert_eq!(baseline.advance(reader.read(None).await), None);
        answers.lock().unwrap().extend(
            [("sr", "190"), ("se", "1"), ("cr", "20"), ("ce", "3")]
                .map(|(query, value)| (query.to_owned(), value.to_owned())),
        );
        let Some(Sample::Window(window)) = baseline.advance(reader.read(None).await) else { panic!() };
        assert_eq!(window.counts.stable, Tally::new(90, 1));
        assert_eq!(window.counts.canary, Tally::new(10, 3));
        assert!(Timestamp::now().duration_since(window.to).as_secs() >= 15, "no younger than its lag");
    }

    #[tokio::test]
    async fn what_is_no_counter_is_named_with_its_query() {
        for (answers, part) in [
            (vec![], "no data for sr"),
            (vec![("sr", "10.5")], "sr is 10.5, and a counter is a whole number"),
            (vec![("sr", "NaN")], "sr is NaN"),
            (vec![("sr", "10"), ("se", "11")], "all: 11 failures among 10 requests"),
            (vec![("sr", "10"), ("ce", "1")], "ce has a series `all` that cr has not"),
        ] {
            let why = problem(&answers).await;
            assert!(why.contains(part), "{part}: {why}");
        }
    }
}
