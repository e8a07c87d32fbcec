//! Lists of posts by keyset: the cost of a page does not depend on how many posts there are.

use std::fmt;
use std::str::FromStr;

use super::{Store, StoreError, fetch_all, fetch_optional};

/// A place in a list ordered by publication: the last post of the page before.
///
/// Its text (`<seconds>-<id>`) stands in links, so other versions of the program read it too.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Cursor {
    /// Seconds since the epoch.
    pub at: i64,
    /// The post.
    pub id: i64,
}

impl Cursor {
    /// Before every post.
    pub const MIN: Self = Self { at: i64::MIN, id: i64::MIN };
}

impl fmt::Display for Cursor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}-{}", self.at, self.id)
    }
}

impl FromStr for Cursor {
    type Err = ();

    fn from_str(text: &str) -> Result<Self, ()> {
        let (at, id) = text.rsplit_once('-').ok_or(())?;
        Ok(Self { at: at.parse().map_err(|_| ())?, id: id.parse().map_err(|_| ())? })
    }
}

/// Which posts a list shows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Filter {
    /// Every public post.
    All,
    /// Those of a tag.
    Tag(i64),
    /// Those of a category.
    Category(i64),
    /// Those published from `from` until just before `until`.
    Between {
        /// First second.
        from: i64,
        /// The second after the last.
        until: i64,
    },
}

/// A post as lists show it.
#[derive(Clone, Debug, sqlx::FromRow)]
pub struct PostCard {
    /// Its number.
    pub id: i64,
    /// Its name in URLs.
    pub slug: String,
    /// Its title.
    pub title: String,
    /// Plain text.
    pub summary: String,
    /// The picture's file, or empty.
    pub cover: String,
    /// When it became public.
    pub published_at: i64,
    /// When it was last saved.
    pub updated_at: i64,
    /// Who wrote it.
    pub author: String,
    /// The category's slug, or empty.
    pub category_slug: String,
    /// The category's name, or empty.
    pub category: String,
    /// Approved comments.
    pub comments: i64,
    tag_lines: String,
}

impl PostCard {
    /// Its tags.
    #[must_use]
    pub fn tags(&self) -> Vec<TagRef<'_>> {
        tag_refs(&self.tag_lines)
    }
}

/// A tag as a post shows it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TagRef<'a> {
    /// Its name in URLs.
    pub slug: &'a str,
    /// Its name for readers.
    pub name: &'a str,
}

/// A tag or a category with the number of its public posts.
#[derive(Clone, Debug, PartialEq, Eq, sqlx::FromRow)]
pub struct Term {
    /// Its number.
    pub id: i64,
    /// Its name in URLs.
    pub slug: String,
    /// Its name for readers.
    pub name: String,
    /// Public posts.
    pub posts: i64,
}

/// A page of the site, as the header links to it.
#[derive(Clone, Debug, PartialEq, Eq, sqlx::FromRow)]
pub struct PageLink {
    /// Its name in URLs.
    pub slug: String,
    /// Its title.
    pub title: String,
}

/// One page of a list.
#[derive(Clone, Debug, Default)]
pub struct ListPage {
    /// The posts, newest first.
    pub posts: Vec<PostCard>,
    /// Where the next older page starts, if there is one.
    pub older: Option<Cursor>,
    /// Where the next newer page ends, if there is one.
    pub newer: Option<Cursor>,
}

/// Where a page is asked from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum From {
    /// The newest posts.
    Newest,
    /// Posts older than the cursor.
    Before(Cursor),
    /// Posts newer than the cursor.
    After(Cursor),
}

/// Tags of a post in one column: a slug has no space, a name no line break.
macro_rules! tag_lines {
    () => {
        "COALESCE((SELECT string_agg(t.slug || ' ' || t.name, '\n' ORDER BY t.name) FROM post_tags x \
         JOIN tags t ON t.id = x.tag_id WHERE x.post_id = p.id), '') AS tag_lines"
    };
}
pub(super) use tag_lines;

/// The columns of a [`PostCard`], perhaps more, and the rest of the statement.
macro_rules! cards {
    ($rest:literal) => {
        crate::store::lists::cards!("", $rest)
    };
    ($more:literal, $rest:literal) => {
        concat!(
            "SELECT ",
            $more,
            "p.id, p.slug, p.title, p.summary, p.cover, p.published_at, p.updated_at, \
             u.display_name AS author, COALESCE(c.slug, '') AS category_slug, COALESCE(c.name, '') AS category, \
             (SELECT COUNT(*) FROM comments m WHERE m.post_id = p.id AND m.status = 'approved') AS comments, ",
            crate::store::lists::tag_lines!(),
            " FROM posts p JOIN users u ON u.id = p.author_id LEFT JOIN categories c ON c.id = p.category_id ",
            $rest
        )
    };
}
pub(super) use cards;

