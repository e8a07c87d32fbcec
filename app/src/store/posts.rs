//! Posts one at a time, as they are read.

use super::lists::{tag_lines, tag_refs};
use super::{Store, StoreError, TagRef, fetch_all, fetch_optional, in_transaction, run};

/// A post or a page with everything that its own page shows.
#[derive(Clone, Debug, sqlx::FromRow)]
pub struct Post {
    /// Its number.
    pub id: i64,
    /// `post` or `page`.
    pub kind: String,
    /// Its name in URLs.
    pub slug: String,
    /// Its title.
    pub title: String,
    /// Plain text for lists and search engines.
    pub summary: String,
    /// Markdown.
    pub body: String,
    /// `draft`, `published` or `archived`.
    pub status: String,
    /// When it becomes or became public.
    pub published_at: Option<i64>,
    /// When it was last saved.
    pub updated_at: i64,
    /// Who wrote it.
    pub author_id: i64,
    /// The name of who wrote it.
    pub author: String,
    /// A line about who wrote it.
    pub author_bio: String,
    /// The category, if any.
    pub category_id: Option<i64>,
    /// The category's slug, or empty.
    pub category_slug: String,
    /// The category's name, or empty.
    pub category: String,
    /// The picture's file, or empty.
    pub cover: String,
    /// 1 where readers may comment.
    pub comments_open: i64,
    /// The number of saves.
    pub version: i64,
    /// How often it was read.
    pub views: i64,
    tag_lines: String,
}

/// A post as another post's page links to it.
#[derive(Clone, Debug, PartialEq, Eq, sqlx::FromRow)]
pub struct PostLink {
    /// Its number.
    pub id: i64,
    /// Its name in URLs.
    pub slug: String,
    /// Its title.
    pub title: String,
    /// When it became public.
    pub published_at: i64,
}

impl Post {
    /// Its tags.
    #[must_use]
    pub fn tags(&self) -> Vec<TagRef<'_>> {
        tag_refs(&self.tag_lines)
    }

    /// Whether readers see it at `now`.
    #[must_use]
    pub fn is_public(&self, now: i64) -> bool {
        self.status == "published" && self.published_at.is_some_and(|at| at <= now)
    }

    /// Whether it is a post: a page stands outside lists, archives and feeds.
    #[must_use]
    pub fn is_post(&self) -> bool {
        self.kind == "post"
    }
}

macro_rules! full_post {
    ($rest:literal) => {
        concat!(
            "SELECT p.id, p.kind, p.slug, p.title, p.summary, p.body, p.status, p.published_at, p.updated_at, \
             p.author_id, u.display_name AS author, u.bio AS author_bio, p.category_id, \
             COALESCE(c.slug, '') AS category_slug, COALESCE(c.name, '') AS category, p.cover, p.comments_open, \
             p.version, COALESCE(v.views, 0) AS views, ",
            tag_lines!(),
            " FROM posts p JOIN users u ON u.id = p.author_id LEFT JOIN categories c ON c.id = p.category_id \
             LEFT JOIN post_views v ON v.post_id = p.id ",
            $rest
        )
    };
}

impl Store {
    /// A post by its name in URLs, public or not.
    ///
    /// # Errors
    /// When the database is away.
    pub async fn post_by_slug(&self, slug: &str) -> Result<Option<Post>, StoreError> {
        Ok(fetch_optional!(self, full_post!("WHERE p.slug = $1"), slug)?)
    }

    /// A post by its number.
    ///
    /// # Errors
    /// When the database is away.
    pub async fn post(&self, id: i64) -> Result<Option<Post>, StoreError> {
        Ok(fetch_optional!(self, full_post!("WHERE p.id = $1"), id)?)
    }

    /// The present slug of a post that was renamed.
    ///
    /// # Errors
    /// When the database is away.
    pub async fn renamed(&self, old_slug: &str) -> Result<Option<String>, StoreError> {
        let row: Option<(String,)> = fetch_optional!(
            self,
            "SELECT p.slug FROM slug_redirects r JOIN posts p ON p.id = r.post_id WHERE r.slug = $1",
            old_slug
        )?;
        Ok(row.map(|(slug,)| slug))
    }

    /// The public posts just before and just after this one in time.
    ///
    /// # Errors
    /// When the database is away.
    pub async fn neighbours(
        &self,
        post: &Post,
        now: i64,
    ) -> Result<(Option<PostLink>, Option<PostLink>), StoreError> {
        let Some(at) = post.published_at else { return Ok((None, None)) };
        let found: Vec<PostLink> = fetch_all!(
            self,
            "SELECT * FROM (SELECT id, slug, title, published_at FROM posts WHERE status = 'published' AND kind = 'post' \
             AND (published_at, id) < ($1, $2) AND published_at <= $3 ORDER BY published_at DESC, id DESC LIMIT 1) o \
             UNION ALL SELECT * FROM (SELECT id, slug, title, published_at FROM posts WHERE status = 'published' \
             AND kind = 'post' AND (published_at, id) > ($1, $2) AND published_at <= $3 \
             ORDER BY published_at, id LIMIT 1) n",
            at,
            post.id,
            now
        )?;
        let is_older = |link: &PostLink| (link.published_at, link.id) < (at, post.id);
        let (older, newer): (Vec<_>, Vec<_>) = found.into_iter().partition(is_older);
        Ok((older.into_iter().next(), newer.into_iter().next()))
    }

    /// Posts that share tags with this one, those that share most first, then the newest.
    ///
    /// # Errors
    /// When the database is away.
    pub async fn related(&self, post: &Post, now: i64) -> Result<Vec<PostLink>, StoreError> {
        // Of each tag only its newest posts are looked at, so that a tag of ten thousand posts costs no more, and of
        // those the best dozen: a page among them is not shown.
        Ok(fetch_all!(
            self,
            "SELECT p.id, p.slug, p.title, p.published_at FROM (SELECT n.post_id, COUNT(*) AS shared, \
             MAX(n.published_at) AS public_at FROM post_tags o JOIN post_tags n ON n.tag_id = o.tag_id \
             WHERE o.post_id = $1 AND n.post_id <> $1 AND n.published_at <= $2 AND n.published_at >= \
             COALESCE((SELECT m.published_at FROM post_tags m WHERE m.tag_id = o.tag_id AND m.published_at <= $2 \
             ORDER BY m.published_at DESC LIMIT 1 OFFSET 40), 0) \
             GROUP BY n.post_id ORDER BY shared DESC, public_at DESC LIMIT 12) near \
             JOIN posts p ON p.id = near.post_id WHERE p.kind = 'post' \
             ORDER BY near.shared DESC, near.public_at DESC LIMIT 4",
            post.id,
            now
        )?)
    }

    /// Adds readings that a process has counted.
    ///
    /// # Errors
    /// When the database is away.
    pub async fn add_views(&self, views: &[(i64, i64)]) -> Result<(), StoreError> {
        in_transaction!(self, |tx| {
            for (post, count) in views {
                // A post that was deleted meanwhile is passed over.
                run!(
                    tx,
                    "INSERT INTO post_views(post_id, views) SELECT id, $2 FROM posts WHERE id = $1 \
                     ON CONFLICT (post_id) DO UPDATE SET views = post_views.views + excluded.views",
                    post,
                    count
                );
            }
        });
        Ok(())
    }
}
