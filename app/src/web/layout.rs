//! What every page has around its content.

use std::sync::Arc;

use askama::Template;
use axum::http::{HeaderValue, header};
use axum::response::{IntoResponse, Response};

use super::app::{Shared, Site};
use super::error::Error;
use super::i18n::{Lang, Text};
use super::visitor::{Manner, Theme, Visitor};
use crate::store::{Role, Settings, User};
use crate::text;

/// The frame of a page.
#[derive(Clone, Debug)]
pub(crate) struct Layout {
    /// The language.
    pub(crate) lang: Lang,
    /// Its words.
    pub(crate) t: &'static Text,
    /// Light or dark.
    pub(crate) theme: Theme,
    /// The site, absent on error pages, which must not need the database.
    pub(crate) site: Option<Arc<Site>>,
    /// The account.
    pub(crate) user: Option<User>,
    /// Path and query of this page, for the switches.
    pub(crate) here: String,
    /// Scheme and host.
    pub(crate) origin: String,
    /// The running version.
    pub(crate) version: String,
    /// Where the assets are.
    pub(crate) assets: super::assets::AssetLinks,
    /// Whether pages fail on purpose.
    pub(crate) faulty: bool,
    /// The title of the page without the site's; empty on the home page.
    pub(crate) title: String,
    /// For search engines and previews.
    pub(crate) description: String,
    /// The one address of this content, when there is one.
    pub(crate) canonical: Option<String>,
    /// The picture of a preview.
    pub(crate) picture: Option<String>,
    /// What search engines should do: `index` or `noindex`.
    pub(crate) robots: &'static str,
}

impl Layout {
    /// The frame of a page for this visitor.
    pub(crate) async fn new(
        app: &Shared,
        visitor: &Visitor,
        title: impl Into<String>,
    ) -> Result<Self, Error> {
        let site = match &visitor.site {
            Some(site) => Arc::clone(site),
            None => app.site().await?,
        };
        let mut layout = Self::bare(app, &visitor.manner, title.into());
        layout.description = site.settings.tagline.clone();
        layout.site = Some(site);
        layout.user = visitor.user.clone();
        Ok(layout)
    }

    /// A frame that needs no database.
    pub(crate) fn bare(app: &Shared, manner: &Manner, title: String) -> Self {
        Self {
            lang: manner.lang,
            t: manner.text(),
            theme: manner.theme,
            site: None,
            user: None,
            here: manner.here.clone(),
            origin: manner.origin.clone(),
            version: app.options.version.clone(),
            assets: app.assets.clone(),
            faulty: app.options.faults.are_on(),
            title,
            description: String::new(),
            canonical: None,
            picture: None,
            robots: "index",
        }
    }

    /// The one address of this content.
    #[must_use]
    pub(crate) fn at(mut self, path: &str) -> Self {
        self.canonical = Some(format!("{}{path}", self.origin));
        self
    }

    /// Search engines pass this page over.
    #[must_use]
    pub(crate) fn unlisted(mut self) -> Self {
        self.robots = "noindex";
        self
    }

    /// The site's own name.
    #[must_use]
    pub(crate) fn site_title(&self) -> &str {
        self.site.as_ref().map_or("Huidu Blog", |site| &site.settings.title)
    }

    /// The content that the page is made from.
    pub(crate) fn stamp(&self) -> (i64, usize) {
        self.site.as_ref().map_or((0, 0), |site| site.stamp())
    }

    /// The settings, where the database could be asked.
    #[must_use]
    pub(crate) fn settings(&self) -> Settings {
        self.site.as_ref().map(|site| site.settings.clone()).unwrap_or_default()
    }

    /// Whether the visitor is signed in with at least the editor's role.
    #[must_use]
    pub(crate) fn is_editor(&self) -> bool {
        self.user.as_ref().is_some_and(|user| user.role() >= Role::Editor)
    }

    /// Whether the visitor is an administrator.
    #[must_use]
    pub(crate) fn is_admin(&self) -> bool {
        self.user.as_ref().is_some_and(|user| user.role() == Role::Admin)
    }

    /// A link that changes a preference and comes back here.
    #[must_use]
    pub(crate) fn switch(&self, name: &str, value: &str) -> String {
        format!("/preferences?{name}={value}&next={}", text::url_segment(&self.here))
    }

    /// A date for readers: `2026 年 3 月 1 日`, `1 March 2026`.
    #[must_use]
    pub(crate) fn date(&self, seconds: &i64) -> String {
        let Some(site) = &self.site else { return String::new() };
        let date = site.zoned(*seconds);
        match self.lang {
            Lang::Zh => format!("{} 年 {} 月 {} 日", date.year(), date.month(), date.day()),
            Lang::En => date.strftime("%-d %B %Y").to_string(),
        }
    }

    /// Date and time: `2026 年 3 月 1 日 08:00`, `1 March 2026, 08:00`.
    #[must_use]
    pub(crate) fn moment(&self, seconds: &i64) -> String {
        let Some(site) = &self.site else { return String::new() };
        let time = site.zoned(*seconds).strftime("%H:%M");
        match self.lang {
            Lang::Zh => format!("{} {time}", self.date(seconds)),
            Lang::En => format!("{}, {time}", self.date(seconds)),
        }
    }

    /// RFC 3339, for machines.
    #[must_use]
    pub(crate) fn rfc3339(&self, seconds: &i64) -> String {
        let Some(site) = &self.site else { return String::new() };
        site.zoned(*seconds).strftime("%Y-%m-%dT%H:%M:%S%:z").to_string()
    }

    /// A month for readers: `2026 年 3 月`, `March 2026`.
    #[must_use]
    pub(crate) fn month(&self, year: &i16, month: &i8) -> String {
        match self.lang {
            Lang::Zh => format!("{year} 年 {month} 月"),
            Lang::En => jiff::civil::Date::new(*year, *month, 1)
                .map_or_else(|_| format!("{year}-{month:02}"), |date| date.strftime("%B %Y").to_string()),
        }
    }
}

/// A rendered template as an answer.
pub(crate) fn html(template: &impl Template) -> Result<Response, Error> {
    let body = template.render()?;
    let headers = [
        (header::CONTENT_TYPE, HeaderValue::from_static("text/html; charset=utf-8")),
        (header::CACHE_CONTROL, HeaderValue::from_static("private, no-cache")),
        (header::VARY, HeaderValue::from_static("Accept-Language, Cookie")),
    ];
    Ok((headers, body).into_response())
}

#[derive(Template)]
#[template(path = "error.html")]
struct ErrorPage<'a> {
    l: Layout,
    help: &'a str,
    /// What stands in the search field: words of an address that leads nowhere.
    words: String,
}

/// A page that says what went wrong; it needs no database.
///
/// # Errors
/// When the template fails.
pub(crate) fn error_page(
    app: &Shared,
    manner: &Manner,
    (title, help): (&str, &str),
) -> Result<String, askama::Error> {
    let words = if title == manner.text().error_404 { words_of(&manner.here) } else { String::new() };
    ErrorPage { l: Layout::bare(app, manner, title.to_owned()).unlisted(), help, words }.render()
}

/// `/posts/a-b?x` → `a b`.
fn words_of(path: &str) -> String {
    let path = path.split('?').next().unwrap_or("");
    let last = path.rsplit('/').find(|part| !part.is_empty()).unwrap_or("");
    let plain = percent_encoding::percent_decode_str(last).decode_utf8_lossy();
    plain
        .split(|c: char| !c.is_alphanumeric())
        .filter(|word| !word.is_empty())
        .take(8)
        .collect::<Vec<_>>()
        .join(" ")
}
