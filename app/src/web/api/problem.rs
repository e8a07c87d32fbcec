//! Errors for programs: problem details of RFC 9457.

use axum::Json;
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use schemars::JsonSchema;
use serde::Serialize;

use crate::rules;
use crate::store::StoreError;

/// What went wrong, as `application/problem+json`.
#[derive(Clone, Debug, Serialize, JsonSchema)]
#[schemars(rename = "Problem")]
pub(crate) struct Problem {
    /// `about:blank` where the status says all, else a URN that names the kind.
    #[serde(rename = "type")]
    kind: &'static str,
    /// The kind in words.
    title: &'static str,
    /// The HTTP status.
    status: u16,
    /// What to do about this very request.
    detail: String,
    /// The fields that are wrong.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    errors: Vec<FieldProblem>,
    /// After a conflict: the version that is there now.
    #[serde(skip_serializing_if = "Option::is_none")]
    version: Option<i64>,
}

/// What is wrong with a field.
#[derive(Clone, Debug, Serialize, JsonSchema)]
struct FieldProblem {
    /// The field.
    field: &'static str,
    /// What to do.
    detail: String,
}

impl Problem {
    /// A problem that its status names.
    #[must_use]
    pub(crate) fn new(status: StatusCode, detail: impl Into<String>) -> Self {
        Self {
            kind: "about:blank",
            title: status.canonical_reason().unwrap_or("Error"),
            status: status.as_u16(),
            detail: detail.into(),
            errors: Vec::new(),
            version: None,
        }
    }

    /// A problem that the layers around the API found.
    #[must_use]
    pub(crate) fn outside(status: StatusCode, said: &str) -> Self {
        let detail = match status {
            _ if !said.is_empty() && !status.is_server_error() => said,
            StatusCode::METHOD_NOT_ALLOWED => "this address has other methods; see /api/openapi.json",
            StatusCode::PAYLOAD_TOO_LARGE => "a request has at most 16 MiB",
            StatusCode::SERVICE_UNAVAILABLE => "there was no answer in time; try again in some seconds",
            StatusCode::FORBIDDEN => "a page of another site may not do this",
            _ => "see /api/openapi.json",
        };
        Self::new(status, detail)
    }

    /// One field is wrong.
    #[must_use]
    pub(crate) fn field(field: &'static str, detail: impl Into<String>) -> Self {
        Self::fields(vec![FieldProblem { field, detail: detail.into() }])
    }

    /// Fields of a post are wrong.
    #[must_use]
    pub(crate) fn rules(problems: &[rules::Problem]) -> Self {
        let errors = problems
            .iter()
            .map(|problem| FieldProblem { field: problem.field, detail: problem.en.to_owned() });
        Self::fields(errors.collect())
    }

    fn fields(errors: Vec<FieldProblem>) -> Self {
        let names: Vec<&str> = errors.iter().map(|error| error.field).collect();
        let detail = format!("change {} and send again", names.join(", "));
        Self {
            kind: "urn:problem-type:blog:invalid-fields",
            title: "Fields are invalid",
            errors,
            ..Self::new(StatusCode::UNPROCESSABLE_ENTITY, detail)
        }
    }
}

impl From<StoreError> for Problem {
    fn from(error: StoreError) -> Self {
        match error {
            StoreError::Missing => Self::new(StatusCode::NOT_FOUND, "there is no such post"),
            StoreError::Conflict(version) => Self {
                kind: "urn:problem-type:blog:version-conflict",
                title: "Somebody saved in between",
                version: Some(version),
                ..Self::new(
                    StatusCode::CONFLICT,
                    format!("version {version} is there now; read the post again and send your change on it"),
                )
            },
            StoreError::Duplicate(_) | StoreError::Refused(_) => {
                Self::new(StatusCode::CONFLICT, error.to_string())
            }
            error if error.is_unavailable() => {
                tracing::warn!("a program was answered with 503: {error}");
                Self::new(StatusCode::SERVICE_UNAVAILABLE, "the database is away; try again in some seconds")
            }
            error => {
                tracing::error!("a program was answered with 500: {error}");
                Self::new(StatusCode::INTERNAL_SERVER_ERROR, "this is our fault and has been recorded")
            }
        }
    }
}

impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        let status = StatusCode::from_u16(self.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
        let mut response = (status, Json(self)).into_response();
        let headers = response.headers_mut();
        headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/problem+json"));
        headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
        match status {
            StatusCode::UNAUTHORIZED => {
                headers.insert(header::WWW_AUTHENTICATE, HeaderValue::from_static("Bearer realm=\"blog\""));
            }
            StatusCode::TOO_MANY_REQUESTS => {
                headers.insert(header::RETRY_AFTER, HeaderValue::from_static("60"));
            }
            StatusCode::SERVICE_UNAVAILABLE => {
                headers.insert(header::RETRY_AFTER, HeaderValue::from_static("5"));
            }
            _ => {}
        }
        response
    }
}
