//! `kubectl canary` on a real cluster: a person's words, and what is answered.

mod hook;
mod person;

use std::collections::BTreeSet;
use std::process::ExitCode;
use std::time::Duration;

use anyhow::ensure;
use cluster::images::Wanted;
use cluster::{Cluster, Group, Rows, eventually};

use hook::Hook;
use person::{Person, Promoter};

const GROUPS: &[Group] = &[Group { name: "verbs", tell: |rows| Box::pin(tell(rows)) }];
/// The pods do nothing: what a node needs anyway is enough for them.
const WANTED: Wanted = Wanted { programs: &[], versions: &[] };
const PATIENCE: Duration = Duration::from_secs(60);

fn main() -> ExitCode {
    cluster::run(GROUPS, &WANTED)
}

async fn tell(rows: &mut Rows) {
    rows.row("without Huidu in the cluster, that is what is said", without_definition).await;
    rows.row("a word that no promoter hears is taken back, and status says that nobody looks", unheard).await;
    rows.row("each verb is answered with the state after it, and a senseless one with the reason", steered)
        .await;
    rows.row("restart makes new pods by a release, where kubectl refuses a paused Deployment", restarted)
        .await;
    rows.row("waiting for an image that was just set does not take the old state for the new one", awaited)
        .await;
    rows.row("following shows each change and ends where the canary is deleted", followed).await;
    rows.row("it is a plugin of kubectl, and takes its flags", plugin).await;
    rows.row("who may only look can look and not steer", only_looking).await;
    rows.row("what makes no sense is refused at admission, and kubectl explains each field", admitted).await;
    rows.row("gates are asked with a value of the cluster's Secret, and webhooks are told", asked_and_told)
        .await;
    rows.row("outside of its windows a release waits with until when, and a person may go on", in_windows)
        .await;
    rows.row("another cluster, context or API server that is away is named", elsewhere).await;
}

async fn without_definition(cluster: &Cluster) -> anyhow::Result<()> {
    let person = Person::new(cluster)?;
    let told = person.fails("status", 69).await?;
    ensure!(told.contains("knows no canaries; install Huidu first"), "{told}");
    Ok(())
}

async fn unheard(cluster: &Cluster) -> anyhow::Result<()> {
    let person = Person::with_canary(cluster).await?;
    let shown = person.says("status").await?;
    ensure!(shown.contains("NotObserved: no promoter has looked at it yet"), "{shown}");
    let told = person.fails("pause --request-timeout 2s", 69).await?;
    ensure!(told.contains("has not answered within 2s") && told.contains("`pause` was taken back"), "{told}");
    let canary = cluster.get("canary app -n verbs").await?;
    ensure!(canary["metadata"]["annotations"].get("huidu.dev/verb").is_none(), "{canary:#}");
    // A word of somebody else is not written over.
    cluster.kubectl("annotate canary app -n verbs huidu.dev/verb=abort").await?;
    let told = person.fails("pause --request-timeout 1s", 69).await?;
    ensure!(told.contains("`abort` was said before and the promoter has not answered it"), "{told}");
    cluster.kubectl("annotate canary app -n verbs huidu.dev/verb-").await.map(drop)
}

