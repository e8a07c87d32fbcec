use k8s_openapi::api::discovery::v1::{Endpoint, EndpointSlice};
use std::{collections::HashSet, sync::Arc};

/// Endpoints that have been ready and have not begun to end since.
///
/// A kubelet that starts again calls every pod of its node unready for a moment, though they serve as before
/// (<https://github.com/kubernetes/kubernetes/issues/100277>), and so does a node that cannot reach the API server.
#[derive(Clone, Debug, Default)]
pub(super) struct Proven(HashSet<Identity>);

/// The uid of a pod, and its address: that alone may be another pod's by now.
type Identity = (Option<String>, Vec<String>);

// === impl Proven ===

impl Proven {
    /// Takes in what is ready now, and forgets what is gone or ends.
    pub(super) fn note(&mut self, slices: &[Arc<EndpointSlice>]) {
        let there = slices.iter().flat_map(|slice| &slice.endpoints).filter(|endpoint| !is_ending(endpoint));
        let proven = there.filter(|endpoint| is_ready(endpoint) || self.has(endpoint));
        self.0 = proven.map(identity).collect();
    }

    pub(super) fn has(&self, endpoint: &Endpoint) -> bool {
        self.0.contains(&identity(endpoint))
    }
}

/// Unknown means ready (EndpointSlice API, `EndpointConditions`).
pub(super) fn is_ready(endpoint: &Endpoint) -> bool {
    endpoint.conditions.as_ref().and_then(|conditions| conditions.ready).unwrap_or(true)
}

/// Unknown means that it does not end.
pub(super) fn is_ending(endpoint: &Endpoint) -> bool {
    endpoint.conditions.as_ref().and_then(|conditions| conditions.terminating).unwrap_or(false)
}

fn identity(endpoint: &Endpoint) -> Identity {
    let uid = endpoint.target_ref.as_ref().and_then(|target| target.uid.clone());
    (uid, endpoint.addresses.clone())
}
