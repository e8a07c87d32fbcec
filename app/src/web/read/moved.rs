//! Addresses that posts had on another blog.

use axum::extract::State;
use axum::http::Uri;
use axum::response::{IntoResponse, Redirect, Response};

use crate::text::url_segment;
use crate::transfer::old_path;
use crate::web::app::Shared;
use crate::web::error::Error;

/// Every address that is nobody else's: where an imported post had it, it leads to the post for good.
pub(crate) async fn moved(State(app): State<Shared>, uri: Uri) -> Result<Response, Error> {
    let path = old_path(uri.path()).ok_or(Error::NotFound)?;
    let (kind, slug) = app.store.post_of_path(&path).await?.ok_or(Error::NotFound)?;
    let folder = if kind == "page" { "pages" } else { "posts" };
    Ok(Redirect::permanent(&format!("/{folder}/{}", url_segment(&slug))).into_response())
}
