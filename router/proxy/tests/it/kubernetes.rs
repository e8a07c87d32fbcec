//! A router and an API server that comes and goes; the objects are as a cluster has them.

use crate::{
    program::Program,
    support::{Origin, eventually, get},
};
use axum::{Json, Router, body::Body, extract::Request, response::IntoResponse};
use futures_util::stream;
use serde_json::{Value, json};
use std::{
    convert::Infallible,
    net::SocketAddr,
    sync::{Arc, Mutex},
};
use tokio::{
    net::TcpListener,
    runtime::{self, Runtime},
    sync::broadcast,
};

/// Answers lists and watches of one namespace. A watch brings the events that a test sends, or that it begins at an
/// older version.
struct ApiServer {
    address: SocketAddr,
    /// Its own, so that all connections can be cut at once.
    runtime: Runtime,
    /// What watches of EndpointSlices bring.
    events: broadcast::Sender<Value>,
}

/// A version, and the objects of one kind each: HTTPRoutes, Services, EndpointSlices.
type Objects = Arc<Mutex<(u64, [Vec<Value>; 3])>>;

// === impl ApiServer ===

impl ApiServer {
    async fn start(address: SocketAddr, objects: &Objects) -> Self {
        let listener = TcpListener::bind(address).await.unwrap().into_std().unwrap();
        let address = listener.local_addr().unwrap();
        let runtime = runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
        let (objects, events) = (Arc::clone(objects), broadcast::Sender::new(8));
        let watched = events.clone();
        let silence = broadcast::Sender::new(1);
        let router = Router::new().fallback(async move |request: Request| {
            let (path, query) = (request.uri().path(), request.uri().query().unwrap_or_default());
            let (version, objects) = &*objects.lock().unwrap();
            if query.contains("watch=") && !query.contains(&format!("resourceVersion={version}")) {
                let status = json!({"kind": "Status", "status": "Failure", "code": 410, "reason": "Expired"});
                return Json(json!({"type": "ERROR", "object": status})).into_response();
            }
            if query.contains("watch=") {
                // Of other kinds nothing comes.
                let events =
                    if path.ends_with("endpointslices") { watched.subscribe() } else { silence.subscribe() };
                return Body::from_stream(stream::unfold(events, next)).into_response();
            }
            let kinds = ["httproutes", "services", "endpointslices"];
            let kind = kinds.iter().position(|kind| path.ends_with(kind)).unwrap();
            let metadata = json!({"resourceVersion": version.to_string()});
            Json(json!({"kind": "List", "metadata": metadata, "items": objects[kind]})).into_response()
        });
        runtime.spawn(async move { axum::serve(TcpListener::from_std(listener).unwrap(), router).await });
        Self { address, runtime, events }
    }

    /// Tells those who watch EndpointSlices that this one is there, has changed or is gone.
    async fn tell(&self, kind: &str, slice: &Value) {
        eventually("it is watched", || async { self.events.receiver_count() > 0 }).await;
        self.events.send(json!({"type": kind, "object": slice})).unwrap();
    }

    fn stop(self) {
        self.runtime.shutdown_background();
    }
}

/// The next event, as a line.
async fn next(
    mut events: broadcast::Receiver<Value>,
) -> Option<(Result<String, Infallible>, broadcast::Receiver<Value>)> {
    let event = events.recv().await.ok()?;
    Some((Ok(format!("{event}\n")), events))
}

/// One HTTPRoute over `stable` and `canary`, at this generation and with this weight of the canary.
fn cluster(origins: [&Origin; 2], (generation, weight): (u64, u32)) -> (u64, [Vec<Value>; 3]) {
    let names = ["stable", "canary"];
    let metadata =
        |name: &str| json!({"name": name, "namespace": "web", "uid": "u-1", "generation": generation});
    let mut route = json!({
        "apiVersion": "gateway.networking.k8s.io/v1", "kind": "HTTPRoute", "metadata": metadata("blog"),
        "spec": {
            "parentRefs": [{"group": "", "kind": "Service", "name": "router"}],
            "rules": [{"backendRefs": [
                {"name": "stable", "port": 80, "weight": 100 - weight},
                {"name": "canary", "port": 80, "weight": weight},
            ]}],
        },
    });
    route["metadata"]["annotations"] = json!({"huidu.dev/canary": "canary"});
    let port = json!({"name": "http", "port": 80, "protocol": "TCP"});
    let services = names.map(|name| json!({"metadata": metadata(name), "spec": {"ports": [port]}}));
    let slices = names.iter().zip(origins).map(|(name, origin)| {
        let mut metadata = metadata(&format!("{name}-1"));
        metadata["labels"] = json!({"kubernetes.io/service-name": name});
        json!({
            "metadata": metadata, "addressType": "IPv4",
            "ports": [{"name": "http", "port": origin.address.port()}],
            "endpoints": [{"addresses": ["127.0.0.1"], "conditions": {"ready": true}}],
        })
    });
    (generation, [vec![route], services.to_vec(), slices.collect()])
}

