//! What can go wrong with the database, as far as callers must tell it apart.

use super::schema::SchemaError;

/// A failure of the store.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// The database can't be reached or used now; the same call may succeed later.
    #[error("the database is not available: {0}; is its server running, and does the database URL name it?")]
    Unavailable(#[source] sqlx::Error),
    /// A row with the same unique name exists.
    #[error("{0} exists already")]
    Duplicate(String),
    /// Somebody else saved in between; the number is the version that is there now.
    #[error("it was saved by somebody else in between (version {0} is there now)")]
    Conflict(i64),
    /// The row to be changed is not there.
    #[error("it does not exist")]
    Missing,
    /// A rule of the blog forbids it; the text says which.
    #[error("{0}")]
    Refused(&'static str),
    /// The database's schema does not fit this program.
    #[error(transparent)]
    Schema(#[from] SchemaError),
    /// The URL names no database that this program knows.
    #[error("{0}")]
    Url(String),
    /// A statement failed for a reason that a retry won't cure.
    #[error("the database refused a statement: {0}")]
    Statement(#[source] sqlx::Error),
}

impl StoreError {
    /// Whether waiting may help: the answer is then 503 and not 500.
    #[must_use]
    pub fn is_unavailable(&self) -> bool {
        matches!(self, Self::Unavailable(_))
    }
}

impl From<sqlx::Error> for StoreError {
    fn from(error: sqlx::Error) -> Self {
        use sqlx::Error as E;
        match &error {
            E::Io(_) | E::Tls(_) | E::PoolTimedOut | E::PoolClosed | E::WorkerCrashed | E::BeginFailed => {
                Self::Unavailable(error)
            }
            E::Database(inner) if inner.is_unique_violation() => {
                Self::Duplicate(inner.constraint().unwrap_or("a row with this name").to_owned())
            }
            // Character not in repertoire: PostgreSQL keeps every text but one with NUL.
            E::Database(inner) if inner.code().is_some_and(|code| code == "22021") => {
                Self::Refused("a text can't hold the character NUL")
            }
            E::Database(inner) if inner.code().is_some_and(|code| is_passing(&code)) => {
                Self::Unavailable(error)
            }
            _ => Self::Statement(error),
        }
    }
}

/// Codes of conditions that pass: SQLite's primary result codes (busy, locked, read-only, I/O error, full, can't
/// open; extended codes carry them in the low byte) and PostgreSQL's classes 08, 53, 57 and 58.
fn is_passing(code: &str) -> bool {
    if code.len() == 5 {
        return matches!(&code[..2], "08" | "53" | "57" | "58");
    }
    code.parse::<u32>().is_ok_and(|number| matches!(number & 0xff, 5 | 6 | 8 | 10 | 13 | 14))
}

#[cfg(test)]
mod tests {
    use super::is_passing;

    #[test]
    fn a_full_disk_and_a_busy_file_pass_but_a_broken_statement_does_not() {
        assert!(is_passing("5") && is_passing("13") && is_passing("517") && is_passing("08006"));
        assert!(!is_passing("1") && !is_passing("42P01") && !is_passing("2067"));
    }
}
