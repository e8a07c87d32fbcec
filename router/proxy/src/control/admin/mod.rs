mod access_log;
mod auth;
mod explain;
mod log;

pub use auth::{Access, Token, TokenError};

use super::{Control, SourceView, WeightsError, apply::Applied};
use crate::{
    config::{self, BackendSpec},
    lifecycle::Phase,
    routes::{Backend, EndpointState, Route, TripReport},
};
use axum::{
    Json, Router,
    body::Bytes,
    extract::{DefaultBodyLimit, Path, State},
    http::{StatusCode, header},
    middleware,
    response::{IntoResponse, Response},
    routing,
};
use serde::{Deserialize, Serialize};
use split::Track;
use std::{collections::BTreeMap, net::SocketAddr, sync::Arc};
use tokio::{net::TcpListener, sync::watch};

#[derive(Clone)]
struct Admin {
    control: Arc<Control>,
    phase: watch::Receiver<Phase>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct RoutesView {
    instance: String,
    generation: u64,
    last_error: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    tls_error: Option<String>,
    source: SourceView,
    routes: Vec<RouteView>,
}

#[derive(Serialize)]
struct RouteView {
    name: String,
    generation: u64,
    uid: Option<String>,
    error: Option<String>,
    tripped: Option<Arc<TripReport>>,
    backends: Vec<BackendView>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct BackendView {
    name: String,
    track: Track,
    weight: u32,
    in_flight: usize,
    invalid: Option<String>,
    endpoints: Vec<EndpointView>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct EndpointView {
    address: SocketAddr,
    state: EndpointState,
    in_flight: usize,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct WeightsBody {
    generation: u64,
    weights: BTreeMap<String, u32>,
}

#[derive(Serialize)]
struct ErrorView {
    error: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    route: Option<RouteView>,
}

/// Answers on the admin port until the process ends.
///
/// # Errors
/// None: axum itself goes on after every failed connection.
pub async fn serve(
    listener: TcpListener,
    control: Arc<Control>,
    phase: watch::Receiver<Phase>,
    access: Access,
) -> std::io::Result<()> {
    let admin = Admin { control, phase };
    let guarded = Router::new()
        .route("/routes", routing::get(get_routes).put(put_routes))
        .route("/routes/{name}", routing::get(get_route))
        .route("/routes/{name}/weights", routing::put(put_weights))
        .route("/explain", routing::post(explain::post))
        .route("/log", routing::get(log::get).put(log::put))
        .route("/access-log", routing::get(access_log::get).put(access_log::put))
        .layer(middleware::from_fn_with_state(access, auth::guard));
    let router = Router::new()
        .route("/livez", routing::get(async || "ok\n"))
        .route("/readyz", routing::get(readyz))
        .route("/metrics", routing::get(metrics))
        .merge(guarded)
        .layer(DefaultBodyLimit::max(1 << 20))
        .with_state(admin);
    axum::serve(listener, router).await
}

async fn readyz(State(admin): State<Admin>) -> Response {
    let phase = *admin.phase.borrow();
    if phase != Phase::Serving {
        return (StatusCode::SERVICE_UNAVAILABLE, "draining\n").into_response();
    }
    match admin.control.acknowledged().await {
        (_, Applied::Once) => "ok\n".into_response(),
        (_, Applied::Never) => {
            let reason = admin.control.last_error().or(admin.control.source().error);
            let reason = reason.unwrap_or_else(|| "waiting for routes".to_owned());
            (StatusCode::SERVICE_UNAVAILABLE, format!("no routes yet: {reason}\n")).into_response()
        }
    }
}

async fn metrics(State(admin): State<Admin>) -> Response {
    let (table, _) = admin.control.acknowledged().await;
    match admin.control.metrics.render(&table) {
        Ok(text) => ([(header::CONTENT_TYPE, "text/plain; version=0.0.4")], text).into_response(),
        Err(error) => refusal(StatusCode::INTERNAL_SERVER_ERROR, error.to_string()),
    }
}

async fn get_routes(State(admin): State<Admin>) -> Json<RoutesView> {
    let (table, _) = admin.control.acknowledged().await;
    Json(RoutesView {
        instance: admin.control.instance.clone(),
        generation: table.generation,
        last_error: admin.control.last_error(),
        tls_error: admin.control.tls_error(),
        source: admin.control.source(),
        routes: table.routes.iter().map(|route| RouteView::new(route)).collect(),
    })
}

async fn get_route(State(admin): State<Admin>, Path(name): Path<String>) -> Response {
    let (table, _) = admin.control.acknowledged().await;
    match table.named(&name) {
        Some(route) => Json(RouteView::new(route)).into_response(),
        None => refusal(StatusCode::NOT_FOUND, WeightsError::UnknownRoute(name).to_string()),
    }
}

async fn put_routes(State(admin): State<Admin>, body: Bytes) -> Response {
    if let Err(error) = admin.control.writable() {
        return refusal(StatusCode::CONFLICT, error.to_string());
    }
    match config::from_json("PUT /routes", &body) {
        Ok(spec) => {
            admin.control.apply("PUT /routes", spec).await;
            get_routes(State(admin)).await.into_response()
        }
        Err(error) => refusal(StatusCode::UNPROCESSABLE_ENTITY, error.to_string()),
    }
}

async fn put_weights(State(admin): State<Admin>, Path(name): Path<String>, body: Bytes) -> Response {
    let WeightsBody { generation, weights } = match config::from_json("PUT weights", &body) {
        Ok(body) => body,
        Err(error) => return refusal(StatusCode::UNPROCESSABLE_ENTITY, error.to_string()),
    };
    let error = match admin.control.set_weights(&name, generation, &weights).await {
        Ok(route) => return Json(RouteView::new(&route)).into_response(),
        Err(error) => error,
    };
    let status = match error {
        WeightsError::UnknownRoute(_) => StatusCode::NOT_FOUND,
        WeightsError::Stale { .. } | WeightsError::Elsewhere(_) => StatusCode::CONFLICT,
        WeightsError::UnknownBackend(_) | WeightsError::TooLarge(..) | WeightsError::Shares(_) => {
            StatusCode::UNPROCESSABLE_ENTITY
        }
        WeightsError::NotAcknowledged(_) => StatusCode::GATEWAY_TIMEOUT,
    };
    let (table, _) = admin.control.acknowledged().await;
    let route = table.named(&name).map(|route| RouteView::new(route));
    (status, Json(ErrorView { error: error.to_string(), route })).into_response()
}

fn refusal(status: StatusCode, error: String) -> Response {
    (status, Json(ErrorView { error, route: None })).into_response()
}

// === impl RouteView ===

impl RouteView {
    fn new(route: &Route) -> Self {
        let origin = route.spec.origin.as_ref();
        Self {
            name: route.spec.name.clone(),
            generation: route.generation,
            uid: origin.map(|origin| origin.uid.clone()),
            error: origin.and_then(|origin| origin.problem.clone()),
            tripped: route.state.trip.report(),
            backends: route.backends.iter().zip(&route.spec.backends).map(BackendView::new).collect(),
        }
    }
}

// === impl BackendView ===

impl BackendView {
    fn new((backend, spec): (&Backend, &BackendSpec)) -> Self {
        let endpoints = backend.endpoints.iter().map(|endpoint| EndpointView {
            address: endpoint.address,
            state: endpoint.state(),
            in_flight: endpoint.pending(),
        });
        Self {
            name: backend.name.clone(),
            track: backend.track,
            weight: backend.weight,
            in_flight: backend.state.in_flight(),
            invalid: spec.invalid.clone(),
            endpoints: endpoints.collect(),
        }
    }
}
