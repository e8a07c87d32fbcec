//! A reader's comment.

use axum::Form;
use axum::extract::{Path, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Redirect, Response};

use crate::store::{CommentStatus, NewComment, Role};
use crate::text::{typed, url_segment};
use crate::web::app::{Shared, now};
use crate::web::error::Error;
use crate::web::i18n::Lang;
use crate::web::read::post::{self, CommentForm};
use crate::web::visitor::Visitor;

/// Characters of a comment.
const BODY_CHARS_MAX: usize = 5_000;
/// Characters of a name.
const NAME_CHARS_MAX: usize = 50;
/// Comments that one address may send in ten minutes.
const PER_ADDRESS_MAX: i64 = 6;
/// The window of that limit, in seconds.
const WINDOW_S: i64 = 600;

/// `GET /posts/{slug}/comments`: where a language switch after an error leads.
pub(crate) async fn back(Path(slug): Path<String>) -> Redirect {
    Redirect::to(&format!("/posts/{}#comments", url_segment(&slug)))
}

/// `POST /posts/{slug}/comments`.
pub(crate) async fn create(
    State(app): State<Shared>,
    Path(slug): Path<String>,
    visitor: Visitor,
    Form(form): Form<CommentForm>,
) -> Result<Response, Error> {
    let now = now();
    let post =
        post::find(&app, &visitor, &slug, now).await?.filter(|post| post.is_post()).ok_or(Error::NotFound)?;
    let here = format!("/posts/{}", url_segment(&post.slug));
    if !form.homepage.is_empty() {
        // A program fell into the trap. It is told what a person would be told, and nothing is kept.
        return Ok(Redirect::to(&format!("{here}?comment=pending#comments")).into_response());
    }
    if let Some(problem) = problem(&visitor, &form, post.comments_open == 1) {
        let page = post::with_problem(&app, &visitor, (post, form), problem).await?;
        return Ok((StatusCode::UNPROCESSABLE_ENTITY, page).into_response());
    }
    let bucket = format!("comment:{}", visitor.address);
    if visitor.user.is_none() && app.store.count_attempt(&bucket, WINDOW_S, now).await? > PER_ADDRESS_MAX {
        let text = visitor.manner.text();
        let problem = format!("{} {}", text.error_429, text.error_429_help);
        let page = post::with_problem(&app, &visitor, (post, form), problem).await?;
        return Ok((StatusCode::TOO_MANY_REQUESTS, page).into_response());
    }
    let trusted =
        visitor.user.as_ref().is_some_and(|user| user.role() >= Role::Editor || user.id == post.author_id);
    let moderated = app.site().await?.settings.moderate_comments;
    let status = if trusted || !moderated { CommentStatus::Approved } else { CommentStatus::Pending };
    app.store.add_comment(&comment(&visitor, &form, post.id, status), now).await?;
    let outcome = if status == CommentStatus::Approved { "posted" } else { "pending" };
    Ok(Redirect::to(&format!("{here}?comment={outcome}#comments")).into_response())
}

fn comment(visitor: &Visitor, form: &CommentForm, post_id: i64, status: CommentStatus) -> NewComment {
    let name =
        visitor.user.as_ref().map_or_else(|| typed(form.name.trim()), |user| user.display_name.clone());
    NewComment {
        post_id,
        parent_id: form.parent.parse().ok(),
        user_id: visitor.user.as_ref().map(|user| user.id),
        author_name: name,
        author_email: typed(form.email.trim()),
        author_url: typed(form.url.trim()),
        body: typed(form.body.trim()),
        status,
        address: visitor.address.to_string(),
    }
}

/// What a person must change before the comment can be kept.
fn problem(visitor: &Visitor, form: &CommentForm, open: bool) -> Option<String> {
    let zh = visitor.manner.lang == Lang::Zh;
    let say = |chinese: String, english: String| Some(if zh { chinese } else { english });
    let (name, body) = (typed(form.name.trim()).chars().count(), typed(form.body.trim()).chars().count());
    let url = form.url.trim();
    if !open {
        return Some(visitor.manner.text().comments_closed.to_owned());
    }
    if visitor.user.is_none() && (name == 0 || name > NAME_CHARS_MAX) {
        return say(
            format!("请填写昵称，最多 {NAME_CHARS_MAX} 个字。"),
            format!("Please give a name of at most {NAME_CHARS_MAX} characters."),
        );
    }
    if body == 0 || body > BODY_CHARS_MAX {
        return say(
            format!("评论要有内容，最多 {BODY_CHARS_MAX} 个字，现在是 {body} 个。"),
            format!("A comment has 1 to {BODY_CHARS_MAX} characters; this one has {body}."),
        );
    }
    if !url.is_empty() && (url.len() > 200 || !(url.starts_with("https://") || url.starts_with("http://"))) {
        return say("网站地址要以 https:// 开头。".to_owned(), "A website starts with https://.".to_owned());
    }
    if form.email.len() > 200 || (!form.email.trim().is_empty() && !form.email.contains('@')) {
        return say("邮箱地址不完整。".to_owned(), "The email address is not complete.".to_owned());
    }
    None
}
