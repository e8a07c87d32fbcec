//! Reading everything, a batch at a time, for an export.

use super::{Post, Store, StoreError, fetch_all, fetch_optional, in_transaction, run};

/// An account with everything that is kept of it.
#[derive(Clone, Debug, sqlx::FromRow)]
pub struct WholeUser {
    /// The name to sign in with.
    pub username: String,
    /// The name that readers see.
    pub display_name: String,
    /// argon2id as a PHC string.
    pub password_hash: String,
    /// `admin`, `editor` or `author`.
    pub role: String,
    /// A line for readers.
    pub bio: String,
    /// When it was made.
    pub created_at: i64,
    /// When it was shut, if it is.
    pub disabled_at: Option<i64>,
}

/// A saved text with its writer's name to sign in with.
#[derive(Clone, Debug, sqlx::FromRow)]
pub struct WholeRevision {
    /// The number of the save.
    pub version: i64,
    /// The title then.
    pub title: String,
    /// The summary then.
    pub summary: String,
    /// The text then.
    pub body: String,
    /// Who saved it.
    pub author: String,
    /// When.
    pub saved_at: i64,
}

/// A comment with everything that is kept of it.
#[derive(Clone, Debug, sqlx::FromRow)]
pub struct WholeComment {
    /// Its number.
    pub id: i64,
    /// The comment it answers.
    pub parent_id: Option<i64>,
    /// The name to sign in with of the account that wrote it, or empty.
    pub username: String,
    /// The writer's name.
    pub author_name: String,
    /// The writer's address.
    pub author_email: String,
    /// The writer's site.
    pub author_url: String,
    /// Markdown.
    pub body: String,
    /// `pending`, `approved` or `spam`.
    pub status: String,
    /// The network address it came from.
    pub address: String,
    /// When it was written.
    pub created_at: i64,
}

/// What belongs to a post beside itself.
#[derive(Clone, Debug, Default)]
pub struct Belongings {
    /// The author's name to sign in with.
    pub author: String,
    /// When it was first written.
    pub created_at: i64,
    /// Names in URLs before renaming.
    pub slugs: Vec<String>,
    /// Paths on another blog.
    pub paths: Vec<String>,
    /// Saved texts, oldest first.
    pub revisions: Vec<WholeRevision>,
    /// Comments of every status, oldest first.
    pub comments: Vec<WholeComment>,
}

impl Store {
    /// Every account with its password hash.
    ///
    /// # Errors
    /// When the database is away.
    pub async fn whole_users(&self) -> Result<Vec<WholeUser>, StoreError> {
        Ok(fetch_all!(
            self,
            "SELECT username, display_name, password_hash, role, bio, created_at, disabled_at FROM users ORDER BY id"
        )?)
    }

    /// Numbers of posts and pages after `after`, in order; at most 500.
    ///
    /// # Errors
    /// When the database is away.
    pub async fn post_ids(&self, after: i64) -> Result<Vec<i64>, StoreError> {
        let rows: Vec<(i64,)> =
            fetch_all!(self, "SELECT id FROM posts WHERE id > $1 ORDER BY id LIMIT 500", after)?;
        Ok(rows.into_iter().map(|(id,)| id).collect())
    }

    /// What belongs to a post beside itself.
    ///
    /// # Errors
    /// When the database is away.
    pub async fn belongings(&self, post: &Post) -> Result<Belongings, StoreError> {
        let id = post.id;
        let row: Option<(String, i64)> = fetch_optional!(
            self,
            "SELECT u.username, p.created_at FROM posts p JOIN users u ON u.id = p.author_id WHERE p.id = $1",
            id
        )?;
        let (author, created_at) = row.unwrap_or_default();
        let slugs: Vec<(String,)> =
            fetch_all!(self, "SELECT slug FROM slug_redirects WHERE post_id = $1 ORDER BY slug", id)?;
        let paths: Vec<(String,)> =
            fetch_all!(self, "SELECT path FROM path_redirects WHERE post_id = $1 ORDER BY path", id)?;
        let revisions = fetch_all!(
            self,
            "SELECT r.version, r.title, r.summary, r.body, u.username AS author, r.saved_at FROM revisions r \
             JOIN users u ON u.id = r.author_id WHERE r.post_id = $1 ORDER BY r.version",
            id
        )?;
        let comments = fetch_all!(
            self,
            "SELECT c.id, c.parent_id, COALESCE(u.username, '') AS username, c.author_name, c.author_email, \
             c.author_url, c.body, c.status, c.address, c.created_at FROM comments c \
             LEFT JOIN users u ON u.id = c.user_id WHERE c.post_id = $1 ORDER BY c.id",
            id
        )?;
        Ok(Belongings {
            author,
            created_at,
            slugs: slugs.into_iter().map(|(slug,)| slug).collect(),
            paths: paths.into_iter().map(|(path,)| path).collect(),
            revisions,
            comments,
        })
    }

    /// The name of a number of an account, or empty.
    ///
    /// # Errors
    /// When the database is away.
    pub async fn username(&self, id: Option<i64>) -> Result<String, StoreError> {
        let row: Option<(String,)> = fetch_optional!(self, "SELECT username FROM users WHERE id = $1", id)?;
        Ok(row.map(|(name,)| name).unwrap_or_default())
    }

    /// A name for this blog that no other has; `proposed` becomes it the first time.
    ///
    /// # Errors
    /// When the database is away.
    pub async fn site_id(&self, proposed: &str) -> Result<String, StoreError> {
        in_transaction!(self, |tx| {
            run!(
                tx,
                "INSERT INTO settings(name, value) VALUES ('site_id', $1) ON CONFLICT (name) DO NOTHING",
                proposed
            );
        });
        let row: Option<(String,)> =
            fetch_optional!(self, "SELECT value FROM settings WHERE name = 'site_id'")?;
        Ok(row.map_or_else(|| proposed.to_owned(), |(value,)| value))
    }
}
