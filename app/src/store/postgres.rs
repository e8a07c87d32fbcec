//! PostgreSQL's connections, which fail at once while the server is known to be away.
//!
//! sqlx's pool waits for a server that refuses connections as long as for one that is busy. So a request that gets no
//! connection soon asks the server itself, by a connection of its own: a server that is away fails the request, and a
//! busy one lets it wait on. While the server is known to be away, one request at a time asks whether it is back.

use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use sqlx::pool::PoolConnection;
use sqlx::postgres::{PgConnectOptions, PgPoolOptions};
use sqlx::{Connection as _, Error, PgConnection, PgPool};
use tokio::sync::Mutex;

use super::open::ACQUIRE_TIMEOUT;

/// Connections of one process; ten pods stay below the server's default of 100.
const CONNECTIONS_MAX: u32 = 8;
/// How long a request waits for a connection before it asks the server itself.
const PATIENCE: Duration = Duration::from_millis(250);
/// How long the server may take to answer that, so that a request knows before its own wait is over.
const ASK_TIMEOUT: Duration = Duration::from_secs(2);

/// The connections to a server.
#[derive(Clone, Debug)]
pub(crate) struct Postgres {
    pool: PgPool,
    health: Arc<Health>,
}

#[derive(Debug, Default)]
struct Health {
    is_away: AtomicBool,
    /// Held by the one that asks.
    asking: Mutex<()>,
}

impl Postgres {
    /// No connection is made yet.
    pub(super) fn new(options: PgConnectOptions) -> Self {
        let pool = PgPoolOptions::new()
            .acquire_timeout(ACQUIRE_TIMEOUT)
            .max_connections(CONNECTIONS_MAX)
            .connect_lazy_with(options);
        Self { pool, health: Arc::default() }
    }

    /// The connections themselves, for their number and their end.
    pub(super) fn pool(&self) -> &PgPool {
        &self.pool
    }

    /// A connection.
    pub(super) async fn acquire(&self) -> Result<PoolConnection<sqlx::Postgres>, Error> {
        if self.health.is_away.load(Ordering::Relaxed) {
            self.ask().await?;
        }
        let mut waiting = pin!(self.pool.acquire());
        if let Ok(got) = tokio::time::timeout(PATIENCE, &mut waiting).await {
            return got;
        }
        tokio::select! {
            got = waiting => got,
            Err(error) = self.ask() => Err(error),
        }
    }

    /// Asks the server whether it is there; who comes meanwhile believes what was last found.
    async fn ask(&self) -> Result<(), Error> {
        let is_away = &self.health.is_away;
        let Ok(_mine) = self.health.asking.try_lock() else {
            return if is_away.load(Ordering::Relaxed) { Err(Error::PoolTimedOut) } else { Ok(()) };
        };
        let options = self.pool.connect_options();
        let answer = tokio::time::timeout(ASK_TIMEOUT, PgConnection::connect_with(&options)).await;
        let found = match answer.unwrap_or(Err(Error::PoolTimedOut)) {
            Ok(connection) => connection.close().await,
            Err(error) => Err(error),
        };
        match found {
            Err(error) if says_away(&error) => {
                is_away.store(true, Ordering::Relaxed);
                Err(error)
            }
            // Whatever else it says, such as having too many clients, it is there; the pool's own turn comes.
            _ => {
                is_away.store(false, Ordering::Relaxed);
                Ok(())
            }
        }
    }
}

/// Nobody answers, or the server is starting or ending (57P01 to 57P03).
fn says_away(error: &Error) -> bool {
    match error {
        Error::Io(_) | Error::PoolTimedOut => true,
        Error::Database(inner) => inner.code().is_some_and(|code| code.starts_with("57P")),
        _ => false,
    }
}
