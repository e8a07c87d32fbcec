//! Canaries in a cluster, read and steered through the API server with the rights of whoever asks.
//!
//! A verb is an annotation: it is written, the promoter takes it off and answers in the status.

use super::{Failure, Found, Target};
use crate::canary::Metadata;
use crate::kubernetes::{Answer, CanaryObject, VERB, answer, followed, view, words};
use futures_util::StreamExt as _;
use futures_util::stream::BoxStream;
use k8s_openapi::api::apps::v1::Deployment;
use kube::api::{Api, ListParams, Patch, PatchParams};
use kube::config::{KubeConfigOptions, Kubeconfig};
use kube::runtime::WatchStreamExt as _;
use kube::runtime::watcher::{self, watch_object};
use kube::{Config, Error};
use release::Verb;
use serde_json::json;
use std::time::Duration;
use tokio::time::{self, Instant};

/// The pause before another look at a word that somebody else has said.
const SOON: Duration = Duration::from_millis(200);

/// A cluster, or a namespace of it.
pub(in crate::cli) struct Cluster {
    pub(super) client: kube::Client,
    /// None: all namespaces.
    namespace: Option<String>,
    url: String,
    pub(super) patience: Duration,
}

/// One canary as it changes.
pub(in crate::cli) struct Changes {
    url: String,
    objects: BoxStream<'static, Result<Option<CanaryObject>, watcher::Error>>,
    last: Found,
    /// Why nothing is known at the moment, if so.
    silence: Option<String>,
}

// === impl Cluster ===

impl Cluster {
    /// The cluster that the kubeconfig says.
    pub(super) async fn connect(target: &Target) -> Result<Self, Failure> {
        let unusable = |error: &dyn std::fmt::Display, remedy: &str| {
            Failure::Unavailable(format!("cannot tell which cluster is meant: {error}; {remedy}"))
        };
        let options = KubeConfigOptions { context: target.context.clone(), ..KubeConfigOptions::default() };
        let remedy = "check --kubeconfig and --context, or name a promoter on this machine with --server";
        let config = match (&target.kubeconfig, &target.context) {
            (Some(path), _) => {
                let file = Kubeconfig::read_from(path).map_err(|error| unusable(&error, remedy))?;
                Config::from_custom_kubeconfig(file, &options).await
            }
            (None, Some(_)) => Config::from_kubeconfig(&options).await,
            (None, None) => {
                return Self::new(Config::infer().await.map_err(|error| unusable(&error, remedy))?, target);
            }
        };
        Self::new(config.map_err(|error| unusable(&error, remedy))?, target)
    }

    fn new(mut config: Config, target: &Target) -> Result<Self, Failure> {
        let patience = target.request_timeout.get();
        config.connect_timeout = Some(patience);
        let namespace = target.namespace.clone().unwrap_or_else(|| config.default_namespace.clone());
        let url = config.cluster_url.to_string().trim_end_matches('/').to_owned();
        let client = kube::Client::try_from(config)
            .map_err(|error| Failure::Unavailable(format!("cannot talk to {url}: {error}")))?;
        Ok(Self { client, namespace: (!target.all_namespaces).then_some(namespace), url, patience })
    }

    fn api(&self, namespace: Option<&str>) -> Api<CanaryObject> {
        match namespace {
            Some(namespace) => Api::namespaced(self.client.clone(), namespace),
            None => Api::all(self.client.clone()),
        }
    }

    /// All canaries of the namespace, or of all namespaces.
    pub(super) async fn list(&self) -> Result<Vec<Found>, Failure> {
        let api = self.api(self.namespace.as_deref());
        let list = self.call(api.list(&ListParams::default())).await?;
        Ok(list.items.into_iter().map(found).collect())
    }

    /// One canary as it changes.
    pub(super) fn changes(&self, last: Found) -> Changes {
        let Metadata { name, namespace } = &last.canary.metadata;
        let objects = watch_object(self.api(namespace.as_deref()), name).default_backoff().boxed();
        Changes { url: self.url.clone(), objects, last, silence: None }
    }

