//! Search that finds words of any script, Chinese words of two characters too.
//!
//! Chinese has no spaces, and a trigram index can't find a word of two characters. So a text becomes *terms* before
//! either database sees it: a word of letters is one term, a run of Chinese characters becomes its pairs of
//! neighbours (`灰度发布` → `灰度 度发 发布`). A search for `灰度` is then one lookup, and a longer phrase a phrase of
//! pairs. One tokenizer serves both databases, so both find the same.

use super::lists::cards;
use super::{PostCard, Store, StoreError};

/// Characters of a post that are indexed: a book of that length is still found by its first part.
const INDEXED_CHARS_MAX: usize = 200_000;
/// Posts with the words that are looked at: the newest of them, and the newest with the words in the title. A common
/// word stands in a third of all posts, and looking at them all would make a search the slower the larger the blog is.
/// FTS5's own rank does that: it counts every post with the word, however few are wanted.
const LOOKED_AT_MAX: i64 = 500;
/// Terms of a query that count; the rest is ignored.
const QUERY_TERMS_MAX: usize = 32;

/// A post that matches, with its text for the snippet.
#[derive(Clone, Debug)]
pub struct Hit {
    /// The post.
    pub post: PostCard,
    /// Its Markdown.
    pub body: String,
}

/// The terms of a text, in order, separated by spaces.
#[must_use]
pub fn terms(text: &str) -> String {
    let mut out = String::with_capacity(text.len() * 2);
    for run in runs(text) {
        match run {
            Run::Word(word) => push(&mut out, &word),
            Run::Han(chars) if chars.len() == 1 => push(&mut out, &chars.iter().collect::<String>()),
            Run::Han(chars) => {
                for pair in chars.windows(2) {
                    push(&mut out, &pair.iter().collect::<String>());
                }
            }
        }
    }
    out
}

/// The indexed terms of title and body.
pub(super) fn index_text(title: &str, body: &str) -> (String, String) {
    let head: String = body.chars().take(INDEXED_CHARS_MAX).collect();
    (terms(title), terms(&head))
}

/// Puts a post's terms into the index, inside a transaction.
macro_rules! index_terms {
    ($tx:ident, $id:expr, $draft:expr) => {
        crate::store::search::Index::put(&mut *$tx, $id, (&$draft.title, &$draft.body)).await?
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
        let (title, body) = index_text(title, body);
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
        let (title, body) = index_text(title, body);
        let all: std::collections::BTreeSet<String> = title
            .split(' ')
            .chain(body.split(' '))
            .filter(|term| !term.is_empty())
            .map(str::to_owned)
            .collect();
        sqlx::query(
            "INSERT INTO post_terms(post_id, terms) VALUES ($1, $2) \
             ON CONFLICT (post_id) DO UPDATE SET terms = excluded.terms",
        )
        .bind(post)
        .bind(all.into_iter().collect::<Vec<_>>())
        .execute(self)
        .await?;
        Ok(())
    }
}

#[derive(sqlx::FromRow)]
struct HitRow {
    #[sqlx(flatten)]
    post: PostCard,
    body: String,
}

impl Store {
    /// Public posts that hold every word of the query: those with the words in the title first, then the newest.
    ///
    /// # Errors
    /// When the database is away.
    pub async fn search(&self, query: &str, now: i64, offset: i64) -> Result<Vec<Hit>, StoreError> {
        let rows: Vec<HitRow> = match &self.db {
            super::Db::Sqlite { read, .. } => match fts_expression(query, LastWord::Whole) {
                None => Vec::new(),
                Some(whole) => {
                    let found = search_fts(read, &whole, (now, offset)).await?;
                    // The start of a word is looked for where no post has it as a word: it costs as much as all posts
                    // with such words.
                    match fts_expression(query, LastWord::Start).filter(|_| found.is_empty()) {
                        Some(start) => search_fts(read, &start, (now, offset)).await?,
                        None => found,
                    }
                }
            },
            super::Db::Postgres(server) => {
                let wanted: Vec<String> = query_terms(query).into_iter().flatten().collect();
                if wanted.is_empty() {
                    return Ok(Vec::new());
                }
                sqlx::query_as(cards!(
                    "p.body, ",
                    "JOIN (SELECT q.id, (POSITION(LOWER($4) IN LOWER(q.title)) > 0) AS in_title FROM post_terms x \
                     JOIN posts q ON q.id = x.post_id WHERE x.terms @> $1 AND q.kind = 'post' \
                     AND q.status = 'published' AND q.published_at <= $2 \
                     ORDER BY in_title DESC, q.published_at DESC LIMIT 11 OFFSET $3) found ON found.id = p.id \
                     ORDER BY found.in_title DESC, p.published_at DESC"
                ))
                .bind(wanted)
                .bind(now)
                .bind(offset)
                .bind(query.trim())
                .fetch_all(&mut *server.acquire().await?)
                .await?
            }
        };
        Ok(rows.into_iter().map(|row| Hit { post: row.post, body: row.body }).collect())
    }
}

