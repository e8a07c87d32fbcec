//! What programs send and get. Their schemas in the OpenAPI document are made from these very types.

use jiff::Timestamp;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::problem::Problem;
use crate::rules;
use crate::store::{Draft, Post, PostRow, Publication};
use crate::web::write::revisions::as_draft;

/// Whether readers see a post.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Status {
    /// Only authors see it.
    Draft,
    /// Public from `publishedAt` on, which may be in the future.
    Published,
    /// Taken away from readers.
    Archived,
}

/// A post in a list of posts.
#[derive(Clone, Debug, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub(crate) struct PostLine {
    /// Its number.
    id: i64,
    /// `post`, or `page` for one that stands outside lists and feeds.
    kind: String,
    /// Its name in URLs.
    slug: String,
    /// Its title.
    title: String,
    /// Whether readers see it: `draft`, `published` or `archived`.
    status: String,
    /// From when on readers see it, RFC 3339.
    published_at: Option<String>,
    /// When it was last saved, RFC 3339.
    updated_at: String,
    /// The name of who wrote it.
    author: String,
    /// How often it was read.
    views: i64,
}

/// Posts, last saved first.
#[derive(Clone, Debug, Serialize, JsonSchema)]
pub(crate) struct PostList {
    /// At most `limit` posts.
    pub(crate) posts: Vec<PostLine>,
    /// The `cursor` of the next posts; null after the last.
    pub(crate) next: Option<String>,
}

/// A whole post.
#[derive(Clone, Debug, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
#[schemars(rename = "Post")]
pub(crate) struct PostBody {
    /// What lists show too.
    #[serde(flatten)]
    line: PostLine,
    /// Where readers find it.
    url: String,
    /// Plain text for lists and search engines.
    summary: String,
    /// Markdown.
    body: String,
    /// Its category, or empty.
    category: String,
    /// Its tags.
    tags: Vec<String>,
    /// The file of its picture, or empty.
    cover: String,
    /// Whether readers may comment.
    comments_open: bool,
    /// The number of saves. Send it back with a change.
    version: i64,
}

/// A new post.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(crate) struct NewPost {
    /// 1 to 200 characters.
    title: String,
    /// `post` (as without it) or `page`, which editors may write.
    kind: Option<String>,
    /// Markdown, at most 2 MiB.
    body: Option<String>,
    /// Wanted name in URLs; made from the title without it.
    slug: Option<String>,
    /// Plain text of at most 500 characters; the start of the text without it.
    summary: Option<String>,
    /// A name of at most 50 characters; created when new.
    category: Option<String>,
    /// At most 20 names of at most 50 characters; created when new.
    tags: Option<Vec<String>>,
    /// The file of a picture.
    cover: Option<String>,
    /// Whether readers may comment; yes without it.
    comments_open: Option<bool>,
    /// `draft` without it.
    status: Option<Status>,
    /// From when on a published post is public, RFC 3339; now without it.
    published_at: Option<String>,
}

/// A change of a post: what is left out stays.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(crate) struct PostChange {
    /// The version that the change was made on; 409 when somebody saved in between.
    pub(crate) version: i64,
    /// 1 to 200 characters.
    title: Option<String>,
    /// Markdown, at most 2 MiB.
    body: Option<String>,
    /// Another name in URLs; the old one redirects to it.
    slug: Option<String>,
    /// Plain text of at most 500 characters; empty: the start of the text.
    summary: Option<String>,
    /// A name of at most 50 characters; empty: none.
    category: Option<String>,
    /// All tags of the post from now on.
    tags: Option<Vec<String>>,
    /// The file of a picture; empty: none.
    cover: Option<String>,
    /// Whether readers may comment.
    comments_open: Option<bool>,
    /// Whether readers see it.
    status: Option<Status>,
    /// From when on a published post is public, RFC 3339.
    published_at: Option<String>,
}

/// Publishing a post.
#[derive(Clone, Debug, Default, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(crate) struct Publish {
    /// From when on it is public, RFC 3339; now without it. A time in the future schedules it.
    pub(crate) published_at: Option<String>,
}

