//! A release on a simulated clock, in a world where replicas are ready and routers confirm at once.
//!
//! It answers "at my traffic, how long does a release take and what would be caught", and it runs the very engine
//! that real releases run.

use crate::{
    Action, Cause, Counts, Duration, Fleet, Observation, Phase, Revision, Routing, Sample, Spec, Status,
    Tally, Window, decide,
};
use jiff::{SignedDuration, Timestamp};
use split::Weight;

/// The traffic at one moment.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Traffic {
    /// Requests per second, over both versions.
    pub rps: f64,
    /// The share of stable's requests that fail, from 0 to 1.
    pub stable_errors: f64,
    /// The share of the candidate's requests that fail, from 0 to 1.
    pub canary_errors: f64,
}

/// How a simulated release ended.
#[derive(Clone, Debug, PartialEq)]
pub struct Simulated {
    /// The end.
    pub end: End,
    /// From the start to the moment at which readers no longer got the loser.
    pub took: std::time::Duration,
    /// Ticks from the start.
    pub ticks: u64,
    /// Everything that was counted.
    pub total: Counts,
}

/// The ends of a simulated release.
#[derive(Clone, Debug, PartialEq)]
pub enum End {
    /// The candidate became stable.
    Promoted,
    /// The candidate was taken back.
    RolledBack(Cause),
    /// Neither within the given time; the text is the last hold.
    Undecided(String),
}

/// Runs one release under `traffic`, which is asked with the time since the start, for at most `limit`.
///
/// `uniform` gives random numbers from 0 to 1, 1 excluded: the caller brings the randomness, and the seed.
pub fn simulate(
    spec: &Spec,
    traffic: impl Fn(std::time::Duration) -> Traffic,
    limit: std::time::Duration,
    mut uniform: impl FnMut() -> f64,
) -> Simulated {
    let mut world = World::new(spec);
    let tick = spec.analysis.interval.get();
    loop {
        world.settle(spec);
        let took = tick * u32::try_from(world.ticks).unwrap_or(u32::MAX);
        let end = match &world.status.phase {
            Phase::Failed { cause, .. } => Some(End::RolledBack(cause.clone())),
            Phase::Stable if world.ticks > 0 => Some(End::Promoted),
            _ if took >= limit => Some(End::Undecided(
                world.status.hold.as_ref().map_or_else(String::new, |hold| hold.message.clone()),
            )),
            _ => None,
        };
        if let Some(end) = end {
            return Simulated { end, took, ticks: world.ticks, total: world.total };
        }
        world.pass(spec.analysis.interval, traffic(took), &mut uniform);
    }
}

/// Everything outside the engine.
struct World {
    status: Status,
    seen: Observation,
    now: Timestamp,
    ticks: u64,
    total: Counts,
    /// Requests owed to the candidate by an exact split.
    owed: f64,
}

// === impl World ===

impl World {
    fn new(spec: &Spec) -> Self {
        let stable = Revision::new("stable");
        let replicas = 10;
        let now = Timestamp::UNIX_EPOCH;
        let fleet = fleet(&stable, replicas);
        let seen = Observation {
            template: stable,
            replicas,
            stable: Some(fleet),
            candidate: None,
            routing: Routing { routers: 1, ..Routing::default() },
            sample: None,
            gates: Vec::new(),
        };
        let mut world =
            Self { status: Status::new(now), seen, now, ticks: 0, total: Counts::default(), owed: 0.0 };
        world.settle(spec);
        world.seen.template = Revision::new("candidate");
        world
    }

    /// Lets the engine go on until it waits.
    fn settle(&mut self, spec: &Spec) {
        loop {
            let decision = decide(spec, &self.status, &self.seen, self.now);
            let resting = decision.actions.is_empty() && decision.status.phase == self.status.phase;
            self.status = decision.status;
            self.seen.sample = None;
            for action in decision.actions {
                self.carry_out(action);
            }
            if resting {
                return;
            }
        }
    }

    fn carry_out(&mut self, action: Action) {
        match action {
            Action::Route(route) => self.seen.routing.written = Some(route),
            Action::ScaleCandidate(revision, replicas) => {
                self.seen.candidate = Some(fleet(&revision, replicas));
            }
            Action::ScaleStable(replicas) => {
                self.seen.stable = self.seen.stable.take().map(|stable| fleet(&stable.revision, replicas));
            }
            Action::RemoveCandidate(_) => self.seen.candidate = None,
            Action::Adopt(revision) => {
                self.seen.stable = Some(fleet(&revision, self.seen.replicas));
                self.seen.candidate = None;
            }
            Action::RestoreTemplate(revision) => self.seen.template = revision,
        }
    }

    /// One interval of requests.
    fn pass(&mut self, interval: Duration, traffic: Traffic, uniform: &mut impl FnMut() -> f64) {
        let requests = poisson(traffic.rps * interval.get().as_secs_f64(), uniform);
        let canary = self.canary_share(requests);
        let stable = requests - canary;
        let counts = Counts {
            canary: Tally::new(canary, binomial(canary, traffic.canary_errors, uniform)),
            stable: Tally::new(stable, binomial(stable, traffic.stable_errors, uniform)),
        };
        let from = self.now;
        self.now += SignedDuration::try_from(interval.get()).unwrap_or(SignedDuration::MAX);
        self.ticks += 1;
        self.total += counts;
        self.seen.sample = Some(Sample::Window(Window { from, to: self.now, counts }));
    }

    #[expect(
        clippy::cast_precision_loss,
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "counts"
    )]
    fn canary_share(&mut self, requests: u64) -> u64 {
        let weight = self.seen.routing.written.as_ref().map_or(Weight::ZERO, |route| route.weight);
        self.owed += requests as f64 * weight.fraction();
        let whole = self.owed.floor().max(0.0) as u64;
        let canary = whole.min(requests);
        self.owed -= canary as f64;
        canary
    }
}

fn fleet(revision: &Revision, replicas: u32) -> Fleet {
    Fleet { revision: revision.clone(), replicas, ready: replicas, restarts: 0, message: String::new() }
}

/// How many arrivals fall into one unit of time at the rate `mean`: exponential gaps, added up.
fn poisson(mean: f64, uniform: &mut impl FnMut() -> f64) -> u64 {
    let mut arrivals = 0;
    let mut at = 0.0;
    loop {
        at -= (1.0 - uniform()).ln();
        if at > mean {
            return arrivals;
        }
        arrivals += 1;
    }
}

/// How many of `trials` come true with probability `p`: geometric gaps between them, added up.
#[expect(clippy::cast_precision_loss, reason = "counts stay far below 2^52")]
fn binomial(trials: u64, p: f64, uniform: &mut impl FnMut() -> f64) -> u64 {
    if p <= 0.0 {
        return 0;
    }
    if p >= 1.0 {
        return trials;
    }
    let mut hits = 0;
    let mut at = 0.0;
    loop {
        at += ((1.0 - uniform()).ln() / (1.0 - p).ln()).floor() + 1.0;
        if at > trials as f64 {
            return hits;
        }
        hits += 1;
    }
}
