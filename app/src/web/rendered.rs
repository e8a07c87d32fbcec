//! Rendered posts, kept while memory allows: rendering is pure, so a post's number and version name its result.

use std::sync::Arc;

use super::bounded::Bounded;
use crate::markdown::{Rendered, render_post};
use crate::store::Post;

/// HTML kept by a process; small beside the 30 MB that a process may take.
const KEPT_BYTES_MAX: usize = 4 << 20;

/// Rendered posts.
#[derive(Debug)]
pub(crate) struct RenderCache(Bounded<(i64, i64), Arc<Rendered>>);

impl RenderCache {
    /// Keeps nothing yet.
    #[must_use]
    pub(crate) fn new() -> Self {
        Self(Bounded::new(KEPT_BYTES_MAX))
    }

    /// The rendered text of a post.
    pub(crate) fn get(&self, post: &Post) -> Arc<Rendered> {
        let key = (post.id, post.version);
        if let Some(kept) = self.0.get(&key) {
            return kept;
        }
        // Rendering happens outside the lock: two requests may both render, none waits for another.
        let rendered = Arc::new(render_post(&post.body));
        self.0.put(key, Arc::clone(&rendered), rendered.html.len());
        rendered
    }
}