impl NewPost {
    /// As a draft that keeps to the rules.
    pub(crate) fn draft(self, now: i64) -> Result<Draft, Problem> {
        let kind = match self.kind.as_deref() {
            None | Some("post") => "post",
            Some("page") => "page",
            Some(_) => return Err(Problem::field("kind", "write post or page")),
        };
        let at = time(self.published_at.as_deref())?;
        let publication = match self.status.unwrap_or(Status::Draft) {
            Status::Draft => Publication::Draft,
            Status::Published => Publication::Published(at.unwrap_or(now)),
            Status::Archived => Publication::Archived,
        };
        checked(Draft {
            kind,
            slug: self.slug.unwrap_or_default(),
            title: self.title,
            summary: self.summary.unwrap_or_default(),
            body: self.body.unwrap_or_default(),
            category: self.category.unwrap_or_default(),
            tags: self.tags.unwrap_or_default(),
            cover: self.cover.unwrap_or_default(),
            comments_open: self.comments_open.unwrap_or(true),
            publication,
        })
    }
}

impl PostChange {
    /// The post with this change, as a draft that keeps to the rules.
    pub(crate) fn on(self, post: &Post, now: i64) -> Result<Draft, Problem> {
        let old = as_draft(post);
        let at = time(self.published_at.as_deref())?;
        let publication = match (self.status, old.publication) {
            (Some(Status::Draft), _) => Publication::Draft,
            (Some(Status::Archived), _) => Publication::Archived,
            (Some(Status::Published), _) => Publication::Published(at.or(post.published_at).unwrap_or(now)),
            (None, Publication::Published(before)) => Publication::Published(at.unwrap_or(before)),
            (None, other) => other,
        };
        checked(Draft {
            slug: self.slug.unwrap_or(old.slug),
            title: self.title.unwrap_or(old.title),
            summary: self.summary.unwrap_or(old.summary),
            body: self.body.unwrap_or(old.body),
            category: self.category.unwrap_or(old.category),
            tags: self.tags.unwrap_or(old.tags),
            cover: self.cover.unwrap_or(old.cover),
            comments_open: self.comments_open.unwrap_or(old.comments_open),
            publication,
            kind: old.kind,
        })
    }
}

fn checked(mut draft: Draft) -> Result<Draft, Problem> {
    rules::tidy(&mut draft);
    let problems = rules::problems(&draft);
    if problems.is_empty() { Ok(draft) } else { Err(Problem::rules(&problems)) }
}

/// Seconds of an RFC 3339 time.
pub(crate) fn time(text: Option<&str>) -> Result<Option<i64>, Problem> {
    let Some(text) = text else { return Ok(None) };
    text.parse::<Timestamp>()
        .map(|at| Some(at.as_second()))
        .map_err(|_| Problem::field("publishedAt", "write a time like 2026-03-01T08:00:00+08:00 (RFC 3339)"))
}

fn rfc3339(seconds: i64) -> String {
    Timestamp::from_second(seconds).unwrap_or(Timestamp::UNIX_EPOCH).to_string()
}

impl From<PostRow> for PostLine {
    fn from(row: PostRow) -> Self {
        Self {
            id: row.id,
            kind: row.kind,
            slug: row.slug,
            title: row.title,
            status: row.status,
            published_at: row.published_at.map(rfc3339),
            updated_at: rfc3339(row.updated_at),
            author: row.author,
            views: row.views,
        }
    }
}

impl PostBody {
    /// The post, with links that start with `origin`.
    #[must_use]
    pub(crate) fn new(post: Post, origin: &str) -> Self {
        let folder = if post.is_post() { "posts" } else { "pages" };
        Self {
            url: format!("{origin}/{folder}/{}", crate::text::url_segment(&post.slug)),
            tags: post.tags().iter().map(|tag| tag.name.to_owned()).collect(),
            comments_open: post.comments_open == 1,
            line: PostLine {
                id: post.id,
                kind: post.kind,
                slug: post.slug,
                title: post.title,
                status: post.status,
                published_at: post.published_at.map(rfc3339),
                updated_at: rfc3339(post.updated_at),
                author: post.author,
                views: post.views,
            },
            summary: post.summary,
            body: post.body,
            category: post.category,
            cover: post.cover,
            version: post.version,
        }
    }
}
