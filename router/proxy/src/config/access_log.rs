use super::Share;
use serde::{Deserialize, Serialize};

/// Which requests have a line in the access log, and how much it tells.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct AccessLogSpec {
    /// The share of all requests that have one.
    pub sample: Share,
    /// Whether those that failed have one whatever the share is.
    pub failures: bool,
    /// Whether the query is told with the path. It may hold secrets.
    pub query: bool,
}
