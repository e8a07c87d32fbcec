//! What each stage wants the platform to be like, and the actions that lead there.

use super::Turn;
use crate::{Action, Fleet, Mode, Phase, Promotion, Release, Revision, Rollback, Route, Stage, Step};
use split::Weight;

/// How the platform should be.
struct Desired {
    route: Route,
    candidate: Candidate,
    stable: u32,
}

/// How the candidate's replicas should be.
enum Candidate {
    /// Whatever is there stays.
    AsItIs,
    /// None.
    Absent,
    /// This revision with this many.
    Scaled(Revision, u32),
    /// This revision, all of it, belongs to the workload itself.
    Adopted(Revision, u32),
}

// === impl Turn ===

impl Turn<'_> {
    /// Remembers when the decided weight came into force.
    pub(super) fn note_acknowledgement(&mut self) {
        let Some(desired) = self.desired() else { return };
        self.in_force = match self.spec.mode {
            Mode::HttpRoute => self.seen.routing.acknowledges(&desired.route),
            Mode::Replicas => self.stable_replicas() == desired.stable,
        } && desired.route.weight == self.status.route.weight;
        if self.in_force {
            self.status.route = self.status.route.acknowledged(self.now);
        }
    }

    /// The actions that lead from what is seen to what the status wants.
    pub(super) fn actions(&mut self) -> Vec<Action> {
        let Some(desired) = self.desired() else { return Vec::new() };
        self.status.route = self.status.route.decided(desired.route.weight);
        let mut actions: Vec<Action> =
            self.status.restore.clone().map(Action::RestoreTemplate).into_iter().collect();
        if self.spec.mode == Mode::HttpRoute && self.seen.routing.written.as_ref() != Some(&desired.route) {
            actions.push(Action::Route(desired.route));
        }
        if self.stable_replicas() != desired.stable {
            actions.push(Action::ScaleStable(desired.stable));
        }
        actions.extend(desired.candidate.action(self.seen.candidate.as_ref()));
        actions
    }

    /// The table of what the stages want; nothing before the first rollout has finished.
    fn desired(&self) -> Option<Desired> {
        let (stable, all) = (self.status.stable.clone()?, self.seen.replicas);
        let idle = |stable, candidate| Desired {
            route: Route { stable, canary: None, weight: Weight::ZERO },
            candidate,
            stable: all,
        };
        Some(match &self.status.phase {
            Phase::Initializing => return None,
            Phase::Stable | Phase::Failed { .. } => idle(stable, Candidate::Absent),
            Phase::Progressing { release, .. } if !release.admitted => idle(stable, Candidate::Absent),
            Phase::Progressing { release, stage } => self.desired_progress(stable, release, *stage),
            Phase::Promoting { release, task } => self.desired_promotion(stable, &release.candidate, *task),
            Phase::RollingBack { task: Rollback::Removing, .. } => idle(stable, Candidate::Absent),
            Phase::RollingBack { release, .. } => Desired {
                route: Route {
                    stable,
                    canary: Some(release.candidate.clone()),
                    weight: self.or_present(Weight::ZERO),
                },
                candidate: Candidate::AsItIs,
                stable: all,
            },
        })
    }

    fn desired_progress(&self, stable: Revision, release: &Release, stage: Stage) -> Desired {
        let needed = self.needed(release);
        let fleet = self.candidate();
        let weight = self.or_present(self.carried(release.granted));
        // Replicas are never taken away while some router may still use a larger weight.
        let replicas = if stage == Stage::Judging && self.status.route.acknowledged.is_some() {
            needed
        } else {
            needed.max(fleet.map_or(0, |fleet| fleet.replicas))
        };
        let kept = match (self.spec.mode, stage) {
            (Mode::HttpRoute, _) => self.seen.replicas,
            (Mode::Replicas, Stage::Scaling) => self.stable_replicas(),
            (Mode::Replicas, _) => self.seen.replicas.saturating_sub(needed),
        };
        Desired {
            route: Route { stable, canary: Some(release.candidate.clone()), weight },
            candidate: Candidate::Scaled(release.candidate.clone(), replicas),
            stable: kept,
        }
    }

    fn desired_promotion(&self, stable: Revision, candidate: &Revision, task: Promotion) -> Desired {
        let all = self.seen.replicas;
        let (stable, canary, weight) = match task {
            Promotion::Draining => (stable, Some(candidate.clone()), Weight::FULL),
            Promotion::Repointing | Promotion::Adopting => (candidate.clone(), None, Weight::ZERO),
        };
        Desired {
            route: Route { stable, canary, weight },
            candidate: match task {
                Promotion::Adopting => Candidate::Adopted(candidate.clone(), all),
                Promotion::Draining | Promotion::Repointing => Candidate::Scaled(candidate.clone(), all),
            },
            stable: match (self.spec.mode, task) {
                (Mode::Replicas, _) | (_, Promotion::Adopting) => self.stable_replicas(),
                (Mode::HttpRoute, _) => all,
            },
        }
    }

    /// `weight`, unless it gives requests back to a stable that has no replica to answer them.
    fn or_present(&self, weight: Weight) -> Weight {
        let nobody = self.stable_ready() == 0 && self.candidate_ready() > 0;
        let written = self.seen.routing.written.as_ref().map_or(Weight::ZERO, |route| route.weight);
        if nobody { weight.max(written) } else { weight }
    }

    /// The step that the release is at, or the weight that a person set instead of it.
    pub(super) fn target(&self, release: &Release) -> Step {
        release.target(self.spec)
    }

    /// The candidate's replicas that the step needs: the weight's share of all, rounded up, at least one; or as the
    /// step says, but all of them for all requests, since they are adopted then.
    pub(super) fn needed(&self, release: &Release) -> u32 {
        let step = self.target(release);
        match step.replicas {
            Some(replicas) if step.weight < Weight::FULL => replicas,
            _ => share_of(step.weight, self.seen.replicas),
        }
    }

    /// The part of `weight` that the candidate's ready replicas carry.
    pub(super) fn carried(&self, weight: Weight) -> Weight {
        let step = self.spec.steps.iter().find(|step| step.weight == weight && weight < Weight::FULL);
        let replicas =
            step.and_then(|step| step.replicas).unwrap_or_else(|| share_of(weight, self.seen.replicas));
        let ready = self.candidate_ready();
        if ready >= replicas {
            return weight;
        }
        let part = u64::from(weight.basis_points()) * u64::from(ready) / u64::from(replicas);
        Weight::from_basis_points_saturating(u16::try_from(part).unwrap_or(0))
    }

    /// The replicas of the release's own candidate.
    pub(super) fn candidate(&self) -> Option<&Fleet> {
        let release = self.status.release()?;
        self.seen.candidate.as_ref().filter(|fleet| fleet.revision == release.candidate)
    }

    pub(super) fn candidate_ready(&self) -> u32 {
        self.candidate().map_or(0, |fleet| fleet.ready)
    }

    pub(super) fn stable_ready(&self) -> u32 {
        self.seen.stable.as_ref().map_or(0, |fleet| fleet.ready)
    }

    fn stable_replicas(&self) -> u32 {
        self.seen.stable.as_ref().map_or(0, |fleet| fleet.replicas)
    }
}

