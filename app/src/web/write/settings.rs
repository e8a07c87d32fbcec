//! What administrators set and see: settings, tags and categories, the audit log.

use askama::Template;
use axum::Form;
use axum::extract::{Query, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Redirect, Response};
use jiff::tz::TimeZone;
use serde::Deserialize;

use super::account::say;
use crate::store::{AuditEntry, Role, Settings, Term, TermKind};
use crate::web::app::{Shared, now};
use crate::web::error::Error;
use crate::web::layout::{Layout, html};
use crate::web::visitor::Visitor;

/// Entries of a page of the log.
const PAGE: usize = 100;

#[derive(Template)]
#[template(path = "settings.html")]
struct SettingsTemplate {
    l: Layout,
    settings: Settings,
    saved: bool,
    problem: String,
}

#[derive(Template)]
#[template(path = "manage_terms.html")]
struct TermsTemplate {
    l: Layout,
    groups: Vec<(TermKind, &'static str, Vec<Term>)>,
}

#[derive(Template)]
#[template(path = "audit.html")]
struct AuditTemplate {
    l: Layout,
    entries: Vec<AuditEntry>,
    next: Option<i64>,
}

/// What was just done, or from where.
#[derive(Debug, Deserialize)]
pub(crate) struct Ask {
    saved: Option<String>,
    before: Option<i64>,
}

/// The form of the settings.
#[derive(Debug, Deserialize)]
pub(crate) struct SettingsForm {
    title: String,
    #[serde(default)]
    tagline: String,
    time_zone: String,
    page_size: String,
    #[serde(default)]
    moderate_comments: String,
}

/// The form of a tag or category.
#[derive(Debug, Deserialize)]
pub(crate) struct TermForm {
    action: String,
    kind: String,
    id: i64,
    #[serde(default)]
    name: String,
}

/// `GET /desk/settings`.
pub(crate) async fn page(
    State(app): State<Shared>,
    Query(ask): Query<Ask>,
    visitor: Visitor,
) -> Result<Response, Error> {
    visitor.at_least(Role::Admin)?;
    let settings = app.store.settings().await?;
    let l = Layout::new(&app, &visitor, visitor.manner.text().settings).await?.unlisted();
    html(&SettingsTemplate { l, settings, saved: ask.saved.is_some(), problem: String::new() })
}

/// `POST /desk/settings`.
pub(crate) async fn save(
    State(app): State<Shared>,
    visitor: Visitor,
    Form(form): Form<SettingsForm>,
) -> Result<Response, Error> {
    let me = visitor.at_least(Role::Admin)?.clone();
    let settings = Settings {
        title: form.title.trim().to_owned(),
        tagline: form.tagline.trim().to_owned(),
        time_zone: form.time_zone.trim().to_owned(),
        page_size: form.page_size.trim().parse().unwrap_or(0),
        moderate_comments: !form.moderate_comments.is_empty(),
    };
    let problem = if settings.title.is_empty() || settings.title.chars().count() > 80 {
        say(&visitor, "名称要有 1 到 80 个字。", "A name has 1 to 80 characters.")
    } else if settings.tagline.chars().count() > 200 {
        say(&visitor, "副标题最多 200 个字。", "The line under it has at most 200 characters.")
    } else if TimeZone::get(&settings.time_zone).is_err() {
        say(&visitor, "时区要写成 Asia/Shanghai 这样。", "Write the time zone like Asia/Shanghai.")
    } else if !(1..=50).contains(&settings.page_size) {
        say(&visitor, "每页 1 到 50 篇。", "A page has 1 to 50 posts.")
    } else {
        app.store.save_settings(&settings).await?;
        app.audit(&me, ("settings.save", &settings.title), "").await;
        return Ok(Redirect::to("/desk/settings?saved=1").into_response());
    };
    let l = Layout::new(&app, &visitor, visitor.manner.text().settings).await?.unlisted();
    let page = SettingsTemplate { l, settings, saved: false, problem };
    Ok((StatusCode::UNPROCESSABLE_ENTITY, html(&page)?).into_response())
}

/// `GET /desk/terms`.
pub(crate) async fn terms(State(app): State<Shared>, visitor: Visitor) -> Result<Response, Error> {
    visitor.at_least(Role::Editor)?;
    let t = visitor.manner.text();
    let groups = vec![
        (TermKind::Category, t.categories, app.store.all_terms(TermKind::Category).await?),
        (TermKind::Tag, t.tags, app.store.all_terms(TermKind::Tag).await?),
    ];
    let l = Layout::new(&app, &visitor, t.manage_terms).await?.unlisted();
    html(&TermsTemplate { l, groups })
}

/// `POST /desk/terms`.
pub(crate) async fn change_term(
    State(app): State<Shared>,
    visitor: Visitor,
    Form(form): Form<TermForm>,
) -> Result<Response, Error> {
    let me = visitor.at_least(Role::Editor)?.clone();
    let kind = TermKind::parse(&form.kind)
        .ok_or_else(|| Error::BadRequest(format!("`{}` is neither tag nor category", form.kind)))?;
    let name = form.name.split_whitespace().collect::<Vec<_>>().join(" ");
    match form.action.as_str() {
        "delete" => app.store.delete_term(kind, form.id).await?,
        "rename" if (1..=50).contains(&name.chars().count()) => {
            app.store.rename_term(kind, form.id, &name).await?;
        }
        "rename" => {
            return Err(Error::BadRequest(say(
                &visitor,
                "名称要有 1 到 50 个字。",
                "A name has 1 to 50 characters.",
            )));
        }
        other => return Err(Error::BadRequest(format!("`{other}` is no action on tags"))),
    }
    app.audit(&me, (&format!("{}.{}", kind.as_str(), form.action), &form.id.to_string()), &name).await;
    Ok(Redirect::to("/desk/terms").into_response())
}

/// `GET /desk/audit`.
pub(crate) async fn audit(
    State(app): State<Shared>,
    Query(ask): Query<Ask>,
    visitor: Visitor,
) -> Result<Response, Error> {
    visitor.at_least(Role::Admin)?;
    let mut entries = app.store.audit_log(ask.before.unwrap_or(i64::MAX)).await?;
    let next = (entries.len() > PAGE).then(|| entries[PAGE - 1].id);
    entries.truncate(PAGE);
    let l = Layout::new(&app, &visitor, visitor.manner.text().audit).await?.unlisted();
    html(&AuditTemplate { l, entries, next })
}

impl crate::web::app::App {
    /// Notes who did what. A note that can't be kept is logged; what was done stays done.
    pub(crate) async fn audit(
        &self,
        actor: &crate::store::User,
        (action, subject): (&str, &str),
        detail: &str,
    ) {
        tracing::info!(actor = %actor.username, action, subject, detail, "`{}` did {action}", actor.username);
        if let Err(error) = self.store.audit(&actor.username, (action, subject), detail, now()).await {
            tracing::warn!(action, "an entry of the audit log could not be kept: {error}");
        }
    }
}
