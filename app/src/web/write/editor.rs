//! The editor: writing, saving, publishing. An edit conflict is shown, never overwritten.

use askama::Template;
use axum::Form;
use axum::extract::{Path, Query, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Redirect, Response};
use serde::Deserialize;

use crate::rules;
use crate::store::{Autosave, Draft, Post, Publication, Role, StoreError};
use crate::text::typed;
use crate::web::app::{Shared, Site, now};
use crate::web::error::Error;
use crate::web::i18n::Lang;
use crate::web::layout::{Layout, html};
use crate::web::visitor::Visitor;

/// The form, as browsers send it.
#[derive(Clone, Debug, Default, Deserialize)]
pub(crate) struct EditorForm {
    /// `page` or else a post; asked for when it is new.
    #[serde(default)]
    kind: String,
    #[serde(default)]
    title: String,
    #[serde(default)]
    slug: String,
    #[serde(default)]
    summary: String,
    #[serde(default)]
    body: String,
    #[serde(default)]
    category: String,
    #[serde(default)]
    tags: String,
    #[serde(default)]
    cover: String,
    #[serde(default)]
    comments_open: String,
    #[serde(default)]
    publish_at: String,
    #[serde(default)]
    version: i64,
    #[serde(default)]
    action: String,
}

/// What was just done, or wanted.
#[derive(Debug, Deserialize)]
pub(crate) struct Done {
    saved: Option<String>,
    /// Take up what was typed and not saved.
    resume: Option<String>,
}

#[derive(Template)]
#[template(path = "editor.html")]
struct EditorTemplate {
    l: Layout,
    /// The saved post, if it exists yet.
    post: Option<Post>,
    form: EditorForm,
    categories: Vec<String>,
    saved: bool,
    problem: String,
    /// What somebody else saved in between.
    theirs: Option<String>,
    /// What was typed here before and never saved.
    autosaved: Option<Autosave>,
}

impl EditorTemplate {
    /// With the text that was typed before. Its version stays the one it was typed on, so that a save in between
    /// shows as a conflict.
    fn resumed(mut self) -> Self {
        if let Some(kept) = self.autosaved.take() {
            self.form.title = kept.title;
            self.form.body = kept.body;
            self.form.version = kept.base_version;
        }
        self
    }

    /// 0 for a post that does not exist yet.
    fn number(&self) -> i64 {
        self.post.as_ref().map_or(0, |post| post.id)
    }

    fn is_published(&self) -> bool {
        self.post.as_ref().is_some_and(|post| post.status == "published")
    }
}

/// `GET /desk/posts/new`.
pub(crate) async fn new(
    State(app): State<Shared>,
    Query(done): Query<Done>,
    visitor: Visitor,
) -> Result<Response, Error> {
    visitor.signed_in()?;
    let form = EditorForm { comments_open: "on".to_owned(), ..EditorForm::default() };
    let page = page(&app, &visitor, None, form).await?;
    html(&if done.resume.is_some() { page.resumed() } else { page })
}

/// `GET /desk/posts/{id}`.
pub(crate) async fn edit(
    State(app): State<Shared>,
    Path(id): Path<i64>,
    Query(done): Query<Done>,
    visitor: Visitor,
) -> Result<Response, Error> {
    let post = own(&app, &visitor, id).await?;
    let form = filled(&*app.site().await?, &post);
    let mut page = page(&app, &visitor, Some(post), form).await?;
    page.saved = done.saved.is_some();
    html(&if done.resume.is_some() { page.resumed() } else { page })
}

/// `POST /desk/posts`.
pub(crate) async fn create(
    State(app): State<Shared>,
    visitor: Visitor,
    Form(form): Form<EditorForm>,
) -> Result<Response, Error> {
    let user = visitor.signed_in()?;
    match draft(&*app.site().await?, &visitor, &form, None) {
        Err(problem) => again(&app, &visitor, (None, form), Again::Problem(problem)).await,
        Ok(draft) => {
            let saved = app.store.create_post(&draft, user.id, now()).await?;
            app.store.forget_autosave(user.id, 0).await?;
            app.audit(user, ("post.create", &saved.slug), act(&form)).await;
            Ok(Redirect::to(&format!("/desk/posts/{}?saved=1", saved.id)).into_response())
        }
    }
}

/// `POST /desk/posts/{id}`.
pub(crate) async fn update(
    State(app): State<Shared>,
    Path(id): Path<i64>,
    visitor: Visitor,
    Form(form): Form<EditorForm>,
) -> Result<Response, Error> {
    let post = own(&app, &visitor, id).await?;
    let user = visitor.signed_in()?;
    let draft = match draft(&*app.site().await?, &visitor, &form, Some(&post)) {
        Ok(draft) => draft,
        Err(problem) => return again(&app, &visitor, (Some(post), form), Again::Problem(problem)).await,
    };
    match app.store.update_post((id, form.version), &draft, user.id, now()).await {
        Ok(saved) => {
            app.store.forget_autosave(user.id, id).await?;
            app.audit(user, ("post.save", &saved.slug), act(&form)).await;
            Ok(Redirect::to(&format!("/desk/posts/{id}?saved=1")).into_response())
        }
        Err(StoreError::Conflict(version)) => {
            let post = own(&app, &visitor, id).await?;
            again(&app, &visitor, (Some(post), form), Again::Conflict(version)).await
        }
        Err(error) => Err(error.into()),
    }
}

