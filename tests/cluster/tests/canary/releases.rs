//! Whole releases by the router, under a hundred requests a second.

use std::time::Duration;

use anyhow::ensure;
use cluster::{Cluster, Rows, eventually};
use serde_json::{Value, json};

use crate::system::{System, told};

/// A release of five steps, each with the requests that its evidence needs; a machine that is busy takes longer.
const WHOLE: Duration = Duration::from_secs(210);

pub(crate) async fn tell(rows: &mut Rows) {
    rows.row("a good release fails no request, and the verified pods become the Deployment's own", good)
        .await;
    rows.row(
        "a release with 30 % errors is taken back, readers see none of them, and stable is untouched",
        bad,
    )
    .await;
    rows.long_row(
        "after a bad release retry tries it again, undo gives it up, and a new template is a release",
        after,
    )
    .await;
}

/// The smallest useful object, judged by what Prometheus counts, a little more often.
pub(crate) fn often() -> Value {
    json!({"deployment": "django-blog", "analysis": {"interval": "2s", "prometheus": {}}})
}

async fn good(cluster: &Cluster) -> anyhow::Result<()> {
    let system = System::running(cluster, &[]).await?;
    system.follow(&often()).await?;
    let stable = system.blog.uids().await?;
    let load = system.load()?;
    system.release("v2").await?;
    let verified = system.verified(&stable, 3, WHOLE).await?;
    system.promoted("v2", WHOLE).await?;
    load.stop().await?.nothing_failed()?;
    ensure!(system.blog.uids().await? == verified, "other pods than those that were verified");
    system.has_nothing_extra().await?;
    let history = system.blog.kubectl("rollout history deployment/django-blog").await?;
    ensure!(history.lines().filter(|line| line.starts_with(['1', '2', '3'])).count() == 2, "{history}");
    system.blog.rolled_out().await?;
    applied_again(&system).await
}

/// The user's own manifest, applied again and again, writes nothing.
async fn applied_again(system: &System<'_>) -> anyhow::Result<()> {
    let manifest = [("blog:v1", "blog:v2"), crate::system::SMALL];
    system.blog.apply(&manifest).await?;
    let versions = async || {
        let list =
            system.blog.cluster.get("deployments,canaries,replicasets,services,httproutes -n blog").await?;
        let items = list["items"].as_array().cloned().unwrap_or_default();
        let version = |item: &Value| {
            format!("{} {} {}", item["kind"], item["metadata"]["name"], item["metadata"]["resourceVersion"])
        };
        anyhow::Ok(items.iter().map(version).collect::<Vec<_>>())
    };
    let before = eventually(Duration::from_secs(30), async || {
        let before = versions().await?;
        tokio::time::sleep(Duration::from_secs(3)).await;
        ensure!(versions().await? == before, "it does not come to rest");
        Ok(before)
    })
    .await?;
    for _ in 0..10 {
        system.blog.apply(&manifest).await?;
    }
    tokio::time::sleep(Duration::from_secs(3)).await;
    let after = versions().await?;
    ensure!(after == before, "{before:?} became {after:?}");
    Ok(())
}

async fn bad(cluster: &Cluster) -> anyhow::Result<()> {
    let system = System::running(cluster, &[]).await?;
    system.follow(&often()).await?;
    let stable = system.blog.uids().await?;
    let load = system.load()?;
    system.release("faulty").await?;
    let failed = system.reaches("Failed", WHOLE).await?;
    ensure!(failed["status"]["route"]["weight"] == "0%", "{}", told(&failed));
    let report = load.stop().await?;
    report.nothing_failed()?;
    ensure!(report.versions.contains_key("faulty"), "nobody met it: {:?}", report.versions);
    ensure!(system.blog.uids().await? == stable, "the pods of stable were touched");
    within_thirty_seconds(&failed)
}

/// From the first tick with errors of the candidate to the end of the release.
fn within_thirty_seconds(failed: &Value) -> anyhow::Result<()> {
    let ticks = failed["status"]["ticks"].as_array().cloned().unwrap_or_default();
    let bad = ticks.iter().find(|tick| tick["counts"]["canary"]["errors"].as_u64() > Some(0));
    let time = |value: &Value| value.as_str().and_then(|text| text.parse::<jiff::Timestamp>().ok());
    let first = bad.and_then(|tick| time(&tick["at"]));
    let ended = time(&failed["status"]["since"]);
    let (Some(first), Some(ended)) = (first, ended) else { anyhow::bail!("no bad tick in {}", told(failed)) };
    let took = ended.duration_since(first).as_secs();
    ensure!(took <= 30, "{took} s from the first bad tick to the end: {}", told(failed));
    Ok(())
}

async fn after(cluster: &Cluster) -> anyhow::Result<()> {
    let system = System::running(cluster, &[]).await?;
    system.follow(&often()).await?;
    let load = system.load()?;
    system.release("faulty").await?;
    system.reaches("Failed", WHOLE).await?;
    system.say("retry").await?;
    system.reaches("Progressing", Duration::from_secs(30)).await?;
    let failed = system.reaches("Failed", WHOLE).await?;
    let tries = failed["status"]["history"].as_array().map_or(0, Vec::len);
    ensure!(tries == 2, "{tries} releases have ended: {}", told(&failed));
    system.say("undo").await?;
    system.reaches("Stable", Duration::from_secs(30)).await?;
    ensure!(system.image().await?.ends_with("/blog:v1"), "the template asks for {}", system.image().await?);
    system.release("v2").await?;
    system.promoted("v2", WHOLE).await?;
    load.stop().await?.nothing_failed()
}
