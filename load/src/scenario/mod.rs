//! What virtual users do, read from YAML.

mod error;
mod parse;

use hyper::{
    StatusCode,
    header::{HeaderMap, HeaderName},
};

pub use self::error::ScenarioError;
use crate::schedule::Stage;

/// A validated scenario: at least one flow, and each flow starts with a page that needs no other page.
#[derive(Clone, Debug)]
pub struct Scenario {
    /// Name for the reports.
    pub name: String,
    /// How many different people there are. Each has its own cookies and identity and comes back again.
    pub users: usize,
    /// How a person is recognised, if at all.
    pub identity: Identity,
    /// Header fields of every request.
    pub headers: HeaderMap,
    /// The rate over time, where the scenario says it.
    pub stages: Vec<Stage>,
    /// What people do, with the weights that they do it with.
    pub flows: Vec<Flow>,
    /// The names of all steps, by [`Step::id`].
    pub step_names: Vec<String>,
}

/// How a person is recognised by the target.
#[derive(Clone, Debug, PartialEq)]
pub enum Identity {
    /// Not at all.
    None,
    /// By a header field with the value `user-N`.
    Header(HeaderName),
    /// By a cookie with the value `user-N`.
    Cookie(String),
}

/// One sequence of steps.
#[derive(Clone, Debug)]
pub struct Flow {
    /// Name for people.
    pub name: String,
    /// Sessions that run this flow, relative to the weights of the other flows. At least 1.
    pub weight: u32,
    /// Time between an answer and the next request of the same person.
    pub think: std::time::Duration,
    /// Who runs it.
    pub role: Role,
    /// The steps in order, never empty.
    pub steps: Vec<Step>,
}

/// Who runs a flow.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Role {
    /// Anyone.
    Reader,
    /// Someone who logs in: runs only where credentials are given, and with cookies of its own.
    Author,
}

/// One request of a flow.
#[derive(Clone, Debug)]
pub struct Step {
    /// Index into [`Scenario::step_names`].
    pub id: usize,
    /// What is done.
    pub action: Action,
    /// Statuses that are as they should be; empty stands for 2xx and 3xx.
    pub expect: Vec<StatusCode>,
}

/// What a step does.
#[derive(Clone, Debug, PartialEq)]
pub enum Action {
    /// Opens a path of the target.
    Get(String),
    /// Follows a link of the page seen before.
    Follow(Follow),
    /// Fills in the search box of the page seen before with one of these words, or with a word from the
    /// titles seen where the list is empty.
    Search(Vec<String>),
    /// Fills in and sends the form of the page seen before that has these fields. Values may hold
    /// `{username}`, `{password}` and `{number}`.
    Submit(Vec<(String, String)>),
}

/// Which link is followed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Follow {
    /// A post, found as described for [`crate::page::Page::posts`].
    Post,
    /// The Atom or RSS feed.
    Feed,
    /// The next page of a list.
    Next,
    /// Any link whose path starts so.
    Under(String),
}

/// The scenarios that are part of the program, by name.
pub const BUILT_IN: [(&str, &str); 3] = [
    ("readers", include_str!("../../scenarios/readers.yaml")),
    ("sticky", include_str!("../../scenarios/sticky.yaml")),
    ("authors", include_str!("../../scenarios/authors.yaml")),
];

impl Scenario {
    /// Reads the scenario with this built-in name or, where there is none, from the file at this path.
    ///
    /// # Errors
    /// [`ScenarioError`] naming the file and, for its content, line, field and remedy.
    pub fn load(name_or_path: &str) -> Result<Self, ScenarioError> {
        if let Some((name, text)) = BUILT_IN.iter().find(|(name, _)| *name == name_or_path) {
            return Self::parse(text, name);
        }
        let text = std::fs::read_to_string(name_or_path).map_err(|error| {
            ScenarioError::unreadable(name_or_path, &error, &BUILT_IN.map(|(name, _)| name))
        })?;
        Self::parse(&text, name_or_path)
    }
}

impl Scenario {
    /// The step of a flow, until the flow ends.
    pub fn step(&self, flow: usize, step: usize) -> Option<&Step> {
        self.flows.get(flow)?.steps.get(step)
    }
}

impl Step {
    /// Whether an answer with this status is as it should be.
    pub fn expects(&self, status: StatusCode) -> bool {
        if self.expect.is_empty() {
            status.is_success() || status.is_redirection()
        } else {
            self.expect.contains(&status)
        }
    }
}

impl Action {
    /// Whether the step needs the page seen before.
    pub const fn needs_page(&self) -> bool {
        !matches!(self, Self::Get(_))
    }
}
