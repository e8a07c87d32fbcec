use super::*;
use crate::kubernetes::platform::store;
use crate::kubernetes::status::CanaryStatus;
use http_body_util::BodyExt as _;
use hyper::{Method, Request, Response};
use jiff::Timestamp;
use kube::client::Body;
use std::time::Duration;

/// What was asked of the API server.
#[derive(Debug)]
struct Asked {
    method: Method,
    uri: String,
    body: Value,
}

/// Does something with an API server that answers one request; a request that never comes fails the test.
async fn asked(answer: Value, act: impl AsyncFnOnce(Cluster)) -> Asked {
    let (service, mut server) = tower_test::mock::pair::<Request<Body>, Response<Body>>();
    let answered = tokio::spawn(async move {
        let (request, reply) = server.next_request().await.unwrap();
        let (parts, body) = request.into_parts();
        let body = body.collect().await.unwrap().to_bytes();
        reply.send_response(Response::new(Body::from(answer.to_string().into_bytes())));
        Asked {
            method: parts.method,
            uri: parts.uri.to_string(),
            body: serde_json::from_slice(&body).unwrap(),
        }
    });
    let done = async {
        act(Cluster::new(Client::new(service, "blog"), "blog")).await;
        answered.await.unwrap()
    };
    tokio::time::timeout(Duration::from_secs(5), done).await.unwrap()
}

fn deployment() -> Value {
    json!({
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": {"name": "django-blog", "namespace": "blog", "uid": "u1", "resourceVersion": "7"},
        "spec": {"replicas": 3, "selector": {"matchLabels": {"app": "blog"}}, "template": {"spec": {"ofTomorrow": 1}}},
    })
}

fn read(value: Value) -> Deployment {
    serde_json::from_value(value).unwrap()
}

fn canary(status: &CanaryStatus) -> CanaryObject {
    serde_json::from_value(json!({
        "apiVersion": "huidu.dev/v1alpha1",
        "kind": "Canary",
        "metadata": {"name": "django-blog", "namespace": "blog", "resourceVersion": "9"},
        "spec": {"deployment": "django-blog"},
        "status": status,
    }))
    .unwrap()
}

#[tokio::test]
async fn holding_applies_one_field_to_the_version_that_was_seen() {
    let asked = asked(deployment(), async |cluster| cluster.hold(&read(deployment())).await.unwrap()).await;
    assert_eq!(asked.method, Method::PATCH);
    assert!(asked.uri.contains("/deployments/django-blog?"), "{}", asked.uri);
    assert!(asked.uri.contains("fieldManager=huidu-promoter-hold"), "{}", asked.uri);
    assert_eq!(asked.body["spec"], json!({"paused": true}));
    assert_eq!(asked.body["metadata"], json!({"name": "django-blog", "resourceVersion": "7"}));
}

#[tokio::test]
async fn letting_go_leaves_the_field_out() {
    let asked = asked(deployment(), async |cluster| cluster.let_go(&read(deployment())).await.unwrap()).await;
    assert_eq!(asked.body.get("spec"), None);
}

#[tokio::test]
async fn a_template_is_put_back_whole_and_the_rest_of_the_deployment_stays() {
    let template = json!({"spec": {"containers": [], "fieldOfTomorrow": true}});
    let put = template.clone();
    let asked = asked(deployment(), async |cluster| {
        cluster.set_template(&read(deployment()), put, None).await.unwrap();
    })
    .await;
    assert_eq!(asked.method, Method::PUT);
    assert_eq!(asked.body["spec"]["template"], template);
    assert_eq!(asked.body["spec"]["selector"], deployment()["spec"]["selector"]);
    assert_eq!(asked.body["metadata"]["resourceVersion"], "7");
}

#[tokio::test]
async fn a_template_that_is_to_come_next_is_noted_with_the_one_before_it() {
    let next = json!({"spec": {"ofTomorrow": 2}});
    let noted = next.clone();
    let asked = asked(deployment(), async |cluster| {
        cluster.set_template(&read(deployment()), json!({"spec": {}}), Some(&noted)).await.unwrap();
    })
    .await;
    let annotation = asked.body["metadata"]["annotations"]["huidu.dev/next-template"].as_str().unwrap();
    assert_eq!(serde_json::from_str::<Value>(annotation).unwrap(), next);
}

#[tokio::test]
async fn an_orphaned_candidate_is_the_one_that_was_seen() {
    let gone = json!({"apiVersion": "v1", "kind": "Status", "status": "Success"});
    let asked = asked(gone, async |cluster| {
        cluster.delete(&read(deployment()), PropagationPolicy::Orphan).await.unwrap();
    })
    .await;
    assert_eq!(asked.method, Method::DELETE);
    assert_eq!(asked.body["propagationPolicy"], "Orphan");
    assert_eq!(asked.body["preconditions"]["uid"], "u1");
}

#[tokio::test]
async fn a_status_is_written_over_the_version_it_was_derived_from() {
    let status = CanaryStatus::new(Timestamp::UNIX_EPOCH);
    let mut object = canary(&status);
    let changed = CanaryStatus { desired_replicas: 3, ..status };
    let answer = serde_json::to_value(canary(&changed)).unwrap();
    let asked = asked(answer, async |cluster| store(&cluster, &mut object, &changed).await.unwrap()).await;
    assert_eq!(asked.method, Method::PUT);
    assert!(asked.uri.contains("/canaries/django-blog/status"), "{}", asked.uri);
    assert_eq!(asked.body["metadata"]["resourceVersion"], "9");
    assert_eq!(asked.body["status"]["desiredReplicas"], 3);
}

#[tokio::test]
async fn a_status_that_has_not_changed_is_not_written() {
    let (service, mut server) = tower_test::mock::pair::<Request<Body>, Response<Body>>();
    let status = CanaryStatus::new(Timestamp::UNIX_EPOCH);
    let mut object = canary(&status);
    {
        let cluster = Cluster::new(Client::new(service, "blog"), "blog");
        store(&cluster, &mut object, &status).await.unwrap();
    }
    let nothing = tokio::time::timeout(Duration::from_secs(5), server.next_request()).await.unwrap();
    assert!(nothing.is_none(), "a request was sent");
}