impl Store {
    /// One page of public posts, newest first.
    ///
    /// `now` hides scheduled posts; `size` is the number of posts of a page.
    ///
    /// # Errors
    /// When the database is away.
    pub async fn list(&self, filter: Filter, from: From, window: Window) -> Result<ListPage, StoreError> {
        let Window { now, size } = window;
        let mut high = Cursor { at: now.saturating_add(1), id: i64::MIN };
        let mut low = Cursor::MIN;
        if let Filter::Between { from, until } = filter {
            high = high.min(Cursor { at: until, id: i64::MIN });
            low = Cursor { at: from, id: i64::MIN };
        }
        let (top, bottom) = (high, low);
        match from {
            From::Newest => {}
            From::Before(cursor) => high = high.min(cursor),
            From::After(cursor) => low = low.max(cursor),
        }
        let oldest_first = matches!(from, From::After(_));
        let mut posts = self.range(filter, high, low, (size + 1, oldest_first)).await?;
        let more = posts.len() > usize::try_from(size).unwrap_or(0);
        posts.truncate(usize::try_from(size).unwrap_or(0));
        if oldest_first {
            posts.reverse();
        }
        let edge = |post: Option<&PostCard>| post.map(|post| Cursor { at: post.published_at, id: post.id });
        let (first, last) = (edge(posts.first()), edge(posts.last()));
        let (newer, older) = match from {
            From::Newest => (None, last.filter(|_| more)),
            From::Before(cursor) => (first.or(Some(cursor)).filter(|_| cursor < top), last.filter(|_| more)),
            From::After(cursor) => {
                (first.filter(|_| more), last.or(Some(cursor)).filter(|_| cursor > bottom))
            }
        };
        Ok(ListPage { posts, older, newer })
    }

    async fn range(
        &self,
        filter: Filter,
        high: Cursor,
        low: Cursor,
        (limit, oldest_first): (i64, bool),
    ) -> Result<Vec<PostCard>, StoreError> {
        // The order stands in the statement so that each direction walks its index.
        let sql = match (filter, oldest_first) {
            (Filter::All | Filter::Between { .. }, false) => cards!(
                "WHERE p.status = 'published' AND p.kind = 'post' AND (p.published_at, p.id) < ($1, $2) \
                 AND (p.published_at, p.id) > ($3, $4) ORDER BY p.published_at DESC, p.id DESC LIMIT $5"
            ),
            (Filter::All | Filter::Between { .. }, true) => cards!(
                "WHERE p.status = 'published' AND p.kind = 'post' AND (p.published_at, p.id) < ($1, $2) \
                 AND (p.published_at, p.id) > ($3, $4) ORDER BY p.published_at, p.id LIMIT $5"
            ),
            (Filter::Category(_), false) => cards!(
                "WHERE p.status = 'published' AND p.kind = 'post' AND (p.published_at, p.id) < ($1, $2) \
                 AND (p.published_at, p.id) > ($3, $4) AND p.category_id = $6 \
                 ORDER BY p.published_at DESC, p.id DESC LIMIT $5"
            ),
            (Filter::Category(_), true) => cards!(
                "WHERE p.status = 'published' AND p.kind = 'post' AND (p.published_at, p.id) < ($1, $2) \
                 AND (p.published_at, p.id) > ($3, $4) AND p.category_id = $6 \
                 ORDER BY p.published_at, p.id LIMIT $5"
            ),
            (Filter::Tag(_), false) => cards!(
                "JOIN post_tags pt ON pt.post_id = p.id WHERE p.kind = 'post' \
                 AND (pt.published_at, pt.post_id) < ($1, $2) AND (pt.published_at, pt.post_id) > ($3, $4) \
                 AND pt.tag_id = $6 ORDER BY pt.published_at DESC, pt.post_id DESC LIMIT $5"
            ),
            (Filter::Tag(_), true) => cards!(
                "JOIN post_tags pt ON pt.post_id = p.id WHERE p.kind = 'post' \
                 AND (pt.published_at, pt.post_id) < ($1, $2) AND (pt.published_at, pt.post_id) > ($3, $4) \
                 AND pt.tag_id = $6 ORDER BY pt.published_at, pt.post_id LIMIT $5"
            ),
        };
        let rows = match filter {
            Filter::All | Filter::Between { .. } => {
                fetch_all!(self, sql, high.at, high.id, low.at, low.id, limit)?
            }
            Filter::Tag(id) | Filter::Category(id) => {
                fetch_all!(self, sql, high.at, high.id, low.at, low.id, limit, id)?
            }
        };
        Ok(rows)
    }

