//! The API server and the routers, as far as they share requests out.

use super::cluster::Cluster;
use super::gateway::{HttpRoute, Shape};
use super::object::name_of;
use super::settings::Acknowledgement;
use super::traffic::{MANAGER, Report, Traffic, Write, pin};
use crate::http;
use crate::routers::{Admin, ask};
use jiff::Timestamp;
use k8s_openapi::api::core::v1::Service;
use k8s_openapi::api::discovery::v1::EndpointSlice;
use kube::Error;
use kube::api::{Api, ListParams, Patch, PatchParams};
use serde_json::Value;
use tokio::task::JoinSet;

/// The label by which the EndpointSlices of a Service are found.
const SERVICE_NAME: &str = "kubernetes.io/service-name";
/// The name of the routers' admin port.
const ADMIN_PORT: &str = "admin";

// === impl Cluster ===

impl Cluster {
    fn service_api(&self) -> Api<Service> {
        Api::namespaced(self.client.clone(), &self.namespace)
    }

    fn http_routes(&self) -> Api<HttpRoute> {
        Api::namespaced(self.client.clone(), &self.namespace)
    }

    /// All Services of the namespace.
    pub(super) async fn services(&self) -> Result<Vec<Service>, Error> {
        Ok(self.service_api().list(&ListParams::default()).await?.items)
    }

    /// How requests are shared out now. What is written is read before the routers are asked about it.
    pub(super) async fn traffic(&self, shape: Shape, http: &http::Client) -> Result<Traffic, Error> {
        let services = self.services().await?;
        let route = self.http_routes().get_opt(&shape.name).await?;
        let routers = match shape.settings.acknowledgement {
            Acknowledgement::Routers => reports(http, self.routers(&shape).await?).await,
            Acknowledgement::ParentStatus => Vec::new(),
        };
        Ok(Traffic { shape, services, route, routers, at: Timestamp::now() })
    }

    /// The pods of Huidu's router, ready or not, by name.
    pub(super) async fn routers(&self, shape: &Shape) -> Result<Vec<(String, Admin)>, Error> {
        let pods = &shape.settings.routers;
        let namespace = pods.namespace.as_ref().unwrap_or(&self.namespace);
        let slices: Api<EndpointSlice> = Api::namespaced(self.client.clone(), namespace);
        let of_service = ListParams::default().labels(&format!("{SERVICE_NAME}={}", pods.service));
        let slices = slices.list(&of_service).await?.items;
        let mut routers: Vec<_> = slices.iter().flat_map(admins).collect();
        routers.sort();
        routers.dedup();
        Ok(routers)
    }

    /// Writes one thing.
    pub(super) async fn write(&self, canary: &str, write: &Write) -> Result<(), Error> {
        let apply = PatchParams::apply(MANAGER).force();
        let merge = PatchParams { field_manager: Some(MANAGER.to_owned()), ..PatchParams::default() };
        let services = self.service_api();
        match write {
            Write::Service(body) => services.patch(named(body), &apply, &Patch::Apply(body)).await.map(drop),
            Write::Route(body) => {
                self.http_routes().patch(named(body), &apply, &Patch::Apply(body)).await.map(drop)
            }
            Write::Pin { service, hash } => {
                services.patch(service, &merge, &Patch::Merge(pin(canary, Some(hash)))).await.map(drop)
            }
            Write::Unpin { service } => {
                match services.patch(service, &merge, &Patch::Merge(pin(canary, None))).await {
                    Err(Error::Api(status)) if status.code == 404 => Ok(()),
                    done => done.map(drop),
                }
            }
        }
    }
}

/// Asks all routers at once.
async fn reports(http: &http::Client, routers: Vec<(String, Admin)>) -> Vec<Report> {
    let mut questions = JoinSet::new();
    for (name, admin) in routers {
        let http = http.clone();
        questions.spawn(async move {
            let answer = ask(&http, &admin).await;
            Report { name, admin, answer }
        });
    }
    let mut reports = questions.join_all().await;
    reports.sort_by(|one, other| one.name.cmp(&other.name));
    reports
}

/// The admin ports that a slice of endpoints lists, with the names of their pods.
fn admins(slice: &EndpointSlice) -> Vec<(String, Admin)> {
    let ports = slice.ports.iter().flatten();
    let mut ports = ports.filter(|port| port.name.as_deref() == Some(ADMIN_PORT));
    let Some(port) = ports.next().and_then(|port| u16::try_from(port.port?).ok()) else { return Vec::new() };
    let admin = |endpoint: &k8s_openapi::api::discovery::v1::Endpoint| {
        let ip = endpoint.addresses.first()?.parse().ok()?;
        let pod = endpoint.target_ref.as_ref().and_then(|pod| pod.name.clone());
        let admin = Admin::at(ip, port);
        Some((pod.unwrap_or_else(|| admin.as_str().to_owned()), admin))
    };
    slice.endpoints.iter().filter_map(admin).collect()
}

fn named(body: &Value) -> &str {
    body.pointer("/metadata/name").and_then(Value::as_str).unwrap_or_default()
}

/// Whether an object of this name was made by somebody else.
pub(super) fn taken_names(traffic: &Traffic) -> Option<(&'static str, String)> {
    let shape = &traffic.shape;
    let foreign_route = traffic.route.as_ref().filter(|route| !shape.made(&route.metadata));
    if foreign_route.is_some() {
        return Some(("HTTPRoute", shape.name.clone()));
    }
    split::Track::ALL.into_iter().map(|track| shape.service_of(track)).find_map(|name| {
        let service = traffic.service(&name)?;
        (!shape.made(&service.metadata)).then(|| ("Service", name_of(&service.metadata).to_owned()))
    })
}
