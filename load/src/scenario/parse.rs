//! The YAML form of a scenario.

use std::{collections::BTreeMap, time::Duration};

use duration::Duration as Span;
use hyper::{
    StatusCode,
    header::{HeaderMap, HeaderName},
};
use serde::Deserialize;
use serde_saphyr::{Location, Options, Spanned};

use super::{Action, Flow, Follow, Identity, Role, Scenario, ScenarioError, Step};
use crate::{
    client::header_field,
    schedule::{RUN_MAX, Stage},
};

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Document {
    name: String,
    #[serde(default, rename = "description")]
    _description: String,
    #[serde(default = "default_users")]
    users: Spanned<usize>,
    #[serde(default)]
    identity: Option<Spanned<IdentityText>>,
    #[serde(default)]
    headers: BTreeMap<String, Spanned<String>>,
    #[serde(default)]
    stages: Option<Spanned<Vec<Stage>>>,
    flows: Spanned<Vec<Spanned<FlowText>>>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields, rename_all = "lowercase")]
enum IdentityText {
    Header(String),
    Cookie(String),
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct FlowText {
    name: String,
    #[serde(default = "default_weight")]
    weight: Spanned<i64>,
    #[serde(default)]
    think: Option<Span>,
    #[serde(default)]
    role: RoleText,
    steps: Vec<Spanned<StepText>>,
}

#[derive(Clone, Copy, Default, Deserialize)]
#[serde(rename_all = "lowercase")]
enum RoleText {
    #[default]
    Reader,
    Author,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct StepText {
    #[serde(default)]
    name: Option<String>,
    #[serde(default)]
    get: Option<String>,
    #[serde(default)]
    follow: Option<FollowText>,
    #[serde(default)]
    search: Option<SearchText>,
    #[serde(default)]
    submit: Option<BTreeMap<String, String>>,
    #[serde(default)]
    expect: Vec<u16>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields, rename_all = "lowercase")]
enum FollowText {
    Post,
    Feed,
    Next,
    Under(String),
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct SearchText {
    #[serde(default)]
    words: Vec<String>,
}

/// Enough people that a share of 1 % is some of them.
fn default_users() -> Spanned<usize> {
    Spanned::new(1_000, Location::UNKNOWN, Location::UNKNOWN)
}

fn default_weight() -> Spanned<i64> {
    Spanned::new(1, Location::UNKNOWN, Location::UNKNOWN)
}

/// Bounds of what a file may ask for.
const USERS_MAX: usize = 1_000_000;
const WEIGHT_MAX: i64 = 1_000_000;
const ENTRIES_MAX: usize = 100;
const PATH_MAX: usize = 2_000;
/// Each has a histogram of its own.
const STEP_NAMES_MAX: usize = 200;

// === validation ===

/// Collects what every check needs to name a place.
struct Checker<'a> {
    file: &'a str,
    step_names: Vec<String>,
}

impl Scenario {
    /// Reads a scenario from YAML text; `file` is named in errors.
    ///
    /// # Errors
    /// [`ScenarioError`] for text that is not YAML, unknown fields and values out of range.
    pub fn parse(text: &str, file: &str) -> Result<Self, ScenarioError> {
        let mut field = String::new();
        let document: Document =
            serde_saphyr::with_deserializer_from_str_with_options(text, Options::default(), |deserializer| {
                serde_path_to_error::deserialize(deserializer).map_err(|error| {
                    // The wrapper that knows the line is no part of the file.
                    field = error.path().to_string().replace(".value", "");
                    error.into_inner()
                })
            })
            .map_err(|error| ScenarioError::yaml(file, field, &error))?;
        Checker { file, step_names: vec![] }.scenario(document)
    }
}

impl Checker<'_> {
    fn error(&self, location: Location, field: &str, what: impl Into<String>) -> ScenarioError {
        ScenarioError::at(self.file, location, field, what)
    }

