//! What the user asks of a release.

mod valid;

use crate::{Duration, Gate, Notification, OnDeadline, Prometheus, ReleaseWindow};
use serde::{Deserialize, Serialize};
use split::Weight;

pub use valid::InvalidSpec;
use valid::Written;

/// How a release of one workload is to go.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase", deny_unknown_fields, try_from = "Written")]
#[cfg_attr(feature = "schema", schemars(!try_from, default))]
pub struct Spec {
    /// How requests are shared.
    pub mode: Mode,
    /// The weights on the way up; the last one is 100 %.
    pub steps: Vec<Step>,
    /// How the candidate is judged.
    pub analysis: Analysis,
    /// How long the candidate keeps all requests, judged, while stable's replicas are still there.
    pub bake: Duration,
    /// How long each kind of wait may last.
    pub deadlines: Deadlines,
    /// How many restarts of a candidate that had been ready end the release.
    pub max_restarts: u32,
    /// When releases may begin and go on; at any time where the list is empty. Going back is always possible.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub windows: Vec<ReleaseWindow>,
    /// Who must say yes before a release begins, before each further step and before the promotion.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub gates: Vec<Gate>,
    /// Who is told what happens.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub notifications: Vec<Notification>,
}

/// How requests are shared.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase")]
pub enum Mode {
    /// By weights in routers.
    #[default]
    HttpRoute,
    /// By the number of replicas behind one Service, traded one for one.
    Replicas,
}

/// One weight on the way up.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Step {
    /// The candidate's share.
    #[cfg_attr(feature = "schema", schemars(with = "crate::schema::Percent"))]
    pub weight: Weight,
    /// The candidate's replicas; by default the weight's share of the workload's, rounded up.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub replicas: Option<u32>,
    /// A wait at this weight, however good the evidence.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pause: Option<Pause>,
    /// Requests that the candidate must have had at this weight; by default computed from `analysis.risk`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub min_requests: Option<u64>,
}

/// A wait for a time, or, where no duration is given, for a person.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct Pause {
    /// How long; none: until `promote` or `resume`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub duration: Option<Duration>,
}

/// How the candidate is judged.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct Analysis {
    /// The time between two readings of the counters. Default 10s.
    pub interval: Duration,
    /// The probability α of taking back a candidate that is not worse, over the whole release. Default 0.01.
    pub alpha: f64,
    /// The share of all requests that may fail at the next step if the candidate were as bad as could have gone
    /// unseen so far. Default 2 %.
    #[cfg_attr(feature = "schema", schemars(with = "crate::schema::Percent"))]
    pub risk: Weight,
    /// The error share beyond which a version is bad whatever the other does. Default 5 %.
    #[cfg_attr(feature = "schema", schemars(with = "crate::schema::Percent"))]
    pub max_error_rate: Weight,
    /// Requests slower than this count as errors; by default none do.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub latency_bound: Option<Duration>,
    /// A Prometheus server that the counts come from; by default the routers are asked themselves.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub prometheus: Option<Prometheus>,
}

/// How long each kind of wait may last.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct Deadlines {
    /// For replicas to get ready; then the release fails. Default 10m, as `progressDeadlineSeconds`.
    pub progress: Duration,
    /// For routers to confirm a weight; then the wait is shown as overdue. Default 1m.
    pub acknowledge: Duration,
    /// For requests to end on a track that gets no more; then they are cut. Default 30s.
    pub drain: Duration,
    /// For everything else, such as traffic, counts or a person. Default 1h.
    pub hold: Duration,
    /// What happens when `hold` has passed: `Hold` (the default, a person decides) or `Abort`.
    pub on_hold: OnDeadline,
}

// === impl Spec ===

impl Spec {
    /// The step at `index`, or the last one where the spec has become shorter since.
    pub fn step(&self, index: usize) -> Step {
        self.steps.get(index).or(self.steps.last()).copied().unwrap_or(Step::of(Weight::FULL))
    }

    /// The same for candidates that exist on paper only: nobody is asked, and no time is the wrong one.
    #[must_use]
    pub fn on_paper(self) -> Self {
        Self { windows: Vec::new(), gates: Vec::new(), notifications: Vec::new(), ..self }
    }

    /// The number of the last step, counted from 0.
    pub fn last_step(&self) -> usize {
        self.steps.len().saturating_sub(1)
    }
}

impl Default for Spec {
    fn default() -> Self {
        Self {
            mode: Mode::default(),
            steps: default_steps(),
            analysis: Analysis::default(),
            bake: Duration::ZERO,
            deadlines: Deadlines::default(),
            max_restarts: 3,
            windows: Vec::new(),
            gates: Vec::new(),
            notifications: Vec::new(),
        }
    }
}

