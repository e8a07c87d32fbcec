//! What a handler answers instead of its page. The error pages layer (`layers`) turns it into a page in the reader's
//! language, because an error value alone does not know who asked.

use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Redirect, Response};

use crate::pictures::PlaceError;
use crate::store::StoreError;

/// An answer that is no page of its own.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Error {
    /// There is nothing under this address.
    #[error("there is nothing under this address")]
    NotFound,
    /// The account may not do it.
    #[error("the account may not do it")]
    Forbidden,
    /// Sign in first; then the reader comes back to this path.
    #[error("sign in first")]
    SignIn(String),
    /// The request lacks something; the text says what.
    #[error("{0}")]
    BadRequest(String),
    /// The database failed.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The place that keeps the files of pictures failed.
    #[error(transparent)]
    Pictures(PlaceError),
    /// A template failed, or a hash.
    #[error("{0}")]
    Internal(String),
}

impl From<askama::Error> for Error {
    fn from(error: askama::Error) -> Self {
        Self::Internal(format!("a template could not be rendered: {error}"))
    }
}

impl From<PlaceError> for Error {
    fn from(error: PlaceError) -> Self {
        match error {
            PlaceError::Store(error) => Self::Store(error),
            outside => Self::Pictures(outside),
        }
    }
}

impl From<super::passwords::HashError> for Error {
    fn from(error: super::passwords::HashError) -> Self {
        Self::Internal(error.to_string())
    }
}

/// Rides on a response without a body until the layer writes its page.
#[derive(Clone, Debug)]
pub(crate) struct ErrorDetail(pub String);

impl Error {
    /// The status of the answer.
    #[must_use]
    pub(crate) fn status(&self) -> StatusCode {
        match self {
            Self::NotFound => StatusCode::NOT_FOUND,
            Self::Forbidden => StatusCode::FORBIDDEN,
            Self::SignIn(_) => StatusCode::SEE_OTHER,
            Self::BadRequest(_) => StatusCode::BAD_REQUEST,
            Self::Store(StoreError::Missing) => StatusCode::NOT_FOUND,
            Self::Store(StoreError::Conflict(_) | StoreError::Duplicate(_) | StoreError::Refused(_)) => {
                StatusCode::CONFLICT
            }
            Self::Store(error) if error.is_unavailable() => StatusCode::SERVICE_UNAVAILABLE,
            // A folder or a bucket that refuses now may be mended while the process runs.
            Self::Pictures(_) => StatusCode::SERVICE_UNAVAILABLE,
            Self::Store(_) | Self::Internal(_) => StatusCode::INTERNAL_SERVER_ERROR,
        }
    }
}

impl IntoResponse for Error {
    fn into_response(self) -> Response {
        if let Self::SignIn(next) = &self {
            let next = crate::text::url_segment(next);
            return Redirect::to(&format!("/login?next={next}")).into_response();
        }
        let status = self.status();
        if status.is_server_error() {
            tracing::error!(status = status.as_u16(), error = %self, "a request failed: {self}");
        }
        let mut response = status.into_response();
        if matches!(status, StatusCode::SERVICE_UNAVAILABLE | StatusCode::TOO_MANY_REQUESTS) {
            response.headers_mut().insert(header::RETRY_AFTER, axum::http::HeaderValue::from_static("5"));
        }
        let detail = match self {
            Self::BadRequest(detail) => detail,
            Self::Store(error @ (StoreError::Duplicate(_) | StoreError::Refused(_))) => error.to_string(),
            _ => String::new(),
        };
        response.extensions_mut().insert(ErrorDetail(detail));
        response
    }
}
