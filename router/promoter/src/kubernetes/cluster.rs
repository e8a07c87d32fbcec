//! The API server, as one Canary uses it: each function reads or writes one thing.

use super::candidate::CANARY;
use super::object::{CanaryObject, Deployment, ReplicaSet, name_of};
use super::traffic::MANAGER;
use super::world::{NEXT, SET, Set, WANTED, World};
use k8s_openapi::api::autoscaling::v2::HorizontalPodAutoscaler;
use k8s_openapi::api::core::v1::Pod;
use kube::api::{
    Api, DeleteParams, ListParams, Patch, PatchParams, PostParams, Preconditions, PropagationPolicy,
};
use kube::core::Selector;
use kube::{Client, Error};
use serde_json::{Value, json};

/// Who holds the user's Deployment: a manager of one field, so that giving it back is leaving it out.
const HOLDER: &str = "huidu-promoter-hold";
/// What keeps a Canary until everything is as it was.
pub(super) const FINALIZER: &str = "huidu.dev/give-back";

/// The API server and a namespace of it.
#[derive(Clone)]
pub(super) struct Cluster {
    pub(super) client: Client,
    pub(super) namespace: String,
}

// === impl Cluster ===

impl Cluster {
    pub(super) fn new(client: Client, namespace: &str) -> Self {
        Self { client, namespace: namespace.to_owned() }
    }

    fn deployments(&self) -> Api<Deployment> {
        Api::namespaced(self.client.clone(), &self.namespace)
    }

    fn sets(&self) -> Api<ReplicaSet> {
        Api::namespaced(self.client.clone(), &self.namespace)
    }

    fn canaries(&self) -> Api<CanaryObject> {
        Api::namespaced(self.client.clone(), &self.namespace)
    }

    /// The Canary as it is now.
    pub(super) async fn canary(&self, name: &str) -> Result<Option<CanaryObject>, Error> {
        self.canaries().get_opt(name).await
    }

    /// All Canaries of the namespace.
    pub(super) async fn all_canaries(&self) -> Result<Vec<CanaryObject>, Error> {
        Ok(self.canaries().list(&ListParams::default()).await?.items)
    }

    /// The autoscalers of the namespace.
    pub(super) async fn autoscalers(&self) -> Result<Vec<HorizontalPodAutoscaler>, Error> {
        let autoscalers: Api<HorizontalPodAutoscaler> = Api::namespaced(self.client.clone(), &self.namespace);
        Ok(autoscalers.list(&ListParams::default()).await?.items)
    }

    /// Everything that belongs to a Canary; none where the Deployment does not exist.
    ///
    /// The candidates are read first: whatever happens in between, their ReplicaSets are then seen where they are now.
    pub(super) async fn world(&self, canary: &str, deployment: &str) -> Result<Option<World>, Error> {
        let candidates = self
            .deployments()
            .list(&ListParams::default().labels(&format!("{CANARY}={canary}")))
            .await?
            .items;
        let Some(deployment) = self.deployments().get_opt(deployment).await? else { return Ok(None) };
        let selector = Selector::try_from(deployment.spec.selector.clone())
            .map_err(|error| Error::Service(Box::new(error)))?;
        let selected = ListParams::default().labels_from(&selector);
        let sets = self.sets().list(&selected).await?.items.into_iter().map(Set::new).collect();
        let pods: Api<Pod> = Api::namespaced(self.client.clone(), &self.namespace);
        let pods = pods.list(&selected).await?.items;
        Ok(Some(World { deployment, candidates, sets, pods }))
    }

    /// Writes a status over the version that it was derived from, and only over that.
    pub(super) async fn store_status(&self, object: &CanaryObject) -> Result<CanaryObject, Error> {
        self.canaries().replace_status(name_of(&object.metadata), &PostParams::default(), object).await
    }

    /// Sets the finalizers of a Canary.
    pub(super) async fn set_finalizers(
        &self,
        object: &CanaryObject,
        finalizers: &[String],
    ) -> Result<CanaryObject, Error> {
        let version = &object.metadata.resource_version;
        let patch = json!({"metadata": {"resourceVersion": version, "finalizers": finalizers}});
        let name = name_of(&object.metadata);
        self.canaries().patch(name, &PatchParams::default(), &Patch::Merge(patch)).await
    }

    /// Takes an annotation off a Canary.
    pub(super) async fn remove_annotation(
        &self,
        object: &CanaryObject,
        annotation: &str,
    ) -> Result<CanaryObject, Error> {
        let version = &object.metadata.resource_version;
        let patch = json!({"metadata": {"resourceVersion": version, "annotations": {annotation: null}}});
        let name = name_of(&object.metadata);
        self.canaries().patch(name, &PatchParams::default(), &Patch::Merge(patch)).await
    }

    /// Pauses the user's Deployment, if nobody has changed it since it was read.
    pub(super) async fn hold(&self, deployment: &Deployment) -> Result<(), Error> {
        self.apply_hold(deployment, json!({"spec": {"paused": true}})).await
    }

    /// Takes back that the Deployment is paused, unless somebody else wants it to be.
    pub(super) async fn let_go(&self, deployment: &Deployment) -> Result<(), Error> {
        self.apply_hold(deployment, json!({})).await
    }

