//! What stands around a post on its page: its comments in threads, the posts before and after it, and related ones.
//!
//! All of it is the same for every reader, and changes only with the content, whose stamp is part of the key. So it is
//! asked for and rendered once, also for pages that are never kept as a whole.

use std::collections::HashMap;
use std::sync::Arc;

use crate::markdown::render_comment;
use crate::store::{Comment, Post, PostLink, StoreError};
use crate::web::app::{App, now};
use crate::web::bounded::Bounded;

/// What a process keeps; small beside the 30 MB that it may take.
const KEPT_BYTES_MAX: usize = 2 << 20;
/// Bytes of names, times and places in maps, for each comment or link.
const SMALL_BYTES: usize = 400;

/// The surroundings of posts, by the post's number and the content's stamp.
pub(crate) type AroundCache = Bounded<(i64, (i64, usize)), Arc<Around>>;

/// An empty cache.
pub(crate) fn cache() -> AroundCache {
    Bounded::new(KEPT_BYTES_MAX)
}

/// What stands around a post. A page has nothing around it.
#[derive(Debug, Default)]
pub(crate) struct Around {
    /// Its comments.
    pub(super) threads: Vec<Thread>,
    /// How many they are.
    pub(super) comment_count: i64,
    /// The post before it in time.
    pub(super) older: Option<PostLink>,
    /// The post after it in time.
    pub(super) newer: Option<PostLink>,
    /// Posts that share its tags.
    pub(super) related: Vec<PostLink>,
}

/// A comment with the answers to it, at any depth, shown one level in.
#[derive(Debug)]
pub(super) struct Thread {
    pub(super) comment: Shown,
    pub(super) answers: Vec<Shown>,
}

#[derive(Debug)]
pub(super) struct Shown {
    pub(super) comment: Comment,
    pub(super) html: String,
    pub(super) by_author: bool,
    /// Whom it answers, where that is not clear from its place.
    pub(super) answers_to: String,
}

impl Around {
    /// What stands around a post in the content with this stamp.
    ///
    /// # Errors
    /// When the database is away.
    pub(super) async fn of(app: &App, post: &Post, stamp: (i64, usize)) -> Result<Arc<Self>, StoreError> {
        if !post.is_post() {
            return Ok(Arc::default());
        }
        let key = (post.id, stamp);
        if let Some(kept) = app.around.get(&key) {
            return Ok(kept);
        }
        let now = now();
        let comments = app.store.comments(post.id).await?;
        let (older, newer) = app.store.neighbours(post, now).await?;
        let related = app.store.related(post, now).await?;
        let comment_count = i64::try_from(comments.len()).unwrap_or(i64::MAX);
        let threads = thread(comments, post.author_id);
        let around = Arc::new(Self { threads, comment_count, older, newer, related });
        app.around.put(key, Arc::clone(&around), around.bytes());
        Ok(around)
    }

    /// The name under which a comment was written.
    pub(super) fn name_of(&self, comment: i64) -> Option<String> {
        let found = self.shown().find(|shown| shown.comment.id == comment)?;
        Some(found.comment.author_name.clone())
    }

    fn shown(&self) -> impl Iterator<Item = &Shown> {
        self.threads.iter().flat_map(|thread| std::iter::once(&thread.comment).chain(&thread.answers))
    }

    fn bytes(&self) -> usize {
        let texts: usize = self.shown().map(|shown| shown.html.len() + shown.comment.body.len()).sum();
        texts + (self.shown().count() + self.related.len() + 3) * SMALL_BYTES
    }
}

/// Comments in threads: an answer to an answer stands in the thread of the first comment and names whom it answers.
fn thread(comments: Vec<Comment>, author_id: i64) -> Vec<Thread> {
    let names: HashMap<i64, String> = comments.iter().map(|c| (c.id, c.author_name.clone())).collect();
    let mut place: HashMap<i64, usize> = HashMap::new();
    let mut threads: Vec<Thread> = Vec::new();
    for comment in comments {
        let under = comment.parent_id.and_then(|parent| place.get(&parent).copied());
        place.insert(comment.id, under.unwrap_or(threads.len()));
        let is_deep = under.is_some_and(|index| Some(threads[index].comment.comment.id) != comment.parent_id);
        let shown = Shown {
            html: render_comment(&comment.body),
            by_author: comment.user_id == Some(author_id),
            answers_to: comment
                .parent_id
                .filter(|_| is_deep)
                .and_then(|parent| names.get(&parent).cloned())
                .unwrap_or_default(),
            comment,
        };
        match under {
            Some(index) => threads[index].answers.push(shown),
            None => threads.push(Thread { comment: shown, answers: Vec::new() }),
        }
    }
    threads
}
