//! Feeds.

use askama::Template;
use axum::extract::State;
use axum::http::{HeaderValue, header};
use axum::response::{IntoResponse, Response};

use crate::store::{Filter, From, Post, Window};
use crate::text::url_segment;
use crate::web::app::{Shared, now};
use crate::web::error::Error;
use crate::web::layout::Layout;
use crate::web::visitor::Visitor;

/// Entries of a feed.
const ENTRIES: i64 = 20;

#[derive(Template)]
#[template(path = "atom.xml")]
struct Atom {
    l: Layout,
    updated: i64,
    entries: Vec<Entry>,
}

struct Entry {
    link: String,
    post: Post,
    at: i64,
    html: String,
}

/// `GET /feed.xml`: Atom (RFC 4287).
pub(crate) async fn atom(State(app): State<Shared>, visitor: Visitor) -> Result<Response, Error> {
    let layout = Layout::new(&app, &visitor, "").await?;
    let entries = entries(&app, &layout.origin).await?;
    let updated = entries.iter().map(|entry| entry.post.updated_at.max(entry.at)).max().unwrap_or(0);
    let body = Atom { l: layout, updated, entries }.render()?;
    let headers = [(header::CONTENT_TYPE, HeaderValue::from_static("application/atom+xml; charset=utf-8"))];
    Ok((headers, body).into_response())
}

async fn entries(app: &Shared, origin: &str) -> Result<Vec<Entry>, Error> {
    let page = app.store.list(Filter::All, From::Newest, Window { now: now(), size: ENTRIES }).await?;
    let mut entries = Vec::with_capacity(page.posts.len());
    for card in page.posts {
        let Some(post) = app.store.post(card.id).await? else { continue };
        entries.push(Entry {
            link: format!("{origin}/posts/{}", url_segment(&post.slug)),
            html: app.rendered.get(&post).html.clone(),
            at: card.published_at,
            post,
        });
    }
    Ok(entries)
}