    fn scenario(mut self, document: Document) -> Result<Scenario, ScenarioError> {
        let Document { name, _description, users, identity, headers, stages, flows } = document;
        if !(1..=USERS_MAX).contains(&users.value) {
            let what = format!("{} is out of range; give 1 to {USERS_MAX} people", users.value);
            return Err(self.error(users.referenced, "users", what));
        }
        let stages = stages.map_or(Ok(vec![]), |stages| self.stages(stages))?;
        let identity = identity.map_or(Ok(Identity::None), |identity| self.identity(&identity))?;
        let headers = self.headers(headers)?;
        if flows.value.is_empty() || flows.value.len() > ENTRIES_MAX {
            let what = format!("{} flows; describe 1 to {ENTRIES_MAX}", flows.value.len());
            return Err(self.error(flows.referenced, "flows", what));
        }
        let flows_at = flows.referenced;
        let entries = flows.value.into_iter().enumerate();
        let flows = entries.map(|(n, flow)| self.flow(n, flow)).collect::<Result<Vec<_>, _>>()?;
        let Self { step_names, .. } = self;
        if step_names.len() > STEP_NAMES_MAX {
            let what =
                format!("{} steps of different names; give at most {STEP_NAMES_MAX} names", step_names.len());
            return Err(ScenarioError::at(self.file, flows_at, "flows", what));
        }
        Ok(Scenario { name, users: users.value, identity, headers, stages, flows, step_names })
    }

    fn stages(&self, stages: Spanned<Vec<Stage>>) -> Result<Vec<Stage>, ScenarioError> {
        let length: Duration = stages.value.iter().map(|stage| stage.duration.get()).sum();
        if stages.value.len() > ENTRIES_MAX || length > RUN_MAX {
            let (count, length, longest) = (stages.value.len(), Span::from(length), Span::from(RUN_MAX));
            let what =
                format!("{count} stages of {length} together; give at most {ENTRIES_MAX} and {longest}");
            return Err(self.error(stages.referenced, "stages", what));
        }
        Ok(stages.value)
    }

    fn identity(&self, text: &Spanned<IdentityText>) -> Result<Identity, ScenarioError> {
        let refuse = |what: String| self.error(text.referenced, "identity", what);
        match &text.value {
            IdentityText::Header(name) => {
                let (name, _) = header_field(name, "user-1").map_err(refuse)?;
                Ok(Identity::Header(name))
            }
            IdentityText::Cookie(name) if HeaderName::try_from(name).is_ok() => {
                Ok(Identity::Cookie(name.clone()))
            }
            IdentityText::Cookie(name) => {
                Err(refuse(format!("`{name}` is not a name for a cookie; use letters, digits and hyphens")))
            }
        }
    }

    fn headers(&self, fields: BTreeMap<String, Spanned<String>>) -> Result<HeaderMap, ScenarioError> {
        let pair = |(name, value): (String, Spanned<String>)| {
            header_field(&name, &value.value)
                .map_err(|what| self.error(value.referenced, &format!("headers.{name}"), what))
        };
        fields.into_iter().map(pair).collect()
    }

    fn flow(&mut self, index: usize, text: Spanned<FlowText>) -> Result<Flow, ScenarioError> {
        let at = text.referenced;
        let FlowText { name, weight, think, role, steps } = text.value;
        let field = format!("flows[{index}]");
        if !(1..=WEIGHT_MAX).contains(&weight.value) {
            let what =
                format!("{} is not a weight; give 1 to {WEIGHT_MAX}, or remove the flow", weight.value);
            return Err(self.error(weight.referenced, &format!("{field}.weight"), what));
        }
        if steps.is_empty() || steps.len() > ENTRIES_MAX {
            let what = format!("{} steps; write 1 to {ENTRIES_MAX}", steps.len());
            return Err(self.error(at, &format!("{field}.steps"), what));
        }
        let entries = steps.into_iter().enumerate();
        let steps = entries
            .map(|(n, step)| self.step(&format!("{field}.steps[{n}]"), step))
            .collect::<Result<Vec<_>, _>>()?;
        if steps.first().is_some_and(|step| step.action.needs_page()) {
            let what = "there is no page to start from; let the first step be a `get`, such as `get: /`";
            return Err(self.error(at, &format!("{field}.steps[0]"), what));
        }
        let role = match role {
            RoleText::Reader => Role::Reader,
            RoleText::Author => Role::Author,
        };
        let weight = u32::try_from(weight.value).unwrap_or(u32::MAX);
        Ok(Flow { name, weight, think: think.map_or(Duration::ZERO, Span::get), role, steps })
    }

