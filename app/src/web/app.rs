//! What all requests of a process share.

use std::net::IpAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use jiff::tz::TimeZone;
use jiff::{Timestamp, Zoned};
use tokio::sync::{Mutex, Semaphore};

use super::assets::{Accent, AssetLinks};
use super::faults::Faults;
use super::metrics::Metrics;
use super::passwords::Passwords;
use super::read::around::{self, AroundCache};
use super::rendered::RenderCache;
use super::reuse::PageCache;
use super::views::Views;
use crate::pictures::Place;
use crate::store::{PageLink, Settings, Store, StoreError, Term};

/// A shared [`App`].
pub type Shared = Arc<App>;

/// What one process is told at its start about how to serve.
#[derive(Clone, Debug)]
pub struct Options {
    /// The version that this process calls itself.
    pub version: String,
    /// The colour of links and buttons.
    pub accent: Accent,
    /// The address readers use, without a slash at its end; from the request's `Host` when not given.
    pub base_url: Option<String>,
    /// How many proxies in front add to `X-Forwarded-For`.
    pub trusted_hops: usize,
    /// Whether cookies travel over HTTPS only.
    pub cookies: CookieSafety,
    /// Faults on purpose.
    pub faults: Faults,
    /// How long a request may take.
    pub request_timeout: Duration,
    /// Bytes of whole pages to keep; 0 renders every page.
    pub page_cache_bytes: usize,
    /// Where the files of pictures are.
    pub pictures: Place,
}

/// Where browsers send the session cookie.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CookieSafety {
    /// Over HTTPS only.
    Secure,
    /// Over plain HTTP too, for trying things out on one machine.
    PlainHttp,
}

/// The shared state.
#[derive(Debug)]
pub struct App {
    /// The database.
    pub store: Store,
    /// What the process was told.
    pub(crate) options: Options,
    /// Where the assets are.
    pub(crate) assets: AssetLinks,
    /// What is measured.
    pub(crate) metrics: Metrics,
    /// Checks and makes password hashes.
    pub(crate) passwords: Passwords,
    /// Rendered posts.
    pub(crate) rendered: RenderCache,
    /// What stands around posts.
    pub(crate) around: AroundCache,
    /// Whole pages for readers who are not signed in.
    pub(crate) pages: PageCache,
    /// Counted page views.
    pub(crate) views: Views,
    /// Pictures are taken decoded one after the other.
    pub(crate) uploads: Semaphore,
    draining: AtomicBool,
    site: Mutex<Option<Arc<Site>>>,
}

/// What every page shows of the site, valid for one content version.
#[derive(Debug)]
pub(crate) struct Site {
    /// What an administrator has set.
    pub(crate) settings: Settings,
    /// The time zone of dates.
    pub(crate) time_zone: TimeZone,
    /// Tags with public posts, most used first.
    pub(crate) tags: Vec<Term>,
    /// Categories with public posts, most used first.
    pub(crate) categories: Vec<Term>,
    /// Months with public posts, newest first.
    pub(crate) months: Vec<Month>,
    /// Public posts.
    pub(crate) posts: usize,
    /// Pages that the footer links to.
    pub(crate) pages: Vec<PageLink>,
    /// The content that this was read from.
    pub(crate) content_version: i64,
    /// When this process first saw that content.
    pub(crate) seen_at: i64,
    next_publication: Option<i64>,
}

/// A month with the number of its posts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Month {
    /// The year.
    pub year: i16,
    /// 1 to 12.
    pub month: i8,
    /// Public posts.
    pub posts: usize,
}

impl App {
    /// The state of a process that starts.
    ///
    /// # Errors
    /// When a metric is registered twice, which is a mistake of the program.
    pub fn new(store: Store, options: Options) -> Result<Shared, prometheus::Error> {
        Ok(Arc::new(Self {
            store,
            assets: AssetLinks::new(&options.accent),
            metrics: Metrics::new(&options.version)?,
            passwords: Passwords::new(),
            rendered: RenderCache::new(),
            around: around::cache(),
            pages: PageCache::new(options.page_cache_bytes),
            views: Views::default(),
            uploads: Semaphore::new(1),
            draining: AtomicBool::new(false),
            site: Mutex::new(None),
            options,
        }))
    }

