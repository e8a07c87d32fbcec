use super::refusal;
use crate::{config, log};
use axum::{
    Json,
    body::Bytes,
    http::StatusCode,
    response::{IntoResponse, Response},
};
use serde::{Deserialize, Serialize};

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct LogView {
    filter: String,
}

pub(super) async fn get() -> Response {
    match log::filter() {
        Some(filter) => Json(LogView { filter }).into_response(),
        None => refusal(StatusCode::NOT_FOUND, log::LogError::Foreign.to_string()),
    }
}

pub(super) async fn put(body: Bytes) -> Response {
    let filter = match config::from_json("PUT /log", &body) {
        Ok(LogView { filter }) => filter,
        Err(error) => return refusal(StatusCode::UNPROCESSABLE_ENTITY, error.to_string()),
    };
    match log::set_filter(&filter) {
        Ok(()) => {
            tracing::info!(filter, "Logging {filter} from now on");
            get().await
        }
        Err(error @ log::LogError::Filter(..)) => {
            refusal(StatusCode::UNPROCESSABLE_ENTITY, error.to_string())
        }
        Err(error) => refusal(StatusCode::NOT_FOUND, error.to_string()),
    }
}
