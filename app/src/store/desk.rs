//! Posts as those who write them list them.

use super::{Cursor, Store, StoreError, fetch_all};

/// A post in the author's own list.
#[derive(Clone, Debug, sqlx::FromRow)]
pub struct PostRow {
    /// Its number.
    pub id: i64,
    /// `post` or `page`.
    pub kind: String,
    /// Its name in URLs.
    pub slug: String,
    /// Its title.
    pub title: String,
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
    /// How often it was read.
    pub views: i64,
}

impl Store {
    /// Posts that an author may edit (all with `None`), last saved first.
    ///
    /// # Errors
    /// When the database is away.
    pub async fn desk(&self, author: Option<i64>, offset: i64) -> Result<Vec<PostRow>, StoreError> {
        Ok(fetch_all!(
            self,
            "SELECT p.id, p.kind, p.slug, p.title, p.status, p.published_at, p.updated_at, p.author_id, \
             u.display_name AS author, COALESCE(v.views, 0) AS views FROM posts p JOIN users u ON u.id = p.author_id \
             LEFT JOIN post_views v ON v.post_id = p.id WHERE p.author_id = COALESCE($1, p.author_id) \
             ORDER BY p.updated_at DESC, p.id DESC LIMIT 51 OFFSET $2",
            author,
            offset
        )?)
    }

    /// Posts that were saved before `before`, last saved first: of one account or all, of one status or all.
    ///
    /// # Errors
    /// When the database is away.
    pub async fn saved_before(
        &self,
        before: Cursor,
        (author, status): (Option<i64>, Option<&str>),
        limit: i64,
    ) -> Result<Vec<PostRow>, StoreError> {
        Ok(fetch_all!(
            self,
            "SELECT p.id, p.kind, p.slug, p.title, p.status, p.published_at, p.updated_at, p.author_id, \
             u.display_name AS author, COALESCE(v.views, 0) AS views FROM posts p JOIN users u ON u.id = p.author_id \
             LEFT JOIN post_views v ON v.post_id = p.id WHERE (p.updated_at, p.id) < ($1, $2) \
             AND p.author_id = COALESCE($3, p.author_id) AND p.status = COALESCE($4, p.status) \
             ORDER BY p.updated_at DESC, p.id DESC LIMIT $5",
            before.at,
            before.id,
            author,
            status,
            limit
        )?)
    }
}
