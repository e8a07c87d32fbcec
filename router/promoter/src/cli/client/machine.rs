//! A promoter on this machine, asked through its own interface.

use super::{Failure, Found};
use crate::api::Problem;
use crate::canary::{Canary, CanaryList};
use crate::http;
use release::Verb;
use serde::de::DeserializeOwned;
use serde_json::Value;
use std::time::Duration;

/// A promoter.
#[derive(Debug)]
pub(in crate::cli) struct Machine {
    server: String,
    http: http::Client,
}

// === impl Machine ===

impl Machine {
    /// The promoter at this address.
    pub(super) fn new(server: &str, patience: Duration) -> Self {
        let server = server.trim_end_matches('/');
        let server = if server.contains("://") { server.to_owned() } else { format!("http://{server}") };
        Self { server, http: http::Client::new(patience) }
    }

    /// All canaries.
    pub(super) async fn list(&self) -> Result<Vec<Found>, Failure> {
        let uri = format!("{}/canaries", self.server);
        let list: CanaryList = self.read(&uri, self.http.get(&uri).await)?;
        list.items.into_iter().map(Found::of).collect()
    }

    /// Says a verb; the canary after it.
    pub(super) async fn say(&self, name: &str, verb: Verb) -> Result<Found, Failure> {
        let unprintable = |error: serde_json::Error| Failure::Otherwise(error.to_string());
        let mut arguments = serde_json::to_value(verb).map_err(unprintable)?;
        let path = arguments.as_object_mut().and_then(|arguments| arguments.remove("verb"));
        let path = path.as_ref().and_then(Value::as_str).unwrap_or_default();
        let uri = format!("{}/canaries/{name}/{path}", self.server);
        let canary: Canary = self.read(&uri, self.http.post(&uri, arguments.to_string()).await)?;
        Found::of(canary)
    }

    fn read<T: DeserializeOwned>(
        &self,
        uri: &str,
        answer: Result<http::Answer, http::HttpError>,
    ) -> Result<T, Failure> {
        let answer = answer.map_err(|error| {
            Failure::Unavailable(format!(
                "cannot reach the promoter at {}: {error}; is it running? (--server)",
                self.server
            ))
        })?;
        if answer.status.is_success() {
            return serde_json::from_slice(&answer.body).map_err(|error| {
                Failure::Unavailable(format!(
                    "{uri}: this is not the answer of a promoter ({error}); check --server"
                ))
            });
        }
        let problem = serde_json::from_slice::<Problem>(&answer.body);
        Err(match problem {
            Ok(Problem { error, remedy }) => Failure::Otherwise(format!("{error}; {remedy}")),
            Err(_) => Failure::Unavailable(format!("{uri}: answered {}; check --server", answer.status)),
        })
    }
}
