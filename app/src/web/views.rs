//! Page views, counted in memory and written in batches: reading a page never waits for a write.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};

/// Posts with waiting counts; past it a view of yet another post is dropped until the next write.
const WAITING_MAX: usize = 100_000;

/// Counted views that are not yet in the database.
#[derive(Debug, Default)]
pub(crate) struct Views {
    waiting: Mutex<HashMap<i64, i64>>,
}

impl Views {
    /// Counts one view, unless the browser calls itself a program.
    pub(crate) fn count(&self, post: i64, user_agent: &str) {
        if is_program(user_agent) {
            return;
        }
        let mut waiting = self.waiting.lock().unwrap_or_else(PoisonError::into_inner);
        if waiting.len() < WAITING_MAX || waiting.contains_key(&post) {
            *waiting.entry(post).or_insert(0) += 1;
        }
    }

    /// Takes what waits, in order of posts, so that two processes that write lock rows in the same order.
    #[must_use]
    pub(crate) fn take(&self) -> Vec<(i64, i64)> {
        let taken = std::mem::take(&mut *self.waiting.lock().unwrap_or_else(PoisonError::into_inner));
        let mut taken: Vec<_> = taken.into_iter().collect();
        taken.sort_unstable();
        taken
    }

    /// Puts back what could not be written.
    pub(crate) fn put_back(&self, views: &[(i64, i64)]) {
        let mut waiting = self.waiting.lock().unwrap_or_else(PoisonError::into_inner);
        for (post, count) in views {
            *waiting.entry(*post).or_insert(0) += count;
        }
    }

    /// Views that wait.
    #[must_use]
    pub(crate) fn waiting(&self) -> i64 {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner).values().sum()
    }
}

/// Browsers call themselves `Mozilla/…`; crawlers that do so too name themselves with one of these words.
fn is_program(user_agent: &str) -> bool {
    let name = user_agent.to_ascii_lowercase();
    !name.starts_with("mozilla/")
        || ["bot", "crawl", "spider", "slurp", "headless", "preview", "lighthouse", "monitor"]
            .iter()
            .any(|word| name.contains(word))
}

#[cfg(test)]
mod tests {
    use super::Views;

    const BROWSER: &str = "Mozilla/5.0 (X11; Linux x86_64) Chrome/140.0 Safari/537.36";

    #[test]
    fn readers_count_and_programs_do_not() {
        let views = Views::default();
        for agent in
            [BROWSER, "curl/8.0", "", "kube-probe/1.34", "Mozilla/5.0 (compatible; Googlebot/2.1)", BROWSER]
        {
            views.count(7, agent);
        }
        assert_eq!(views.take(), [(7, 2)]);
        assert_eq!(views.take(), []);
    }

    #[test]
    fn what_could_not_be_written_counts_later() {
        let views = Views::default();
        views.count(1, BROWSER);
        let taken = views.take();
        views.count(1, BROWSER);
        views.put_back(&taken);
        assert_eq!(views.take(), [(1, 2)]);
    }
}
