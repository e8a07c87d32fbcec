//! The queue of comments.

use askama::Template;
use axum::Form;
use axum::extract::{Query, State};
use axum::response::{IntoResponse, Redirect, Response};
use serde::Deserialize;

use crate::markdown::render_comment;
use crate::store::{Comment, CommentStatus, Role};
use crate::web::app::Shared;
use crate::web::error::Error;
use crate::web::layout::{Layout, html};
use crate::web::visitor::Visitor;

/// Comments of a page.
const PAGE: usize = 50;

/// Which comments, and from where.
#[derive(Debug, Deserialize)]
pub(crate) struct Ask {
    #[serde(default)]
    status: String,
    before: Option<i64>,
}

#[derive(Template)]
#[template(path = "comments.html")]
struct QueueTemplate {
    l: Layout,
    status: CommentStatus,
    comments: Vec<(Comment, String)>,
    next: Option<i64>,
}

/// `GET /desk/comments`.
pub(crate) async fn queue(
    State(app): State<Shared>,
    Query(ask): Query<Ask>,
    visitor: Visitor,
) -> Result<Response, Error> {
    visitor.at_least(Role::Editor)?;
    let status = CommentStatus::parse(&ask.status).unwrap_or(CommentStatus::Pending);
    let mut comments = app.store.comment_queue(status, ask.before.unwrap_or(i64::MAX)).await?;
    let next = (comments.len() > PAGE).then(|| comments[PAGE - 1].id);
    comments.truncate(PAGE);
    let comments = comments
        .into_iter()
        .map(|c| {
            let body = render_comment(&c.body);
            (c, body)
        })
        .collect();
    let layout = Layout::new(&app, &visitor, visitor.manner.text().queue).await?.unlisted();
    html(&QueueTemplate { l: layout, status, comments, next })
}

/// `POST /desk/comments`: one action on all chosen comments. The form repeats its `id` field, which only a list of
/// pairs can hold.
pub(crate) async fn act(
    State(app): State<Shared>,
    visitor: Visitor,
    Form(fields): Form<Vec<(String, String)>>,
) -> Result<Response, Error> {
    let user = visitor.at_least(Role::Editor)?.clone();
    let ids: Vec<i64> = fields
        .iter()
        .filter(|(name, _)| name == "id")
        .filter_map(|(_, id)| id.parse().ok())
        .take(200)
        .collect();
    let field =
        |name: &str| fields.iter().find(|(key, _)| key == name).map_or("", |(_, value)| value.as_str());
    let changed = match field("action") {
        "delete" => app.store.delete_comments(&ids).await?,
        action => {
            let status = CommentStatus::parse(action)
                .ok_or_else(|| Error::BadRequest(format!("`{action}` is no action on comments")))?;
            app.store.moderate(&ids, status).await?
        }
    };
    app.audit(&user, ("comment.moderate", field("action")), &format!("{changed} changed")).await;
    let back = CommentStatus::parse(field("back")).unwrap_or(CommentStatus::Pending).as_str();
    Ok(Redirect::to(&format!("/desk/comments?status={back}")).into_response())
}