async fn steered(cluster: &Cluster) -> anyhow::Result<()> {
    let person = Person::with_canary(cluster).await?;
    let _promoter = Promoter::start(cluster).await?;
    person.says("status --wait=stable --timeout=60s").await?;
    let told = person.fails("retry", 1).await?;
    ensure!(told.contains("no release has failed: change the template"), "{told}");
    person.sets("v2").await?;
    person.until("status", "step 1 at 50 %", |shown| shown.contains("1/2") && shown.contains("50%")).await?;
    for (verb, parts) in [
        ("pause", &["app paused", "Paused: paused by hand"][..]),
        ("resume", &["app resumed"]),
        ("set-weight 100%", &["app weight set"]),
        ("resume", &["app resumed"]),
        ("abort", &["app aborted", "RollingBack"]),
    ] {
        let shown = person.says(verb).await?;
        ensure!(shown.contains("canary.huidu.dev/app ") && shown.contains("Namespace:  verbs"), "{shown}");
        // What follows from a word may take another look of the promoter's.
        for part in parts {
            if !shown.contains(part) {
                person.until("status", part, |shown| shown.contains(part)).await?;
            }
        }
    }
    person.says("status --wait=failed --timeout=60s").await?;
    ensure!(person.says("history").await?.contains("Aborted: aborted by hand"));
    let told = person.fails("set-weight 30%", 1).await?;
    ensure!(told.contains("set-weight needs a release under way"), "{told}");
    ensure!(person.says("retry").await?.contains("Progressing"));
    person.says("promote --full").await?;
    person.says("status --wait=promoted --timeout=90s").await?;
    ensure!(person.env().await? == "v2");
    person.says("undo").await?;
    eventually(PATIENCE, async || {
        let env = person.env().await?;
        ensure!(env == "v1", "the template says {env}");
        Ok(())
    })
    .await?;
    // At this moment the promoter may not have seen the template: the word means its release all the same.
    person.says("promote --full").await?;
    person.says("status --wait=promoted --timeout=90s").await?;
    person.sets("v2").await?;
    ensure!(person.says("pause").await?.contains("app paused"), "the release has begun for the word");
    person.says("abort").await?;
    person.says("status --wait=failed --timeout=60s").await?;
    person.sets("v3").await?;
    person.says("promote").await?;
    // The same word again is another step.
    person.until("status", "step 2", |shown| shown.contains("2/2")).await?;
    person.says("promote").await?;
    person.says("status --wait=promoted --timeout=90s").await?;
    ensure!(person.env().await? == "v3");
    Ok(())
}

async fn restarted(cluster: &Cluster) -> anyhow::Result<()> {
    let person = Person::with_canary(cluster).await?;
    let _promoter = Promoter::start(cluster).await?;
    person.says("status --wait=stable --timeout=60s").await?;
    let pods = async || {
        let names =
            cluster.kubectl("get pods -n verbs -o name --field-selector status.phase=Running").await?;
        anyhow::Ok(names.lines().map(str::to_owned).collect::<BTreeSet<_>>())
    };
    let before = pods().await?;
    let told = cluster.kubectl("rollout restart deployment/app -n verbs").await;
    let told = told.err().map(|error| format!("{error:#}")).unwrap_or_default();
    ensure!(told.contains("can't restart paused deployment"), "kubectl's own word: {told}");
    let shown = person.says("restart").await?;
    ensure!(shown.contains("app restarted") && shown.contains("Progressing"), "{shown}");
    let told = person.fails("restart", 1).await?;
    ensure!(told.contains("is under way (Progressing), and a restart would begin it anew"), "{told}");
    person.says("promote --full").await?;
    person.says("status --wait=promoted --timeout=90s").await?;
    eventually(PATIENCE, async || {
        let now = pods().await?;
        ensure!(now.len() == before.len() && now.is_disjoint(&before), "{now:?} after {before:?}");
        Ok(())
    })
    .await?;
    let guest = person.guest().await?;
    guest.until("status", "the guest may look", |shown| shown.contains("Name:       app")).await?;
    let told = guest.fails("restart", 1).await?;
    ensure!(told.contains("cannot patch resource \"deployments\""), "{told}");
    Ok(())
}

async fn awaited(cluster: &Cluster) -> anyhow::Result<()> {
    let person = Person::with_canary(cluster).await?;
    let _promoter = Promoter::start(cluster).await?;
    person.says("status --wait=stable --timeout=60s").await?;
    person.sets("v8").await?;
    let told = person.fails("status --wait=promoted --timeout=3s", 2).await?;
    ensure!(told.contains("not within 3s: app Progressing"), "{told}");
    person.says("promote --full").await?;
    person.says("status --wait=promoted --timeout=90s").await?;
    let promoted = person.canary().await?;
    ensure!(promoted["status"]["phase"] == "Stable" && promoted["kind"] == "Canary", "{promoted:#}");
    ensure!(promoted["spec"]["deployment"] == "app" && promoted["metadata"].get("managedFields").is_none());
    Ok(())
}

async fn followed(cluster: &Cluster) -> anyhow::Result<()> {
    let person = Person::with_canary(cluster).await?;
    let promoter = Promoter::start(cluster).await?;
    person.says("status --wait=stable --timeout=60s").await?;
    let following = person.spawns("status -w")?;
    person.sets("v3").await?;
    person.until("status", "step 1", |shown| shown.contains("1/2")).await?;
    person.says("promote --full").await?;
    person.says("status --wait=promoted --timeout=90s").await?;
    cluster.kubectl("delete canary app -n verbs --timeout 60s").await?;
    drop(promoter);
    let (code, lines, told) = following.ends(PATIENCE).await?;
    ensure!(code == 1 && told.contains("the canary app was deleted"), "{code}: {told}");
    for part in ["app Progressing (", "step 1/2 at 50%", "app Promoting (", "is stable"] {
        ensure!(lines.contains(part), "{part} is missing: {lines}");
    }
    let deployment = cluster.get("deployment app -n verbs").await?;
    ensure!(deployment["spec"]["paused"].is_null(), "the Deployment was given back");
    Ok(())
}

