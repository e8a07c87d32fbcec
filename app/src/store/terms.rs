//! Tags and categories looked after.

use super::{Store, StoreError, Term, fetch_all, in_transaction, pick, run, touch_content};
use crate::text;

/// Tags or categories.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TermKind {
    /// A post has any number of tags.
    Tag,
    /// A post has one category or none.
    Category,
}

impl TermKind {
    /// Its name in forms.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Tag => "tag",
            Self::Category => "category",
        }
    }

    /// Reads [`TermKind::as_str`].
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        [Self::Tag, Self::Category].into_iter().find(|kind| kind.as_str() == text)
    }
}

impl Store {
    /// Every tag or category with the number of all its posts, drafts too.
    ///
    /// # Errors
    /// When the database is away.
    pub async fn all_terms(&self, kind: TermKind) -> Result<Vec<Term>, StoreError> {
        let sql = match kind {
            TermKind::Tag => {
                "SELECT t.id, t.slug, t.name, (SELECT COUNT(*) FROM post_tags x WHERE x.tag_id = t.id) AS posts \
                 FROM tags t ORDER BY t.name"
            }
            TermKind::Category => {
                "SELECT t.id, t.slug, t.name, (SELECT COUNT(*) FROM posts p WHERE p.category_id = t.id) AS posts \
                 FROM categories t ORDER BY t.name"
            }
        };
        Ok(fetch_all!(self, sql)?)
    }

    /// Renames a tag or category. Where another already has the name, both become one.
    ///
    /// # Errors
    /// [`StoreError::Missing`] when it is not there.
    pub async fn rename_term(&self, kind: TermKind, id: i64, name: &str) -> Result<(), StoreError> {
        let slug = text::slugify(name);
        let (find, rename, merge, delete) = match kind {
            TermKind::Tag => (
                "SELECT id FROM tags WHERE slug = $1 AND id <> $2",
                "UPDATE tags SET slug = $2, name = $3 WHERE id = $1",
                "INSERT INTO post_tags(post_id, tag_id, published_at) SELECT post_id, $2, published_at FROM post_tags \
                 WHERE tag_id = $1 ON CONFLICT (post_id, tag_id) DO NOTHING",
                "DELETE FROM tags WHERE id = $1",
            ),
            TermKind::Category => (
                "SELECT id FROM categories WHERE slug = $1 AND id <> $2",
                "UPDATE categories SET slug = $2, name = $3 WHERE id = $1",
                "UPDATE posts SET category_id = $2 WHERE category_id = $1",
                "DELETE FROM categories WHERE id = $1",
            ),
        };
        in_transaction!(self, |tx| {
            let other: Option<(i64,)> = pick!(tx, find, &slug, id);
            if let Some((other,)) = other {
                run!(tx, merge, id, other);
                run!(tx, delete, id);
            } else if run!(tx, rename, id, &slug, name) == 0 {
                return Err(StoreError::Missing);
            }
            touch_content!(tx);
        });
        Ok(())
    }

    /// Deletes a tag or category; its posts stay.
    ///
    /// # Errors
    /// When the database is away.
    pub async fn delete_term(&self, kind: TermKind, id: i64) -> Result<(), StoreError> {
        let sql = match kind {
            TermKind::Tag => "DELETE FROM tags WHERE id = $1",
            TermKind::Category => "DELETE FROM categories WHERE id = $1",
        };
        in_transaction!(self, |tx| {
            run!(tx, sql, id);
            touch_content!(tx);
        });
        Ok(())
    }
}
