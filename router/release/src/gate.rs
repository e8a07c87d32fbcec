//! Others who have a say, and others who are told.

use crate::{Duration, EventReason, Release};
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use std::fmt;

/// Somebody who must say yes before a release begins, before each further step and before the promotion.
///
/// The URL gets a POST with a [`Question`] and says yes by a status of 200 to 299 with an empty body or with the JSON
/// `{"allowed": true}`; no by `{"allowed": false, "message": "why"}`. Everything else is no answer, and it is asked
/// again.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Gate {
    /// What it is called in the status.
    #[cfg_attr(feature = "schema", schemars(length(min = 1, max = 63)))]
    pub name: String,
    /// Where it is asked, over http or https.
    pub url: Url,
    /// A header that proves who asks.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub header: Option<SecretHeader>,
    /// How long an answer may take. Default 5s.
    #[serde(default = "five_seconds")]
    pub timeout: Duration,
    /// The time between two questions, as long as it has not said yes. Default 15s.
    #[serde(default = "fifteen_seconds")]
    pub interval: Duration,
}

/// Somebody who is told what happens: the URL gets a POST for each event.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Notification {
    /// Where, over http or https.
    pub url: Url,
    /// A header that proves who tells.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub header: Option<SecretHeader>,
    /// The kinds of events; all where the list is empty.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub events: Vec<EventReason>,
}

/// A header whose value is kept elsewhere.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct SecretHeader {
    /// The name of the header, such as `Authorization`.
    #[cfg_attr(feature = "schema", schemars(length(min = 1, max = 100)))]
    pub name: String,
    /// Where its value is: on Kubernetes a key of the Secret `huidu-webhooks` in the Canary's namespace, on one machine
    /// a file in the folder `secrets`.
    #[cfg_attr(feature = "schema", schemars(length(min = 1, max = 253)))]
    pub secret: String,
}

/// An address of http or https without a password in it.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(try_from = "String")]
pub struct Url(String);

/// Why a text is no such address.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum InvalidUrl {
    /// It is none at all.
    #[error("`{0}` is not an address; write it as https://example.com/path")]
    Form(String),
    /// It holds a password, which would be shown to everybody.
    #[error("an address with a user or a password is shown to everybody; write them as `header`")]
    Secret,
}

/// What a gate is asked: may this candidate enter this step?
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Question {
    /// The revision that is tried.
    pub candidate: crate::Revision,
    /// When its release began.
    pub started: Timestamp,
    /// The step to be entered, counted from 0; as many as there are steps for the promotion.
    pub step: usize,
}

/// What is known of a gate's answer to a question.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct GateReport {
    /// The gate's name.
    pub gate: String,
    /// What it was asked.
    pub question: Question,
    /// What came of it.
    pub answer: GateAnswer,
}

/// What came of a question.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum GateAnswer {
    /// Yes.
    Yes,
    /// No, and why.
    No(String),
    /// Nothing that can be understood, and what came instead.
    None(String),
}

// === impl Url ===

impl Url {
    /// The address.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl TryFrom<String> for Url {
    type Error = InvalidUrl;

    fn try_from(text: String) -> Result<Self, InvalidUrl> {
        let rest = text.strip_prefix("https://").or_else(|| text.strip_prefix("http://"));
        let authority = rest.and_then(|rest| rest.split(['/', '?']).next()).unwrap_or_default();
        if authority.contains('@') {
            return Err(InvalidUrl::Secret);
        }
        let plain = text.bytes().all(|byte| byte.is_ascii_graphic()) && !text.contains('#');
        match !authority.is_empty() && !authority.starts_with(':') && plain && text.len() <= 2048 {
            true => Ok(Self(text)),
            false => Err(InvalidUrl::Form(text.chars().take(100).collect())),
        }
    }
}

impl fmt::Display for Url {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

// === impl Question ===

impl Question {
    /// Whether `release` may enter `step`.
    pub fn of(release: &Release, step: usize) -> Self {
        Self { candidate: release.candidate.clone(), started: release.started, step }
    }
}

// === impl Notification ===

impl Notification {
    /// Whether it is told of such an event.
    pub fn wants(&self, reason: EventReason) -> bool {
        self.events.is_empty() || self.events.contains(&reason)
    }
}

fn five_seconds() -> Duration {
    Duration::from_secs(5)
}

fn fifteen_seconds() -> Duration {
    Duration::from_secs(15)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_is_http_or_https_and_holds_no_password() {
        for good in ["https://example.com/hook?x=1", "http://127.0.0.1:8080", "http://[::1]:80/a"] {
            assert_eq!(Url::try_from(good.to_owned()).unwrap().as_str(), good);
        }
        for (bad, part) in [
            ("example.com", "`example.com` is not an address"),
            ("ftp://example.com", "is not an address"),
            ("https://", "is not an address"),
            ("https://:80", "is not an address"),
            ("https://example.com/a b", "is not an address"),
            ("https://me:secret@example.com/", "write them as `header`"),
        ] {
            let error = Url::try_from(bad.to_owned()).unwrap_err().to_string();
            assert!(error.contains(part) && !error.contains("secret"), "{error}");
        }
    }
}
