//! Feeds: Atom, RSS and JSON Feed.

use askama::Template;
use axum::extract::State;
use axum::http::{HeaderValue, header};
use axum::response::{IntoResponse, Response};
use jiff::Timestamp;
use jiff::fmt::rfc2822;

use crate::links::absolute;
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

#[derive(Template)]
#[template(path = "rss.xml")]
struct Rss {
    l: Layout,
    entries: Vec<Entry>,
}

struct Entry {
    link: String,
    post: Post,
    at: i64,
    rfc2822: String,
    html: String,
}

/// `GET /feed.xml`: Atom (RFC 4287).
pub(crate) async fn atom(State(app): State<Shared>, visitor: Visitor) -> Result<Response, Error> {
    let layout = Layout::new(&app, &visitor, "").await?;
    let entries = entries(&app, &layout.origin).await?;
    let updated = entries.iter().map(|entry| entry.post.updated_at.max(entry.at)).max().unwrap_or(0);
    Ok(typed("application/atom+xml; charset=utf-8", Atom { l: layout, updated, entries }.render()?))
}

/// `GET /rss.xml`: RSS 2.0.
pub(crate) async fn rss(State(app): State<Shared>, visitor: Visitor) -> Result<Response, Error> {
    let layout = Layout::new(&app, &visitor, "").await?;
    let entries = entries(&app, &layout.origin).await?;
    Ok(typed("application/rss+xml; charset=utf-8", Rss { l: layout, entries }.render()?))
}

/// `GET /feed.json`: JSON Feed 1.1.
pub(crate) async fn json(State(app): State<Shared>, visitor: Visitor) -> Result<Response, Error> {
    let l = Layout::new(&app, &visitor, "").await?;
    let items: Vec<_> = entries(&app, &l.origin)
        .await?
        .into_iter()
        .map(|entry| {
            serde_json::json!({
                "id": entry.link,
                "url": entry.link,
                "title": entry.post.title,
                "summary": entry.post.summary,
                "content_html": entry.html,
                "date_published": l.rfc3339(&entry.at),
                "date_modified": l.rfc3339(&entry.post.updated_at),
                "authors": [{"name": entry.post.author}],
                "tags": entry.post.tags().iter().map(|tag| tag.name).collect::<Vec<_>>(),
            })
        })
        .collect();
    let feed = serde_json::json!({
        "version": "https://jsonfeed.org/version/1.1",
        "title": l.site_title(),
        "description": l.settings().tagline,
        "home_page_url": format!("{}/", l.origin),
        "feed_url": format!("{}/feed.json", l.origin),
        "items": items,
    });
    Ok(typed("application/feed+json; charset=utf-8", feed.to_string()))
}

async fn entries(app: &Shared, origin: &str) -> Result<Vec<Entry>, Error> {
    let page = app.store.list(Filter::All, From::Newest, Window { now: now(), size: ENTRIES }).await?;
    let mut entries = Vec::with_capacity(page.posts.len());
    for card in page.posts {
        let Some(post) = app.store.post(card.id).await? else { continue };
        let link = format!("{origin}/posts/{}", url_segment(&post.slug));
        let at = Timestamp::from_second(card.published_at).unwrap_or(Timestamp::UNIX_EPOCH);
        entries.push(Entry {
            html: absolute(&app.rendered.get(&post).html, origin, &link),
            link,
            at: card.published_at,
            rfc2822: rfc2822::to_string(&at.to_zoned(jiff::tz::TimeZone::UTC)).unwrap_or_default(),
            post,
        });
    }
    Ok(entries)
}

/// A text of a type, checked again by whoever keeps it.
pub(super) fn typed(content_type: &'static str, mut body: String) -> Response {
    // XML has no way to write most control characters, not even escaped (XML 1.0, section 2.2): one of them in a
    // title would break the feed for everybody.
    body.retain(|c| !c.is_control() && !matches!(c, '\u{fffe}' | '\u{ffff}') || matches!(c, '\n' | '\t'));
    let headers = [
        (header::CONTENT_TYPE, HeaderValue::from_static(content_type)),
        (header::CACHE_CONTROL, HeaderValue::from_static("public, no-cache")),
        (header::VARY, HeaderValue::from_static("Cookie")),
    ];
    (headers, body).into_response()
}