    fn step(&mut self, field: &str, text: Spanned<StepText>) -> Result<Step, ScenarioError> {
        let at = text.referenced;
        let StepText { name, get, follow, search, submit, expect } = text.value;
        let action = match (get, follow, search, submit) {
            (Some(path), None, None, None) if is_path(&path) => Action::Get(path),
            (Some(path), None, None, None) => {
                let what = format!(
                    "`{path}` is not a path of the target; start it with one /, such as /posts, and use at most {PATH_MAX} bytes"
                );
                return Err(self.error(at, &format!("{field}.get"), what));
            }
            (None, Some(follow), None, None) => Action::Follow(follow.into()),
            (None, None, Some(search), None) => Action::Search(search.words),
            (None, None, None, Some(fields)) if !fields.is_empty() => {
                Action::Submit(fields.into_iter().collect())
            }
            _ => {
                let what =
                    "a step does one thing; write exactly one of get, follow, search, submit (with fields)";
                return Err(self.error(at, field, what));
            }
        };
        let expect = expect.into_iter().map(|code| {
            let refuse = |_| {
                self.error(
                    at,
                    &format!("{field}.expect"),
                    format!("{code} is no HTTP status; give 100 to 599"),
                )
            };
            if code > 599 { Err(refuse(())) } else { StatusCode::from_u16(code).map_err(|_| refuse(())) }
        });
        let expect = expect.collect::<Result<Vec<_>, _>>()?;
        let name = name.unwrap_or_else(|| action.default_name());
        Ok(Step { id: self.step_id(name), action, expect })
    }

    /// Steps of the same name are counted together.
    fn step_id(&mut self, name: String) -> usize {
        self.step_names.iter().position(|known| *known == name).unwrap_or_else(|| {
            self.step_names.push(name);
            self.step_names.len() - 1
        })
    }
}

fn is_path(text: &str) -> bool {
    text.starts_with('/') && !text.starts_with("//") && text.len() <= PATH_MAX
}

impl Action {
    fn default_name(&self) -> String {
        match self {
            Self::Get(path) => path.clone(),
            Self::Follow(Follow::Post) => "post".to_owned(),
            Self::Follow(Follow::Feed) => "feed".to_owned(),
            Self::Follow(Follow::Next) => "next page".to_owned(),
            Self::Follow(Follow::Under(path)) => format!("{path}…"),
            Self::Search(_) => "search".to_owned(),
            Self::Submit(_) => "submit".to_owned(),
        }
    }
}

