//! What belongs to one Canary in the cluster at one moment, and what the engine is to know of it.

use super::object::{Deployment, ReplicaSet, controller_of, name_of, uid_of};
use super::revision::{HASH_LABEL, images_of, revision_of};
use super::status::RevisionView;
use crate::canary::ReplicaView;
use k8s_openapi::api::core::v1::Pod;
use release::{Fleet, Revision};
use std::collections::BTreeSet;
use std::net::{IpAddr, SocketAddr};

/// The number of replicas that the user asked for, while the promoter has set another one.
pub(super) const WANTED: &str = "huidu.dev/replicas";
/// The number that the promoter has set.
pub(super) const SET: &str = "huidu.dev/replicas-set";
/// The template that was pushed while the one before it was being adopted.
pub(super) const NEXT: &str = "huidu.dev/next-template";
/// The revision of a candidate.
pub(super) const REVISION: &str = "huidu.dev/revision";

/// Everything that was read.
#[derive(Clone, Debug)]
pub(super) struct World {
    /// The user's.
    pub(super) deployment: Deployment,
    /// Those that the Canary made and that are not gone.
    pub(super) candidates: Vec<Deployment>,
    /// All ReplicaSets that the Deployment's selector matches.
    pub(super) sets: Vec<Set>,
    /// All pods that the Deployment's selector matches.
    pub(super) pods: Vec<Pod>,
}

/// A ReplicaSet and the revision that it has.
#[derive(Clone, Debug)]
pub(super) struct Set {
    pub(super) revision: Revision,
    pub(super) object: ReplicaSet,
}

/// Where the pods of one ReplicaSet are.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Addresses {
    pub(super) ready: BTreeSet<IpAddr>,
    /// Those that are not ready, or ending, too.
    pub(super) all: BTreeSet<IpAddr>,
}

// === impl World ===

impl World {
    /// The revision that the user asks for.
    pub(super) fn template(&self) -> Revision {
        revision_of(&self.deployment.spec.template)
    }

    /// The revision that the user asks for, also where it waits until the one before it is adopted.
    pub(super) fn next_template(&self) -> Revision {
        let next = self.deployment.annotation(NEXT).and_then(|next| serde_json::from_str(next).ok());
        next.as_ref().map_or_else(|| self.template(), revision_of)
    }

    /// The number of replicas that the user asks for: the Deployment's own, or, where the promoter has changed it and
    /// nobody else since, the number from before.
    pub(super) fn wanted_replicas(&self) -> u32 {
        let number = |name| self.deployment.annotation(name).and_then(|text| text.parse().ok());
        let now = self.deployment.spec.replicas.unwrap_or(1);
        match (number(WANTED), number(SET)) {
            (Some(wanted), Some(set)) if set == now => wanted,
            _ => now,
        }
    }

    /// The ReplicaSet that readers have: the remembered one, or, where that has nothing, the largest. Before anything
    /// is remembered, one that the template does not ask for any more comes first, since a rollout is under way then.
    pub(super) fn stable(&self, remembered: Option<&Revision>) -> Option<&Set> {
        let template = self.template();
        let preferred = |set: &Set| match remembered {
            Some(revision) => set.revision == *revision,
            None => set.revision != template,
        };
        let own = self.sets.iter().filter(|set| self.owns(set));
        own.max_by_key(|set| {
            let replicas = set.object.spec.replicas;
            (replicas > 0 && preferred(set), replicas, set.revision == template)
        })
    }

    /// Those of the Deployment's own ReplicaSets that have replicas and should have none.
    pub(super) fn strays(&self, stable: &Revision) -> impl Iterator<Item = &Set> {
        let stable = self.stable(Some(stable)).map(|set| uid_of(&set.object.metadata).to_owned());
        self.sets.iter().filter(move |set| {
            self.owns(set)
                && set.object.spec.replicas > 0
                && stable.as_deref() != Some(uid_of(&set.object.metadata))
        })
    }

    /// Empty ReplicaSets of the Deployment that would be scaled up in place of an orphan of the same template.
    pub(super) fn rivals(&self, revision: &Revision) -> impl Iterator<Item = &Set> {
        self.sets
            .iter()
            .filter(move |set| self.owns(set) && set.revision == *revision && set.object.spec.replicas == 0)
    }

