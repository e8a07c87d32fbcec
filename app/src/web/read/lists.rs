//! Pages that list posts: home, a tag, a category, a month.

use askama::Template;
use axum::extract::{Path, Query, State};
use axum::response::Response;
use serde::Deserialize;

use crate::store::{Cursor, Filter, From, ListPage, Term, Window};
use crate::text::url_segment;
use crate::web::app::{Shared, Site, now};
use crate::web::error::Error;
use crate::web::layout::{Layout, html};
use crate::web::visitor::Visitor;

/// `?before=` or `?after=` a post.
#[derive(Debug, Deserialize)]
pub(crate) struct Paging {
    before: Option<String>,
    after: Option<String>,
}

impl Paging {
    /// A cursor that can't be read shows the newest posts: an old link still leads somewhere.
    fn start(&self) -> From {
        let read = |text: &Option<String>| text.as_deref().and_then(|text| text.parse::<Cursor>().ok());
        match (read(&self.before), read(&self.after)) {
            (Some(cursor), _) => From::Before(cursor),
            (None, Some(cursor)) => From::After(cursor),
            (None, None) => From::Newest,
        }
    }
}

#[derive(Template)]
#[template(path = "list.html")]
struct ListTemplate {
    l: Layout,
    /// What stands above the title, like “Tag”; empty on the home page.
    kind: &'static str,
    heading: String,
    /// Posts in all, where known.
    total: Option<i64>,
    path: String,
    page: ListPage,
    /// The home page shows its first post large.
    is_front: bool,
}

/// `GET /`.
pub(crate) async fn home(
    State(app): State<Shared>,
    Query(paging): Query<Paging>,
    visitor: Visitor,
) -> Result<Response, Error> {
    let layout = Layout::new(&app, &visitor, "").await?.at("/");
    let start = paging.start();
    let view = View { kind: "", heading: String::new(), total: None, path: "/".to_owned() };
    show(&app, layout, (Filter::All, start), view).await
}

/// `GET /tags/{slug}`.
pub(crate) async fn tag(
    State(app): State<Shared>,
    Path(slug): Path<String>,
    Query(paging): Query<Paging>,
    visitor: Visitor,
) -> Result<Response, Error> {
    let site = app.site().await?;
    let term = find(&site.tags, &slug)?;
    let path = format!("/tags/{}", url_segment(&slug));
    let layout = Layout::new(&app, &visitor, &term.name).await?.at(&path);
    let view = View { kind: layout.t.tag, heading: term.name.clone(), total: Some(term.posts), path };
    show(&app, layout, (Filter::Tag(term.id), paging.start()), view).await
}

/// `GET /categories/{slug}`.
pub(crate) async fn category(
    State(app): State<Shared>,
    Path(slug): Path<String>,
    Query(paging): Query<Paging>,
    visitor: Visitor,
) -> Result<Response, Error> {
    let site = app.site().await?;
    let term = find(&site.categories, &slug)?;
    let path = format!("/categories/{}", url_segment(&slug));
    let layout = Layout::new(&app, &visitor, &term.name).await?.at(&path);
    let view = View { kind: layout.t.category, heading: term.name.clone(), total: Some(term.posts), path };
    show(&app, layout, (Filter::Category(term.id), paging.start()), view).await
}

/// `GET /archive/{year}/{month}`.
pub(crate) async fn month(
    State(app): State<Shared>,
    Path((year, month)): Path<(i16, i8)>,
    Query(paging): Query<Paging>,
    visitor: Visitor,
) -> Result<Response, Error> {
    let site = app.site().await?;
    let (from, until) = month_bounds(&site, year, month)?;
    let filter = Filter::Between { from, until };
    let path = format!("/archive/{year}/{month:02}");
    let mut layout = Layout::new(&app, &visitor, "").await?.at(&path);
    layout.title = layout.month(&year, &month);
    let view = View { kind: layout.t.archive, heading: layout.title.clone(), total: None, path };
    show(&app, layout, (filter, paging.start()), view).await
}

/// The first second of a month and that of the next, in the site's time zone.
pub(super) fn month_bounds(site: &Site, year: i16, month: i8) -> Result<(i64, i64), Error> {
    let first = jiff::civil::Date::new(year, month, 1).map_err(|_| Error::NotFound)?;
    let next = first.checked_add(jiff::Span::new().months(1)).map_err(|_| Error::NotFound)?;
    let start = |date: jiff::civil::Date| {
        date.to_zoned(site.time_zone.clone())
            .map(|zoned| zoned.timestamp().as_second())
            .map_err(|_| Error::NotFound)
    };
    Ok((start(first)?, start(next)?))
}

struct View {
    kind: &'static str,
    heading: String,
    total: Option<i64>,
    path: String,
}

async fn show(
    app: &Shared,
    mut layout: Layout,
    (filter, start): (Filter, From),
    view: View,
) -> Result<Response, Error> {
    let window = Window { now: now(), size: layout.settings().page_size };
    let page = app.store.list(filter, start, window).await?;
    if start != From::Newest {
        // Only the first page of a list stands for it in search engines.
        layout = layout.unlisted();
    }
    let is_front = filter == Filter::All && start == From::Newest;
    let View { kind, heading, total, path } = view;
    html(&ListTemplate { l: layout, kind, heading, total, path, page, is_front })
}

fn find<'a>(terms: &'a [Term], slug: &str) -> Result<&'a Term, Error> {
    terms.iter().find(|term| term.slug == slug).ok_or(Error::NotFound)
}
