//! A router and an API server that comes and goes; the objects are as a cluster has them.

use crate::{
    program::Program,
    support::{Origin, eventually, get},
};
use axum::{Json, Router, body::Body, extract::Request, response::IntoResponse};
use serde_json::{Value, json};
use std::{
    convert::Infallible,
    net::SocketAddr,
    sync::{Arc, Mutex},
};
use tokio::{
    net::TcpListener,
    runtime::{self, Runtime},
};

/// Answers lists and watches of one namespace. A watch brings nothing, or that it begins at an older version.
struct ApiServer {
    address: SocketAddr,
    /// Its own, so that all connections can be cut at once.
    runtime: Runtime,
}

/// A version, and the objects of one kind each: HTTPRoutes, Services, EndpointSlices.
type Objects = Arc<Mutex<(u64, [Vec<Value>; 3])>>;

// === impl ApiServer ===

impl ApiServer {
    async fn start(address: SocketAddr, objects: &Objects) -> Self {
        let listener = TcpListener::bind(address).await.unwrap().into_std().unwrap();
        let address = listener.local_addr().unwrap();
        let runtime = runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
        let objects = Arc::clone(objects);
        let router = Router::new().fallback(async move |request: Request| {
            let (path, query) = (request.uri().path(), request.uri().query().unwrap_or_default());
            let (version, objects) = &*objects.lock().unwrap();
            if query.contains("watch=") && !query.contains(&format!("resourceVersion={version}")) {
                let status = json!({"kind": "Status", "status": "Failure", "code": 410, "reason": "Expired"});
                return Json(json!({"type": "ERROR", "object": status})).into_response();
            }
            if query.contains("watch=") {
                let silence = futures_util::stream::pending::<Result<Vec<u8>, Infallible>>();
                return Body::from_stream(silence).into_response();
            }
            let kinds = ["httproutes", "services", "endpointslices"];
            let kind = kinds.iter().position(|kind| path.ends_with(kind)).unwrap();
            let metadata = json!({"resourceVersion": version.to_string()});
            Json(json!({"kind": "List", "metadata": metadata, "items": objects[kind]})).into_response()
        });
        runtime.spawn(async move { axum::serve(TcpListener::from_std(listener).unwrap(), router).await });
        Self { address, runtime }
    }

    fn stop(self) {
        self.runtime.shutdown_background();
    }
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
