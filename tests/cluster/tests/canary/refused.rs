//! Canaries that make no sense: refused, with the reason in their status.

use std::time::Duration;

use anyhow::ensure;
use cluster::{Cluster, Rows, eventually};
use serde_json::{Value, json};

use crate::system::{System, condition, told};

pub(crate) async fn tell(rows: &mut Rows) {
    rows.row("a second Canary for one Deployment is refused, and the first goes on", second).await;
    rows.row(
        "a Canary for a Deployment that does not exist says so, and follows it when it is there",
        nowhere,
    )
    .await;
    rows.row("a Deployment that is recreated, or that an autoscaler scales, is refused", unfit).await;
    rows.row(
        "a port that the Service does not have, or that leads nowhere, is refused with the remedy",
        ports,
    )
    .await;
    rows.row(
        "a Service that selects by pod-template-hash is refused, and followed when it does not",
        by_hash,
    )
    .await;
    rows.row("what makes no sense at all is refused at admission, with field and remedy", at_admission).await;
}

fn replicas_of(deployment: &str) -> Value {
    json!({"deployment": deployment, "mode": "replicas"})
}

async fn second(cluster: &Cluster) -> anyhow::Result<()> {
    let system = System::running(cluster, &[]).await?;
    system.follow(&replicas_of("django-blog")).await?;
    system.create("other", &replicas_of("django-blog")).await?;
    refused(&system, "other", "DeploymentTaken", "the Canary django-blog follows the Deployment already")
        .await?;
    let first = system.canary("django-blog").await?;
    ensure!(condition(&first, "Ready")?["status"] == "True", "{}", told(&first));
    Ok(())
}

async fn nowhere(cluster: &Cluster) -> anyhow::Result<()> {
    let system = System::running(cluster, &[]).await?;
    system.create("django-blog", &replicas_of("later")).await?;
    refused(&system, "django-blog", "DeploymentNotFound", "there is no Deployment later").await?;
    let image = format!("{}/blog:v1", cluster.registry());
    system.blog.kubectl(&format!("create deployment later --image {image}")).await?;
    let followed = system.reaches("Stable", Duration::from_secs(60)).await;
    system.blog.kubectl("delete deployment later").await?;
    followed.map(drop)
}

async fn unfit(cluster: &Cluster) -> anyhow::Result<()> {
    let recreate = ("replicas: 3", "replicas: 3\n  strategy: {type: Recreate}");
    let system = System::running(cluster, &[recreate]).await?;
    system.create("django-blog", &replicas_of("django-blog")).await?;
    refused(&system, "django-blog", "RecreateStrategy", "two versions cannot live together").await?;
    let system = System::running(cluster, &[]).await?;
    system.blog.kubectl("autoscale deployment django-blog --max 5").await?;
    system.create("django-blog", &replicas_of("django-blog")).await?;
    let told =
        refused(&system, "django-blog", "AutoscalerOnDeployment", "would count the candidate's pods").await;
    system.blog.kubectl("delete hpa django-blog").await?;
    told
}

async fn ports(cluster: &Cluster) -> anyhow::Result<()> {
    let system = System::running(cluster, &[]).await?;
    system.create("django-blog", &json!({"deployment": "django-blog", "port": 81})).await?;
    refused(&system, "django-blog", "PortNotFound", "has no port 81; write one that it has in spec.port")
        .await?;
    let leads_to = async |target: u16| {
        let patch = json!({"spec": {"ports": [{"port": 80, "targetPort": target}]}});
        system.blog.kubectl(&format!("patch service django-blog -p {patch}")).await
    };
    leads_to(8081).await?;
    system.create("django-blog", &json!({"deployment": "django-blog", "port": 80})).await?;
    let told = refused(&system, "django-blog", "TargetPort", "is no containerPort of the Deployment's").await;
    leads_to(8080).await?;
    told?;
    system.reaches("Stable", Duration::from_secs(30)).await.map(drop)
}

async fn by_hash(cluster: &Cluster) -> anyhow::Result<()> {
    let system = System::running(cluster, &[]).await?;
    let pods = system.blog.pods().await?;
    let hash = pods.first().map(|pod| pod.json["metadata"]["labels"]["pod-template-hash"].clone());
    let selects = async |hash: &Value| {
        let patch = json!({"spec": {"selector": {"pod-template-hash": hash}}});
        system.blog.kubectl(&format!("patch service django-blog -p {patch}")).await
    };
    selects(&json!(hash)).await?;
    system.create("django-blog", &json!({"deployment": "django-blog"})).await?;
    let told = refused(&system, "django-blog", "ServiceSelectsByHash", "take that label out").await;
    selects(&Value::Null).await?;
    told?;
    system.reaches("Stable", Duration::from_secs(30)).await.map(drop)
}

async fn at_admission(cluster: &Cluster) -> anyhow::Result<()> {
    let system = System::running(cluster, &[]).await?;
    let falling = json!({"deployment": "django-blog", "steps": [{"weight": "50%"}, {"weight": "20%"}]});
    let nothing = json!({"deployment": "django-blog", "steps": [{"weight": "0%"}, {"weight": "100%"}]});
    let unnamed = json!({"mode": "replicas"});
    for (spec, words) in [
        (falling, "weights must rise from step to step"),
        (nothing, "0 % tries nothing: write weights above 0"),
        (unnamed, "spec.deployment: Required value"),
    ] {
        let said = system
            .create("django-blog", &spec)
            .await
            .err()
            .map(|error| error.to_string())
            .unwrap_or_default();
        ensure!(said.contains(words), "{spec}: {said}");
    }
    Ok(())
}

/// A Canary is not followed, for this reason and in these words.
async fn refused(system: &System<'_>, name: &str, reason: &str, words: &str) -> anyhow::Result<()> {
    eventually(Duration::from_secs(30), async || {
        let canary = system.canary(name).await?;
        let degraded = condition(&canary, "Degraded")?;
        ensure!(degraded["status"] == "True" && degraded["reason"] == reason, "{degraded}");
        ensure!(degraded["message"].as_str().is_some_and(|message| message.contains(words)), "{degraded}");
        Ok(())
    })
    .await
}
