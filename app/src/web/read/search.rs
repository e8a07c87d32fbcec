//! Search, with the found words marked.

use askama::Template;
use axum::extract::{Query, State};
use axum::response::Response;
use serde::Deserialize;

use crate::snippet::{Piece, mark, snippet};
use crate::store::PostCard;
use crate::text::{shorten, typed, url_segment};
use crate::web::app::{Shared, now};
use crate::web::error::Error;
use crate::web::layout::{Layout, html};
use crate::web::visitor::Visitor;

/// Characters of a query that count.
const QUERY_CHARS_MAX: usize = 100;
/// Results of a page.
const PAGE: usize = 10;
/// Pages of results: who needs more types another word.
const PAGES_MAX: usize = 20;

/// `?q=` and `?page=`.
#[derive(Debug, Deserialize)]
pub(crate) struct Ask {
    #[serde(default)]
    q: String,
    #[serde(default)]
    page: usize,
}

#[derive(Template)]
#[template(path = "search.html")]
struct SearchTemplate {
    l: Layout,
    query: String,
    hits: Vec<Found>,
    previous: Option<String>,
    next: Option<String>,
}

struct Found {
    post: PostCard,
    title: Vec<Piece>,
    text: Vec<Piece>,
}

/// `GET /search`.
pub(crate) async fn search(
    State(app): State<Shared>,
    Query(ask): Query<Ask>,
    visitor: Visitor,
) -> Result<Response, Error> {
    let query: String = typed(ask.q.trim()).chars().take(QUERY_CHARS_MAX).collect();
    let page = ask.page.min(PAGES_MAX - 1);
    let layout = Layout::new(&app, &visitor, visitor.manner.text().search_results).await?.unlisted();
    let offset = i64::try_from(page * PAGE).unwrap_or(0);
    let mut hits = app.store.search(&query, now(), offset).await?;
    let more = hits.len() > PAGE && page + 1 < PAGES_MAX;
    hits.truncate(PAGE);
    let hits = hits
        .into_iter()
        .map(|hit| Found {
            title: mark(&hit.post.title, &query),
            text: snippet(&hit.body, &query)
                .unwrap_or_else(|| vec![Piece::plain(&shorten(&hit.post.summary, 160))]),
            post: hit.post,
        })
        .collect();
    let link = |page: usize| format!("/search?q={}&page={page}", url_segment(&query));
    html(&SearchTemplate {
        l: layout,
        hits,
        previous: page.checked_sub(1).map(link),
        next: more.then(|| link(page + 1)),
        query,
    })
}