async fn search_fts(
    read: &sqlx::SqlitePool,
    expression: &str,
    (now, offset): (i64, i64),
) -> Result<Vec<HitRow>, sqlx::Error> {
    sqlx::query_as(cards!(
        "p.body, ",
        "JOIN (SELECT q.id, MAX(m.in_title) AS in_title FROM ( \
         SELECT * FROM (SELECT rowid AS id, 0 AS in_title FROM post_terms \
         WHERE post_terms MATCH $1 ORDER BY rowid DESC LIMIT $5) UNION ALL \
         SELECT * FROM (SELECT rowid AS id, 1 AS in_title FROM post_terms \
         WHERE post_terms MATCH $4 ORDER BY rowid DESC LIMIT $5)) m \
         JOIN posts q ON q.id = m.id WHERE q.kind = 'post' \
         AND q.status = 'published' AND q.published_at <= $2 GROUP BY q.id \
         ORDER BY in_title DESC, q.published_at DESC LIMIT 11 OFFSET $3) found ON found.id = p.id \
         ORDER BY found.in_title DESC, p.published_at DESC"
    ))
    .bind(expression)
    .bind(now)
    .bind(offset)
    .bind(format!("{{title}} : ({expression})"))
    .bind(LOOKED_AT_MAX)
    .fetch_all(read)
    .await
}

/// What the last word of a query may be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum LastWord {
    /// A word of the text.
    Whole,
    /// The start of one.
    Start,
}

/// A query for FTS5: every run of the query as a quoted phrase. One Chinese character is the start of a pair.
fn fts_expression(query: &str, last_word: LastWord) -> Option<String> {
    let groups = query_terms(query);
    let last = groups.len().checked_sub(1)?;
    let phrases: Vec<String> = groups
        .iter()
        .enumerate()
        .map(|(index, group)| {
            // A term holds letters and digits only, so nothing in it can end the quotation.
            let is_start = index == last && last_word == LastWord::Start;
            let star = if is_start || group.iter().any(|term| term.chars().count() == 1) { "*" } else { "" };
            format!("\"{}\"{star}", group.join(" "))
        })
        .collect();
    Some(phrases.join(" AND "))
}

/// The query's runs, each as its terms.
fn query_terms(query: &str) -> Vec<Vec<String>> {
    let mut groups = Vec::new();
    let mut count = 0;
    for run in runs(query) {
        let group: Vec<String> = match run {
            Run::Word(word) => vec![word],
            Run::Han(chars) if chars.len() == 1 => vec![chars.iter().collect()],
            Run::Han(chars) => chars.windows(2).map(|pair| pair.iter().collect()).collect(),
        };
        count += group.len();
        if count > QUERY_TERMS_MAX {
            break;
        }
        groups.push(group);
    }
    groups
}

enum Run {
    Word(String),
    Han(Vec<char>),
}

/// Runs of letters and digits, in lower case, and runs of characters of scripts without spaces.
fn runs(text: &str) -> Vec<Run> {
    let mut runs = Vec::new();
    let mut word = String::new();
    let mut han: Vec<char> = Vec::new();
    for c in text.chars() {
        let spaceless = is_spaceless(c);
        if !han.is_empty() && !spaceless {
            runs.push(Run::Han(std::mem::take(&mut han)));
        }
        if !word.is_empty() && (spaceless || !c.is_alphanumeric()) {
            runs.push(Run::Word(std::mem::take(&mut word)));
        }
        if spaceless {
            han.push(c);
        } else if c.is_alphanumeric() {
            word.extend(c.to_lowercase().filter(|lower| lower.is_alphanumeric()));
        }
    }
    if !han.is_empty() {
        runs.push(Run::Han(han));
    }
    if !word.is_empty() {
        runs.push(Run::Word(word));
    }
    runs
}

/// Scripts written without spaces: Han (with extensions and compatibility forms), kana, Thai.
fn is_spaceless(c: char) -> bool {
    matches!(c, '\u{3400}'..='\u{4dbf}' | '\u{4e00}'..='\u{9fff}' | '\u{f900}'..='\u{faff}'
        | '\u{20000}'..='\u{323af}' | '\u{3041}'..='\u{30ff}' | '\u{0e01}'..='\u{0e4e}' | '々' | '〇')
}

fn push(out: &mut String, term: &str) {
    if !out.is_empty() {
        out.push(' ');
    }
    out.push_str(term);
}

#[cfg(test)]
mod tests {
    use super::{LastWord, fts_expression, terms};

    #[test]
    fn chinese_becomes_pairs_and_words_stay_words() {
        assert_eq!(terms("灰度发布 with Kubernetes v1.34"), "灰度 度发 发布 with kubernetes v1 34");
        assert_eq!(terms("用Rust写"), "用 rust 写");
        assert_eq!(terms("  --- \n"), "");
    }

    #[test]
    fn a_query_can_not_leave_its_quotation() {
        let start = |query| fts_expression(query, LastWord::Start);
        assert_eq!(start("灰度发布 rust").unwrap(), "\"灰度 度发 发布\" AND \"rust\"*");
        assert_eq!(start("\" OR NEAR(a) *").unwrap(), "\"or\" AND \"near\" AND \"a\"*");
        assert_eq!(start("!!! ???"), None);
        let whole = |query| fts_expression(query, LastWord::Whole);
        assert_eq!(whole("灰度 rust").unwrap(), "\"灰度\" AND \"rust\"");
        assert_eq!(whole("的").unwrap(), "\"的\"*");
    }
}
