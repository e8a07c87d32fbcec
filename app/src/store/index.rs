//! Writing the search index.

use super::words::Indexed;
use super::{Db, Store, StoreError, execute, fetch_optional, in_transaction, run};

/// Posts of one transaction of [`Store::complete_index`].
const BATCH: i64 = 200;

/// Puts a post's terms into the index, inside a transaction.
macro_rules! index_terms {
    ($tx:ident, $id:expr, $draft:expr) => {
        crate::store::index::Index::put(&mut *$tx, $id, (&$draft.title, &$draft.body)).await?
    };
}
pub(super) use index_terms;

/// The search index of a database, through a connection of its driver.
pub(super) trait Index {
    /// Replaces the terms of a post.
    async fn put(&mut self, post: i64, text: (&str, &str)) -> Result<(), sqlx::Error>;
}

impl Index for sqlx::SqliteConnection {
    async fn put(&mut self, post: i64, (title, body): (&str, &str)) -> Result<(), sqlx::Error> {
        let Indexed { title, body } = Indexed::of(title, body);
        sqlx::query("DELETE FROM post_terms WHERE rowid = $1").bind(post).execute(&mut *self).await?;
        sqlx::query("INSERT INTO post_terms(rowid, title, body) VALUES ($1, $2, $3)")
            .bind(post)
            .bind(title)
            .bind(body)
            .execute(self)
            .await?;
        Ok(())
    }
}

impl Index for sqlx::PgConnection {
    async fn put(&mut self, post: i64, (title, body): (&str, &str)) -> Result<(), sqlx::Error> {
        sqlx::query(
            "INSERT INTO post_terms(post_id, terms) VALUES ($1, $2) \
             ON CONFLICT (post_id) DO UPDATE SET terms = excluded.terms",
        )
        .bind(post)
        .bind(Indexed::of(title, body).set())
        .execute(self)
        .await?;
        Ok(())
    }
}

/// A post whose terms are written again.
#[derive(sqlx::FromRow)]
struct Text {
    id: i64,
    title: String,
    body: String,
    updated_at: i64,
}

impl Store {
    /// Indexes again what was saved since the last time, by whichever release: an older one, which goes on beside this
    /// one during a release, knows no marks. How far it came is kept, so that an end in its middle costs one batch.
    ///
    /// # Errors
    /// When the database is away.
    pub(super) async fn complete_index(&self, now: i64) -> Result<(), StoreError> {
        let from: Option<(i64,)> =
            fetch_optional!(self, "SELECT value FROM site_state WHERE name = 'indexed_until'")?;
        let mut place = (from.map_or(0, |(at,)| at), 0);
        while let Some(next) = self.index_after(place, now).await? {
            place = next;
        }
        execute!(self, "UPDATE site_state SET value = $1 WHERE name = 'indexed_until'", now)?;
        Ok(())
    }

    /// Indexes a batch of posts from a place on; the place of its last one.
    async fn index_after(&self, (at, id): (i64, i64), now: i64) -> Result<Option<(i64, i64)>, StoreError> {
        // A save that comes in between would be overwritten with the text before it.
        let sql = match &self.db {
            Db::Sqlite { .. } => {
                "SELECT id, title, body, updated_at FROM posts WHERE (updated_at, id) > ($1, $2) \
                 ORDER BY updated_at, id LIMIT $3"
            }
            Db::Postgres(_) => {
                "SELECT id, title, body, updated_at FROM posts WHERE (updated_at, id) > ($1, $2) \
                 ORDER BY updated_at, id LIMIT $3 FOR UPDATE"
            }
        };
        let last = in_transaction!(self, |tx| {
            let texts: Vec<Text> =
                sqlx::query_as(sql).bind(at).bind(id).bind(BATCH).fetch_all(&mut *tx).await?;
            for text in &texts {
                index_terms!(tx, text.id, text);
            }
            let last = texts.last().map(|text| (text.updated_at, text.id));
            if let Some((at, _)) = last {
                run!(tx, "UPDATE site_state SET value = $1 WHERE name = 'indexed_until'", at.min(now));
            }
            last
        });
        Ok(last)
    }
}
