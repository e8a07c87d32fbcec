//! Who did what, for administrators.

use super::{Store, StoreError, execute, fetch_all};

/// An entry of the log.
#[derive(Clone, Debug, sqlx::FromRow)]
pub struct AuditEntry {
    /// Its number.
    pub id: i64,
    /// When.
    pub at: i64,
    /// Whose account.
    pub actor: String,
    /// What, like `post.publish`.
    pub action: String,
    /// To what.
    pub subject: String,
    /// More about it.
    pub detail: String,
}

impl Store {
    /// Adds an entry.
    ///
    /// # Errors
    /// When the database is away.
    pub async fn audit(
        &self,
        actor: &str,
        (action, subject): (&str, &str),
        detail: &str,
        now: i64,
    ) -> Result<(), StoreError> {
        execute!(
            self,
            "INSERT INTO audit_log(at, actor, action, subject, detail) VALUES ($1, $2, $3, $4, $5)",
            now,
            actor,
            action,
            subject,
            detail
        )?;
        Ok(())
    }

    /// Entries before `before`, newest first; at most 101.
    ///
    /// # Errors
    /// When the database is away.
    pub async fn audit_log(&self, before: i64) -> Result<Vec<AuditEntry>, StoreError> {
        Ok(fetch_all!(
            self,
            "SELECT id, at, actor, action, subject, detail FROM audit_log WHERE id < $1 ORDER BY id DESC LIMIT 101",
            before
        )?)
    }
}
