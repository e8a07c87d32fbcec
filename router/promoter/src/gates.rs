//! Asks gates for as long as a release waits for them.
//!
//! Each gate gets a POST of a [`Body`] and says yes or no as [`release::Gate`] documents it. What it answers is read to
//! a limit of 64 KiB, and shown to a limit of 200 characters.

use crate::http::{Answer, Client, HttpError};
use crate::secrets::Secrets;
use futures_util::future::join_all;
use hyper::StatusCode;
use release::{Gate, GateAnswer, GateReport, HoldReason, Phase, Question, Revision, Spec, Status};
use serde::{Deserialize, Serialize};
use split::Weight;
use std::time::Duration;
use tokio::sync::watch;
use tokio::time;

/// The most characters of an answer that are shown.
const SHOWN_LIMIT: usize = 200;

/// What a gate is asked, as JSON.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Body {
    /// Always `GateQuestion`.
    pub kind: &'static str,
    /// The namespace of the canary, in a cluster.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub namespace: Option<String>,
    /// The name of the canary.
    pub canary: String,
    /// The revision that readers have.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub stable: Option<Revision>,
    /// Whether this candidate may enter this step.
    #[serde(flatten)]
    pub question: Question,
    /// The number of steps: a `step` of as many is the promotion.
    pub steps: usize,
    /// The share that the candidate would get; left out for the promotion.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub weight: Option<Weight>,
}

/// Whom to ask what.
#[derive(Clone, Debug, PartialEq)]
struct Order {
    gates: Vec<Gate>,
    body: Body,
}

/// The gates of one canary. They are asked by a task that ends with the value.
#[derive(Debug)]
pub struct Gates {
    orders: watch::Sender<Option<Order>>,
    reports: watch::Receiver<Vec<GateReport>>,
}

/// An answer that is JSON.
#[derive(Deserialize)]
struct Said {
    allowed: bool,
    #[serde(default)]
    message: String,
}

// === impl Gates ===

impl Gates {
    /// Begins to ask, as soon as there is something to ask.
    pub fn new(secrets: Secrets) -> Self {
        let (orders, ordered) = watch::channel(None);
        let (told, reports) = watch::channel(Vec::new());
        tokio::spawn(ask(secrets, ordered, told));
        Self { orders, reports }
    }

    /// Asks what `status` waits for, and nothing where it waits for something else.
    pub fn direct(&self, (namespace, canary): (Option<&str>, &str), spec: &Spec, status: &Status) {
        let order = question(status).map(|question| Order {
            gates: spec.gates.clone(),
            body: Body {
                kind: "GateQuestion",
                namespace: namespace.map(str::to_owned),
                canary: canary.to_owned(),
                stable: status.stable.clone(),
                steps: spec.steps.len(),
                weight: spec.steps.get(question.step).map(|step| step.weight),
                question,
            },
        });
        self.orders.send_if_modified(|current| {
            let changed = *current != order;
            *current = order;
            changed
        });
    }

    /// What has been answered.
    pub fn reports(&self) -> Vec<GateReport> {
        self.reports.borrow().clone()
    }

    /// Something to wait for until another answer has come.
    pub fn changes(&self) -> watch::Receiver<Vec<GateReport>> {
        self.reports.clone()
    }
}

/// What the gates are to be asked, if they are waited for.
fn question(status: &Status) -> Option<Question> {
    status.hold.as_ref().filter(|hold| hold.reason == HoldReason::AwaitingGate)?;
    match &status.phase {
        Phase::Progressing { release, .. } if release.admitted => {
            Some(Question::of(release, release.step + 1))
        }
        Phase::Progressing { release, .. } => Some(Question::of(release, 0)),
        _ => None,
    }
}

