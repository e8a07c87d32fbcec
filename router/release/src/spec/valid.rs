//! From what a person wrote to a spec that makes sense.

use serde::Deserialize;
use split::Weight;

use super::{Analysis, Deadlines, Mode, Spec, Step, default_max_restarts, default_steps};
use crate::{Duration, Gate, Notification, OnDeadline, ReleaseWindow};

/// The most windows, gates or notifications.
const MAX_LIST: usize = 10;

/// A spec as a person writes it: everything may be left out.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(super) struct Written {
    #[serde(default)]
    mode: Mode,
    #[serde(default = "default_steps")]
    steps: Vec<Step>,
    #[serde(default)]
    analysis: Analysis,
    #[serde(default)]
    bake: Duration,
    #[serde(default)]
    deadlines: Deadlines,
    #[serde(default = "default_max_restarts")]
    max_restarts: u32,
    #[serde(default)]
    windows: Vec<ReleaseWindow>,
    #[serde(default)]
    gates: Vec<Gate>,
    #[serde(default)]
    notifications: Vec<Notification>,
}

impl TryFrom<Written> for Spec {
    type Error = InvalidSpec;

    fn try_from(written: Written) -> Result<Self, Self::Error> {
        let Written {
            mode,
            mut steps,
            analysis,
            bake,
            deadlines,
            max_restarts,
            windows,
            gates,
            notifications,
        } = written;
        match steps.last() {
            None => return Err(InvalidSpec::NoSteps),
            // As with Argo Rollouts, the way to all requests is implied.
            Some(last) if last.weight < Weight::FULL => steps.push(Step::of(Weight::FULL)),
            Some(_) => {}
        }
        let spec =
            Self { mode, steps, analysis, bake, deadlines, max_restarts, windows, gates, notifications };
        spec.check()
    }
}

/// Why a spec makes no sense; the text names the field and the remedy.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum InvalidSpec {
    /// No step at all.
    #[error("steps: the list is empty; leave the field out for the default of 1, 5, 20, 50 and 100 %")]
    NoSteps,
    /// A step of no weight.
    #[error("steps[{0}].weight: 0 % tries nothing; write a weight above 0")]
    ZeroWeight(usize),
    /// Two steps in the wrong order.
    #[error(
        "steps[{index}].weight: {weight} does not go up from {before}; weights must rise from step to step"
    )]
    NotRising {
        /// Which step.
        index: usize,
        /// Its weight.
        weight: Weight,
        /// The weight of the step before.
        before: Weight,
    },
    /// A step with no replicas.
    #[error(
        "steps[{0}].replicas: 0 replicas cannot answer requests; write at least 1 or leave the field out"
    )]
    ZeroReplicas(usize),
    /// A probability that is none, or useless.
    #[error("analysis.alpha: {0} is not between 0.000001 and 0.5; write a probability such as 0.01")]
    Alpha(f64),
    /// A share of zero where one is needed.
    #[error("analysis.{0}: 0 % can never be met; write a share such as 1%")]
    ZeroShare(&'static str),
    /// An interval that is too short.
    #[error("analysis.interval: {0} is too short to count requests in; write at least 100ms")]
    Interval(Duration),
    /// A span of zero where a wait needs one.
    #[error("{0}: 0s leaves no time at all; write a duration such as 1m")]
    ZeroDuration(&'static str),
    /// A bound that nobody would measure.
    #[error(
        "analysis.latencyBound: with analysis.prometheus.queries, count slow requests in the queries for errors"
    )]
    BoundBesideQueries,
    /// A query that asks nothing.
    #[error("analysis.prometheus.queries: a query is empty; write all four, or leave the field out")]
    EmptyQuery,
    /// A gate whose name is missing or is another one's too.
    #[error(
        "gates[{index}].name: `{name}` is not a name of its own; write 1 to 63 characters that no other gate has"
    )]
    GateName {
        /// Which gate.
        index: usize,
        /// Its name.
        name: String,
    },
    /// More of something than anybody could mean.
    #[error("{0}: {1} are too many; write at most {MAX_LIST}")]
    TooMany(&'static str, usize),
    /// A deadline that would promote without evidence.
    #[error("deadlines.onHold: no data is never a pass; write Hold or Abort")]
    OnHold,
}

// === impl Spec ===

impl Spec {
    fn check(self) -> Result<Self, InvalidSpec> {
        let mut before = Weight::ZERO;
        for (index, step) in self.steps.iter().enumerate() {
            match step {
                step if step.weight == Weight::ZERO => return Err(InvalidSpec::ZeroWeight(index)),
                step if step.weight <= before => {
                    return Err(InvalidSpec::NotRising { index, weight: step.weight, before });
                }
                step if step.replicas == Some(0) => return Err(InvalidSpec::ZeroReplicas(index)),
                step => before = step.weight,
            }
        }
        self.analysis.check()?;
        self.deadlines.check()?;
        self.check_others()?;
        Ok(self)
    }

    fn check_others(&self) -> Result<(), InvalidSpec> {
        let lengths = [
            ("windows", self.windows.len()),
            ("gates", self.gates.len()),
            ("notifications", self.notifications.len()),
        ];
        if let Some((field, length)) = lengths.into_iter().find(|(_, length)| *length > MAX_LIST) {
            return Err(InvalidSpec::TooMany(field, length));
        }
        for (index, Gate { name, timeout, interval, .. }) in self.gates.iter().enumerate() {
            let taken = self.gates.iter().take(index).any(|other| other.name == *name);
            if taken || !(1..=63).contains(&name.len()) {
                return Err(InvalidSpec::GateName { index, name: name.clone() });
            }
            for (field, span) in [("gates.timeout", timeout), ("gates.interval", interval)] {
                if span.is_zero() {
                    return Err(InvalidSpec::ZeroDuration(field));
                }
            }
        }
        Ok(())
    }
}

// === impl Analysis ===

impl Analysis {
    fn check(&self) -> Result<(), InvalidSpec> {
        if !(1e-6..=0.5).contains(&self.alpha) {
            return Err(InvalidSpec::Alpha(self.alpha));
        }
        for (name, share) in [("risk", self.risk), ("maxErrorRate", self.max_error_rate)] {
            if share == Weight::ZERO {
                return Err(InvalidSpec::ZeroShare(name));
            }
        }
        if self.interval < Duration::from_millis(100) {
            return Err(InvalidSpec::Interval(self.interval));
        }
        if let Some(prometheus) = &self.prometheus {
            prometheus.check(self.latency_bound)?;
        }
        if self.latency_bound.is_some_and(Duration::is_zero) {
            return Err(InvalidSpec::ZeroDuration("analysis.latencyBound"));
        }
        Ok(())
    }
}

// === impl Deadlines ===

impl Deadlines {
    fn check(&self) -> Result<(), InvalidSpec> {
        let spans = [
            ("deadlines.progress", self.progress),
            ("deadlines.acknowledge", self.acknowledge),
            ("deadlines.drain", self.drain),
            ("deadlines.hold", self.hold),
        ];
        if let Some((name, _)) = spans.into_iter().find(|(_, span)| span.is_zero()) {
            return Err(InvalidSpec::ZeroDuration(name));
        }
        if self.on_hold == OnDeadline::Proceed { Err(InvalidSpec::OnHold) } else { Ok(()) }
    }
}
