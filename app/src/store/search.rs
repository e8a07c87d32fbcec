//! Search that finds words of any script, Chinese words of two characters too, at a cost that the number of posts does
//! not raise.
//!
//! A common word stands in a third of all posts, and looking at them all, as FTS5's rank and a sort by time do, would
//! make a search the slower the larger the blog is. So a search looks at a number of posts with the words and orders
//! those: the newest on SQLite, whose index is read from its end. PostgreSQL's has no order; there, posts with a common
//! word are looked for from the newest post on.

use super::lists::cards;
use super::words::{Part, Query};
use super::{Db, PostCard, Store, StoreError};

/// Posts with the words that are looked at, and as many with the words in the title.
const LOOKED_AT_MAX: i64 = 100;
/// The newest posts among which PostgreSQL looks for a common word.
const NEWEST_MAX: i64 = 300;
/// The newest posts among which it looks for the beginning of a word.
const NEWEST_WITH_BEGINNING_MAX: i64 = 500;
/// Words with a beginning that SQLite looks for.
const WORDS_MAX: i64 = 8;

/// A post that matches, with its text for the snippet.
#[derive(Clone, Debug)]
pub struct Hit {
    /// The post.
    pub post: PostCard,
    /// Its Markdown.
    pub body: String,
}

#[derive(sqlx::FromRow)]
struct HitRow {
    #[sqlx(flatten)]
    post: PostCard,
    body: String,
}

impl Store {
    /// Public posts that hold every word of the query: those with the words in the title first, then the newest. The
    /// beginning of a word counts where no post has it as a word.
    ///
    /// # Errors
    /// When the database is away.
    pub async fn search(&self, query: &str, now: i64, offset: i64) -> Result<Vec<Hit>, StoreError> {
        let Some(query) = Query::read(query) else { return Ok(Vec::new()) };
        let window = (now, offset);
        let rows: Vec<HitRow> = match &self.db {
            Db::Sqlite { read, .. } => {
                let mut found = by_phrases(read, (&query, &[]), window).await?;
                if let Some((_, beginning)) = query.beginning().filter(|_| found.is_empty()) {
                    let words = words_with(read, beginning).await?;
                    if !words.is_empty() {
                        found = by_phrases(read, (&query, &words), window).await?;
                    }
                }
                found
            }
            Db::Postgres(server) => {
                let mut connection = server.acquire().await?;
                let found = by_terms(&mut connection, &query, window).await?;
                match query.beginning().filter(|_| found.is_empty()) {
                    Some(beginning) => by_beginning(&mut connection, beginning, window).await?,
                    None => found,
                }
            }
        };
        Ok(rows.into_iter().map(|row| Hit { post: row.post, body: row.body }).collect())
    }
}

/// The newest posts of the index, read from its end; whether one is public stands in an index too, so that a post's
/// own row is read only when it is shown.
macro_rules! newest_in_index {
    ($match:literal) => {
        concat!(
            "FROM post_terms t CROSS JOIN posts q INDEXED BY posts_places ON q.id = t.rowid \
             WHERE t.post_terms MATCH ",
            $match,
            " AND q.kind = 'post' AND q.status = 'published' AND q.published_at <= $3 ORDER BY t.rowid DESC LIMIT $5"
        )
    };
}

async fn by_phrases(
    read: &sqlx::SqlitePool,
    (query, whole_words): (&Query, &[String]),
    (now, offset): (i64, i64),
) -> Result<Vec<HitRow>, sqlx::Error> {
    sqlx::query_as(concat!(
        cards!("p.body, ", "JOIN (SELECT m.id, m.at, MAX(m.in_title) AS in_title FROM ("),
        "SELECT * FROM (SELECT q.id, q.published_at AS at, 0 AS in_title ",
        newest_in_index!("$1"),
        ") UNION ALL SELECT * FROM (SELECT q.id, q.published_at, 1 ",
        newest_in_index!("$2"),
        ")) m GROUP BY m.id ORDER BY in_title DESC, m.at DESC, m.id DESC LIMIT 11 OFFSET $4) found \
         ON found.id = p.id ORDER BY found.in_title DESC, found.at DESC, p.id DESC"
    ))
    .bind(query.phrases(Part::Any, whole_words))
    .bind(query.phrases(Part::Title, whole_words))
    .bind(now)
    .bind(offset)
    .bind(LOOKED_AT_MAX)
    .fetch_all(read)
    .await
}

