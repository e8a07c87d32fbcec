//! Tells webhooks what happens.
//!
//! Each event is a POST of a [`Body`]. An address gets its events one after the other, each again and again until it
//! answers 200 to 299: after 1, 2, 4… at most 60 seconds, [`ATTEMPTS`] times. An answer of 400 to 499 says that trying
//! again is useless, apart from 408 and 429. What waits is in memory, [`QUEUE`] events for each address: a promoter
//! that ends forgets it, and the events of Kubernetes and the log still have it.

use crate::http::{Client, HttpError};
use crate::secrets::Secrets;
use hyper::StatusCode;
use jiff::Timestamp;
use release::{Event, EventReason, Notification, Revision, Status};
use serde::Serialize;
use split::Weight;
use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use tokio::sync::mpsc;
use tokio::time;

/// How often an event is tried: for some six minutes.
pub const ATTEMPTS: u32 = 12;
/// How many events wait for one address.
pub const QUEUE: usize = 100;
/// How many addresses are told.
const ADDRESSES: usize = 1_000;
/// How long one attempt may take.
const TIMEOUT: Duration = Duration::from_secs(10);
/// The pause before the second attempt, and the longest one.
const PAUSE: Duration = Duration::from_secs(1);
const PAUSE_LIMIT: Duration = Duration::from_secs(60);
/// How long the task of an address waits for another event before it ends.
const IDLE: Duration = Duration::from_secs(300);

/// What is told, as JSON.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Body {
    /// Always `ReleaseEvent`.
    pub kind: &'static str,
    /// The same in every attempt to tell this event, and in no other event.
    pub id: String,
    /// When it happened.
    pub at: Timestamp,
    /// The namespace of the canary, in a cluster.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub namespace: Option<String>,
    /// The name of the canary.
    pub canary: String,
    /// What happened, in one word.
    pub reason: EventReason,
    /// What happened, in a sentence.
    pub message: String,
    /// The phase after it.
    pub phase: &'static str,
    /// The revision that readers have.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub stable: Option<Revision>,
    /// The revision that is tried, where there is one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub candidate: Option<Revision>,
    /// Its share.
    pub weight: Weight,
}

/// How often what came of telling.
#[derive(Debug, Default)]
pub struct Told {
    /// Events that an address took.
    pub delivered: AtomicU64,
    /// Attempts that failed.
    pub failed: AtomicU64,
    /// Events that were given up.
    pub dropped: AtomicU64,
}

/// Tells all addresses of this process.
#[derive(Clone, Debug, Default)]
pub struct Notifier {
    queues: Arc<Mutex<HashMap<Notification, mpsc::Sender<Box<Delivery>>>>>,
    told: Arc<Told>,
}

#[derive(Debug)]
struct Delivery {
    body: Body,
    secrets: Secrets,
}

// === impl Body ===

impl Body {
    /// An event of a canary that is at `status` after it.
    pub fn new(
        (namespace, canary): (Option<&str>, &str),
        event: &Event,
        status: &Status,
        now: Timestamp,
    ) -> Self {
        static COUNT: AtomicU64 = AtomicU64::new(0);
        let count = COUNT.fetch_add(1, Ordering::Relaxed);
        Self {
            kind: "ReleaseEvent",
            id: format!("{:x}-{:x}-{count:x}", now.as_nanosecond(), std::process::id()),
            at: now,
            namespace: namespace.map(str::to_owned),
            canary: canary.to_owned(),
            reason: event.reason,
            message: event.message.clone(),
            phase: status.phase.name(),
            stable: status.stable.clone(),
            candidate: status.release().map(|release| release.candidate.clone()),
            weight: status.route.weight,
        }
    }
}

// === impl Notifier ===

impl Notifier {
    /// What came of it so far.
    pub fn told(&self) -> Arc<Told> {
        Arc::clone(&self.told)
    }

