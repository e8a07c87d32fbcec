//! Everything that is kept: one set of statements for two databases.
//!
//! SQLite and PostgreSQL understand the same SQL here: `$1` parameters, row values, `ON CONFLICT`, `RETURNING`,
//! `string_agg`. So each statement is written once and the macros below expand it for both drivers, with the
//! driver's own types; the same store tests run on both. A trait with two implementations would double every
//! statement, and sqlx's `Any` driver would lose types. The few places where the databases differ (the search
//! index, bulk loading, locks) match on [`Db`] in the open.
//!
//! SQLite runs in WAL mode: many readers and one writer. A process has one writing connection, and a writing
//! transaction starts with `BEGIN IMMEDIATE`, so that processes that share the file queue at the start of a short
//! transaction instead of failing in its middle.

mod accounts;
mod audit;
mod comments;
mod desk;
mod drafts;
mod error;
mod export;
mod imports;
mod index;
mod lists;
mod load;
mod media;
mod open;
mod postgres;
mod posts;
mod revisions;
pub mod schema;
mod search;
mod settings;
mod terms;
mod users;
mod words;

use sqlx::SqlitePool;

pub use accounts::{ApiToken, Invite, Session, TokenOwner, TokenScope};
pub use audit::AuditEntry;
pub use comments::{Comment, CommentStatus, NewComment};
pub use desk::PostRow;
pub use drafts::{Draft, Publication, Saved};
pub use error::StoreError;
pub use export::{Belongings, WholeComment, WholeRevision, WholeUser};
pub use imports::{ImportComment, ImportPost, ImportRevision, Imported};
pub use lists::{Cursor, Filter, From, ListPage, PageLink, PostCard, TagRef, Term, Window};
pub use load::LoadPost;
pub use media::{Media, MediaFile, NewFile, NewMedia};
pub use open::DatabaseUrl;
pub use posts::{Post, PostLink};
pub use revisions::{Autosave, Revision, RevisionLine};
pub use search::Hit;
pub use settings::Settings;
pub use terms::TermKind;
pub use users::{NewSession, Role, User};

/// The blog's database.
#[derive(Clone, Debug)]
pub struct Store {
    db: Db,
}

/// The open pools of the database that the URL named.
#[derive(Clone, Debug)]
pub(crate) enum Db {
    /// One file; reading connections and the one writing connection of this process.
    Sqlite {
        /// Connections that only read.
        read: SqlitePool,
        /// The one connection that writes.
        write: SqlitePool,
    },
    /// A server; every connection reads and writes.
    Postgres(postgres::Postgres),
}

/// How full a pool is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PoolState {
    /// `read` and `write` with SQLite, `all` with PostgreSQL.
    pub name: &'static str,
    /// Open connections.
    pub open: u32,
    /// Those that wait for work.
    pub idle: usize,
    /// As many as there may be.
    pub max: u32,
}

/// Rows of a statement as a vector of a `FromRow` type.
macro_rules! fetch_all {
    ($store:expr, $sql:expr $(, $arg:expr)* $(,)?) => {
        match &$store.db {
            $crate::store::Db::Sqlite { read, .. } => {
                sqlx::query_as($sql)$(.bind($arg))*.fetch_all(read).await
            }
            $crate::store::Db::Postgres(server) => {
                let mut connection = server.acquire().await?;
                sqlx::query_as($sql)$(.bind($arg))*.fetch_all(&mut *connection).await
            }
        }
    };
}

/// The first row of a statement, if any, as a `FromRow` type.
macro_rules! fetch_optional {
    ($store:expr, $sql:expr $(, $arg:expr)* $(,)?) => {
        match &$store.db {
            $crate::store::Db::Sqlite { read, .. } => {
                sqlx::query_as($sql)$(.bind($arg))*.fetch_optional(read).await
            }
            $crate::store::Db::Postgres(server) => {
                let mut connection = server.acquire().await?;
                sqlx::query_as($sql)$(.bind($arg))*.fetch_optional(&mut *connection).await
            }
        }
    };
}

/// Runs a writing statement by itself; the number of rows it changed.
macro_rules! execute {
    ($store:expr, $sql:expr $(, $arg:expr)* $(,)?) => {
        match &$store.db {
            $crate::store::Db::Sqlite { write, .. } => {
                sqlx::query($sql)$(.bind($arg))*.execute(write).await.map(|done| done.rows_affected())
            }
            $crate::store::Db::Postgres(server) => {
                let mut connection = server.acquire().await?;
                sqlx::query($sql)$(.bind($arg))*.execute(&mut *connection).await.map(|done| done.rows_affected())
            }
        }
    };
}

/// Runs a block in a writing transaction and commits it; an early return by `?` rolls back.
macro_rules! in_transaction {
    ($store:expr, |$tx:ident| $body:block) => {
        match &$store.db {
            $crate::store::Db::Sqlite { write, .. } => {
                let mut $tx = write.begin_with("BEGIN IMMEDIATE").await?;
                let out = $body;
                $tx.commit().await?;
                out
            }
            $crate::store::Db::Postgres(server) => {
                let mut connection = server.acquire().await?;
                let mut $tx = sqlx::Connection::begin(&mut *connection).await?;
                let out = $body;
                $tx.commit().await?;
                out
            }
        }
    };
}

/// A statement inside [`in_transaction`].
macro_rules! run {
    ($tx:ident, $sql:expr $(, $arg:expr)* $(,)?) => {
        sqlx::query($sql)$(.bind($arg))*.execute(&mut *$tx).await?.rows_affected()
    };
}

/// The first row of a statement inside [`in_transaction`], if any.
macro_rules! pick {
    ($tx:ident, $sql:expr $(, $arg:expr)* $(,)?) => {
        sqlx::query_as($sql)$(.bind($arg))*.fetch_optional(&mut *$tx).await?
    };
}

/// Tells every process that what readers see has changed; part of the transaction that changes it.
macro_rules! touch_content {
    ($tx:ident) => {
        sqlx::query("UPDATE site_state SET value = value + 1 WHERE name = 'content_version'")
            .execute(&mut *$tx)
            .await?
    };
}

use {execute, fetch_all, fetch_optional, in_transaction, pick, run, touch_content};

impl Store {
    /// The number that grows with every change that readers can see.
    ///
    /// # Errors
    /// When the database is away or its schema is not there.
    pub async fn content_version(&self) -> Result<i64, StoreError> {
        let row: Option<(i64,)> =
            fetch_optional!(self, "SELECT value FROM site_state WHERE name = 'content_version'")?;
        Ok(row.map_or(0, |(value,)| value))
    }

    /// Connections of each pool.
    #[must_use]
    pub fn pools(&self) -> Vec<PoolState> {
        let state = |name, open: u32, idle: usize, max: u32| PoolState { name, open, idle, max };
        let of = |name, pool: &SqlitePool| {
            state(name, pool.size(), pool.num_idle(), pool.options().get_max_connections())
        };
        match &self.db {
            Db::Sqlite { read, write } => vec![of("read", read), of("write", write)],
            Db::Postgres(server) => {
                let pool = server.pool();
                vec![state("all", pool.size(), pool.num_idle(), pool.options().get_max_connections())]
            }
        }
    }

    /// Closes the pools after the statements under way.
    pub async fn close(&self) {
        match &self.db {
            Db::Sqlite { read, write } => {
                read.close().await;
                write.close().await;
            }
            Db::Postgres(server) => server.pool().close().await,
        }
    }
}
