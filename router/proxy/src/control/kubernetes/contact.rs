use arc_swap::ArcSwapOption;
use jiff::Timestamp;
use std::{
    sync::{
        Arc,
        atomic::{AtomicI64, Ordering::Relaxed},
    },
    time::Duration,
};

/// Whether the API server is heard from on one watch.
///
/// Watches are quiet where nothing happens, so what counts is that they are renewed: each is asked for anew after
/// [`RENEWED_AFTER`], and an answer must come.
#[derive(Debug)]
pub(super) struct Contact {
    /// The kind and the namespace.
    what: String,
    /// Milliseconds since 1970; 0 before the first answer.
    heard: AtomicI64,
    failure: ArcSwapOption<String>,
}

/// How long one watch lasts.
pub(super) const RENEWED_AFTER: Duration = Duration::from_secs(20);

/// A watch that was not renewed by then is cut off: the next answer was due, and some time has passed since.
pub(super) const CUT_OFF_AFTER: Duration = Duration::from_secs(30);

// === impl Contact ===

impl Contact {
    pub(super) const fn new(what: String) -> Self {
        Self { what, heard: AtomicI64::new(0), failure: ArcSwapOption::const_empty() }
    }

    /// The API server answered.
    pub(super) fn hears(&self) {
        self.heard.store(Timestamp::now().as_millisecond(), Relaxed);
        if self.failure.load().is_some() && self.failure.swap(None).is_some() {
            tracing::info!(watch = self.what, "The API server answers again: {}", self.what);
        }
    }

    /// It did not, or with an error.
    pub(super) fn fails(&self, why: &str) {
        let what = &self.what;
        if self.failure.swap(Some(Arc::new(format!("{what} can't be watched: {why}")))).is_none() {
            tracing::warn!(watch = what, "Keeping the last routes: {what} can't be watched: {why}");
        }
    }

    /// Why a change would not be heard of, if so.
    pub(super) fn trouble(&self, now: Timestamp) -> Option<String> {
        if let Some(failure) = self.failure.load_full() {
            return Some(failure.to_string());
        }
        let Some(heard) = self.heard_at() else { return Some(format!("{} were not listed yet", self.what)) };
        let silent = now.duration_since(heard);
        let is_cut_off = silent > CUT_OFF_AFTER.try_into().unwrap_or_default();
        is_cut_off.then(|| format!("nothing heard about {} for {} s", self.what, silent.as_secs()))
    }

    /// When it answered last.
    pub(super) fn heard_at(&self) -> Option<Timestamp> {
        let heard = self.heard.load(Relaxed);
        Timestamp::from_millisecond(heard).ok().filter(|_| heard > 0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_watch_is_cut_off_when_it_fails_or_is_not_renewed_in_time() {
        let contact = Contact::new("Services in blog".to_owned());
        let trouble = |after: Duration| contact.trouble(Timestamp::now() + after).unwrap_or_default();
        assert_eq!(trouble(Duration::ZERO), "Services in blog were not listed yet");
        contact.hears();
        assert_eq!(trouble(Duration::ZERO), "");
        assert_eq!(
            trouble(CUT_OFF_AFTER + Duration::from_secs(2)),
            "nothing heard about Services in blog for 32 s"
        );
        contact.fails("refused");
        assert_eq!(trouble(Duration::ZERO), "Services in blog can't be watched: refused");
        contact.hears();
        assert_eq!(trouble(Duration::ZERO), "");
    }
}