// === impl Step ===

impl Step {
    /// A step of this weight with everything else by default.
    pub const fn of(weight: Weight) -> Self {
        Self { weight, replicas: None, pause: None, min_requests: None }
    }
}

// === impl Analysis ===

impl Analysis {
    /// The e-value at which a candidate is worse: 1/α.
    pub fn threshold(&self) -> f64 {
        1.0 / self.alpha
    }
}

impl Default for Analysis {
    fn default() -> Self {
        Self {
            interval: Duration::from_secs(10),
            alpha: 0.01,
            risk: Weight::from_basis_points_saturating(200),
            max_error_rate: Weight::from_basis_points_saturating(500),
            latency_bound: None,
            prometheus: None,
        }
    }
}

// === impl Deadlines ===

impl Default for Deadlines {
    fn default() -> Self {
        Self {
            progress: Duration::from_secs(600),
            acknowledge: Duration::from_secs(60),
            drain: Duration::from_secs(30),
            hold: Duration::from_secs(3600),
            on_hold: OnDeadline::Hold,
        }
    }
}

fn default_steps() -> Vec<Step> {
    [100, 500, 2_000, 5_000, 10_000].map(Weight::from_basis_points_saturating).map(Step::of).to_vec()
}

fn default_max_restarts() -> u32 {
    3
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refused(json: &str) -> String {
        serde_json::from_str::<Spec>(json).unwrap_err().to_string()
    }

    #[test]
    fn an_empty_object_is_a_whole_spec() {
        assert_eq!(serde_json::from_str::<Spec>("{}").unwrap(), Spec::default());
    }

    #[test]
    fn what_is_written_back_is_the_same_spec() {
        let json = serde_json::to_string(&Spec::default()).unwrap();
        assert_eq!(serde_json::from_str::<Spec>(&json).unwrap(), Spec::default());
    }

    #[test]
    fn the_step_to_all_requests_is_implied() {
        let spec: Spec = serde_json::from_str(r#"{"steps": [{"weight": "10%"}]}"#).unwrap();
        assert_eq!(spec.steps.last().unwrap().weight, Weight::FULL);
    }

    #[test]
    fn nonsense_is_refused_with_the_field_and_the_remedy() {
        for (json, part) in [
            (r#"{"steps": []}"#, "steps: the list is empty"),
            (r#"{"steps": [{"weight": "101%"}]}"#, "101%"),
            (r#"{"steps": [{"weight": "0%"}]}"#, "steps[0].weight: 0 % tries nothing"),
            (
                r#"{"steps": [{"weight": "20%"}, {"weight": "5%"}]}"#,
                "steps[1].weight: 5% does not go up from 20%",
            ),
            (r#"{"steps": [{"weight": "5%", "replicas": 0}]}"#, "steps[0].replicas"),
            (r#"{"steps": [{"weight": "5%", "wieght": 1}]}"#, "unknown field `wieght`"),
            (r#"{"bake": "-5s"}"#, "`-5s` is not a duration"),
            (r#"{"analysis": {"alpha": 0}}"#, "analysis.alpha: 0 is not between"),
            (r#"{"analysis": {"risk": "0%"}}"#, "analysis.risk"),
            (r#"{"analysis": {"interval": "1ms"}}"#, "analysis.interval: 1ms is too short"),
            (r#"{"analysis": {"latencyBound": "0s"}}"#, "analysis.latencyBound"),
            (r#"{"deadlines": {"hold": "0s"}}"#, "deadlines.hold"),
            (r#"{"deadlines": {"onHold": "Proceed"}}"#, "deadlines.onHold: no data is never a pass"),
            (r#"{"windows": [{"schedule": "9 am", "duration": "1h"}]}"#, "schedule: `9 am` is not a cron"),
            (r#"{"gates": [{"name": "qa", "url": "qa.example"}]}"#, "`qa.example` is not an address"),
            (
                r#"{"gates": [{"name": "qa", "url": "http://a"}, {"name": "qa", "url": "http://b"}]}"#,
                "gates[1].name: `qa` is not a name of its own",
            ),
            (
                r#"{"gates": [{"name": "qa", "url": "http://a", "timeout": "0s"}]}"#,
                "gates.timeout: 0s leaves",
            ),
            (r#"{"notifications": [{"url": "http://a", "events": ["Lunch"]}]}"#, "unknown variant `Lunch`"),
            (r#"{"stepz": []}"#, "unknown field `stepz`"),
        ] {
            let error = refused(json);
            assert!(error.contains(part), "{json}: {error}");
        }
    }
}
