//! What Kubernetes and the router ask.

use std::time::Duration;

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};

use super::app::Shared;
use crate::store::schema::known_version;

/// How long `/readyz` waits for the database: shorter than the second that Kubernetes gives a probe by default.
const READY_TIMEOUT: Duration = Duration::from_millis(800);

/// `GET /healthz`: the process runs. It touches nothing, so that a database that is away restarts no pod.
pub async fn healthz() -> &'static str {
    "ok\n"
}

/// `GET /readyz`: database, schema, and not draining.
pub async fn readyz(State(app): State<Shared>) -> Response {
    if app.is_draining() {
        return (StatusCode::SERVICE_UNAVAILABLE, "draining\n").into_response();
    }
    schema(&app).await
}

/// `GET /startupz`: the database answered with a schema that fits.
pub async fn startupz(State(app): State<Shared>) -> Response {
    schema(&app).await
}

/// `GET /version`.
pub async fn version(State(app): State<Shared>) -> Json<serde_json::Value> {
    Json(serde_json::json!({
        "version": app.options.version,
        "package": env!("CARGO_PKG_VERSION"),
        "schema": known_version(),
    }))
}

async fn schema(app: &Shared) -> Response {
    match tokio::time::timeout(READY_TIMEOUT, app.store.check_schema()).await {
        Ok(Ok(_)) => "ok\n".into_response(),
        Ok(Err(error)) => (StatusCode::SERVICE_UNAVAILABLE, format!("{error}\n")).into_response(),
        Err(_) => {
            let ms = READY_TIMEOUT.as_millis();
            (StatusCode::SERVICE_UNAVAILABLE, format!("the database gave no answer in {ms} ms\n"))
                .into_response()
        }
    }
}
