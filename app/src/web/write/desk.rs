//! The author's list of posts.

use askama::Template;
use axum::extract::{Query, State};
use axum::response::{Redirect, Response};
use serde::Deserialize;

use crate::store::{PostRow, Role};
use crate::web::app::{Shared, now};
use crate::web::error::Error;
use crate::web::layout::{Layout, html};
use crate::web::visitor::Visitor;

/// Rows of a page.
const PAGE: usize = 50;

/// `?page=`.
#[derive(Debug, Deserialize)]
pub(crate) struct Paging {
    #[serde(default)]
    page: u32,
}

#[derive(Template)]
#[template(path = "desk.html")]
struct DeskTemplate {
    l: Layout,
    rows: Vec<PostRow>,
    waiting: i64,
    now: i64,
    page: u32,
    more: bool,
}

impl DeskTemplate {
    fn status(&self, row: &PostRow) -> &'static str {
        match row.status.as_str() {
            "published" if row.published_at.is_some_and(|at| at > self.now) => self.l.t.status_scheduled,
            "published" => self.l.t.status_published,
            "archived" => self.l.t.status_archived,
            _ => self.l.t.status_draft,
        }
    }
}

/// `GET /desk/posts`: where a language switch after an error leads.
pub(crate) async fn home() -> Redirect {
    Redirect::to("/desk")
}

/// `GET /desk`: all posts for editors, their own for authors.
pub(crate) async fn posts(
    State(app): State<Shared>,
    Query(paging): Query<Paging>,
    visitor: Visitor,
) -> Result<Response, Error> {
    let user = visitor.signed_in()?;
    let only = (user.role() < Role::Editor).then_some(user.id);
    let page = paging.page.min(10_000);
    let mut rows = app.store.desk(only, i64::from(page) * i64::try_from(PAGE).unwrap_or(0)).await?;
    let more = rows.len() > PAGE;
    rows.truncate(PAGE);
    let layout = Layout::new(&app, &visitor, visitor.manner.text().desk).await?.unlisted();
    let waiting = if layout.is_editor() { app.store.comments_waiting().await? } else { 0 };
    html(&DeskTemplate { l: layout, rows, waiting, now: now(), page, more })
}
