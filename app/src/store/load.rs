//! Loading many posts at once, for examples and imports: whole batches in one transaction.

use super::drafts::{file_under, insert_post, keep_revision, publication, summary};
use super::index::index_terms;
use super::{Draft, NewComment, Store, StoreError, in_transaction, pick, run, touch_content};
use crate::text;

/// A post with its history as it was elsewhere.
#[derive(Clone, Debug)]
pub struct LoadPost {
    /// The post; its slug must be given and is kept as it is.
    pub draft: Draft,
    /// The account that wrote it.
    pub author_id: i64,
    /// When it was first written.
    pub created_at: i64,
    /// When it was last saved.
    pub updated_at: i64,
}

impl Store {
    /// Adds posts whose slugs are free, in one transaction; for each its number, or `None` when it was there.
    ///
    /// # Errors
    /// When the database is away; then none is added.
    pub async fn load_posts(&self, posts: &[LoadPost]) -> Result<Vec<Option<i64>>, StoreError> {
        let ids = in_transaction!(self, |tx| {
            let mut ids = Vec::with_capacity(posts.len());
            for post in posts {
                let draft = &post.draft;
                let (_, published_at) = publication(draft.publication);
                let times = (published_at, post.created_at, post.updated_at);
                let id = insert_post!(tx, draft, &draft.slug, times, post.author_id);
                if let Some(id) = id {
                    file_under!(tx, id, draft, published_at);
                    index_terms!(tx, id, draft);
                    keep_revision!(tx, id, post.updated_at, post.author_id);
                }
                ids.push(id);
            }
            touch_content!(tx);
            ids
        });
        Ok(ids)
    }

    /// Adds comments with the times they were written at, in one transaction.
    ///
    /// # Errors
    /// When the database is away; then none is added.
    pub async fn load_comments(&self, comments: &[(NewComment, i64)]) -> Result<(), StoreError> {
        in_transaction!(self, |tx| {
            for (new, at) in comments {
                run!(
                    tx,
                    "INSERT INTO comments(post_id, parent_id, user_id, author_name, author_email, author_url, body, \
                     status, address, created_at) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10)",
                    new.post_id,
                    new.parent_id,
                    new.user_id,
                    &new.author_name,
                    &new.author_email,
                    &new.author_url,
                    &new.body,
                    new.status.as_str(),
                    &new.address,
                    *at
                );
            }
            touch_content!(tx);
        });
        Ok(())
    }
}