    /// Tags that have public posts, most used first; counted in an index alone.
    ///
    /// # Errors
    /// When the database is away.
    pub async fn tags(&self, now: i64) -> Result<Vec<Term>, StoreError> {
        Ok(fetch_all!(
            self,
            "SELECT t.id, t.slug, t.name, n.posts FROM tags t JOIN (SELECT tag_id, COUNT(*) AS posts FROM post_tags \
             WHERE published_at <= $1 GROUP BY tag_id) n ON n.tag_id = t.id ORDER BY n.posts DESC, t.name",
            now
        )?)
    }

    /// Categories that have public posts, most used first; counted in an index alone.
    ///
    /// # Errors
    /// When the database is away.
    pub async fn categories(&self, now: i64) -> Result<Vec<Term>, StoreError> {
        Ok(fetch_all!(
            self,
            "SELECT c.id, c.slug, c.name, n.posts FROM categories c JOIN (SELECT category_id, COUNT(*) AS posts \
             FROM posts WHERE status = 'published' AND kind = 'post' AND published_at <= $1 \
             AND category_id IS NOT NULL GROUP BY category_id) n ON n.category_id = c.id \
             ORDER BY n.posts DESC, c.name",
            now
        )?)
    }

    /// Publication times of all public posts, newest first; from an index alone.
    ///
    /// # Errors
    /// When the database is away.
    pub async fn publication_times(&self, now: i64) -> Result<Vec<i64>, StoreError> {
        let rows: Vec<(i64,)> = fetch_all!(
            self,
            "SELECT published_at FROM posts WHERE status = 'published' AND kind = 'post' AND published_at <= $1 \
             ORDER BY published_at DESC",
            now
        )?;
        Ok(rows.into_iter().map(|(at,)| at).collect())
    }

    /// Slugs of public posts of a span of time with the times of their last save, newest first; at most 50,000, the
    /// limit of a sitemap.
    ///
    /// # Errors
    /// When the database is away.
    pub async fn slugs_between(
        &self,
        (from, until): (i64, i64),
        now: i64,
    ) -> Result<Vec<(String, i64)>, StoreError> {
        Ok(fetch_all!(
            self,
            "SELECT slug, updated_at FROM posts WHERE status = 'published' AND kind = 'post' \
             AND published_at >= $1 AND published_at < $2 AND published_at <= $3 \
             ORDER BY published_at DESC, id DESC LIMIT 50000",
            from,
            until,
            now
        )?)
    }

    /// Public pages, in order of titles.
    ///
    /// # Errors
    /// When the database is away.
    pub async fn pages(&self, now: i64) -> Result<Vec<PageLink>, StoreError> {
        Ok(fetch_all!(
            self,
            "SELECT slug, title FROM posts WHERE status = 'published' AND kind = 'page' AND published_at <= $1 \
             ORDER BY title LIMIT 50",
            now
        )?)
    }

    /// When the next scheduled post or page becomes public; each kind has an index of its own.
    ///
    /// # Errors
    /// When the database is away.
    pub async fn next_publication(&self, now: i64) -> Result<Option<i64>, StoreError> {
        let row: Option<(Option<i64>,)> = fetch_optional!(
            self,
            "SELECT MIN(at) FROM (SELECT MIN(published_at) AS at FROM posts WHERE status = 'published' \
             AND kind = 'post' AND published_at > $1 UNION ALL SELECT MIN(published_at) FROM posts \
             WHERE status = 'published' AND kind = 'page' AND published_at > $1) kinds",
            now
        )?;
        Ok(row.and_then(|(at,)| at))
    }
}

/// How much of a list is asked for, and when.
#[derive(Clone, Copy, Debug)]
pub struct Window {
    /// Seconds since the epoch; later posts are hidden.
    pub now: i64,
    /// Posts of a page.
    pub size: i64,
}

pub(super) fn tag_refs(lines: &str) -> Vec<TagRef<'_>> {
    lines.lines().filter_map(|line| line.split_once(' ')).map(|(slug, name)| TagRef { slug, name }).collect()
}

#[cfg(test)]
mod tests {
    use super::{Cursor, tag_refs};

    #[test]
    fn a_cursor_reads_what_it_wrote_and_refuses_anything_else() {
        let cursor = Cursor { at: 1_700_000_000, id: 42 };
        assert_eq!(cursor.to_string().parse(), Ok(cursor));
        assert_eq!("-5-7".parse(), Ok(Cursor { at: -5, id: 7 }));
        for bad in ["", "1", "1-", "a-b", "1-2-x", "1.5-2"] {
            assert!(bad.parse::<Cursor>().is_err(), "{bad}");
        }
    }

    #[test]
    fn a_tag_name_may_hold_spaces() {
        let tags = tag_refs("k8s Kubernetes 入门\nrust Rust");
        assert_eq!(tags[0].name, "Kubernetes 入门");
        assert_eq!(tags[1].slug, "rust");
    }
}