async fn plugin(cluster: &Cluster) -> anyhow::Result<()> {
    let person = Person::with_canary(cluster).await?;
    let found = person.kubectl("plugin list").await?;
    ensure!(found.contains("kubectl-canary"), "{found}");
    let shown = person.kubectl("canary status -n verbs").await?;
    ensure!(shown.contains("Name:       app"), "{shown}");
    let shown = person.kubectl("canary status -A -o json").await?;
    let canary: serde_json::Value = serde_json::from_str(&shown)?;
    ensure!(canary["metadata"]["namespace"] == "verbs", "{shown}");
    cluster.kubectl("create namespace others").await?;
    person.creates_canary("others", "app").await?;
    let shown = person.kubectl("canary status -A").await?;
    let rows: Vec<_> = shown.lines().map(|line| line.split_whitespace().next().unwrap_or_default()).collect();
    ensure!(rows == ["NAMESPACE", "others", "verbs"], "{shown}");
    let told = person.fails("pause -A", 1).await?;
    ensure!(told.contains("there are several, name one"), "{told}");
    let told = person.fails("pause app -A", 1).await?;
    ensure!(told.contains("several namespaces have a canary `app`; say which with -n"), "{told}");
    let told = person.fails("status nobody -n verbs", 1).await?;
    ensure!(told.contains("there is no canary `nobody`; known: app"), "{told}");
    cluster.kubectl("delete namespace others --wait=false").await.map(drop)
}

async fn only_looking(cluster: &Cluster) -> anyhow::Result<()> {
    let person = Person::with_canary(cluster).await?;
    let guest = person.guest().await?;
    // A role that others add to takes a moment.
    guest.until("status", "the guest may look", |shown| shown.contains("Name:       app")).await?;
    let told = guest.fails("pause", 1).await?;
    ensure!(told.contains("the API server says: ") && told.contains("cannot patch resource"), "{told}");
    Ok(())
}

async fn elsewhere(cluster: &Cluster) -> anyhow::Result<()> {
    let person = Person::new(cluster)?;
    let told = person.fails("status --context nowhere", 69).await?;
    ensure!(told.contains("cannot tell which cluster is meant") && told.contains("--context"), "{told}");
    let told = person.fails("status --kubeconfig /does/not/exist", 69).await?;
    ensure!(told.contains("/does/not/exist"), "{told}");
    let told = person.fails("status --server http://127.0.0.1:1 -n verbs", 64).await?;
    ensure!(told.contains("cannot be used with"), "{told}");
    let deaf = person.with_server("https://127.0.0.1:1").await?;
    let told = deaf.fails("status --request-timeout 2s", 69).await?;
    ensure!(told.contains("https://127.0.0.1:1"), "{told}");
    Ok(())
}