async fn ask(
    secrets: Secrets,
    mut orders: watch::Receiver<Option<Order>>,
    told: watch::Sender<Vec<GateReport>>,
) {
    // Made when it is needed: reading the machine's certificates takes its time.
    let mut client = None;
    loop {
        let order = orders.borrow_and_update().clone();
        told.send_if_modified(|reports| !std::mem::take(reports).is_empty());
        let asking = async {
            let Some(Order { gates, body }) = order else { return };
            let client = client.get_or_insert_with(|| Client::to_strangers(Duration::from_secs(3600)));
            let body = &body;
            join_all(gates.iter().map(|gate| ask_until_yes((client, &secrets), gate, body, &told))).await;
        };
        tokio::select! {
            changed = orders.changed() => if changed.is_err() { return },
            () = async { asking.await; std::future::pending().await } => {}
        }
    }
}

async fn ask_until_yes(
    (client, secrets): (&Client, &Secrets),
    gate: &Gate,
    body: &Body,
    told: &watch::Sender<Vec<GateReport>>,
) {
    loop {
        let answer = ask_once((client, secrets), gate, body).await;
        let yes = answer == GateAnswer::Yes;
        let report = GateReport { gate: gate.name.clone(), question: body.question.clone(), answer };
        told.send_if_modified(|reports| match reports.iter_mut().find(|known| known.gate == gate.name) {
            Some(known) if *known == report => false,
            Some(known) => {
                *known = report;
                true
            }
            None => {
                reports.push(report);
                true
            }
        });
        if yes {
            return;
        }
        time::sleep(gate.interval.get()).await;
    }
}

async fn ask_once((client, secrets): (&Client, &Secrets), gate: &Gate, body: &Body) -> GateAnswer {
    let asked = async {
        let header = secrets.header(gate.header.as_ref()).await?;
        let json = serde_json::to_string(body).map_err(|error| error.to_string())?;
        let answer = client.post_with(gate.url.as_str(), json, header).await;
        answer.map_err(|error: HttpError| error.to_string())
    };
    match time::timeout(gate.timeout.get(), asked).await {
        Ok(Ok(answer)) => understand(&answer),
        Ok(Err(why)) => GateAnswer::None(why),
        Err(_) => GateAnswer::None(format!("no answer within {}", gate.timeout)),
    }
}

fn understand(answer: &Answer) -> GateAnswer {
    if !answer.status.is_success() {
        return GateAnswer::None(format!("it answered {}", answer.status));
    }
    if answer.body.is_empty() || answer.status == StatusCode::NO_CONTENT {
        return GateAnswer::Yes;
    }
    match serde_json::from_slice(&answer.body) {
        Ok(Said { allowed: true, .. }) => GateAnswer::Yes,
        Ok(Said { allowed: false, message }) => GateAnswer::No(shown(&message)),
        Err(_) => GateAnswer::None(format!(
            "it answered {} with something else than {{\"allowed\": true}} or {{\"allowed\": false}}",
            answer.status
        )),
    }
}

/// The beginning of a stranger's text, in one line.
fn shown(text: &str) -> String {
    text.chars().map(|char| if char.is_control() { ' ' } else { char }).take(SHOWN_LIMIT).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use bytes::Bytes;

    fn answer(status: u16, body: &'static str) -> GateAnswer {
        let status = StatusCode::from_u16(status).unwrap();
        understand(&Answer { status, body: Bytes::from_static(body.as_bytes()) })
    }

    #[test]
    fn only_what_is_clearly_a_yes_is_one() {
        assert_eq!(answer(204, ""), GateAnswer::Yes);
        assert_eq!(answer(200, ""), GateAnswer::Yes);
        assert_eq!(answer(200, r#"{"allowed": true, "more": 1}"#), GateAnswer::Yes);
        let no = answer(200, r#"{"allowed": false, "message": "tests\n run"}"#);
        assert_eq!(no, GateAnswer::No("tests  run".to_owned()));
        for (status, body) in
            [(200, "<html>please log in</html>"), (302, ""), (500, ""), (200, r#"{"allowed": 1}"#)]
        {
            assert!(matches!(answer(status, body), GateAnswer::None(_)), "{status} {body}");
        }
    }

    #[test]
    fn a_long_text_is_cut() {
        assert_eq!(shown(&"x".repeat(1_000)).len(), SHOWN_LIMIT);
    }
}