/// The first words of the index that begin so, each found by one step from the one before: FTS5's own search for a
/// beginning reads all places of all of them.
async fn words_with(read: &sqlx::SqlitePool, beginning: &str) -> Result<Vec<String>, sqlx::Error> {
    let rows: Vec<(String,)> = sqlx::query_as(
        "WITH RECURSIVE words(word) AS (SELECT (SELECT term FROM post_vocabulary WHERE term >= $1 AND term < $2 LIMIT 1) \
         UNION ALL SELECT (SELECT term FROM post_vocabulary WHERE term >= words.word || char(1) AND term < $2 LIMIT 1) \
         FROM words WHERE word IS NOT NULL LIMIT $3) SELECT word FROM words WHERE word IS NOT NULL",
    )
    .bind(beginning)
    .bind(format!("{beginning}{}", char::MAX))
    .bind(WORDS_MAX)
    .fetch_all(read)
    .await?;
    Ok(rows.into_iter().map(|(word,)| word).collect())
}

/// Three ways to posts with the words, each with its limit: through the index any of them, and those with the words in
/// the title; and where there are many, from the newest post on. The planner is told so (`MATERIALIZED`, `OFFSET 0`),
/// because it does not know that two common words may never stand together.
async fn by_terms(
    connection: &mut sqlx::PgConnection,
    query: &Query,
    (now, offset): (i64, i64),
) -> Result<Vec<HitRow>, sqlx::Error> {
    sqlx::query_as(concat!(
        "WITH with_words AS MATERIALIZED \
         (SELECT post_id, terms @> $2 AS in_title FROM post_terms WHERE terms @> $1), \
         any_posts AS MATERIALIZED (SELECT * FROM with_words LIMIT $6), \
         with_title AS MATERIALIZED (SELECT post_id FROM post_terms WHERE terms @> $2), \
         newest AS (SELECT n.id, y.in_title FROM (SELECT id FROM posts WHERE kind = 'post' AND status = 'published' \
         AND published_at <= $3 AND (SELECT COUNT(*) FROM any_posts) >= $6 \
         ORDER BY published_at DESC, id DESC LIMIT $7) n \
         CROSS JOIN LATERAL (SELECT x.terms @> $2 AS in_title FROM post_terms x \
         WHERE x.post_id = n.id AND x.terms @> $1 OFFSET 0) y LIMIT $6), \
         looked_at AS (SELECT * FROM any_posts UNION SELECT * FROM newest \
         UNION (SELECT post_id, TRUE FROM with_title LIMIT $6)) ",
        cards!(
            "p.body, ",
            "JOIN (SELECT q.id, q.published_at AS at, l.in_title FROM looked_at l JOIN posts q ON q.id = l.post_id \
             WHERE q.kind = 'post' AND q.status = 'published' AND q.published_at <= $3 \
             AND (CARDINALITY($5) = 0 OR (SELECT BOOL_AND(POSITION(run IN r.title) > 0 OR POSITION(run IN r.body) > 0) \
             FROM posts r CROSS JOIN unnest($5) run WHERE r.id = q.id)) \
             ORDER BY l.in_title DESC, at DESC, q.id DESC LIMIT 11 OFFSET $4) found ON found.id = p.id \
             ORDER BY found.in_title DESC, found.at DESC, p.id DESC"
        )
    ))
    .bind(query.terms(Part::Any))
    .bind(query.terms(Part::Title))
    .bind(now)
    .bind(offset)
    .bind(query.long_runs())
    .bind(LOOKED_AT_MAX)
    .bind(NEWEST_MAX)
    .fetch_all(connection)
    .await
}

/// An index of sets finds whole terms only, so the newest posts are looked at.
async fn by_beginning(
    connection: &mut sqlx::PgConnection,
    (before, beginning): (Vec<String>, &str),
    (now, offset): (i64, i64),
) -> Result<Vec<HitRow>, sqlx::Error> {
    sqlx::query_as(cards!(
        "p.body, ",
        "JOIN (SELECT n.id, n.published_at AS at FROM (SELECT id, published_at FROM posts WHERE kind = 'post' \
         AND status = 'published' AND published_at <= $3 ORDER BY published_at DESC, id DESC LIMIT $5) n \
         CROSS JOIN LATERAL (SELECT 1 FROM post_terms x WHERE x.post_id = n.id AND x.terms @> $1 \
         AND POSITION(' ' || $2 IN ' ' || array_to_string(x.terms, ' ')) > 0 OFFSET 0) y \
         ORDER BY n.published_at DESC, n.id DESC LIMIT 11 OFFSET $4) found ON found.id = p.id \
         ORDER BY found.at DESC, p.id DESC"
    ))
    .bind(before)
    .bind(beginning)
    .bind(now)
    .bind(offset)
    .bind(NEWEST_WITH_BEGINNING_MAX)
    .fetch_all(connection)
    .await
}
