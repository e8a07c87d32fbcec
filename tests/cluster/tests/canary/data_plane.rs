//! Another implementation of the Gateway API in the router's place: what it says of the HTTPRoute is its word.

use std::time::Duration;

use anyhow::{Context as _, ensure};
use cluster::{Cluster, Rows};
use serde_json::{Value, json};

use crate::system::{System, told};

const SOON: Duration = Duration::from_secs(60);
const WHOLE: Duration = Duration::from_secs(120);
const A_WHILE: Duration = Duration::from_secs(4);

pub(crate) async fn tell(rows: &mut Rows) {
    rows.long_row(
        "another data plane is waited for until the HTTPRoute's status says that it has each generation",
        by_status,
    )
    .await;
}

async fn by_status(cluster: &Cluster) -> anyhow::Result<()> {
    let system = System::running(cluster, &[]).await?;
    let parent = json!({"name": "elsewhere"});
    system
        .follow(&json!({
            "deployment": "django-blog",
            "route": {"acknowledgement": "ParentStatus", "parentRefs": [parent]},
            "steps": [{"weight": "100%"}],
        }))
        .await?;
    system.release("v2").await?;
    let unheard = async |canary: &Value| waits(canary, "elsewhere (says nothing about the HTTPRoute)");
    system.becomes(SOON, unheard).await?;
    tokio::time::sleep(A_WHILE).await;
    system.becomes(Duration::ZERO, unheard).await?;
    let first = acknowledge(&system).await?;
    system
        .becomes(SOON, async |canary| {
            let status = &canary["status"];
            ensure!(status["route"]["weight"] == "100%", "{}", told(canary));
            waits(canary, &format!("elsewhere (at generation {first} of "))
        })
        .await?;
    system
        .becomes(SOON, async |canary| {
            acknowledge(&system).await?;
            // Nobody counts here; what matters is that the weight is in force.
            ensure!(canary["status"]["hold"]["reason"] == "SourceUnavailable", "{}", told(canary));
            Ok(())
        })
        .await?;
    system.say("promote").await?;
    system
        .becomes(WHOLE, async |canary| {
            acknowledge(&system).await?;
            ensure!(canary["status"]["phase"] == "Stable", "{}", told(canary));
            Ok(())
        })
        .await?;
    system.promoted("v2", SOON).await.map(drop)
}

fn waits(canary: &Value, words: &str) -> anyhow::Result<()> {
    let hold = &canary["status"]["hold"];
    let message = hold["message"].as_str().unwrap_or_default();
    ensure!(
        hold["reason"] == "AwaitingAcknowledgement" && message.contains(words),
        "not waiting for «{words}»: {}",
        told(canary)
    );
    Ok(())
}

/// Says in the HTTPRoute's status, as that data plane would, that its present generation is in force.
async fn acknowledge(system: &System<'_>) -> anyhow::Result<i64> {
    let route = system.blog.cluster.get("httproute -n blog django-blog").await?;
    let generation = route["metadata"]["generation"].as_i64().context("an HTTPRoute without a generation")?;
    let condition = |kind: &str| {
        json!({
            "type": kind, "status": "True", "reason": kind, "message": "", "observedGeneration": generation,
            "lastTransitionTime": "2026-01-01T00:00:00Z",
        })
    };
    let parent = json!({
        "parentRef": {"name": "elsewhere"},
        "controllerName": "example.com/elsewhere",
        "conditions": [condition("Accepted"), condition("ResolvedRefs")],
    });
    let patch = json!({"status": {"parents": [parent]}});
    let line = format!("patch httproute django-blog --subresource status --type merge -p {patch}");
    system.blog.kubectl(&line).await?;
    Ok(generation)
}
