//! Events. kube's recorder takes two events of the same reason for one and keeps the first sentence; here another
//! sentence is another event, and the same sentence again makes a series.

use k8s_openapi::api::core::v1::ObjectReference;
use kube::runtime::events::{Event, Recorder, Reporter};
use kube::{Client, Error};
use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};

/// How many sentences are remembered; a sentence that was forgotten begins another series.
const SENTENCES: usize = 256;

/// Tells events.
pub(super) struct Teller {
    client: Client,
    reporter: Reporter,
    recorders: Mutex<HashMap<String, Recorder>>,
}

// === impl Teller ===

impl Teller {
    pub(super) fn new(client: Client, reporter: Reporter) -> Self {
        Self { client, reporter, recorders: Mutex::default() }
    }

    /// Tells an event about an object.
    pub(super) async fn publish(&self, event: &Event, about: &ObjectReference) -> Result<(), Error> {
        let recorder = self.recorder(event.note.as_deref().unwrap_or_default());
        recorder.publish(event, about).await
    }

    /// The recorder of a sentence.
    fn recorder(&self, note: &str) -> Recorder {
        let mut recorders = self.recorders.lock().unwrap_or_else(PoisonError::into_inner);
        if recorders.len() >= SENTENCES {
            recorders.clear();
        }
        let new = || Recorder::new(self.client.clone(), self.reporter.clone());
        recorders.entry(note.to_owned()).or_insert_with(new).clone()
    }
}