    /// The candidate of a revision that is there to stay.
    pub(super) fn candidate(&self, revision: &Revision) -> Option<&Deployment> {
        let its = |candidate: &&Deployment| candidate.annotation(REVISION) == Some(revision.as_str());
        self.candidates.iter().filter(its).find(|candidate| !candidate.is_ending())
    }

    /// The candidate's replicas, whoever owns them at the moment; none when the last of the Deployments that the Canary
    /// made is gone. `name` is what the release's own candidate is called: it owns ReplicaSets for a moment
    /// longer, and then nobody does until the Deployment adopts them.
    pub(super) fn candidate_fleet(&self, name: Option<&str>) -> Option<Fleet> {
        if let Some(candidate) = self.candidates.iter().max_by_key(|candidate| !candidate.is_ending()) {
            let revision = Revision::new(candidate.annotation(REVISION).unwrap_or_default());
            let mut fleet = self.fleet(revision, candidate.spec.replicas.unwrap_or(1));
            if fleet.message.is_empty() && fleet.ready < fleet.replicas {
                fleet.message = failure(&candidate.status.conditions);
            }
            return Some(fleet);
        }
        let left = self.sets.iter().find(|set| {
            let owners = set.object.metadata.owner_references.iter().flatten();
            let mut owners = owners.filter(|owner| owner.controller == Some(true));
            !self.owns(set) && owners.all(|owner| Some(owner.name.as_str()) == name)
        })?;
        Some(self.fleet(left.revision.clone(), left.object.spec.replicas))
    }

    /// The `pod-template-hash` of the pods that readers have, or, while they are taken over, will have.
    pub(super) fn hash_of_stable(&self, revision: &Revision) -> Option<&str> {
        let own = self.stable(Some(revision)).filter(|set| set.revision == *revision);
        let any = || self.sets.iter().find(|set| set.revision == *revision).map(Set::hash);
        own.map(Set::hash).or_else(|| self.hash_of_candidate(revision)).or_else(any)
    }

    /// The `pod-template-hash` of the candidate's pods, once it has a ReplicaSet.
    pub(super) fn hash_of_candidate(&self, revision: &Revision) -> Option<&str> {
        self.sets.iter().find(|set| !self.owns(set) && set.revision == *revision).map(Set::hash)
    }

    /// Where the pods with a `pod-template-hash` are.
    pub(super) fn addresses(&self, hash: &str) -> Addresses {
        let mut addresses = Addresses::default();
        for pod in &self.pods {
            let labels = pod.metadata.labels.as_ref();
            let status = pod.status.as_ref();
            let ip = status.and_then(|status| status.pod_ip.as_ref()).and_then(|ip| ip.parse().ok());
            if let Some(ip) = ip
                && labels.and_then(|labels| labels.get(HASH_LABEL)).is_some_and(|value| value == hash)
            {
                addresses.all.insert(ip);
                if is_ready(pod) {
                    addresses.ready.insert(ip);
                }
            }
        }
        addresses
    }

    /// The replicas of a revision.
    pub(super) fn fleet(&self, revision: Revision, replicas: u32) -> Fleet {
        let views = self.replicas();
        let own = views.iter().filter(|view| view.revision == revision);
        let ready = own.clone().filter(|view| view.ready).count();
        let restarts = own.clone().map(|view| view.restarts).sum();
        let mut message = own.clone().map(|view| view.message.as_str()).find(|text| !text.is_empty());
        let of_set = self.sets.iter().filter(|set| set.revision == revision);
        let failures: Vec<_> = of_set.map(|set| failure(&set.object.status.conditions)).collect();
        if views.iter().filter(|view| view.revision == revision).count() < replicas as usize {
            message = failures.iter().map(String::as_str).find(|text| !text.is_empty()).or(message);
        }
        let message = message.unwrap_or_default().to_owned();
        Fleet { ready: u32::try_from(ready).unwrap_or(u32::MAX), revision, replicas, restarts, message }
    }

    /// The pods of the revisions, in a fixed order.
    pub(super) fn replicas(&self) -> Vec<ReplicaView> {
        let mut views: Vec<_> = self
            .pods
            .iter()
            .filter_map(|pod| {
                let set = controller_of(&pod.metadata)?;
                let set = self.sets.iter().find(|candidate| uid_of(&candidate.object.metadata) == set)?;
                Some(view(pod, &set.revision))
            })
            .collect();
        views.sort_by(|one, other| one.name.cmp(&other.name));
        views
    }

