//! The page of a post.

use std::sync::Arc;

use askama::Template;
use axum::extract::{Path, Query, State};
use axum::http::Method;
use axum::response::{IntoResponse, Redirect, Response};
use serde::Deserialize;

use super::around::Around;
use crate::markdown::Rendered;
use crate::store::{Post, StoreError};
use crate::text::url_segment;
use crate::web::app::{Shared, now};
use crate::web::error::Error;
use crate::web::layout::{Layout, html};
use crate::web::reuse::ViewOf;
use crate::web::visitor::Visitor;

/// What a reader has just done here.
#[derive(Debug, Deserialize)]
pub(crate) struct After {
    comment: Option<String>,
    reply: Option<i64>,
}

#[derive(Template)]
#[template(path = "post.html")]
pub(in crate::web) struct PostTemplate {
    l: Layout,
    post: Post,
    at: i64,
    text: Arc<Rendered>,
    around: Arc<Around>,
    may_edit: bool,
    notice: &'static str,
    reply: Option<ReplyTo>,
    form: CommentForm,
    problem: String,
    /// For search engines; `<` is escaped, so that it can't end its element.
    json_ld: String,
}

/// What stands in the comment form.
#[derive(Clone, Debug, Default, Deserialize)]
pub(crate) struct CommentForm {
    /// The writer's name.
    #[serde(default)]
    pub(crate) name: String,
    /// The writer's address.
    #[serde(default)]
    pub(crate) email: String,
    /// The writer's site.
    #[serde(default)]
    pub(crate) url: String,
    /// The comment.
    #[serde(default)]
    pub(crate) body: String,
    /// The comment it answers, or empty.
    #[serde(default)]
    pub(crate) parent: String,
    /// A field that people don't see: what fills it in is a program.
    #[serde(default)]
    pub(crate) homepage: String,
}

struct ReplyTo {
    id: i64,
    name: String,
}

/// `GET /posts/{slug}`.
pub(crate) async fn post(
    State(app): State<Shared>,
    Path(slug): Path<String>,
    Query(after): Query<After>,
    (method, visitor): (Method, Visitor),
) -> Result<Response, Error> {
    let now = now();
    let Some(post) = find(&app, &visitor, &slug, now).await? else {
        return moved(&app, &slug).await;
    };
    if !post.is_post() {
        return Ok(Redirect::permanent(&format!("/pages/{}", url_segment(&slug))).into_response());
    }
    let counted = (method == Method::GET && post.is_public(now)).then_some(ViewOf(post.id));
    let notice = match after.comment.as_deref() {
        Some("pending") => visitor.manner.text().comment_pending,
        Some("posted") => visitor.manner.text().comment_posted,
        _ => "",
    };
    let form = CommentForm {
        parent: after.reply.map(|id| id.to_string()).unwrap_or_default(),
        ..CommentForm::default()
    };
    let mut template = build(&app, &visitor, post, form).await?;
    template.notice = notice;
    let mut response = html(&template)?;
    if let Some(view) = counted {
        response.extensions_mut().insert(view);
    }
    Ok(response)
}

/// `GET /pages/{slug}`.
pub(crate) async fn page(
    State(app): State<Shared>,
    Path(slug): Path<String>,
    visitor: Visitor,
) -> Result<Response, Error> {
    match find(&app, &visitor, &slug, now()).await? {
        Some(post) if !post.is_post() => html(&build(&app, &visitor, post, CommentForm::default()).await?),
        _ => Err(Error::NotFound),
    }
}

/// The post's page again, with what the reader typed and what is wrong with it.
pub(crate) async fn with_problem(
    app: &Shared,
    visitor: &Visitor,
    (post, form): (Post, CommentForm),
    problem: String,
) -> Result<Response, Error> {
    let mut template = build(app, visitor, post, form).await?;
    template.problem = problem;
    html(&template)
}

/// A post that this visitor may see: a public one, or one that the visitor may edit.
pub(crate) async fn find(
    app: &Shared,
    visitor: &Visitor,
    slug: &str,
    now: i64,
) -> Result<Option<Post>, StoreError> {
    let post = app.store.post_by_slug(slug).await?;
    Ok(post.filter(|post| {
        post.is_public(now) || visitor.user.as_ref().is_some_and(|user| user.may_edit(post.author_id))
    }))
}

async fn moved(app: &Shared, slug: &str) -> Result<Response, Error> {
    let new = app.store.renamed(slug).await?.ok_or(Error::NotFound)?;
    Ok(Redirect::permanent(&format!("/posts/{}", url_segment(&new))).into_response())
}

async fn build(
    app: &Shared,
    visitor: &Visitor,
    post: Post,
    form: CommentForm,
) -> Result<PostTemplate, Error> {
    let now = now();
    let base = if post.is_post() { "/posts/" } else { "/pages/" };
    let mut layout =
        Layout::new(app, visitor, &post.title).await?.at(&format!("{base}{}", url_segment(&post.slug)));
    layout.description = post.summary.clone();
    if !post.cover.is_empty() {
        layout.picture = Some(format!("{}/media/{}", layout.origin, post.cover));
    }
    if !post.is_public(now) {
        layout = layout.unlisted();
    }
    let around = Around::of(app, &post, layout.stamp()).await?;
    let reply = form.parent.parse().ok().and_then(|id| Some(ReplyTo { id, name: around.name_of(id)? }));
    Ok(PostTemplate {
        json_ld: json_ld(&layout, &post),
        at: post.published_at.unwrap_or(post.updated_at),
        text: app.rendered.get(&post),
        around,
        may_edit: visitor.user.as_ref().is_some_and(|user| user.may_edit(post.author_id)),
        l: layout,
        post,
        notice: "",
        reply,
        form,
        problem: String::new(),
    })
}

/// schema.org's `BlogPosting`.
fn json_ld(l: &Layout, post: &Post) -> String {
    let at = post.published_at.unwrap_or(post.updated_at);
    let value = serde_json::json!({
        "@context": "https://schema.org",
        "@type": "BlogPosting",
        "headline": post.title,
        "description": post.summary,
        "datePublished": l.rfc3339(&at),
        "dateModified": l.rfc3339(&post.updated_at),
        "author": {"@type": "Person", "name": post.author},
        "publisher": {"@type": "Organization", "name": l.site_title()},
        "mainEntityOfPage": l.canonical,
        "image": l.picture,
        "keywords": post.tags().iter().map(|tag| tag.name).collect::<Vec<_>>(),
    });
    value.to_string().replace('<', "\\u003c")
}
