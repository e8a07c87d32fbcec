//! Counts that cannot be had: the release waits, with the reason, and is neither taken back nor let through.

use std::time::Duration;

use anyhow::ensure;
use cluster::{Cluster, Rows};
use serde_json::{Value, json};

use crate::system::{System, told};

const SOON: Duration = Duration::from_secs(60);
const WHOLE: Duration = Duration::from_secs(150);
/// Several readings of the counts.
const A_WHILE: Duration = Duration::from_secs(8);

pub(crate) async fn tell(rows: &mut Rows) {
    rows.long_row(
        "a Prometheus that is away, or has other series, holds a release by name until it answers again",
        away_and_empty,
    )
    .await;
}

/// Two steps, judged by what Prometheus has of the series that these matchers find.
fn judged(matchers: &str) -> Value {
    json!({
        "deployment": "django-blog",
        "steps": [{"weight": "50%"}, {"weight": "100%"}],
        "analysis": {"interval": "2s", "prometheus": {"matchers": matchers}},
    })
}

async fn away_and_empty(cluster: &Cluster) -> anyhow::Result<()> {
    let system = System::running(cluster, &[]).await?;
    system.follow(&judged("job=\"nothing-of-this-name\"")).await?;
    let load = system.load()?;
    system.release("v2").await?;
    held(&system, "no data for").await?;
    cluster.kubectl("scale deployment prometheus -n monitoring --replicas 0").await?;
    cluster.kubectl("wait pod -n monitoring -l app=prometheus --for delete --timeout 60s").await?;
    system.create("django-blog", &judged("")).await?;
    let away = held(&system, "http://prometheus.monitoring:9090").await;
    cluster.kubectl("scale deployment prometheus -n monitoring --replicas 1").await?;
    away?;
    cluster.kubectl("rollout status deployment/prometheus -n monitoring --timeout 60s").await?;
    system.promoted("v2", WHOLE).await?;
    load.stop().await?.nothing_failed()
}

/// The release waits for counts, with these words, and goes on waiting at the same weight.
async fn held(system: &System<'_>, words: &str) -> anyhow::Result<()> {
    let waits = async |canary: &Value| {
        let status = &canary["status"];
        let message = status["hold"]["message"].as_str().unwrap_or_default();
        ensure!(
            status["phase"] == "Progressing"
                && status["route"]["weight"] == "50%"
                && status["hold"]["reason"] == "SourceUnavailable"
                && message.contains(words),
            "not held for «{words}»: {}",
            told(canary)
        );
        Ok(())
    };
    system.becomes(SOON, waits).await?;
    tokio::time::sleep(A_WHILE).await;
    system.becomes(Duration::from_secs(5), waits).await.map(drop)
}