    /// Tells everybody who wants to know, without waiting for it.
    pub fn tell(&self, notifications: &[Notification], secrets: &Secrets, body: &Body) {
        for notification in notifications.iter().filter(|notification| notification.wants(body.reason)) {
            if let Err(why) = self.enqueue(notification, secrets, body) {
                self.told.dropped.fetch_add(1, Ordering::Relaxed);
                tracing::warn!(url = %notification.url, "{:?} is not told: {why}", body.reason);
            }
        }
    }

    fn enqueue(&self, to: &Notification, secrets: &Secrets, body: &Body) -> Result<(), &'static str> {
        let delivery = Box::new(Delivery { body: body.clone(), secrets: secrets.clone() });
        let mut queues = self.queues.lock().unwrap_or_else(PoisonError::into_inner);
        // The task of an address that was idle for a while has ended.
        queues.retain(|_, queue| !queue.is_closed());
        if let Some(queue) = queues.get(to) {
            return queue.try_send(delivery).map_err(|_| "too many events wait for this address");
        }
        if queues.len() >= ADDRESSES {
            return Err("too many addresses are told");
        }
        let (queue, deliveries) = mpsc::channel(QUEUE);
        tokio::spawn(deliver_all(to.clone(), deliveries, Arc::clone(&self.told)));
        // There is room in a new queue.
        let _ = queue.try_send(delivery);
        queues.insert(to.clone(), queue);
        Ok(())
    }
}

/// Tells one address, event after event.
async fn deliver_all(to: Notification, mut deliveries: mpsc::Receiver<Box<Delivery>>, told: Arc<Told>) {
    let client = Client::to_strangers(TIMEOUT);
    while let Ok(Some(delivery)) = time::timeout(IDLE, deliveries.recv()).await {
        deliver(&client, &to, &delivery, &told).await;
    }
    deliveries.close();
    // What came in between is told all the same.
    while let Some(delivery) = deliveries.recv().await {
        deliver(&client, &to, &delivery, &told).await;
    }
}

async fn deliver(client: &Client, to: &Notification, Delivery { body, secrets }: &Delivery, told: &Told) {
    let (reason, id) = (body.reason, &body.id);
    let mut pause = PAUSE;
    for attempt in 1..=ATTEMPTS {
        let failure = match attempt_once(client, to, body, secrets).await {
            Ok(()) => {
                told.delivered.fetch_add(1, Ordering::Relaxed);
                tracing::debug!(url = %to.url, id, attempt, "Told {reason:?}");
                return;
            }
            Err(failure) => failure,
        };
        told.failed.fetch_add(1, Ordering::Relaxed);
        let Failure { why, useless } = failure;
        if useless || attempt == ATTEMPTS {
            told.dropped.fetch_add(1, Ordering::Relaxed);
            tracing::warn!(url = %to.url, id, attempt, "{reason:?} is not told after attempt {attempt}: {why}");
            return;
        }
        tracing::info!(url = %to.url, id, attempt, "{reason:?} is told again in {pause:?}: {why}");
        time::sleep(pause).await;
        pause = (pause * 2).min(PAUSE_LIMIT);
    }
}

/// Why an attempt failed, and whether another one is useless.
struct Failure {
    why: String,
    useless: bool,
}

async fn attempt_once(
    client: &Client,
    to: &Notification,
    body: &Body,
    secrets: &Secrets,
) -> Result<(), Failure> {
    let again = |why: String| Failure { why, useless: false };
    let header = secrets.header(to.header.as_ref()).await.map_err(again)?;
    let json = serde_json::to_string(body).map_err(|error| again(error.to_string()))?;
    let answer = client.post_with(to.url.as_str(), json, header).await;
    let status = answer.map_err(|error: HttpError| again(error.to_string()))?.status;
    if status.is_success() {
        return Ok(());
    }
    let patient = [StatusCode::REQUEST_TIMEOUT, StatusCode::TOO_MANY_REQUESTS];
    let useless = status.is_client_error() && !patient.contains(&status);
    Err(Failure { why: format!("it answered {status}"), useless })
}
