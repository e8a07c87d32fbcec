//! What a promoter says to others than the API server: gates, webhooks, Prometheus.

use super::object::{CanaryObject, uid_of};
use super::view::view;
use crate::canary::Metadata;
use crate::gates::Gates;
use crate::metrics::Metrics;
use crate::notify::{Body, Notifier};
use crate::secrets::Secrets;
use futures_util::{Stream, stream};
use jiff::Timestamp;
use kube::{Api, Client};
use release::{Event, GateReport, Spec, Status};
use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};
use tokio::sync::mpsc;

/// One for all Canaries.
pub(super) struct Outward {
    client: Client,
    pub(super) metrics: Metrics,
    notifier: Notifier,
    /// The gates of each Canary, by its uid; only of those that have some.
    gates: Mutex<HashMap<String, Gates>>,
    wake: mpsc::Sender<()>,
}

// === impl Outward ===

impl Outward {
    /// And a stream that says when a gate has answered.
    pub(super) fn new(
        client: Client,
        metrics: Metrics,
        notifier: Notifier,
    ) -> (Self, impl Stream<Item = ()> + Send) {
        let (wake, woken) = mpsc::channel(1);
        let woken = stream::unfold(woken, async |mut woken| woken.recv().await.map(|()| ((), woken)));
        (Self { client, metrics, notifier, gates: Mutex::default(), wake }, woken)
    }

    /// What the gates of a Canary have answered.
    pub(super) fn reports(&self, object: &CanaryObject) -> Vec<GateReport> {
        let gates = self.gates.lock().unwrap_or_else(PoisonError::into_inner);
        gates.get(uid_of(&object.metadata)).map(Gates::reports).unwrap_or_default()
    }

    /// Asks the gates what `status` waits for, tells the webhooks what has happened, and shows the Canary as it is.
    pub(super) fn follow(&self, object: &CanaryObject, (spec, status): (&Spec, &Status), events: &[Event]) {
        let canary = view(object);
        let Metadata { name, namespace } = &canary.metadata;
        let whose = (namespace.as_deref(), name.as_str());
        let secrets = self.secrets(namespace.as_deref().unwrap_or_default());
        for event in events.iter().filter(|_| !spec.notifications.is_empty()) {
            let body = Body::new(whose, event, status, Timestamp::now());
            self.notifier.tell(&spec.notifications, &secrets, &body);
        }
        let mut gates = self.gates.lock().unwrap_or_else(PoisonError::into_inner);
        let uid = uid_of(&object.metadata);
        if spec.gates.is_empty() {
            gates.remove(uid);
        } else {
            let own = gates.entry(uid.to_owned()).or_insert_with(|| self.gates(secrets));
            own.direct(whose, spec, status);
        }
        drop(gates);
        self.metrics.show(&canary);
    }

    /// Forgets a Canary that is gone.
    pub(super) fn forget(&self, object: &CanaryObject) {
        self.gates.lock().unwrap_or_else(PoisonError::into_inner).remove(uid_of(&object.metadata));
        self.metrics.forget(&view(object).metadata);
    }

    fn secrets(&self, namespace: &str) -> Secrets {
        Secrets::Cluster(Box::new(Api::namespaced(self.client.clone(), namespace)))
    }

    fn gates(&self, secrets: Secrets) -> Gates {
        let gates = Gates::new(secrets);
        let (mut changes, wake) = (gates.changes(), self.wake.clone());
        tokio::spawn(async move {
            // It ends with the gates, or with the controller.
            while changes.changed().await.is_ok() && wake.send(()).await.is_ok() {}
        });
        gates
    }
}