    /// Whether the status tells of the Deployment as it is now. Who may not read Deployments is believed.
    pub(super) async fn is_current(&self, found: &Found) -> Result<bool, Failure> {
        let Some((deployment, seen)) = followed(&object_of(found)?) else { return Ok(false) };
        let namespace = found.canary.metadata.namespace.as_deref().unwrap_or_default();
        let deployments: Api<Deployment> = Api::namespaced(self.client.clone(), namespace);
        match self.timed(deployments.get_metadata_opt(&deployment)).await? {
            Ok(Some(deployment)) => Ok(deployment.metadata.generation.unwrap_or_default() <= seen),
            Ok(None) => Ok(false),
            Err(Error::Api(status)) if status.code == 403 => Ok(true),
            Err(error) => Err(self.failure(&error)),
        }
    }

    /// Says a verb, and waits for the promoter's answer; the canary after it.
    pub(super) async fn say(&self, canary: &Metadata, verb: Verb) -> Result<Found, Failure> {
        let (api, name, word) = (self.api(canary.namespace.as_deref()), &canary.name, words(verb));
        let deadline = Instant::now() + self.patience;
        let before = self.write(&api, name, &word, deadline).await?;
        let mut objects = watch_object(api.clone(), name).default_backoff().boxed();
        loop {
            let object = match time::timeout_at(deadline, objects.next()).await {
                Ok(Some(Ok(Some(object)))) => object,
                Ok(Some(Ok(None))) => return Err(deleted(name)),
                Ok(Some(Err(error))) if is_forbidden(&error) => {
                    return Err(Failure::Otherwise(format!(
                        "`{word}` was said, but its answer cannot be read: {error}"
                    )));
                }
                // The watch begins again by itself.
                Ok(Some(Err(_))) => continue,
                Ok(None) | Err(_) => return Err(self.take_back(&api, name, &word).await),
            };
            if said(&object) == Some(&word) {
                continue;
            }
            let answer =
                answer(&object).filter(|answer| answer.said == word && Some(answer) != before.as_ref());
            return match answer {
                Some(Answer { refused: Some(why), .. }) => Err(Failure::Otherwise(why)),
                Some(Answer { refused: None, .. }) => Ok(found(object)),
                None => Err(Failure::Otherwise(format!(
                    "somebody took `{word}` back before the promoter had heard it; say it again"
                ))),
            };
        }
    }

    /// Writes a word where there is none; what was answered before it.
    async fn write(
        &self,
        api: &Api<CanaryObject>,
        name: &str,
        word: &str,
        deadline: Instant,
    ) -> Result<Option<Answer>, Failure> {
        loop {
            let object = self.call(api.get(name)).await?;
            let other = match said(&object) {
                Some(same) if same == word => return Ok(answer(&object)),
                Some(other) => other,
                None => {
                    let version = &object.metadata.resource_version;
                    let patch =
                        json!({"metadata": {"resourceVersion": version, "annotations": {VERB: word}}});
                    let (patch, params) = (Patch::Merge(patch), PatchParams::default());
                    match self.timed(api.patch(name, &params, &patch)).await? {
                        Ok(_) => return Ok(answer(&object)),
                        // The status has changed in between, as it does while a release goes on.
                        Err(Error::Api(status)) if status.code == 409 => continue,
                        Err(error) => return Err(self.failure(&error)),
                    }
                }
            };
            if Instant::now() >= deadline {
                return Err(Failure::Unavailable(format!(
                    "`{other}` was said before and the promoter has not answered it yet; is it running? To take it \
                     back: kubectl annotate canary {name} {VERB}-"
                )));
            }
            time::sleep(SOON).await;
        }
    }

    /// A word that nobody heard must not be followed when nobody expects it any more.
    async fn take_back(&self, api: &Api<CanaryObject>, name: &str, word: &str) -> Failure {
        let taken = async {
            let object = self.call(api.get(name)).await?;
            let heard = object.status.as_ref().is_some_and(|status| status["said"] == word);
            if heard || said(&object).map(String::as_str) != Some(word) {
                return Ok(false);
            }
            let version = &object.metadata.resource_version;
            let patch = json!({"metadata": {"resourceVersion": version, "annotations": {VERB: null}}});
            self.call(api.patch(name, &PatchParams::default(), &Patch::Merge(patch))).await.map(|_| true)
        };
        let patience =
            release::Duration::from_millis(u64::try_from(self.patience.as_millis()).unwrap_or(u64::MAX));
        let silent = format!(
            "the promoter has not answered within {patience}; is it running? See kubectl get pods -A -l app=promoter"
        );
        match taken.await {
            Ok(true) => {
                Failure::Unavailable(format!("{silent}. `{word}` was taken back, so nothing is done later"))
            }
            Ok(false) => {
                Failure::Unavailable(format!("{silent}. It was hearing `{word}` at that moment: see status"))
            }
            Err(error) => Failure::Unavailable(format!(
                "{silent}. `{word}` could not be taken back ({error}): kubectl annotate canary {name} {VERB}-"
            )),
        }
    }

