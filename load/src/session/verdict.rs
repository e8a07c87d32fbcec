//! Whether an answer was as it should be.

use hyper::StatusCode;

use crate::{client::Failure, scenario::Step};

/// What an answer was.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// As it should be.
    Fine,
    /// No whole answer, a 5xx, or too many redirects.
    Failed(Reason),
    /// Another status than the scenario expects.
    Unexpected(StatusCode),
}

/// Why a request failed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reason {
    /// On the wire.
    Wire(Failure),
    /// 5xx.
    Status(StatusCode),
    /// More than [`REDIRECTS_MAX`] redirects one after the other.
    RedirectLoop,
}

/// Redirects that a session follows before its step counts as a loop. Browsers allow 20; a blog needs few.
pub const REDIRECTS_MAX: usize = 10;

impl Verdict {
    /// Judges the answer to a step after so many redirects. The scenario's expectation is for the step itself;
    /// what a redirect leads to must be 2xx or 3xx.
    pub(super) fn of(outcome: Result<StatusCode, Failure>, step: Option<&Step>, redirects: usize) -> Self {
        let status = match outcome {
            Ok(status) => status,
            Err(failure) => return Self::Failed(Reason::Wire(failure)),
        };
        let is_expected = match step {
            Some(step) if redirects == 0 => step.expects(status),
            _ => status.is_success() || status.is_redirection(),
        };
        match is_expected {
            true if redirects >= REDIRECTS_MAX && status.is_redirection() => {
                Self::Failed(Reason::RedirectLoop)
            }
            true => Self::Fine,
            false if status.is_server_error() => Self::Failed(Reason::Status(status)),
            false => Self::Unexpected(status),
        }
    }
}

impl Reason {
    /// A short stable name for tables and JSON.
    pub fn name(self) -> String {
        match self {
            Self::Wire(failure) => failure.name().to_owned(),
            Self::Status(status) => format!("http {}", status.as_u16()),
            Self::RedirectLoop => "redirect loop".to_owned(),
        }
    }
}
