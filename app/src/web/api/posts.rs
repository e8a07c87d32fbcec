//! Posts for programs.

use axum::Json;
use axum::extract::State;
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde::Deserialize;

use super::caller::Caller;
use super::extract::{Asked, Body, Number, Perhaps};
use super::problem::Problem;
use super::types::{NewPost, PostBody, PostChange, PostLine, PostList, Publish, Status, time};
use crate::store::{Cursor, Post, Publication, Role, User};
use crate::web::app::{Shared, now};
use crate::web::visitor::Manner;
use crate::web::write::revisions::as_draft;

/// Posts of a list when nothing else is asked for.
const LIMIT: i64 = 20;
/// Posts of a list at most.
const LIMIT_MAX: i64 = 100;

/// Which posts, and from where.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct ListQuery {
    status: Option<Status>,
    limit: Option<i64>,
    cursor: Option<String>,
}

/// `GET /api/v1/posts`: all posts for editors, their own for authors.
pub(crate) async fn list(
    State(app): State<Shared>,
    caller: Caller,
    Asked(query): Asked<ListQuery>,
) -> Result<Json<PostList>, Problem> {
    let limit = query.limit.unwrap_or(LIMIT);
    if !(1..=LIMIT_MAX).contains(&limit) {
        return Err(Problem::field("limit", format!("ask for 1 to {LIMIT_MAX} posts")));
    }
    let before = match query.cursor.as_deref() {
        None => Cursor { at: i64::MAX, id: i64::MAX },
        Some(text) => text
            .parse()
            .map_err(|()| Problem::field("cursor", "send `next` of the posts before as it was"))?,
    };
    let only = (caller.user.role() < Role::Editor).then_some(caller.user.id);
    let status = query.status.map(|status| match status {
        Status::Draft => "draft",
        Status::Published => "published",
        Status::Archived => "archived",
    });
    let mut rows = app.store.saved_before(before, (only, status), limit + 1).await?;
    let more = i64::try_from(rows.len()).unwrap_or(i64::MAX) > limit;
    rows.truncate(usize::try_from(limit).unwrap_or(0));
    let next = rows.last().filter(|_| more).map(|row| Cursor { at: row.updated_at, id: row.id }.to_string());
    Ok(Json(PostList { posts: rows.into_iter().map(PostLine::from).collect(), next }))
}

/// `GET /api/v1/posts/{id}`.
pub(crate) async fn get(
    State(app): State<Shared>,
    manner: Manner,
    caller: Caller,
    Number(id): Number,
) -> Result<Json<PostBody>, Problem> {
    let post = own(&app, &caller.user, id).await?;
    Ok(Json(PostBody::new(post, &manner.origin)))
}

/// `POST /api/v1/posts`.
pub(crate) async fn create(
    State(app): State<Shared>,
    manner: Manner,
    caller: Caller,
    Body(new): Body<NewPost>,
) -> Result<Response, Problem> {
    let user = caller.writes()?;
    let draft = new.draft(now())?;
    if draft.kind == "page" && user.role() < Role::Editor {
        return Err(Problem::new(StatusCode::FORBIDDEN, "pages are written by editors"));
    }
    let saved = app.store.create_post(&draft, user.id, now()).await?;
    app.audit(user, ("post.create", &saved.slug), "api").await;
    let place = format!("/api/v1/posts/{}", saved.id);
    let mut response = (StatusCode::CREATED, answer(&app, &manner, saved.id).await?).into_response();
    if let Ok(place) = HeaderValue::from_str(&place) {
        response.headers_mut().insert(header::LOCATION, place);
    }
    Ok(response)
}

/// `PATCH /api/v1/posts/{id}`.
pub(crate) async fn update(
    State(app): State<Shared>,
    manner: Manner,
    caller: Caller,
    (Number(id), Body(change)): (Number, Body<PostChange>),
) -> Result<Json<PostBody>, Problem> {
    let user = caller.writes()?;
    let post = own(&app, user, id).await?;
    let version = change.version;
    let draft = change.on(&post, now())?;
    let saved = app.store.update_post((id, version), &draft, user.id, now()).await?;
    app.audit(user, ("post.save", &saved.slug), "api").await;
    answer(&app, &manner, id).await
}

/// `POST /api/v1/posts/{id}/publish`, with or without a body. Publishing again changes nothing.
pub(crate) async fn publish(
    State(app): State<Shared>,
    manner: Manner,
    caller: Caller,
    (Number(id), Perhaps(publish)): (Number, Perhaps<Publish>),
) -> Result<Json<PostBody>, Problem> {
    let user = caller.writes()?;
    let post = own(&app, user, id).await?;
    let at = time(publish.published_at.as_deref())?;
    let mut draft = as_draft(&post);
    let wanted = match draft.publication {
        Publication::Published(before) => Publication::Published(at.unwrap_or(before)),
        Publication::Draft | Publication::Archived => {
            Publication::Published(at.or(post.published_at).unwrap_or_else(now))
        }
    };
    if wanted != draft.publication {
        draft.publication = wanted;
        let saved = app.store.update_post((id, post.version), &draft, user.id, now()).await?;
        app.audit(user, ("post.save", &saved.slug), "api publish").await;
    }
    answer(&app, &manner, id).await
}

/// A post that the account may edit. Of another's drafts a program learns as little as a person: not even that they
/// are there.
async fn own(app: &Shared, user: &User, id: i64) -> Result<Post, Problem> {
    let post = app.store.post(id).await?;
    post.filter(|post| user.may_edit(post.author_id))
        .ok_or_else(|| Problem::new(StatusCode::NOT_FOUND, format!("you have no post {id}")))
}

async fn answer(app: &Shared, manner: &Manner, id: i64) -> Result<Json<PostBody>, Problem> {
    let post = app.store.post(id).await?;
    let post =
        post.ok_or_else(|| Problem::new(StatusCode::NOT_FOUND, format!("there is no post {id} any more")))?;
    Ok(Json(PostBody::new(post, &manner.origin)))
}
