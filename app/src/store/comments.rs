//! Comments: written by readers, shown after approval.

use super::{Store, StoreError, fetch_all, fetch_optional, in_transaction, pick, run, touch_content};

/// Whether a comment is shown.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CommentStatus {
    /// Waits for an editor.
    Pending,
    /// Readers see it.
    Approved,
    /// Put aside.
    Spam,
}

impl CommentStatus {
    /// Its name in the database and in URLs.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Pending => "pending",
            Self::Approved => "approved",
            Self::Spam => "spam",
        }
    }

    /// Reads [`CommentStatus::as_str`].
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        [Self::Pending, Self::Approved, Self::Spam].into_iter().find(|status| status.as_str() == text)
    }
}

/// A comment with the post that it stands under.
#[derive(Clone, Debug, sqlx::FromRow)]
pub struct Comment {
    /// Its number.
    pub id: i64,
    /// The comment it answers.
    pub parent_id: Option<i64>,
    /// The account of the writer, if signed in.
    pub user_id: Option<i64>,
    /// The writer's name.
    pub author_name: String,
    /// The writer's address; never shown to readers.
    pub author_email: String,
    /// The writer's site, or empty.
    pub author_url: String,
    /// Markdown, of which little is allowed.
    pub body: String,
    /// `pending`, `approved` or `spam`.
    pub status: String,
    /// The network address it came from; never shown to readers.
    pub address: String,
    /// When it was written.
    pub created_at: i64,
    /// The post's name in URLs.
    pub post_slug: String,
    /// The post's title.
    pub post_title: String,
}

/// A comment as a reader hands it in.
#[derive(Clone, Debug)]
pub struct NewComment {
    /// The post.
    pub post_id: i64,
    /// The comment it answers.
    pub parent_id: Option<i64>,
    /// The account of the writer, if signed in.
    pub user_id: Option<i64>,
    /// The writer's name.
    pub author_name: String,
    /// The writer's address, or empty.
    pub author_email: String,
    /// The writer's site, or empty.
    pub author_url: String,
    /// Markdown.
    pub body: String,
    /// Whether it is shown at once.
    pub status: CommentStatus,
    /// The network address it came from.
    pub address: String,
}

macro_rules! comments {
    ($rest:literal) => {
        concat!(
            "SELECT c.id, c.parent_id, c.user_id, c.author_name, c.author_email, c.author_url, c.body, c.status, \
             c.address, c.created_at, p.slug AS post_slug, p.title AS post_title \
             FROM comments c JOIN posts p ON p.id = c.post_id ",
            $rest
        )
    };
}

impl Store {
    /// Approved comments of a post, oldest first; at most 500.
    ///
    /// # Errors
    /// When the database is away.
    pub async fn comments(&self, post: i64) -> Result<Vec<Comment>, StoreError> {
        Ok(fetch_all!(
            self,
            comments!("WHERE c.post_id = $1 AND c.status = 'approved' ORDER BY c.id LIMIT 500"),
            post
        )?)
    }

    /// Comments of one status, newest first, older than `before`; at most 51.
    ///
    /// # Errors
    /// When the database is away.
    pub async fn comment_queue(
        &self,
        status: CommentStatus,
        before: i64,
    ) -> Result<Vec<Comment>, StoreError> {
        Ok(fetch_all!(
            self,
            comments!("WHERE c.status = $1 AND c.id < $2 ORDER BY c.id DESC LIMIT 51"),
            status.as_str(),
            before
        )?)
    }

    /// How many comments wait for approval.
    ///
    /// # Errors
    /// When the database is away.
    pub async fn comments_waiting(&self) -> Result<i64, StoreError> {
        let row: Option<(i64,)> =
            fetch_optional!(self, "SELECT COUNT(*) FROM comments WHERE status = 'pending'")?;
        Ok(row.map_or(0, |(count,)| count))
    }

    /// Keeps a comment; a repetition of the writer's last one is not kept twice. Returns its number.
    ///
    /// # Errors
    /// [`StoreError::Missing`] when the comment that it answers stands under another post.
    pub async fn add_comment(&self, new: &NewComment, now: i64) -> Result<i64, StoreError> {
        let id = in_transaction!(self, |tx| {
            if let Some(parent) = new.parent_id {
                let found: Option<(i64,)> = pick!(
                    tx,
                    "SELECT id FROM comments WHERE id = $1 AND post_id = $2 AND status = 'approved'",
                    parent,
                    new.post_id
                );
                found.ok_or(StoreError::Missing)?;
            }
            let again: Option<(i64,)> = pick!(
                tx,
                "SELECT id FROM comments WHERE post_id = $1 AND author_name = $2 AND body = $3 AND created_at > $4",
                new.post_id,
                &new.author_name,
                &new.body,
                now - 600
            );
            if let Some((id,)) = again {
                id
            } else {
                let row: Option<(i64,)> = pick!(
                    tx,
                    "INSERT INTO comments(post_id, parent_id, user_id, author_name, author_email, author_url, body, \
                     status, address, created_at) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10) RETURNING id",
                    new.post_id,
                    new.parent_id,
                    new.user_id,
                    &new.author_name,
                    &new.author_email,
                    &new.author_url,
                    &new.body,
                    new.status.as_str(),
                    &new.address,
                    now
                );
                if new.status == CommentStatus::Approved {
                    touch_content!(tx);
                }
                row.map_or(0, |(id,)| id)
            }
        });
        Ok(id)
    }

    /// Gives comments a status; the number of those that changed.
    ///
    /// # Errors
    /// When the database is away.
    pub async fn moderate(&self, ids: &[i64], status: CommentStatus) -> Result<u64, StoreError> {
        let changed = in_transaction!(self, |tx| {
            let mut changed = 0;
            for id in ids {
                changed += run!(
                    tx,
                    "UPDATE comments SET status = $2 WHERE id = $1 AND status <> $2",
                    id,
                    status.as_str()
                );
            }
            touch_content!(tx);
            changed
        });
        Ok(changed)
    }

    /// Deletes comments with their answers; the number of those deleted.
    ///
    /// # Errors
    /// When the database is away.
    pub async fn delete_comments(&self, ids: &[i64]) -> Result<u64, StoreError> {
        let deleted = in_transaction!(self, |tx| {
            let mut deleted = 0;
            for id in ids {
                deleted += run!(tx, "DELETE FROM comments WHERE id = $1", id);
            }
            touch_content!(tx);
            deleted
        });
        Ok(deleted)
    }
}
