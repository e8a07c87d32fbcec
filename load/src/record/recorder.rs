//! Counting.

use std::{collections::BTreeMap, time::Duration};

use jiff::Timestamp;

use super::{Both, Ended, Event, Figures, Latencies, Percentiles, Sample, Second, Version};
use crate::{
    schedule::{Position, Stage},
    session::{CountedAs, Verdict},
};

/// Counts events by version, stage and step. Memory is bounded: 16 versions, 50 samples, one entry per second.
pub struct Recorder {
    started: Timestamp,
    plan: Vec<Stage>,
    all: Group,
    versions: BTreeMap<Version, Group>,
    stages: Vec<Tally>,
    steps: Vec<Tally>,
    redirects: Tally,
    skipped: Vec<u64>,
    failures: BTreeMap<String, u64>,
    samples: Vec<Sample>,
    lag: Latencies,
    redirects_refused: u64,
    timeline: Vec<Second>,
    last_elapsed: f64,
}

/// The counts of a whole run.
pub struct Counts {
    /// When the first arrival was due.
    pub started: Timestamp,
    /// All requests.
    pub total: Figures,
    /// By version.
    pub versions: Vec<(String, Figures)>,
    /// By stage.
    pub stages: Vec<Figures>,
    /// By step, with the number of times that a page did not offer it.
    pub steps: Vec<(Figures, u64)>,
    /// Redirects that were followed.
    pub redirects: Figures,
    /// Redirects to other authorities, not followed.
    pub redirects_refused: u64,
    /// Failures by reason.
    pub failures: BTreeMap<String, u64>,
    /// The first failures.
    pub samples: Vec<Sample>,
    /// How late the driver itself was.
    pub lag: Option<Percentiles>,
    /// Second by second.
    pub timeline: Vec<Second>,
}

/// More versions than a release has; a server that invents versions must not fill the memory.
const VERSIONS_MAX: usize = 16;
/// Enough to see what failures have in common.
const SAMPLES_MAX: usize = 50;

#[derive(Default)]
struct Tally {
    figures: Figures,
    latencies: Latencies,
}

#[derive(Default)]
struct Group {
    total: Tally,
    last: Tally,
}

// === impl Recorder ===

impl Recorder {
    /// An empty recorder for these stages and so many steps.
    pub fn new(started: Timestamp, plan: Vec<Stage>, steps: usize) -> Self {
        let tallies = |count| std::iter::repeat_with(Tally::default).take(count).collect();
        Self {
            started,
            stages: tallies(plan.len()),
            plan,
            all: Group::default(),
            versions: BTreeMap::new(),
            steps: tallies(steps),
            redirects: Tally::default(),
            skipped: vec![0; steps],
            failures: BTreeMap::new(),
            samples: vec![],
            lag: Latencies::new(),
            redirects_refused: 0,
            timeline: vec![],
            last_elapsed: 0.0,
        }
    }

    /// Counts one event.
    pub fn record(&mut self, event: Event) {
        match event {
            Event::Ended(ended) => self.ended(*ended),
            Event::Dropped { stage } => {
                self.all.total.figures.dropped += 1;
                self.all.last.figures.dropped += 1;
                self.stages.get_mut(stage).into_iter().for_each(|tally| tally.figures.dropped += 1);
            }
            Event::Skipped(step) => self.skipped.get_mut(step).into_iter().for_each(|count| *count += 1),
            Event::RedirectRefused => self.redirects_refused += 1,
        }
    }

    fn ended(&mut self, ended: Ended) {
        self.lag.add(ended.lag);
        self.all.add(&ended);
        let is_known = self.versions.contains_key(&ended.version);
        let version = if is_known || self.versions.len() < VERSIONS_MAX {
            ended.version.clone()
        } else {
            Version::Other
        };
        self.versions.entry(version).or_default().add(&ended);
        self.stages.get_mut(ended.stage).into_iter().for_each(|tally| tally.add(&ended));
        match ended.counted_as {
            CountedAs::Step(step) => self.steps.get_mut(step).into_iter().for_each(|tally| tally.add(&ended)),
            CountedAs::Redirect => self.redirects.add(&ended),
        }
        let reason = match ended.verdict {
            Verdict::Fine => return,
            Verdict::Failed(reason) => reason.name(),
            Verdict::Unexpected(status) => format!("unexpected {}", status.as_u16()),
        };
        *self.failures.entry(reason.clone()).or_default() += 1;
        if self.samples.len() < SAMPLES_MAX {
            self.samples.push(Sample {
                time: self.started + ended.intended,
                request: ended.request,
                reason,
                version: ended.version.label().to_owned(),
                request_id: ended.request_id,
                latency_ms: ended.latency.as_secs_f64() * 1_000.0,
            });
        }
    }

    /// Ends a second: what was "last" starts again.
    pub fn tick(&mut self, elapsed: Duration, in_flight: usize) -> &Second {
        let elapsed_seconds = elapsed.as_secs_f64();
        let versions =
            self.versions.iter().map(|(version, group)| (version.label().to_owned(), group.both()));
        let second = Second {
            elapsed_seconds,
            last_seconds: elapsed_seconds - self.last_elapsed,
            stage: Position::at(elapsed, &self.plan),
            in_flight,
            all: self.all.both(),
            versions: versions.collect(),
            failures: self.failures.clone(),
        };
        self.last_elapsed = elapsed_seconds;
        self.all.last.clear();
        self.versions.values_mut().for_each(|group| group.last.clear());
        self.timeline.push(second);
        &self.timeline[self.timeline.len() - 1]
    }

    /// The counts of the whole run.
    pub fn finish(self) -> Counts {
        let named = |(version, group): (Version, Group)| (version.label().to_owned(), group.total.figures());
        Counts {
            started: self.started,
            total: self.all.total.figures(),
            versions: self.versions.into_iter().map(named).collect(),
            stages: self.stages.iter().map(Tally::figures).collect(),
            steps: self.steps.iter().map(Tally::figures).zip(self.skipped).collect(),
            redirects: self.redirects.figures(),
            redirects_refused: self.redirects_refused,
            failures: self.failures,
            samples: self.samples,
            lag: self.lag.percentiles(),
            timeline: self.timeline,
        }
    }
}

impl Group {
    fn add(&mut self, ended: &Ended) {
        self.total.add(ended);
        self.last.add(ended);
    }

    fn both(&self) -> Both {
        Both { total: self.total.figures(), last: self.last.figures() }
    }
}

impl Tally {
    fn add(&mut self, ended: &Ended) {
        let figures = &mut self.figures;
        figures.requests += 1;
        figures.retried += u64::from(ended.retried);
        figures.failures += u64::from(ended.verdict != Verdict::Fine);
        figures.unexpected += u64::from(matches!(ended.verdict, Verdict::Unexpected(_)));
        self.latencies.add(ended.latency);
    }

    fn figures(&self) -> Figures {
        Figures { latency: self.latencies.percentiles(), ..self.figures }
    }

    fn clear(&mut self) {
        self.figures = Figures::default();
        self.latencies.clear();
    }
}
