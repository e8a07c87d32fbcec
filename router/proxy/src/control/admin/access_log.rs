use super::{Admin, refusal};
use crate::config::{self, AccessLogSpec};
use axum::{
    Json,
    body::Bytes,
    extract::State,
    http::StatusCode,
    response::{IntoResponse, Response},
};

pub(super) async fn get(State(admin): State<Admin>) -> Json<AccessLogSpec> {
    Json(admin.control.access_log.spec())
}

pub(super) async fn put(State(admin): State<Admin>, body: Bytes) -> Response {
    match config::from_json("PUT /access-log", &body) {
        Ok(spec) => {
            admin.control.access_log.change(spec);
            get(State(admin)).await.into_response()
        }
        Err(error) => refusal(StatusCode::UNPROCESSABLE_ENTITY, error.to_string()),
    }
}