impl From<FollowText> for Follow {
    fn from(text: FollowText) -> Self {
        match text {
            FollowText::Post => Self::Post,
            FollowText::Feed => Self::Feed,
            FollowText::Next => Self::Next,
            FollowText::Under(path) => Self::Under(path),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const FLOW: &str = "flows:\n- name: all\n  steps:\n  - get: /\n";

    fn error(text: &str) -> String {
        Scenario::parse(text, "my.yaml").unwrap_err().to_string()
    }

    #[test]
    fn the_scenarios_of_the_program_are_valid() {
        for (name, text) in super::super::BUILT_IN {
            let scenario = Scenario::parse(text, name).unwrap();
            assert_eq!(scenario.name, name);
        }
    }

    #[test]
    fn a_full_scenario_is_read() {
        let text = "
name: mine
users: 20
identity: {cookie: visitor}
headers: {Accept-Language: zh-CN}
stages: [{rate: 5, duration: 10s}, {from: 5, rate: 50.5, duration: 1m30s}]
flows:
- name: browse
  weight: 3
  think: 200ms
  steps:
  - {get: /, name: home}
  - follow: post
  - follow: {under: /tags/}
  - search: {words: [a]}
- name: write
  role: author
  steps:
  - get: /
  - {submit: {title: 'Post {number}'}, expect: [201, 422]}
";
        let scenario = Scenario::parse(text, "my.yaml").unwrap();
        assert_eq!(scenario.identity, Identity::Cookie("visitor".to_owned()));
        assert_eq!(scenario.headers["accept-language"], "zh-CN");
        assert_eq!(scenario.stages[1].duration.get().as_secs(), 90);
        assert_eq!((scenario.flows[0].weight, scenario.flows[1].role), (3, Role::Author));
        assert_eq!(scenario.step_names, ["home", "post", "/tags/…", "search", "/", "submit"]);
        assert!(scenario.flows[1].steps[1].expects(StatusCode::UNPROCESSABLE_ENTITY));
        assert!(!scenario.flows[1].steps[1].expects(StatusCode::OK));
    }

    #[test]
    fn errors_name_file_line_field_and_remedy() {
        let cases = [
            (
                format!("name: x\nuser: 5\n{FLOW}"),
                "my.yaml:2:1: user: unknown field `user`",
                "remove or correct",
            ),
            (
                format!("name: x\nstages:\n- {{rate: 5, duration: -5s}}\n{FLOW}"),
                "my.yaml:3:",
                "write it as 10s",
            ),
            (
                format!("name: x\nstages:\n- {{rate: 5, duration: 0s}}\n{FLOW}"),
                "stages[0].duration",
                "more than 0s",
            ),
            (
                format!("name: x\nstages:\n- {{rate: -1, duration: 5s}}\n{FLOW}"),
                "stages[0].rate",
                "from 0 to",
            ),
            (
                format!("name: x\nstages:\n- {{rate: .nan, duration: 5s}}\n{FLOW}"),
                "stages[0].rate",
                "from 0 to",
            ),
            (format!("name: x\nusers: 0\n{FLOW}"), "my.yaml:2:8: users", "give 1 to"),
            (
                format!("name: x\n{}", FLOW.replace("  steps", "  weight: 0\n  steps")),
                "flows[0].weight",
                "give 1 to",
            ),
            (
                format!("name: x\n{}", FLOW.replace("  steps", "  weight: -3\n  steps")),
                "my.yaml:4:11",
                "give 1 to",
            ),
            (format!("name: x\n{}", FLOW.replace("get: /", "follow: post")), "flows[0].steps[0]", "`get: /`"),
            (
                format!("name: x\n{}", FLOW.replace("get: /", "get: http://other/")),
                "steps[0].get",
                "start it with one /",
            ),
            (
                format!("name: x\n{FLOW}    search: {{}}\n"),
                "my.yaml:5:5: flows[0].steps[0]",
                "exactly one of",
            ),
            (format!("name: x\n{FLOW}    expect: [700]\n"), "steps[0].expect", "100 to 599"),
            (format!("name: x\nheaders: {{'a b': c}}\n{FLOW}"), "headers.a b", "letters, digits"),
            (format!("name: x\nidentity: {{header: content-length}}\n{FLOW}"), "identity", "leave it out"),
            (
                format!(
                    "name: x\nstages:\n- {{rate: 5, duration: 23h}}\n- {{rate: 5, duration: 2h}}\n{FLOW}"
                ),
                "my.yaml:3:3: stages: 2 stages of 25h together",
                "at most 100 and 24h",
            ),
            ("name: x\nflows: []\n".to_owned(), "my.yaml:2:8: flows", "describe 1 to"),
            ("name: x\n".to_owned(), "flows", "missing field"),
            ("name: [x\n".to_owned(), "my.yaml:", ""),
        ];
        for (text, place, remedy) in cases {
            let error = error(&text);
            assert!(
                error.starts_with("my.yaml") && error.contains(place) && error.contains(remedy),
                "{text}\n{error}"
            );
        }
    }

    #[test]
    fn an_unknown_name_tells_which_there_are() {
        let error = Scenario::load("/nowhere/reader").unwrap_err().to_string();
        assert!(
            error.contains("/nowhere/reader: cannot be read") && error.contains("readers, sticky, authors")
        );
    }
}
