//! Database URLs and opening pools.

use std::path::PathBuf;
use std::str::FromStr;
use std::time::Duration;

use sqlx::Connection as _;
use sqlx::postgres::PgConnectOptions;
use sqlx::sqlite::{SqliteConnectOptions, SqliteJournalMode, SqlitePoolOptions, SqliteSynchronous};

use super::postgres::Postgres;
use super::{Db, Store, StoreError};

/// How long a statement waits for another process that writes to the same SQLite file.
const SQLITE_BUSY_TIMEOUT: Duration = Duration::from_secs(5);
/// How long a request waits for a free connection before it is answered with 503.
pub(super) const ACQUIRE_TIMEOUT: Duration = Duration::from_secs(3);
/// Reading connections of a SQLite process; each is a thread with a cache of its own, and reads take microseconds.
const SQLITE_READERS_MAX: u32 = 4;
/// Pages that each of them keeps, as 1,000 KiB: the system keeps the file in memory anyway.
const SQLITE_READER_CACHE: &str = "-1000";

/// Where the database is: `sqlite:PATH` or `postgres://USER@HOST/NAME`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum DatabaseUrl {
    /// A SQLite file.
    Sqlite(PathBuf),
    /// A PostgreSQL URL as libpq writes it.
    Postgres(String),
}

impl FromStr for DatabaseUrl {
    type Err = StoreError;

    fn from_str(text: &str) -> Result<Self, StoreError> {
        if let Some(path) = text.strip_prefix("sqlite:") {
            let path = path.strip_prefix("//").unwrap_or(path);
            if path.is_empty() || path.contains(":memory:") {
                return Err(StoreError::Url(format!(
                    "`{text}` names no file: several processes share the database, so write sqlite:PATH, \
                     for example sqlite:run/blog.db"
                )));
            }
            return Ok(Self::Sqlite(PathBuf::from(path)));
        }
        if text.starts_with("postgres://") || text.starts_with("postgresql://") {
            return Ok(Self::Postgres(text.to_owned()));
        }
        Err(StoreError::Url("the database URL must start with sqlite: or postgres://".to_owned()))
    }
}

impl Store {
    /// Opens the database for serving: a SQLite file must exist.
    ///
    /// No connection to PostgreSQL is needed yet: a server starts while its database is away and says so in
    /// `/readyz`.
    ///
    /// # Errors
    /// When the file is missing or the URL can't be read.
    pub async fn open(url: &DatabaseUrl) -> Result<Self, StoreError> {
        match url {
            DatabaseUrl::Sqlite(path) => {
                if !path.exists() {
                    return Err(StoreError::Url(format!(
                        "there is no database at {}; create it with `blog migrate`",
                        path.display()
                    )));
                }
                Self::open_sqlite(sqlite_options(path)).await
            }
            DatabaseUrl::Postgres(url) => Self::open_postgres(url),
        }
    }

    /// Opens the database and creates a SQLite file (and its folder) that is not there.
    ///
    /// # Errors
    /// When the file can't be created or the URL can't be read.
    pub async fn create(url: &DatabaseUrl) -> Result<Self, StoreError> {
        match url {
            DatabaseUrl::Sqlite(path) => {
                if let Some(folder) = path.parent().filter(|folder| !folder.as_os_str().is_empty()) {
                    std::fs::create_dir_all(folder).map_err(|error| {
                        StoreError::Url(format!("can't create the folder {}: {error}", folder.display()))
                    })?;
                }
                // The mode is a property of the file, so that servers never need to change it.
                let options =
                    sqlite_options(path).create_if_missing(true).journal_mode(SqliteJournalMode::Wal);
                Self::open_sqlite(options).await
            }
            DatabaseUrl::Postgres(url) => Self::open_postgres(url),
        }
    }

    async fn open_sqlite(options: SqliteConnectOptions) -> Result<Self, StoreError> {
        let pool = || {
            SqlitePoolOptions::new().acquire_timeout(ACQUIRE_TIMEOUT).idle_timeout(None).max_lifetime(None)
        };
        // A full disk makes SQLite end the transaction by itself; the connection then believes for ever that it is
        // inside one, and nothing could be written until the process is started again.
        let write = pool()
            .max_connections(1)
            .before_acquire(|connection, _| Box::pin(async move { Ok(!connection.is_in_transaction()) }))
            .connect_with(options.clone())
            .await?;
        let readers = options.pragma("query_only", "on").pragma("cache_size", SQLITE_READER_CACHE);
        let read = pool().max_connections(readers_max()).connect_lazy_with(readers);
        Ok(Self { db: Db::Sqlite { read, write } })
    }

    fn open_postgres(url: &str) -> Result<Self, StoreError> {
        let options = PgConnectOptions::from_str(url)
            .map_err(|error| StoreError::Url(format!("the PostgreSQL URL can't be read: {error}")))?
            .application_name("blog");
        Ok(Self { db: Db::Postgres(Postgres::new(options)) })
    }
}

/// One for each processor, and one more that may wait for the disk meanwhile.
fn readers_max() -> u32 {
    let processors = std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
    u32::try_from(processors + 1).unwrap_or(SQLITE_READERS_MAX).min(SQLITE_READERS_MAX)
}

fn sqlite_options(path: &std::path::Path) -> SqliteConnectOptions {
    SqliteConnectOptions::new()
        .filename(path)
        .foreign_keys(true)
        .busy_timeout(SQLITE_BUSY_TIMEOUT)
        .synchronous(SqliteSynchronous::Full)
}

#[cfg(test)]
mod tests {
    use super::DatabaseUrl;

    #[test]
    fn a_url_names_a_file_or_a_server_and_anything_else_is_refused_with_the_remedy() {
        assert_eq!(
            "sqlite:run/blog.db".parse::<DatabaseUrl>().unwrap(),
            DatabaseUrl::Sqlite("run/blog.db".into())
        );
        assert_eq!(
            "sqlite:///var/blog.db".parse::<DatabaseUrl>().unwrap(),
            DatabaseUrl::Sqlite("/var/blog.db".into())
        );
        for bad in ["", "blog.db", "mysql://x", "sqlite:", "sqlite::memory:"] {
            let error = bad.parse::<DatabaseUrl>().unwrap_err().to_string();
            assert!(error.contains("sqlite:"), "{error}");
        }
    }
}