    /// The revisions that have a ReplicaSet, in a fixed order.
    pub(super) fn revisions(&self) -> Vec<RevisionView> {
        let mut views: Vec<_> = self
            .sets
            .iter()
            .map(|set| RevisionView {
                name: set.revision.clone(),
                pod_template_hash: set.hash().to_owned(),
                images: images_of(&set.object.spec.template),
            })
            .collect();
        views.sort_by(|one, other| {
            (&one.name, &one.pod_template_hash).cmp(&(&other.name, &other.pod_template_hash))
        });
        views.dedup();
        views
    }

    /// Whether a ReplicaSet is the user's Deployment's own.
    pub(super) fn owns(&self, set: &Set) -> bool {
        controller_of(&set.object.metadata) == Some(uid_of(&self.deployment.metadata))
    }
}

// === impl Set ===

impl Set {
    pub(super) fn new(object: ReplicaSet) -> Self {
        Self { revision: revision_of(&object.spec.template), object }
    }

    /// The value of `pod-template-hash` of its pods.
    pub(super) fn hash(&self) -> &str {
        let labels = self.object.metadata.labels.as_ref();
        labels.and_then(|labels| labels.get(HASH_LABEL)).map(String::as_str).unwrap_or_default()
    }
}

/// What keeps Kubernetes from making pods, such as a quota.
fn failure(conditions: &[super::object::ObjectCondition]) -> String {
    let failed =
        conditions.iter().find(|condition| condition.kind == "ReplicaFailure" && condition.status == "True");
    failed.map(|condition| condition.message.clone()).unwrap_or_default()
}

fn is_ready(pod: &Pod) -> bool {
    let conditions = pod.status.as_ref().and_then(|status| status.conditions.as_ref());
    let mut conditions = conditions.into_iter().flatten();
    pod.metadata.deletion_timestamp.is_none()
        && conditions.any(|condition| condition.type_ == "Ready" && condition.status == "True")
}

fn view(pod: &Pod, revision: &Revision) -> ReplicaView {
    let status = pod.status.as_ref();
    let conditions = status.and_then(|status| status.conditions.as_ref());
    let condition = |kind: &str| conditions.into_iter().flatten().find(|condition| condition.type_ == kind);
    let ending = pod.metadata.deletion_timestamp.is_some();
    let ready = is_ready(pod);
    let containers = status.and_then(|status| status.container_statuses.as_ref());
    let restarts = containers.into_iter().flatten().map(|container| container.restart_count).sum::<i32>();
    let waiting = containers.into_iter().flatten().find_map(|container| {
        let state = container.state.as_ref()?;
        let (reason, message) = match (&state.waiting, &state.terminated) {
            (Some(waiting), _) => (&waiting.reason, &waiting.message),
            (None, Some(ended)) => (&ended.reason, &ended.message),
            (None, None) => return None,
        };
        Some(format!("{}: {}", reason.as_deref().unwrap_or_default(), message.as_deref().unwrap_or_default()))
    });
    let unscheduled = condition("PodScheduled").filter(|scheduled| scheduled.status == "False");
    let message = match (ready, ending, waiting, unscheduled) {
        (true, ..) => String::new(),
        (_, true, ..) => "ending".to_owned(),
        (_, _, Some(waiting), _) => waiting.trim_end_matches(": ").to_owned(),
        (_, _, None, Some(condition)) => condition.message.clone().unwrap_or_default(),
        (_, _, None, None) => "not ready yet".to_owned(),
    };
    ReplicaView {
        name: name_of(&pod.metadata).to_owned(),
        revision: revision.clone(),
        address: address(pod),
        pid: None,
        ready,
        restarts: u32::try_from(restarts).unwrap_or(0),
        started: status.and_then(|status| status.start_time.as_ref()).map(|time| time.0),
        message,
    }
}

/// The pod's address and the first port that it names.
fn address(pod: &Pod) -> Option<SocketAddr> {
    let ip: IpAddr = pod.status.as_ref()?.pod_ip.as_ref()?.parse().ok()?;
    let ports = pod.spec.as_ref()?.containers.iter().flat_map(|container| container.ports.iter().flatten());
    let port = ports.map(|port| port.container_port).next()?;
    Some(SocketAddr::new(ip, u16::try_from(port).ok()?))
}

#[cfg(test)]
#[path = "world_tests.rs"]
mod tests;