async fn admitted(cluster: &Cluster) -> anyhow::Result<()> {
    let person = Person::with_canary(cluster).await?;
    for (spec, part) in [
        ("windows: [{schedule: 0 0 9 * * MON, duration: 1h}]", "spec.windows[0].schedule"),
        ("windows: [{schedule: 0 9 * * MON}]", "spec.windows[0].duration: Required value"),
        ("windows: [{schedule: 0 9 * * MON, duration: -1h}]", "spec.windows[0].duration"),
        ("gates: [{name: qa}]", "spec.gates[0].url: Required value"),
        ("gates: [{name: qa, url: 'ftp://qa'}]", "spec.gates[0].url"),
        ("gates: [{name: qa, url: 'https://me:word@qa'}]", "spec.gates[0].url"),
        (
            "gates: [{name: qa, url: 'http://a'}, {name: qa, url: 'http://b'}]",
            "spec.gates[1]: Duplicate value",
        ),
        ("notifications: [{url: 'http://a', events: [Lunch]}]", "spec.notifications[0].events[0]"),
        ("notifications: [{url: 'http://a', header: {name: X-Token}}]", "header.secret: Required value"),
    ] {
        let Err(refused) = person.changes_canary(spec).await else { anyhow::bail!("{spec} was admitted") };
        let told = format!("{refused:#}");
        ensure!(told.contains(part), "{spec}: {told}");
    }
    // What only the promoter can tell is a condition.
    let _promoter = Promoter::start(cluster).await?;
    person.changes_canary("windows: [{schedule: 0 9 * * MON, timeZone: Mars/Olympus, duration: 1h}]").await?;
    person
        .until("status", "refused", |shown| {
            shown.contains("SpecRefused")
                && shown.contains("timeZone: `Mars/Olympus` is not an IANA time zone")
        })
        .await?;
    for (field, part) in [
        ("windows", "When releases may begin and go on"),
        ("windows.schedule", "minute, hour, day of the month"),
        ("gates", "Who must say yes"),
        ("gates.header.secret", "huidu-webhooks"),
        ("notifications.events", "all where the list is empty"),
    ] {
        let told = cluster.kubectl(&format!("explain canary.spec.{field}")).await?;
        let told = told.split_whitespace().collect::<Vec<_>>().join(" ");
        ensure!(told.contains(part), "{field}: {told}");
    }
    Ok(())
}

async fn asked_and_told(cluster: &Cluster) -> anyhow::Result<()> {
    let person = Person::with_canary(cluster).await?;
    let _promoter = Promoter::start(cluster).await?;
    person.says("status --wait=stable --timeout=60s").await?;
    let (gate, chat) = (Hook::start().await?, Hook::start().await?);
    gate.answers("{\"allowed\": false, \"message\": \"the tests still run\"}");
    person
        .changes_canary(&format!(
            "gates: [{{name: qa, url: 'http://{}', interval: 500ms, header: {{name: Authorization, secret: qa}}}}], \
             notifications: [{{url: 'http://{}'}}]",
            gate.address, chat.address
        ))
        .await?;
    person.sets("v5").await?;
    person.until("status", "no Secret", |shown| shown.contains("there is no Secret huidu-webhooks")).await?;
    cluster.kubectl("create secret generic huidu-webhooks -n verbs --from-literal qa=hush-hush").await?;
    person
        .until("status", "refused", |shown| {
            shown.contains("AwaitingGate: qa says no: the tests still run")
                && shown.contains("then it waits for a person")
        })
        .await?;
    let pods = cluster.get("pods -n verbs").await?;
    ensure!(
        pods["items"].as_array().is_some_and(|pods| pods.len() == 2),
        "nothing is started before the yes"
    );
    let (authorization, body) = gate.heard().pop().unwrap_or_default();
    ensure!(
        authorization == "hush-hush" && body["namespace"] == "verbs" && body["canary"] == "app",
        "{body}"
    );
    gate.answers("{\"allowed\": true}");
    person.until("status", "let begin", |shown| shown.contains("50%")).await?;
    person.says("promote --full").await?;
    person.says("status --wait=promoted --timeout=90s").await?;
    let told: Vec<_> =
        chat.heard().into_iter().filter_map(|(_, body)| body["reason"].as_str().map(str::to_owned)).collect();
    for reason in ["ReleaseStarted", "CandidateReady", "Promoting"] {
        ensure!(told.iter().any(|told| told == reason), "{reason} is missing: {told:?}");
    }
    let shown = cluster.kubectl("get canary app -n verbs -o yaml").await?;
    ensure!(!shown.contains("hush"), "{shown}");
    Ok(())
}

async fn in_windows(cluster: &Cluster) -> anyhow::Result<()> {
    let person = Person::with_canary(cluster).await?;
    let _promoter = Promoter::start(cluster).await?;
    person.says("status --wait=stable --timeout=60s").await?;
    person.changes_canary("windows: [{schedule: 0 0 29 2 *, timeZone: Asia/Shanghai, duration: 1m}]").await?;
    person.sets("v6").await?;
    person
        .until("status", "held", |shown| {
            shown.contains("OutsideWindow: the next window opens at") && shown.contains("-02-28T16:00:00Z")
        })
        .await?;
    let columns = cluster.kubectl("get canaries -n verbs").await?;
    ensure!(columns.contains("OutsideWindow"), "{columns}");
    person.says("promote --full").await?;
    person.says("status --wait=promoted --timeout=90s").await.map(drop)
}