/// A post that the visitor may edit.
pub(crate) async fn own(app: &Shared, visitor: &Visitor, id: i64) -> Result<Post, Error> {
    let user = visitor.signed_in()?;
    let post = app.store.post(id).await?.ok_or(Error::NotFound)?;
    if user.may_edit(post.author_id) { Ok(post) } else { Err(Error::Forbidden) }
}

/// The button that was pressed, for the audit log.
fn act(form: &EditorForm) -> &str {
    match form.action.as_str() {
        known @ ("publish" | "archive" | "draft") => known,
        _ => "save",
    }
}

/// Why the form comes back, with everything that was typed.
enum Again {
    Problem(String),
    Conflict(i64),
}

async fn again(
    app: &Shared,
    visitor: &Visitor,
    (post, mut form): (Option<Post>, EditorForm),
    why: Again,
) -> Result<Response, Error> {
    let theirs = post.as_ref().map(|post| post.body.clone());
    if let Again::Conflict(version) = why {
        form.version = version;
    }
    let mut page = page(app, visitor, post, form).await?;
    let status = match why {
        Again::Problem(problem) => {
            page.problem = problem;
            StatusCode::UNPROCESSABLE_ENTITY
        }
        Again::Conflict(_) => {
            page.problem = visitor.manner.text().conflict.to_owned();
            page.theirs = theirs;
            StatusCode::CONFLICT
        }
    };
    Ok((status, html(&page)?).into_response())
}

async fn page(
    app: &Shared,
    visitor: &Visitor,
    post: Option<Post>,
    form: EditorForm,
) -> Result<EditorTemplate, Error> {
    let title = if post.is_some() { visitor.manner.text().edit } else { visitor.manner.text().new_post };
    let layout = Layout::new(app, visitor, title).await?.unlisted();
    let categories = app.site().await?.categories.iter().map(|term| term.name.clone()).collect();
    let number = post.as_ref().map_or(0, |post| post.id);
    let autosaved = app
        .store
        .autosaved(visitor.signed_in()?.id, number)
        .await?
        .filter(|kept| kept.title != form.title || kept.body != form.body);
    Ok(EditorTemplate {
        l: layout,
        post,
        form,
        categories,
        saved: false,
        problem: String::new(),
        theirs: None,
        autosaved,
    })
}

fn filled(site: &Site, post: &Post) -> EditorForm {
    EditorForm {
        kind: post.kind.clone(),
        title: post.title.clone(),
        slug: post.slug.clone(),
        summary: post.summary.clone(),
        body: post.body.clone(),
        category: post.category.clone(),
        tags: post.tags().iter().map(|tag| tag.name).collect::<Vec<_>>().join(", "),
        cover: post.cover.clone(),
        comments_open: if post.comments_open == 1 { "on" } else { "" }.to_owned(),
        publish_at: post
            .published_at
            .map(|at| site.zoned(at).strftime("%Y-%m-%dT%H:%M").to_string())
            .unwrap_or_default(),
        version: post.version,
        action: String::new(),
    }
}

/// The form as a post, or what is wrong with it.
fn draft(site: &Site, visitor: &Visitor, form: &EditorForm, old: Option<&Post>) -> Result<Draft, String> {
    let say =
        |zh: &str, en: &str| if visitor.manner.lang == Lang::Zh { zh.to_owned() } else { en.to_owned() };
    let tags: Vec<String> = typed(&form.tags)
        .split([',', '，', '、', '\n'])
        .map(rules::term)
        .filter(|tag| !tag.is_empty())
        .collect();
    let draft = Draft {
        kind: kind(visitor, form, old),
        slug: typed(form.slug.trim()),
        title: typed(form.title.trim()),
        summary: typed(form.summary.trim()),
        body: typed(&form.body),
        category: rules::term(&typed(&form.category)),
        tags,
        cover: form.cover.trim().trim_start_matches("/media/").to_owned(),
        comments_open: !form.comments_open.is_empty(),
        publication: publication(site, form, old)
            .map_err(|()| say("发布时间要写成 2026-03-01T08:00。", "Write the time as 2026-03-01T08:00."))?,
    };
    match rules::problems(&draft).first() {
        Some(problem) => Err(say(problem.zh, problem.en)),
        None => Ok(draft),
    }
}

/// Pages are written by editors; what a post is once, it stays.
fn kind(visitor: &Visitor, form: &EditorForm, old: Option<&Post>) -> &'static str {
    let may = visitor.user.as_ref().is_some_and(|user| user.role() >= Role::Editor);
    let is_page = old.map_or(may && form.kind == "page", |post| !post.is_post());
    if is_page { "page" } else { "post" }
}

fn publication(site: &Site, form: &EditorForm, old: Option<&Post>) -> Result<Publication, ()> {
    let wanted = match form.publish_at.trim() {
        "" => None,
        text => {
            let local: jiff::civil::DateTime = text.parse().map_err(|_| ())?;
            let at = local.to_zoned(site.time_zone.clone()).map_err(|_| ())?.timestamp().as_second();
            // The form knows minutes; an unchanged minute keeps the second that readers' cursors know.
            Some(
                old.and_then(|post| post.published_at)
                    .filter(|old| old - old.rem_euclid(60) == at)
                    .unwrap_or(at),
            )
        }
    };
    let is_published = old.is_some_and(|post| post.status == "published");
    Ok(match form.action.as_str() {
        "publish" => Publication::Published(wanted.unwrap_or_else(now)),
        "archive" => Publication::Archived,
        "draft" => Publication::Draft,
        _ if is_published => Publication::Published(wanted.unwrap_or_else(now)),
        _ => Publication::Draft,
    })
}
