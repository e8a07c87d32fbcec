//! Posts of other blogs: each comes whole, in one transaction, and once.

use std::collections::HashMap;

use super::drafts::{file_under, insert_post, keep_revision, publication, summary};
use super::index::index_terms;
use super::{Draft, NewComment, Store, StoreError, fetch_optional, in_transaction, pick, run, touch_content};
use crate::text;

/// A post as another blog has it.
#[derive(Clone, Debug)]
pub struct ImportPost {
    /// The other blog's own name for it.
    pub key: String,
    /// The post.
    pub draft: Draft,
    /// The account that wrote it.
    pub author_id: i64,
    /// When it was first written.
    pub created_at: i64,
    /// When it was last saved.
    pub updated_at: i64,
    /// When it became public, also where it is not public any more.
    pub published_at: Option<i64>,
    /// How often it was read there.
    pub views: i64,
    /// Paths under which readers know it.
    pub paths: Vec<String>,
    /// Its names in our URLs before renaming.
    pub slugs: Vec<String>,
    /// Earlier texts with their author's account, oldest first; the last is the present text. May be empty.
    pub revisions: Vec<(ImportRevision, i64)>,
    /// Its comments; one that is answered stands before its answers.
    pub comments: Vec<ImportComment>,
}

/// An earlier text.
#[derive(Clone, Debug, Default, PartialEq, Eq, serde::Deserialize, serde::Serialize)]
pub struct ImportRevision {
    /// The number of the save.
    pub version: i64,
    /// The title then.
    pub title: String,
    /// The summary then.
    pub summary: String,
    /// The text then.
    pub body: String,
    /// When.
    pub saved_at: i64,
}

/// A comment as another blog has it.
#[derive(Clone, Debug)]
pub struct ImportComment {
    /// The other blog's own name for it.
    pub key: String,
    /// The key of the comment that it answers.
    pub answers: Option<String>,
    /// The comment; its post and what it answers are filled in.
    pub comment: NewComment,
    /// When it was written.
    pub at: i64,
}

/// What an import of a post did.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Imported {
    /// The post.
    pub id: i64,
    /// Its name in URLs, when it is new.
    pub new_slug: Option<String>,
    /// New comments.
    pub comments: usize,
}

impl Store {
    /// Takes a post of another blog, or only its new comments when the post itself came before.
    ///
    /// # Errors
    /// When the database is away; then nothing of it is kept.
    pub async fn import_post(&self, source: &str, post: &ImportPost) -> Result<Imported, StoreError> {
        let draft = &post.draft;
        let (_, published_at) = publication(draft.publication);
        let base = text::slugify(if draft.slug.is_empty() { &draft.title } else { &draft.slug });
        let key = format!("post {}", post.key);
        let imported = in_transaction!(self, |tx| {
            let known: Option<(i64,)> =
                pick!(tx, "SELECT id FROM imported WHERE source = $1 AND key = $2", source, &key);
            let (id, new_slug) = if let Some((id,)) = known {
                (id, None)
            } else {
                let (id, slug) = insert_with_free_slug!(tx, post, base);
                let id = id.ok_or_else(|| StoreError::Duplicate(format!("a post named {base}")))?;
                file_under!(tx, id, draft, published_at);
                index_terms!(tx, id, draft);
                keep_belongings!(tx, id, post);
                run!(tx, "INSERT INTO imported(source, key, id) VALUES ($1, $2, $3)", source, &key, id);
                (id, Some(slug))
            };
            let comments = import_comments!(tx, source, id, &post.comments);
            if new_slug.is_some() || comments > 0 {
                touch_content!(tx);
            }
            Imported { id, new_slug, comments }
        });
        Ok(imported)
    }

    /// The post that has had this path, as its kind and its present slug.
    ///
    /// # Errors
    /// When the database is away.
    pub async fn post_of_path(&self, path: &str) -> Result<Option<(String, String)>, StoreError> {
        Ok(fetch_optional!(
            self,
            "SELECT p.kind, p.slug FROM path_redirects r JOIN posts p ON p.id = r.post_id WHERE r.path = $1",
            path
        )?)
    }
}

/// The post's own row, and the slug that was free.
macro_rules! insert_with_free_slug {
    ($tx:ident, $post:expr, $base:expr) => {{
        let (post, base) = ($post, &$base);
        let draft = &post.draft;
        let published_at = publication(draft.publication).1.or(post.published_at);
        let mut slug = base.clone();
        let mut id = None;
        for number in 2..1_000 {
            let times = (published_at, post.created_at, post.updated_at);
            id = insert_post!($tx, draft, &slug, times, post.author_id);
            if id.is_some() {
                break;
            }
            slug = format!("{base}-{number}");
        }
        (id, slug)
    }};
}

/// History, readings and earlier addresses.
macro_rules! keep_belongings {
    ($tx:ident, $id:expr, $post:expr) => {
        let (id, post) = ($id, $post);
        if post.revisions.is_empty() {
            keep_revision!($tx, id, post.updated_at, post.author_id);
        }
        for (revision, author) in &post.revisions {
            run!(
                $tx,
                "INSERT INTO revisions(post_id, version, title, summary, body, author_id, saved_at) \
                         VALUES ($1, $2, $3, $4, $5, $6, $7)",
                id,
                revision.version,
                &revision.title,
                &revision.summary,
                &revision.body,
                author,
                revision.saved_at
            );
            run!($tx, "UPDATE posts SET version = $2 WHERE id = $1", id, revision.version);
        }
        if post.views > 0 {
            run!($tx, "INSERT INTO post_views(post_id, views) VALUES ($1, $2)", id, post.views);
        }
        for path in &post.paths {
            run!(
                $tx,
                "INSERT INTO path_redirects(path, post_id) VALUES ($1, $2) ON CONFLICT (path) DO NOTHING",
                path,
                id
            );
        }
        for old in &post.slugs {
            run!(
                $tx,
                "INSERT INTO slug_redirects(slug, post_id) VALUES ($1, $2) ON CONFLICT (slug) DO NOTHING",
                old,
                id
            );
        }
    };
}

/// Comments that did not come before; how many they are.
macro_rules! import_comments {
    ($tx:ident, $source:expr, $post:expr, $comments:expr) => {{
        let mut ids: HashMap<&str, i64> = HashMap::new();
        let mut count = 0_usize;
        for comment in $comments {
            let key = format!("comment {}", comment.key);
            let known: Option<(i64,)> =
                pick!($tx, "SELECT id FROM imported WHERE source = $1 AND key = $2", $source, &key);
            if let Some((id,)) = known {
                ids.insert(&comment.key, id);
                continue;
            }
            let new = &comment.comment;
            // Where the comment that is answered was left out, its answer stands by itself.
            let parent = comment.answers.as_deref().and_then(|key| ids.get(key).copied());
            let row: Option<(i64,)> = pick!(
                $tx,
                "INSERT INTO comments(post_id, parent_id, user_id, author_name, author_email, author_url, body, \
                 status, address, created_at) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10) RETURNING id",
                $post,
                parent,
                new.user_id,
                &new.author_name,
                &new.author_email,
                &new.author_url,
                &new.body,
                new.status.as_str(),
                &new.address,
                comment.at
            );
            let id = row.map_or(0, |(id,)| id);
            run!($tx, "INSERT INTO imported(source, key, id) VALUES ($1, $2, $3)", $source, &key, id);
            ids.insert(&comment.key, id);
            count += 1;
        }
        count
    }};
}
use {import_comments, insert_with_free_slug, keep_belongings};