    /// From now on `/readyz` says no and answers ask for the connection to be closed.
    pub fn drain(&self) {
        self.draining.store(true, Ordering::Relaxed);
    }

    /// Whether the process is about to end.
    #[must_use]
    pub fn is_draining(&self) -> bool {
        self.draining.load(Ordering::Relaxed)
    }

    /// What pages show of the site. Reads one row when nothing has changed since the last request.
    ///
    /// # Errors
    /// When the database is away.
    pub(crate) async fn site(&self) -> Result<Arc<Site>, StoreError> {
        let content_version = self.store.content_version().await?;
        let now = now();
        let mut kept = self.site.lock().await;
        if let Some(site) = kept.as_ref().filter(|site| site.is_valid(content_version, now)) {
            return Ok(Arc::clone(site));
        }
        let site = Arc::new(self.load_site(content_version, now).await?);
        *kept = Some(Arc::clone(&site));
        Ok(site)
    }

    async fn load_site(&self, content_version: i64, now: i64) -> Result<Site, StoreError> {
        let settings = self.store.settings().await?;
        let time_zone = TimeZone::get(&settings.time_zone).unwrap_or(TimeZone::UTC);
        let times = self.store.publication_times(now).await?;
        Ok(Site {
            tags: self.store.tags(now).await?,
            categories: self.store.categories(now).await?,
            months: months(&times, &time_zone),
            posts: times.len(),
            pages: self.store.pages(now).await?,
            next_publication: self.store.next_publication(now).await?,
            content_version,
            seen_at: now,
            settings,
            time_zone,
        })
    }

    /// Takes the counted views that are not in the database yet, as posts with counts; the taker writes them.
    #[must_use]
    pub fn take_views(&self) -> Vec<(i64, i64)> {
        self.views.take()
    }

    /// The client behind `trusted_hops` proxies: each of them appends the address that it saw.
    #[must_use]
    pub fn client_address(&self, peer: IpAddr, forwarded_for: &str) -> IpAddr {
        let hops = self.options.trusted_hops;
        if hops == 0 {
            return peer;
        }
        forwarded_for.rsplit(',').nth(hops - 1).and_then(|text| text.trim().parse().ok()).unwrap_or(peer)
    }
}

impl Site {
    /// A scheduled post changes the site at its time without any write.
    fn is_valid(&self, content_version: i64, now: i64) -> bool {
        self.content_version == content_version && self.next_publication.is_none_or(|at| now < at)
    }

    /// What readers see, the same number in every process: a scheduled post changes it without any write.
    pub(crate) fn stamp(&self) -> (i64, usize) {
        (self.content_version, self.posts + self.pages.len())
    }

    /// A moment in the site's time zone.
    #[must_use]
    pub(crate) fn zoned(&self, seconds: i64) -> Zoned {
        Timestamp::from_second(seconds).unwrap_or(Timestamp::UNIX_EPOCH).to_zoned(self.time_zone.clone())
    }
}

/// Seconds since the epoch.
#[must_use]
pub fn now() -> i64 {
    Timestamp::now().as_second()
}

fn months(times: &[i64], time_zone: &TimeZone) -> Vec<Month> {
    let mut months: Vec<Month> = Vec::new();
    for at in times {
        let date = Timestamp::from_second(*at).unwrap_or(Timestamp::UNIX_EPOCH).to_zoned(time_zone.clone());
        match months.last_mut() {
            Some(last) if (last.year, last.month) == (date.year(), date.month()) => last.posts += 1,
            _ => months.push(Month { year: date.year(), month: date.month(), posts: 1 }),
        }
    }
    months
}