/// A router that finds its cluster by this kubeconfig.
async fn start(server: SocketAddr) -> Program {
    let folder = tempfile::tempdir().unwrap();
    let kubeconfig = folder.path().join("kubeconfig");
    let text = format!(
        "{{apiVersion: v1, kind: Config, current-context: c, users: [{{name: u, user: {{}}}}], \
         clusters: [{{name: c, cluster: {{server: 'http://{server}'}}}}], \
         contexts: [{{name: c, context: {{cluster: c, user: u, namespace: web}}}}]}}"
    );
    std::fs::write(&kubeconfig, text).unwrap();
    Program::start_in(folder, &["--kubernetes"], &[("KUBECONFIG", kubeconfig.to_str().unwrap())]).await
}

async fn routes(program: &Program) -> Value {
    serde_json::from_slice(&get(program.admin_address, "/routes").await.body).unwrap()
}

async fn canary_weight(program: &Program) -> Value {
    routes(program).await["routes"][0]["backends"][1]["weight"].clone()
}

#[tokio::test]
async fn a_router_that_is_cut_off_keeps_its_weights_says_so_and_catches_up() {
    let (stable, canary) = (Origin::good("stable").await, Origin::good("canary").await);
    let objects = Objects::new(Mutex::new(cluster([&stable, &canary], (1, 100))));
    let server = ApiServer::start(SocketAddr::from(([127, 0, 0, 1], 0)), &objects).await;
    let address = server.address;
    let program = start(address).await;
    let ready = async || get(program.admin_address, "/readyz").await.status == 200;
    eventually("it is ready", &ready).await;
    assert_eq!(routes(&program).await["source"]["connected"], true);
    assert_eq!(get(program.address, "/").await.text(), "canary");

    server.stop();
    let connected = async || routes(&program).await["source"]["connected"] == true;
    eventually("it says that it is cut off", || async { !connected().await }).await;
    let told = routes(&program).await;
    assert!(told["source"]["error"].as_str().unwrap().contains("can't be watched"), "{told}");
    assert_eq!((&told["routes"][0]["generation"], &told["routes"][0]["uid"]), (&1.into(), &"u-1".into()));
    assert!(ready().await, "it serves on");
    assert_eq!(
        (get(program.address, "/").await.text(), canary_weight(&program).await),
        ("canary", 100.into())
    );

    *objects.lock().unwrap() = cluster([&stable, &canary], (2, 0));
    let back = ApiServer::start(address, &objects).await;
    eventually("it has the new weights", || async { canary_weight(&program).await == 0 }).await;
    eventually("it is connected", connected).await;
    assert_eq!(get(program.address, "/").await.text(), "stable");
    back.stop();
}

#[tokio::test]
async fn slices_that_change_go_and_come_are_followed_on_a_watch() {
    let (first, second) = (Origin::good("first").await, Origin::good("second").await);
    let objects = Objects::new(Mutex::new(cluster([&first, &first], (1, 0))));
    let server = ApiServer::start(SocketAddr::from(([127, 0, 0, 1], 0)), &objects).await;
    let program = start(server.address).await;
    let answer = async || {
        let answer = get(program.address, "/").await;
        (answer.status, answer.text().to_owned())
    };
    eventually("it serves", || async { answer().await == (200, "first".to_owned()) }).await;
    let mut slice = objects.lock().unwrap().1[2][0].clone();
    slice["metadata"]["resourceVersion"] = "2".into();
    slice["ports"][0]["port"] = second.address.port().into();
    server.tell("MODIFIED", &slice).await;
    eventually("the endpoint moved", || async { answer().await == (200, "second".to_owned()) }).await;
    server.tell("DELETED", &slice).await;
    eventually("no endpoint is left", || async { answer().await.0 == 503 }).await;
    server.tell("ADDED", &slice).await;
    eventually("it is back", || async { answer().await == (200, "second".to_owned()) }).await;
    assert_eq!(routes(&program).await["source"]["connected"], true);
    server.stop();
}

#[tokio::test]
async fn a_router_that_begins_while_the_api_server_is_away_waits_for_it() {
    let (stable, canary) = (Origin::good("stable").await, Origin::good("canary").await);
    let objects = Objects::new(Mutex::new(cluster([&stable, &canary], (1, 0))));
    let address = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let program = start(address).await;
    let refused = get(program.admin_address, "/readyz").await;
    assert_eq!(refused.status, 503, "{}", refused.text());
    let server = ApiServer::start(address, &objects).await;
    eventually("it is ready", || async { get(program.admin_address, "/readyz").await.status == 200 }).await;
    assert_eq!(get(program.address, "/").await.text(), "stable");
    server.stop();
}
