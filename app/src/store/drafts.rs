//! Posts one at a time: saving and publishing.

use super::index::index_terms;
use super::{Store, StoreError, fetch_optional, in_transaction, pick, run, touch_content};
use crate::text;

/// Authors who may save a post under the same title at the same moment.
const SLUG_ROUNDS_MAX: usize = 20;

/// What an author hands in.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Draft {
    /// `post` or `page`.
    pub kind: &'static str,
    /// Wanted name in URLs; made from the title when empty.
    pub slug: String,
    /// Its title.
    pub title: String,
    /// Plain text; taken from the body when empty.
    pub summary: String,
    /// Markdown.
    pub body: String,
    /// The category's name; created when new, none when empty.
    pub category: String,
    /// Names of tags; created when new.
    pub tags: Vec<String>,
    /// The picture's file, or empty.
    pub cover: String,
    /// Whether readers may comment.
    pub comments_open: bool,
    /// Draft, public or put away.
    pub publication: Publication,
}

/// Whether and when readers see a post.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Publication {
    /// Only authors see it.
    #[default]
    Draft,
    /// Public from this second on.
    Published(i64),
    /// Taken away from readers; keeps its time of publication.
    Archived,
}

/// Where a saved post is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Saved {
    /// Its number.
    pub id: i64,
    /// Its name in URLs.
    pub slug: String,
    /// The number of saves, this one included.
    pub version: i64,
}

impl Store {
    /// Writes a new post.
    ///
    /// # Errors
    /// When the database is away.
    pub async fn create_post(&self, draft: &Draft, author: i64, now: i64) -> Result<Saved, StoreError> {
        // Somebody may take the free slug before it is written; every round one of those who race has won.
        for _ in 0..SLUG_ROUNDS_MAX {
            match self.try_create(draft, author, now).await {
                Err(StoreError::Duplicate(_)) => {}
                done => return done,
            }
        }
        Err(StoreError::Duplicate(draft.slug.clone()))
    }

    async fn try_create(&self, draft: &Draft, author: i64, now: i64) -> Result<Saved, StoreError> {
        let slug = self.free_slug(draft, 0).await?;
        let (_, published_at) = publication(draft.publication);
        let saved = in_transaction!(self, |tx| {
            let id = insert_post!(tx, draft, &slug, (published_at, now, now), author)
                .ok_or_else(|| StoreError::Duplicate(format!("a post named {slug}")))?;
            file_under!(tx, id, draft, published_at);
            index_terms!(tx, id, draft);
            keep_revision!(tx, id, now, author);
            touch_content!(tx);
            Saved { id, slug, version: 1 }
        });
        Ok(saved)
    }

    /// Saves a post that the author read at `version`.
    ///
    /// # Errors
    /// [`StoreError::Conflict`] when somebody saved in between; [`StoreError::Missing`] when it is gone.
    pub async fn update_post(
        &self,
        (id, version): (i64, i64),
        draft: &Draft,
        editor: i64,
        now: i64,
    ) -> Result<Saved, StoreError> {
        let old = self.post(id).await?.ok_or(StoreError::Missing)?;
        if old.version != version {
            return Err(StoreError::Conflict(old.version));
        }
        let slug = self.free_slug(draft, id).await?;
        let (status, published_at) = publication(draft.publication);
        let published_at = published_at.or(old.published_at);
        let public_at = published_at.filter(|_| status == "published");
        let summary = summary(draft);
        let changed = in_transaction!(self, |tx| {
            let changed = run!(
                tx,
                "UPDATE posts SET slug = $3, title = $4, summary = $5, body = $6, status = $7, published_at = $8, \
                 updated_at = $9, cover = $10, comments_open = $11, version = version + 1 \
                 WHERE id = $1 AND version = $2",
                id,
                version,
                &slug,
                &draft.title,
                &summary,
                &draft.body,
                status,
                published_at,
                now,
                &draft.cover,
                i64::from(draft.comments_open)
            );
            if changed == 1 {
                file_under!(tx, id, draft, public_at);
                index_terms!(tx, id, draft);
                keep_revision!(tx, id, now, editor);
                if old.slug != slug {
                    run!(
                        tx,
                        "INSERT INTO slug_redirects(slug, post_id) VALUES ($1, $2) \
                         ON CONFLICT (slug) DO UPDATE SET post_id = excluded.post_id",
                        &old.slug,
                        id
                    );
                    run!(tx, "DELETE FROM slug_redirects WHERE slug = $1", &slug);
                }
                touch_content!(tx);
            }
            changed
        });
        if changed == 0 {
            let now_there = self.post(id).await?.ok_or(StoreError::Missing)?;
            return Err(StoreError::Conflict(now_there.version));
        }
        Ok(Saved { id, slug, version: version + 1 })
    }

