//! Rendered posts, kept while memory allows: rendering is pure, so a post's number and version name its result.

use std::collections::{HashMap, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use crate::markdown::{Rendered, render_post};
use crate::store::Post;

/// HTML kept by a process; small beside the 30 MB that a process may take.
const KEPT_BYTES_MAX: usize = 6 << 20;

/// Keeps rendered posts, forgetting the oldest first.
#[derive(Debug, Default)]
pub(crate) struct RenderCache {
    inner: Mutex<Inner>,
}

#[derive(Debug, Default)]
struct Inner {
    pages: HashMap<(i64, i64), Arc<Rendered>>,
    order: VecDeque<(i64, i64)>,
    bytes: usize,
}

impl RenderCache {
    /// Keeps nothing yet.
    #[must_use]
    pub(crate) fn new() -> Self {
        Self::default()
    }

    /// The rendered text of a post.
    pub(crate) fn get(&self, post: &Post) -> Arc<Rendered> {
        let key = (post.id, post.version);
        if let Some(page) = self.lock().pages.get(&key) {
            return Arc::clone(page);
        }
        // Rendering happens outside the lock: two requests may both render, none waits for another.
        let page = Arc::new(render_post(&post.body));
        let mut inner = self.lock();
        if page.html.len() < KEPT_BYTES_MAX / 4 && inner.pages.insert(key, Arc::clone(&page)).is_none() {
            inner.order.push_back(key);
            inner.bytes += page.html.len();
            while inner.bytes > KEPT_BYTES_MAX {
                let Some(oldest) = inner.order.pop_front() else { break };
                if let Some(gone) = inner.pages.remove(&oldest) {
                    inner.bytes -= gone.html.len();
                }
            }
        }
        page
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
