//! While an author types: keeping the text, and showing how it will look.

use askama::Template;
use axum::Form;
use axum::extract::State;
use axum::http::StatusCode;
use axum::response::{Html, IntoResponse, Response};
use serde::Deserialize;

use super::editor::own;
use crate::markdown::render_post;
use crate::store::Autosave;
use crate::text;
use crate::web::app::{Shared, now};
use crate::web::error::Error;
use crate::web::layout::{Layout, html};
use crate::web::visitor::Visitor;

/// What the editor's script sends, or its preview button.
#[derive(Debug, Deserialize)]
pub(crate) struct Typed {
    #[serde(default)]
    title: String,
    #[serde(default)]
    body: String,
    /// 0 for a post that does not exist yet.
    #[serde(default)]
    post: i64,
    #[serde(default)]
    version: i64,
    /// Whether a whole page is wanted, as without script.
    #[serde(default)]
    fragment: String,
}

#[derive(Template)]
#[template(path = "preview.html")]
struct PreviewTemplate {
    l: Layout,
    html: String,
}

/// `POST /desk/autosave`.
pub(crate) async fn autosave(
    State(app): State<Shared>,
    visitor: Visitor,
    Form(typed): Form<Typed>,
) -> Result<Response, Error> {
    let me = visitor.signed_in()?;
    if typed.post != 0 {
        own(&app, &visitor, typed.post).await?;
    }
    let kept = Autosave {
        base_version: typed.version,
        title: text::typed(&typed.title),
        body: text::typed(&typed.body),
        saved_at: now(),
    };
    app.store.autosave(me.id, typed.post, &kept).await?;
    Ok(StatusCode::NO_CONTENT.into_response())
}

/// `POST /desk/autosave/forget`.
pub(crate) async fn forget(
    State(app): State<Shared>,
    visitor: Visitor,
    Form(typed): Form<Typed>,
) -> Result<Response, Error> {
    app.store.forget_autosave(visitor.signed_in()?.id, typed.post).await?;
    let place =
        if typed.post == 0 { "/desk/posts/new".to_owned() } else { format!("/desk/posts/{}", typed.post) };
    Ok(axum::response::Redirect::to(&place).into_response())
}

/// `POST /desk/preview`: the same HTML that readers will get.
pub(crate) async fn preview(
    State(app): State<Shared>,
    visitor: Visitor,
    Form(typed): Form<Typed>,
) -> Result<Response, Error> {
    visitor.signed_in()?;
    let rendered = tokio::task::spawn_blocking(move || render_post(&typed.body).html)
        .await
        .map_err(|error| Error::Internal(error.to_string()))?;
    if !typed.fragment.is_empty() {
        return Ok(Html(rendered).into_response());
    }
    let l = Layout::new(&app, &visitor, typed.title).await?.unlisted();
    html(&PreviewTemplate { l, html: rendered })
}
