//! A small world around the engine in which everything can go wrong: replicas take their time and die, routers lag,
//! the promoter crashes.
#![allow(dead_code, reason = "each test file uses its part of the world")]

use jiff::{SignedDuration, Timestamp};
use release::{
    Action, Counts, Decision, EventReason, Fleet, GateReport, Mode, Observation, Phase, Revision, Route,
    Routing, Sample, Spec, Status, Tally, Trip, Verb, Window, apply, decide,
};
use split::Weight;

pub(crate) const STABLE: &str = "v1";

/// What the world holds, beside the status that the promoter stored.
#[derive(Clone)]
pub(crate) struct World {
    pub(crate) spec: Spec,
    pub(crate) status: Status,
    pub(crate) now: Timestamp,
    pub(crate) template: String,
    pub(crate) replicas: u32,
    pub(crate) stable: Pods,
    pub(crate) candidate: Option<Pods>,
    pub(crate) written: Option<Route>,
    pub(crate) routers: Vec<Router>,
    pub(crate) in_flight: (u64, u64),
    pub(crate) tripped: Option<Trip>,
    /// Requests per tick, and the errors of a thousand: stable's and the candidate's.
    pub(crate) requests: u64,
    pub(crate) errors: (u64, u64),
    pub(crate) source: Result<(), String>,
    pub(crate) gates: Vec<GateReport>,
    pub(crate) events: Vec<EventReason>,
    owed: u64,
    sample: Option<Sample>,
    counted_from: Timestamp,
}

#[derive(Clone)]
pub(crate) struct Pods {
    pub(crate) revision: String,
    pub(crate) wanted: u32,
    pub(crate) ready: u32,
    pub(crate) restarts: u32,
    pub(crate) starts: bool,
}

#[derive(Clone, Default)]
pub(crate) struct Router {
    pub(crate) applied: Option<Route>,
    pub(crate) cut_off: u32,
}

/// Where a promoter may be killed.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Crash {
    Never,
    BeforeStoring,
    AfterStoring,
    /// After this many actions.
    After(usize),
}

impl World {
    pub(crate) fn new(spec: Spec) -> Self {
        let now = Timestamp::UNIX_EPOCH;
        let mut world = Self {
            spec,
            status: Status::new(now),
            now,
            template: STABLE.to_owned(),
            replicas: 3,
            stable: Pods { revision: STABLE.to_owned(), wanted: 3, ready: 3, restarts: 0, starts: true },
            candidate: None,
            written: None,
            routers: vec![Router::default(); 2],
            in_flight: (0, 0),
            tripped: None,
            requests: 1_000,
            errors: (5, 5),
            source: Ok(()),
            gates: Vec::new(),
            events: Vec::new(),
            owed: 0,
            sample: None,
            counted_from: now,
        };
        world.turns(5);
        world
    }

