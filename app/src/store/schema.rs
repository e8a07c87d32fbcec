//! Migrations with a stated phase, and the check that a program fits the schema it finds.
//!
//! A release never needs the schema and the program to change at the same moment: a migration *expands* (adds what
//! old programs ignore), *backfills*, or *contracts* (drops what no running program reads). `blog migrate` runs
//! them; servers only look.

use std::path::Path;
use std::time::Duration;

use sqlx::migrate::{Migration, MigrationType, Migrator};
use sqlx::{Connection as _, SqlSafeStr};
use tokio::time::Instant;

use super::{Db, Store, StoreError, fetch_all, fetch_optional};

/// How long a migration waits for another one on the same database.
const LOCK_WAIT: Duration = Duration::from_secs(60);
/// Between two looks at the lock.
const LOCK_PAUSE: Duration = Duration::from_millis(100);
/// The advisory lock of PostgreSQL: `blog` in ASCII.
const LOCK_KEY: i64 = 0x626c_6f67;

/// What a migration does to programs of the previous release.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Phase {
    /// Adds; older programs go on.
    Expand,
    /// Fills what was added; older programs go on.
    Backfill,
    /// Takes away; programs that still read it are refused by name.
    Contract,
}

/// One migration, for both databases.
#[derive(Clone, Copy, Debug)]
pub struct Change {
    /// Its number, from 1 without gaps.
    pub version: i64,
    /// Its name.
    pub name: &'static str,
    /// Its phase, as the first line of both files says.
    pub phase: Phase,
    sqlite: &'static str,
    postgres: &'static str,
}

/// Every migration that this program knows, oldest first.
pub const CHANGES: &[Change] = &[
    Change {
        version: 1,
        name: "create",
        phase: Phase::Expand,
        sqlite: include_str!("../../migrations/sqlite/0001_create.sql"),
        postgres: include_str!("../../migrations/postgres/0001_create.sql"),
    },
    Change {
        version: 2,
        name: "imports",
        phase: Phase::Expand,
        sqlite: include_str!("../../migrations/sqlite/0002_imports.sql"),
        postgres: include_str!("../../migrations/postgres/0002_imports.sql"),
    },
    Change {
        version: 3,
        name: "search",
        phase: Phase::Expand,
        sqlite: include_str!("../../migrations/sqlite/0003_search.sql"),
        postgres: include_str!("../../migrations/postgres/0003_search.sql"),
    },
];

/// Why a program refuses the schema it found.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
pub enum SchemaError {
    /// The database has no schema.
    #[error("the database has no schema; run `blog migrate` first")]
    Empty,
    /// The schema is older than the program.
    #[error("the database lacks migration {version} ({name}); run `blog migrate` of this release first")]
    Older {
        /// The first missing migration.
        version: i64,
        /// Its name.
        name: &'static str,
    },
    /// A contract migration took away what this program reads.
    #[error(
        "the database serves programs from schema {oldest} on, this program knows schema {known}; run a newer release"
    )]
    Contracted {
        /// The oldest schema that still works.
        oldest: i64,
        /// The newest schema that this program knows.
        known: i64,
    },
    /// A migration failed.
    #[error("migration failed: {0}")]
    Failed(String),
    /// Another migration holds the lock.
    #[error("another migration has run on this database for more than {} s; try again when it has ended", LOCK_WAIT.as_secs())]
    Locked,
}

/// What the schema of the database is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SchemaState {
    /// The newest applied migration.
    pub applied: i64,
    /// The newest migration that this program knows.
    pub known: i64,
}

/// The newest schema that this program knows.
#[must_use]
pub fn known_version() -> i64 {
    CHANGES.last().map_or(0, |change| change.version)
}

impl Store {
    /// Applies every migration that is not applied yet and completes the search index, under a lock; the versions that it
    /// applied.
    ///
    /// # Errors
    /// When another migration keeps the lock, or a statement fails.
    pub async fn migrate(&self) -> Result<Vec<i64>, StoreError> {
        let lock = self.migration_lock().await?;
        let before = self.applied_versions().await.unwrap_or_default();
        let mut migrator =
            Migrator::with_migrations(CHANGES.iter().map(|change| self.migration(change)).collect());
        migrator.set_ignore_missing(true);
        let outcome = match &self.db {
            Db::Sqlite { write, .. } => migrator.run(write).await,
            Db::Postgres(server) => migrator.run(server.pool()).await,
        };
        let outcome = match outcome {
            Ok(()) => self.complete_index(jiff::Timestamp::now().as_second()).await,
            Err(error) => Err(SchemaError::Failed(error.to_string()).into()),
        };
        if let MigrationLock::Server(connection) = lock {
            connection.close().await?;
        }
        outcome?;
        Ok(CHANGES.iter().map(|change| change.version).filter(|version| !before.contains(version)).collect())
    }

