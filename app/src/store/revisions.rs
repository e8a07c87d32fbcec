//! Earlier texts of a post, and what an editor typed without saving.

use super::{Store, StoreError, execute, fetch_all, fetch_optional};

/// A saved text of a post.
#[derive(Clone, Debug, sqlx::FromRow)]
pub struct Revision {
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

/// A line of a post's history.
#[derive(Clone, Debug, sqlx::FromRow)]
pub struct RevisionLine {
    /// The number of the save.
    pub version: i64,
    /// The title then.
    pub title: String,
    /// Who saved it.
    pub author: String,
    /// When.
    pub saved_at: i64,
}

/// What was typed and not saved.
#[derive(Clone, Debug, sqlx::FromRow)]
pub struct Autosave {
    /// The version of the post that was being edited.
    pub base_version: i64,
    /// The title.
    pub title: String,
    /// The text.
    pub body: String,
    /// When it was last kept.
    pub saved_at: i64,
}

impl Store {
    /// The history of a post, newest first; at most 200 saves.
    ///
    /// # Errors
    /// When the database is away.
    pub async fn revisions(&self, post: i64) -> Result<Vec<RevisionLine>, StoreError> {
        Ok(fetch_all!(
            self,
            "SELECT r.version, r.title, u.display_name AS author, r.saved_at FROM revisions r \
             JOIN users u ON u.id = r.author_id WHERE r.post_id = $1 ORDER BY r.version DESC LIMIT 200",
            post
        )?)
    }

    /// One saved text.
    ///
    /// # Errors
    /// When the database is away.
    pub async fn revision(&self, post: i64, version: i64) -> Result<Option<Revision>, StoreError> {
        Ok(fetch_optional!(
            self,
            "SELECT r.version, r.title, r.summary, r.body, u.display_name AS author, r.saved_at FROM revisions r \
             JOIN users u ON u.id = r.author_id WHERE r.post_id = $1 AND r.version = $2",
            post,
            version
        )?)
    }

    /// Keeps what an editor is typing. `post` is 0 for a post that does not exist yet.
    ///
    /// # Errors
    /// When the database is away.
    pub async fn autosave(&self, user: i64, post: i64, typed: &Autosave) -> Result<(), StoreError> {
        execute!(
            self,
            "INSERT INTO autosaves(user_id, post_id, base_version, title, body, saved_at) \
             VALUES ($1, $2, $3, $4, $5, $6) ON CONFLICT (user_id, post_id) DO UPDATE SET \
             base_version = excluded.base_version, title = excluded.title, body = excluded.body, \
             saved_at = excluded.saved_at",
            user,
            post,
            typed.base_version,
            &typed.title,
            &typed.body,
            typed.saved_at
        )?;
        Ok(())
    }

    /// What this editor typed and did not save.
    ///
    /// # Errors
    /// When the database is away.
    pub async fn autosaved(&self, user: i64, post: i64) -> Result<Option<Autosave>, StoreError> {
        Ok(fetch_optional!(
            self,
            "SELECT base_version, title, body, saved_at FROM autosaves WHERE user_id = $1 AND post_id = $2",
            user,
            post
        )?)
    }

    /// Forgets it, as after a save.
    ///
    /// # Errors
    /// When the database is away.
    pub async fn forget_autosave(&self, user: i64, post: i64) -> Result<(), StoreError> {
        execute!(self, "DELETE FROM autosaves WHERE user_id = $1 AND post_id = $2", user, post)?;
        Ok(())
    }
}