    async fn apply_hold(&self, deployment: &Deployment, fields: Value) -> Result<(), Error> {
        let name = name_of(&deployment.metadata);
        let mut patch = json!({
            "apiVersion": "apps/v1",
            "kind": "Deployment",
            "metadata": {"name": name, "resourceVersion": deployment.metadata.resource_version},
        });
        if let (Some(patch), Value::Object(fields)) = (patch.as_object_mut(), fields) {
            patch.extend(fields);
        }
        let params = PatchParams::apply(HOLDER).force();
        self.deployments().patch(name, &params, &Patch::Apply(patch)).await.map(drop)
    }

    /// Sets the replicas of the user's Deployment, and remembers how many the user wants where that differs.
    pub(super) async fn scale_stable(&self, world: &World, replicas: u32) -> Result<(), Error> {
        let deployment = &world.deployment;
        let wanted = world.wanted_replicas();
        let noted = deployment.annotation(WANTED).is_some() || deployment.annotation(SET).is_some();
        if deployment.spec.replicas == Some(replicas) && noted == (wanted != replicas) {
            return Ok(());
        }
        let note = |number: u32| if wanted == replicas { Value::Null } else { json!(number.to_string()) };
        let patch = json!({
            "metadata": {
                "resourceVersion": deployment.metadata.resource_version,
                "annotations": {WANTED: note(wanted), SET: note(replicas)},
            },
            "spec": {"replicas": replicas},
        });
        let params = PatchParams { field_manager: Some(MANAGER.to_owned()), ..PatchParams::default() };
        self.deployments().patch(name_of(&deployment.metadata), &params, &Patch::Merge(patch)).await.map(drop)
    }

    /// Sets the template of the user's Deployment, if nobody has changed it since it was read, and notes the one that is
    /// to come next, if there is one.
    pub(super) async fn set_template(
        &self,
        deployment: &Deployment,
        template: Value,
        next: Option<&Value>,
    ) -> Result<(), Error> {
        let mut deployment = deployment.clone();
        deployment.spec.template = template;
        let annotations = deployment.metadata.annotations.get_or_insert_default();
        match next {
            Some(next) => annotations.insert(NEXT.to_owned(), next.to_string()),
            None => annotations.remove(NEXT),
        };
        let params = PostParams { field_manager: Some(MANAGER.to_owned()), ..PostParams::default() };
        self.deployments().replace(name_of(&deployment.metadata), &params, &deployment).await.map(drop)
    }

    /// Makes a candidate; one of the same name stays as it is.
    pub(super) async fn create(&self, candidate: &Deployment) -> Result<(), Error> {
        let params = PostParams { field_manager: Some(MANAGER.to_owned()), ..PostParams::default() };
        match self.deployments().create(&params, candidate).await {
            Err(Error::Api(status)) if status.reason == "AlreadyExists" => Ok(()),
            done => done.map(drop),
        }
    }

    /// Sets the replicas of a candidate.
    pub(super) async fn scale(&self, candidate: &Deployment, replicas: u32) -> Result<(), Error> {
        let patch = json!({"spec": {"replicas": replicas}});
        let params = PatchParams { field_manager: Some(MANAGER.to_owned()), ..PatchParams::default() };
        self.deployments().patch(name_of(&candidate.metadata), &params, &Patch::Merge(patch)).await.map(drop)
    }

    /// Ends a candidate: with its pods, or, as `Orphan`, without them.
    pub(super) async fn delete(
        &self,
        candidate: &Deployment,
        policy: PropagationPolicy,
    ) -> Result<(), Error> {
        let uid = candidate.metadata.uid.clone();
        let params = DeleteParams {
            propagation_policy: Some(policy),
            preconditions: Some(Preconditions { uid, resource_version: None }),
            ..DeleteParams::default()
        };
        gone(self.deployments().delete(name_of(&candidate.metadata), &params).await.map(drop))
    }

    /// Ends a ReplicaSet that has no pods.
    pub(super) async fn delete_set(&self, set: &Set) -> Result<(), Error> {
        let metadata = &set.object.metadata;
        let preconditions =
            Preconditions { uid: metadata.uid.clone(), resource_version: metadata.resource_version.clone() };
        let params = DeleteParams { preconditions: Some(preconditions), ..DeleteParams::background() };
        gone(self.sets().delete(name_of(metadata), &params).await.map(drop))
    }

    /// Takes all pods from a ReplicaSet.
    pub(super) async fn empty(&self, set: &Set) -> Result<(), Error> {
        let patch = Patch::Merge(json!({"spec": {"replicas": 0}}));
        let name = name_of(&set.object.metadata);
        gone(self.sets().patch(name, &PatchParams::default(), &patch).await.map(drop))
    }
}

/// What is to be gone may be gone already.
fn gone(done: Result<(), Error>) -> Result<(), Error> {
    match done {
        Err(Error::Api(status)) if status.code == 404 => Ok(()),
        done => done,
    }
}

#[cfg(test)]
#[path = "cluster_tests.rs"]
mod tests;