    /// Whether this program can work with the schema: the same or a newer one.
    ///
    /// # Errors
    /// [`SchemaError`] by name when it is older or contracted, or the database's own error.
    pub async fn check_schema(&self) -> Result<SchemaState, StoreError> {
        let applied = match self.applied_versions().await {
            Ok(applied) if !applied.is_empty() => applied,
            Err(error) if error.is_unavailable() => return Err(error),
            _ => return Err(SchemaError::Empty.into()),
        };
        if let Some(missing) = CHANGES.iter().find(|change| !applied.contains(&change.version)) {
            return Err(SchemaError::Older { version: missing.version, name: missing.name }.into());
        }
        let oldest: Option<(i64,)> =
            fetch_optional!(self, "SELECT value FROM site_state WHERE name = 'oldest_schema'")?;
        let (oldest, known) = (oldest.map_or(1, |(oldest,)| oldest), known_version());
        if oldest > known {
            return Err(SchemaError::Contracted { oldest, known }.into());
        }
        Ok(SchemaState { applied: applied.iter().copied().max().unwrap_or(0), known })
    }

    async fn applied_versions(&self) -> Result<Vec<i64>, StoreError> {
        let rows: Vec<(i64,)> =
            fetch_all!(self, "SELECT version FROM _sqlx_migrations WHERE success ORDER BY version")?;
        Ok(rows.into_iter().map(|(version,)| version).collect())
    }

    fn migration(&self, change: &Change) -> Migration {
        let sql = match &self.db {
            Db::Sqlite { .. } => change.sqlite,
            Db::Postgres(_) => change.postgres,
        };
        Migration::new(change.version, change.name.into(), MigrationType::Simple, sql.into_sql_str(), false)
    }

    /// An advisory lock of PostgreSQL on a connection of its own; for SQLite a lock file beside the database.
    async fn migration_lock(&self) -> Result<MigrationLock, StoreError> {
        let deadline = Instant::now() + LOCK_WAIT;
        match &self.db {
            Db::Sqlite { write, .. } => {
                let path = write.connect_options().get_filename().to_owned();
                lock_beside(&path, deadline).await.map(MigrationLock::File)
            }
            Db::Postgres(server) => {
                let mut connection = server.acquire().await?.detach();
                loop {
                    let (locked,): (bool,) = sqlx::query_as("SELECT pg_try_advisory_lock($1)")
                        .bind(LOCK_KEY)
                        .fetch_one(&mut connection)
                        .await?;
                    if locked {
                        return Ok(MigrationLock::Server(connection));
                    }
                    if Instant::now() >= deadline {
                        return Err(SchemaError::Locked.into());
                    }
                    tokio::time::sleep(LOCK_PAUSE).await;
                }
            }
        }
    }
}

/// Held while a migration runs. A program that dies lets go of either.
enum MigrationLock {
    /// Never read: the lock goes with the file.
    File(#[expect(dead_code, reason = "it is held, not used")] std::fs::File),
    Server(sqlx::PgConnection),
}

async fn lock_beside(database: &Path, deadline: Instant) -> Result<std::fs::File, StoreError> {
    let path = database.with_extension("migrate-lock");
    let failed = |error: std::io::Error| SchemaError::Failed(format!("the lock {}: {error}", path.display()));
    let file = std::fs::File::create(&path).map_err(failed)?;
    loop {
        match file.try_lock() {
            Ok(()) => return Ok(file),
            Err(std::fs::TryLockError::WouldBlock) if Instant::now() < deadline => {
                tokio::time::sleep(LOCK_PAUSE).await;
            }
            Err(std::fs::TryLockError::WouldBlock) => return Err(SchemaError::Locked.into()),
            Err(std::fs::TryLockError::Error(error)) => return Err(failed(error).into()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{CHANGES, Phase};

    /// A database remembers what was applied; a migration that changes afterwards could never be applied to it again.
    #[test]
    fn a_migration_never_changes_after_it_was_released() {
        let sums = CHANGES.iter().flat_map(|change| [change.sqlite, change.postgres]).map(|sql| {
            let sum = crate::text::sha256_hex(sql.as_bytes());
            sum[..12].to_owned()
        });
        assert_eq!(sums.collect::<Vec<_>>(), SUMS.concat());
    }

    /// The start of SHA-256 of each migration, for SQLite and PostgreSQL.
    const SUMS: &[[&str; 2]] = &[
        ["84f1ca52fb60", "840a7088107d"],
        ["e2f397dd1d24", "e37a31625759"],
        ["cb612673f2a6", "6b526a18837f"],
    ];

    #[test]
    fn every_migration_states_its_phase_in_both_files_and_the_numbers_have_no_gap() {
        for (index, change) in CHANGES.iter().enumerate() {
            assert_eq!(change.version, i64::try_from(index).unwrap() + 1);
            let word = match change.phase {
                Phase::Expand => "expand",
                Phase::Backfill => "backfill",
                Phase::Contract => "contract",
            };
            for sql in [change.sqlite, change.postgres] {
                assert_eq!(sql.lines().next(), Some(format!("-- phase: {word}").as_str()), "{}", change.name);
                assert!(
                    (change.phase == Phase::Contract) == sql.contains("oldest_schema'")
                        || change.version == 1,
                    "a contract migration raises oldest_schema: {}",
                    change.name
                );
            }
        }
    }
}
