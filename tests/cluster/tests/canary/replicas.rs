//! Mode `replicas`: no router, the share is the share of the pods.

use std::time::Duration;

use anyhow::ensure;
use cluster::{Cluster, Rows, eventually};
use serde_json::{Value, json};

use crate::system::{System, told};

const FOUR: [(&str, &str); 1] = [("replicas: 3", "replicas: 4")];
/// Prometheus reads the blog's own metrics.
const SCRAPED: (&str, &str) = (
    "        app: django-blog\n    spec:",
    "        app: django-blog\n      annotations: {prometheus.io/scrape: \"true\", prometheus.io/port: \"9090\"}\n    spec:",
);
const SOON: Duration = Duration::from_secs(60);

pub(crate) async fn tell(rows: &mut Rows) {
    rows.row("shares follow the number of pods, and the verified pods become the Deployment's own", shares)
        .await;
    rows.row("a version with errors is taken back by what Prometheus counts at the pods", judged).await;
    rows.row("an aborted release leaves the pods of stable as they were, and retry begins again", aborted)
        .await;
}

/// Every step waits for a person.
fn by_hand() -> Value {
    json!({
        "deployment": "django-blog",
        "mode": "replicas",
        "steps": [{"weight": "25%", "pause": {}}, {"weight": "50%", "pause": {}}, {"weight": "100%", "pause": {}}],
    })
}

async fn shares(cluster: &Cluster) -> anyhow::Result<()> {
    let system = System::running(cluster, &FOUR).await?;
    system.follow(&by_hand()).await?;
    let readers = system.blog.readers();
    system.release("v2").await?;
    for tags in [["v1", "v1", "v1", "v2"], ["v1", "v1", "v2", "v2"], ["v2"; 4]] {
        has_pods(&system, &tags).await?;
        if tags[0] == "v1" {
            serves_as_its_pods(&system, &tags).await?;
        }
        system.say("promote").await?;
    }
    let verified = system.blog.uids().await?;
    system.promoted("v2", SOON).await?;
    readers.stop().await?.only(&["v1", "v2"])?;
    ensure!(system.blog.uids().await? == verified, "other pods than those that were verified");
    let history = system.blog.kubectl("rollout history deployment/django-blog").await?;
    ensure!(history.lines().filter(|line| line.starts_with(['1', '2', '3'])).count() == 2, "{history}");
    system.blog.rolled_out().await
}

async fn aborted(cluster: &Cluster) -> anyhow::Result<()> {
    let system = System::running(cluster, &FOUR).await?;
    system.follow(&by_hand()).await?;
    let readers = system.blog.readers();
    system.release("v2").await?;
    has_pods(&system, &["v1", "v1", "v1", "v2"]).await?;
    system.say("abort").await?;
    let canary = system.reaches("Failed", SOON).await?;
    ensure!(canary["status"]["cause"]["reason"] == "Aborted", "{}", told(&canary));
    has_pods(&system, &["v1"; 4]).await?;
    system.say("retry").await?;
    has_pods(&system, &["v1", "v1", "v1", "v2"]).await?;
    system.say("undo").await?;
    system.reaches("Stable", SOON).await?;
    has_pods(&system, &["v1"; 4]).await?;
    readers.stop().await?.only(&["v1", "v2"])
}

async fn judged(cluster: &Cluster) -> anyhow::Result<()> {
    let system = System::running(cluster, &[FOUR[0], SCRAPED]).await?;
    let counted = |matchers: &str, versions: &str| {
        let build = format!("blog_build_info{{version{versions}\"v1\"}}");
        format!("sum by (instance) (http_requests_total{{{matchers}}} * on (instance) group_left () {build})")
    };
    let failed = "status=~\"5..\"";
    let queries = json!({
        "stableRequests": counted("", "="), "stableErrors": counted(failed, "="),
        "canaryRequests": counted("", "!="), "canaryErrors": counted(failed, "!="),
        "lag": "2s",
    });
    let spec = json!({
        "deployment": "django-blog",
        "mode": "replicas",
        "steps": [{"weight": "25%"}, {"weight": "100%"}],
        "analysis": {"interval": "2s", "prometheus": {"queries": queries}},
    });
    system.follow(&spec).await?;
    let stable = system.blog.uids().await?;
    let readers = system.blog.readers();
    system.release("faulty").await?;
    let failed = system.reaches("Failed", 2 * SOON).await?;
    let reason = &failed["status"]["cause"]["reason"];
    ensure!(reason == "ErrorRate" || reason == "FailFast", "{}", told(&failed));
    has_pods(&system, &["v1"; 4]).await?;
    ensure!(
        system.blog.uids().await?.intersection(&stable).count() == 3,
        "more than one pod of stable was replaced"
    );
    let seen = readers.stop().await?;
    ensure!(seen.failures().iter().all(|failure| *failure == "500 from faulty"), "{:?}", seen.failures());
    Ok(())
}

async fn has_pods(system: &System<'_>, tags: &[&str]) -> anyhow::Result<()> {
    eventually(SOON, async || {
        let canary = system.canary("django-blog").await?;
        let pods = system.blog.pods().await?;
        let ready = pods.iter().filter(|pod| pod.is_ready()).count();
        let mut running: Vec<_> = pods.iter().map(|pod| pod.tag.as_str()).collect();
        running.sort_unstable();
        ensure!(running == tags && ready == tags.len(), "{running:?}, {ready} ready: {}", told(&canary));
        Ok(())
    })
    .await
}

/// Of many requests, each on a connection of its own, a version answers about the share that its pods have.
async fn serves_as_its_pods(system: &System<'_>, tags: &[&str]) -> anyhow::Result<()> {
    const REQUESTS: u32 = 300;
    tokio::time::sleep(cluster::blog::KUBE_PROXY_SYNC).await;
    let mut new = 0_u32;
    for _ in 0..REQUESTS {
        let answer = cluster::http::get(system.blog.address(), "/healthz").await?;
        new += u32::from(answer.version == "v2");
    }
    let pods = tags.iter().filter(|tag| **tag == "v2").count();
    #[expect(clippy::cast_precision_loss, reason = "a share of some pods")]
    let share = pods as f64 / tags.len() as f64;
    // kube-proxy chooses at random: five standard deviations happen once in a million runs.
    let (expected, deviation) =
        (share * f64::from(REQUESTS), (share * (1.0 - share) * f64::from(REQUESTS)).sqrt());
    let off = (f64::from(new) - expected).abs();
    ensure!(off <= 5.0 * deviation, "v2 answered {new} of {REQUESTS} with {pods} of {} pods", tags.len());
    Ok(())
}