/// How many replicas of `all` carry `weight`: its share rounded up, at least one.
fn share_of(weight: Weight, all: u32) -> u32 {
    let share = (u64::from(weight.basis_points()) * u64::from(all)).div_ceil(u64::from(Weight::BASIS_POINTS));
    u32::try_from(share).unwrap_or(all).max(1)
}

// === impl Candidate ===

impl Candidate {
    fn action(self, seen: Option<&Fleet>) -> Option<Action> {
        let scale = |revision, replicas| Some(Action::ScaleCandidate(revision, replicas));
        match (self, seen) {
            (Self::AsItIs, _) | (Self::Absent | Self::Adopted(..), None) => None,
            (Self::Absent, Some(fleet)) => Some(Action::RemoveCandidate(fleet.revision.clone())),
            (Self::Scaled(revision, _) | Self::Adopted(revision, _), Some(fleet))
                if fleet.revision != revision =>
            {
                Some(Action::RemoveCandidate(fleet.revision.clone()))
            }
            (Self::Scaled(revision, replicas), None) => scale(revision, replicas),
            (Self::Scaled(revision, replicas) | Self::Adopted(revision, replicas), Some(fleet))
                if fleet.replicas != replicas =>
            {
                scale(revision, replicas)
            }
            (Self::Scaled(..), Some(_)) => None,
            // Adopting at less than full size would start new, unverified replicas at once.
            (Self::Adopted(revision, replicas), Some(fleet)) => {
                (fleet.ready >= replicas).then_some(Action::Adopt(revision))
            }
        }
    }
}
