//! The JSON API: posts for programs that hold a token.

mod caller;
mod extract;
mod openapi;
mod posts;
pub(crate) mod problem;
mod types;

use axum::Router;
use axum::extract::DefaultBodyLimit;
use axum::http::StatusCode;
use axum::routing::get;

use self::problem::Problem;
use super::EDITOR_BYTES_MAX;
use super::app::Shared;

/// Where the API is. Everything below answers with JSON, errors too.
pub(crate) const PREFIX: &str = "/api/";

/// Every address of the API.
pub(crate) fn routes() -> Router<Shared> {
    let nothing =
        || async { Problem::new(StatusCode::NOT_FOUND, "the API is described at /api/openapi.json") };
    Router::new()
        .route("/api/openapi.json", get(openapi::openapi))
        .route("/api/v1/posts", get(posts::list).post(posts::create))
        .route("/api/v1/posts/{id}", get(posts::get).patch(posts::update))
        .route("/api/v1/posts/{id}/publish", axum::routing::post(posts::publish))
        .route("/api/{*rest}", axum::routing::any(nothing))
        .layer(DefaultBodyLimit::max(EDITOR_BYTES_MAX))
}