    /// The wanted slug, or the next free one: `name`, `name-2`, `name-3` …
    async fn free_slug(&self, draft: &Draft, own_id: i64) -> Result<String, StoreError> {
        let wanted = if draft.slug.is_empty() { &draft.title } else { &draft.slug };
        let base = text::slugify(wanted);
        for number in 1..1000 {
            let slug = if number == 1 { base.clone() } else { format!("{base}-{number}") };
            let taken: Option<(i64,)> =
                fetch_optional!(self, "SELECT id FROM posts WHERE slug = $1 AND id <> $2", &slug, own_id)?;
            if taken.is_none() {
                return Ok(slug);
            }
        }
        Err(StoreError::Duplicate(format!("a post named {base}")))
    }
}

/// The post's own row, with when it became public, was written and was saved; its number, or `None` when the slug is
/// taken.
macro_rules! insert_post {
    ($tx:ident, $draft:expr, $slug:expr, $times:expr, $author:expr) => {{
        let draft: &Draft = $draft;
        let (published_at, created_at, updated_at): (Option<i64>, i64, i64) = $times;
        let row: Option<(i64,)> = pick!(
            $tx,
            "INSERT INTO posts(kind, slug, title, summary, body, status, published_at, created_at, updated_at, \
             author_id, cover, comments_open) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12) \
             ON CONFLICT (slug) DO NOTHING RETURNING id",
            draft.kind,
            $slug,
            &draft.title,
            summary(draft),
            &draft.body,
            publication(draft.publication).0,
            published_at,
            created_at,
            updated_at,
            $author,
            &draft.cover,
            i64::from(draft.comments_open)
        );
        row.map(|(id,)| id)
    }};
}

/// Category and tags of a post, by name, created when new.
macro_rules! file_under {
    ($tx:ident, $id:expr, $draft:expr, $public_at:expr) => {
        if $draft.category.is_empty() {
            run!($tx, "UPDATE posts SET category_id = NULL WHERE id = $1", $id);
        } else {
            run!(
                $tx,
                "INSERT INTO categories(slug, name) VALUES ($1, $2) ON CONFLICT (slug) DO NOTHING",
                text::slugify(&$draft.category),
                &$draft.category
            );
            run!(
                $tx,
                "UPDATE posts SET category_id = (SELECT id FROM categories WHERE slug = $2) WHERE id = $1",
                $id,
                text::slugify(&$draft.category)
            );
        }
        run!($tx, "DELETE FROM post_tags WHERE post_id = $1", $id);
        for tag in &$draft.tags {
            run!(
                $tx,
                "INSERT INTO tags(slug, name) VALUES ($1, $2) ON CONFLICT (slug) DO NOTHING",
                text::slugify(tag),
                tag
            );
            run!(
                $tx,
                "INSERT INTO post_tags(post_id, tag_id, published_at) \
                 SELECT $1, id, $3 FROM tags WHERE slug = $2 ON CONFLICT (post_id, tag_id) DO NOTHING",
                $id,
                text::slugify(tag),
                $public_at
            );
        }
    };
}

/// The saved text as a revision.
macro_rules! keep_revision {
    ($tx:ident, $id:expr, $now:expr, $editor:expr) => {
        run!(
            $tx,
            "INSERT INTO revisions(post_id, version, title, summary, body, author_id, saved_at) \
             SELECT id, version, title, summary, body, $2, $3 FROM posts WHERE id = $1",
            $id,
            $editor,
            $now
        )
    };
}

pub(super) use {file_under, insert_post, keep_revision};

pub(super) fn publication(publication: Publication) -> (&'static str, Option<i64>) {
    match publication {
        Publication::Draft => ("draft", None),
        Publication::Published(at) => ("published", Some(at)),
        Publication::Archived => ("archived", None),
    }
}

pub(super) fn summary(draft: &Draft) -> String {
    if draft.summary.trim().is_empty() { text::excerpt(&draft.body) } else { draft.summary.trim().to_owned() }
}