    /// A spec whose ticks last a second.
    pub(crate) fn quick() -> Spec {
        serde_json::from_str(
            r#"{"steps": [{"weight": "5%"}, {"weight": "50%"}, {"weight": "100%"}],
                "analysis": {"interval": "1s"},
                "deadlines": {"progress": "1m", "acknowledge": "10s", "drain": "5s", "hold": "10m"}}"#,
        )
        .unwrap()
    }

    pub(crate) fn observe(&self) -> Observation {
        let fleet = |pods: &Pods| Fleet {
            revision: Revision::new(&pods.revision),
            replicas: pods.wanted,
            ready: pods.ready.min(pods.wanted),
            restarts: pods.restarts,
            message: String::new(),
        };
        let pending = |router: &&Router| router.cut_off > 0 || router.applied != self.written;
        Observation {
            template: Revision::new(&self.template),
            replicas: self.replicas,
            stable: Some(fleet(&self.stable)),
            candidate: self.candidate.as_ref().map(fleet),
            routing: Routing {
                written: self.written.clone(),
                routers: self.routers.len() as u32,
                pending: self.routers.iter().filter(pending).map(|_| "router".to_owned()).collect(),
                stable_in_flight: self.in_flight.0,
                canary_in_flight: self.in_flight.1,
                tripped: self.tripped.clone(),
            },
            sample: self.sample.clone(),
            gates: self.gates.clone(),
        }
    }

    /// One turn of the promoter.
    pub(crate) fn turn(&mut self, crash: Crash) -> Decision {
        let decision = decide(&self.spec, &self.status, &self.observe(), self.now);
        self.sample = None;
        if crash == Crash::BeforeStoring {
            return decision;
        }
        self.status = decision.status.clone();
        self.events.extend(decision.events.iter().map(|event| event.reason));
        let done = match crash {
            Crash::Never | Crash::BeforeStoring => usize::MAX,
            Crash::AfterStoring => 0,
            Crash::After(actions) => actions,
        };
        for action in decision.actions.iter().take(done).cloned() {
            self.carry_out(action);
        }
        decision
    }

    fn carry_out(&mut self, action: Action) {
        match action {
            Action::Route(route) => self.written = Some(route),
            Action::ScaleCandidate(revision, wanted) => {
                let revision = revision.to_string();
                let starts = !revision.contains("crashes");
                let fresh = Pods { revision, wanted, ready: 0, restarts: 0, starts };
                self.candidate.get_or_insert(fresh).wanted = wanted;
            }
            Action::ScaleStable(wanted) => self.stable.wanted = wanted,
            Action::RemoveCandidate(_) => self.candidate = None,
            Action::Adopt(revision) => {
                if let Some(pods) = self.candidate.take_if(|pods| pods.revision == revision.as_str()) {
                    self.stable = pods;
                }
            }
            Action::RestoreTemplate(revision) => self.template = revision.to_string(),
        }
    }

    /// A second passes: replicas start, routers read, requests come and go.
    pub(crate) fn pass(&mut self) {
        self.now += SignedDuration::from_secs(1);
        for pods in self.candidate.iter_mut().chain([&mut self.stable]) {
            pods.ready = if pods.starts { (pods.ready + 1).min(pods.wanted) } else { 0 };
        }
        for router in &mut self.routers {
            match router.cut_off {
                0 => router.applied = self.written.clone(),
                _ => router.cut_off -= 1,
            }
        }
        self.in_flight = (0, 0);
        let counts = self.count();
        let from = std::mem::replace(&mut self.counted_from, self.now);
        self.sample = Some(match &self.source {
            Ok(()) => Sample::Window(Window { from, to: self.now, counts }),
            Err(why) => Sample::Unavailable(why.clone()),
        });
    }

    /// What the routers count in a second, exactly shared.
    fn count(&mut self) -> Counts {
        let bp = |router: &Router| router.applied.as_ref().map_or(0, |route| route.weight.basis_points());
        let mean = self.routers.iter().map(|router| u64::from(bp(router))).sum::<u64>()
            / self.routers.len().max(1) as u64;
        let share = match (self.spec.mode, &self.candidate) {
            (Mode::HttpRoute, _) => mean,
            (Mode::Replicas, None) => 0,
            (Mode::Replicas, Some(pods)) => {
                u64::from(pods.ready) * 10_000
                    / u64::from((pods.ready + self.stable.ready.min(self.stable.wanted)).max(1))
            }
        };
        self.owed += self.requests * share;
        let canary = (self.owed / 10_000).min(self.requests);
        self.owed %= 10_000;
        let stable = self.requests - canary;
        let share = |requests: u64, per_thousand: u64| Tally::new(requests, requests * per_thousand / 1_000);
        Counts { canary: share(canary, self.errors.1), stable: share(stable, self.errors.0) }
    }

    /// Seconds without trouble.
    pub(crate) fn turns(&mut self, seconds: u32) {
        for _ in 0..seconds {
            self.pass();
            for _ in 0..4 {
                self.turn(Crash::Never);
            }
        }
    }

    pub(crate) fn until(&mut self, seconds: u32, met: impl Fn(&Self) -> bool) {
        for _ in 0..seconds {
            if met(self) {
                return;
            }
            self.turns(1);
        }
        assert!(met(self), "not within {seconds} s: {:?} {:?}", self.status.phase, self.status.hold);
    }

    pub(crate) fn release(&mut self, template: &str) {
        template.clone_into(&mut self.template);
    }

    pub(crate) fn say(&mut self, verb: Verb) {
        self.status = apply(verb, &self.status, &self.wanted(), self.now).unwrap();
    }

    pub(crate) fn wanted(&self) -> Revision {
        Revision::new(&self.template)
    }

    pub(crate) fn phase(&self) -> &'static str {
        self.status.phase.name()
    }

    pub(crate) fn hold(&self) -> String {
        self.status.hold.as_ref().map_or_else(String::new, |hold| hold.reason.to_string())
    }

    /// Where nothing goes on by itself any more.
    pub(crate) fn at_rest(&self) -> bool {
        let settled =
            self.candidate.is_none() && self.written.as_ref().is_none_or(|route| route.canary.is_none());
        match &self.status.phase {
            Phase::Stable => settled && self.template == self.stable.revision,
            Phase::Failed { release, .. } => settled && self.template == release.candidate.as_str(),
            _ => false,
        }
    }

    /// The largest weight that some router uses.
    pub(crate) fn weight_in_use(&self) -> Weight {
        let applied = self.routers.iter().filter_map(|router| router.applied.as_ref());
        applied.map(|route| route.weight).max().unwrap_or(Weight::ZERO)
    }

    pub(crate) fn by_replicas(mut spec: Spec) -> Spec {
        spec.mode = Mode::Replicas;
        spec
    }
}
