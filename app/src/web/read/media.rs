//! Pictures, out of the place that keeps them.

use axum::extract::{Path, State};
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};

use crate::web::app::Shared;
use crate::web::error::Error;

/// `GET /media/{file}`. A file's name is made from its content, so it never changes.
pub(crate) async fn media(
    State(app): State<Shared>,
    Path(file): Path<String>,
    headers: HeaderMap,
) -> Result<Response, Error> {
    let etag = HeaderValue::from_str(&format!("\"{}\"", crate::text::url_segment(&file)))
        .map_err(|_| Error::NotFound)?;
    if headers.get(header::IF_NONE_MATCH) == Some(&etag) {
        return Ok(StatusCode::NOT_MODIFIED.into_response());
    }
    let found = app.options.pictures.read(&app.store, &file).await?.ok_or(Error::NotFound)?;
    let content_type = HeaderValue::from_str(&found.content_type).map_err(|_| Error::NotFound)?;
    let headers = [
        (header::CONTENT_TYPE, content_type),
        (header::CACHE_CONTROL, HeaderValue::from_static("public, max-age=31536000, immutable")),
        (header::ETAG, etag),
        // An SVG that is opened by itself could hold a script; this policy lets none run.
        (
            header::CONTENT_SECURITY_POLICY,
            HeaderValue::from_static("default-src 'none'; style-src 'unsafe-inline'"),
        ),
    ];
    Ok((headers, found.content).into_response())
}