    /// One canary as it is now.
    pub(super) async fn look(&self, canary: &Metadata) -> Result<Found, Failure> {
        let api = self.api(canary.namespace.as_deref());
        Ok(found(self.call(api.get(&canary.name)).await?))
    }

    pub(super) async fn call<T>(&self, asked: impl Future<Output = Result<T, Error>>) -> Result<T, Failure> {
        self.timed(asked).await?.map_err(|error| self.failure(&error))
    }

    async fn timed<T>(&self, asked: impl Future<Output = T>) -> Result<T, Failure> {
        time::timeout(self.patience, asked).await.map_err(|_| {
            let patience = self.patience;
            Failure::Unavailable(format!("no answer from the API server {} within {patience:?}", self.url))
        })
    }

    /// What the API server said, or why it said nothing.
    fn failure(&self, error: &Error) -> Failure {
        match error {
            Error::Api(status) if status.code == 404 && status.details.is_none() => {
                Failure::Unavailable(format!(
                    "the cluster at {} knows no canaries; install Huidu first: kubectl apply -k k8s/base",
                    self.url
                ))
            }
            Error::Api(status) => Failure::Otherwise(format!("the API server says: {}", status.message)),
            error => Failure::Unavailable(format!(
                "cannot reach the API server {}: {}; check --context",
                self.url,
                innermost(error)
            )),
        }
    }
}

// === impl Changes ===

impl Changes {
    /// What has changed, or after a moment what was known before.
    pub(super) async fn next(&mut self, moment: Duration) -> Result<Found, Failure> {
        match time::timeout(moment, self.objects.next()).await {
            Ok(Some(Ok(Some(object)))) => {
                self.silence = None;
                self.last = found(object);
            }
            Ok(Some(Ok(None))) => return Err(deleted(&self.last.canary.metadata.name)),
            Ok(Some(Err(error))) if is_forbidden(&error) => {
                return Err(Failure::Otherwise(error.to_string()));
            }
            Ok(Some(Err(error))) => self.silence = Some(innermost(&error)),
            Ok(None) => self.silence = Some("the watch has ended".to_owned()),
            Err(_) => {}
        }
        match &self.silence {
            None => Ok(self.last.clone()),
            Some(why) => {
                Err(Failure::Unavailable(format!("the API server {} does not answer: {why}", self.url)))
            }
        }
    }
}

/// The object as the API server has it.
pub(super) fn object_of(found: &Found) -> Result<CanaryObject, Failure> {
    Ok(serde_json::from_value(found.object.clone()).map_err(std::io::Error::from)?)
}

fn found(mut object: CanaryObject) -> Found {
    // As kubectl shows objects.
    object.metadata.managed_fields = None;
    Found { canary: view(&object), object: serde_json::to_value(&object).unwrap_or_default() }
}

fn said(object: &CanaryObject) -> Option<&String> {
    object.metadata.annotations.as_ref()?.get(VERB)
}

fn deleted(name: &str) -> Failure {
    Failure::Otherwise(format!("the canary {name} was deleted"))
}

fn is_forbidden(error: &watcher::Error) -> bool {
    let (watcher::Error::InitialListFailed(error)
    | watcher::Error::WatchStartFailed(error)
    | watcher::Error::WatchFailed(error)) = error
    else {
        return false;
    };
    matches!(error, Error::Api(status) if matches!(status.code, 401 | 403))
}

/// The innermost cause says it best.
fn innermost(error: &dyn std::error::Error) -> String {
    let mut cause = error;
    while let Some(deeper) = cause.source() {
        cause = deeper;
    }
    cause.to_string()
}
