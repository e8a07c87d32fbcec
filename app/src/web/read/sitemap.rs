//! For search engines: one list for each month, so that no list grows with the blog.

use std::fmt::Write as _;

use axum::extract::{Path, State};
use axum::response::Response;

use super::feed::typed;
use super::lists::month_bounds;
use crate::text::url_segment;
use crate::web::app::{Shared, now};
use crate::web::error::Error;
use crate::web::layout::Layout;
use crate::web::visitor::Visitor;

const XML: &str = "application/xml; charset=utf-8";
const NAMESPACE: &str = "http://www.sitemaps.org/schemas/sitemap/0.9";

/// `GET /robots.txt`.
pub(crate) async fn robots(visitor: Visitor) -> Response {
    let origin = visitor.manner.origin;
    let body = format!(
        "User-agent: *\nDisallow: /desk\nDisallow: /login\nDisallow: /search\nDisallow: /preferences\n\
         Sitemap: {origin}/sitemap.xml\n"
    );
    typed("text/plain; charset=utf-8", body)
}

/// `GET /sitemap.xml`: the list of lists.
pub(crate) async fn index(State(app): State<Shared>, visitor: Visitor) -> Result<Response, Error> {
    let site = app.site().await?;
    let origin = &visitor.manner.origin;
    let mut xml =
        format!("<?xml version=\"1.0\" encoding=\"utf-8\"?>\n<sitemapindex xmlns=\"{NAMESPACE}\">\n");
    let _ = writeln!(xml, "<sitemap><loc>{origin}/sitemap/pages.xml</loc></sitemap>");
    for month in &site.months {
        let (year, month) = (month.year, month.month);
        let _ = writeln!(xml, "<sitemap><loc>{origin}/sitemap/{year}/{month:02}</loc></sitemap>");
    }
    xml.push_str("</sitemapindex>\n");
    Ok(typed(XML, xml))
}

/// `GET /sitemap/pages.xml`: everything that is no post.
pub(crate) async fn pages(State(app): State<Shared>, visitor: Visitor) -> Result<Response, Error> {
    let site = app.site().await?;
    let mut urls = Urls::new(&visitor.manner.origin);
    for path in ["/", "/archive", "/tags", "/categories"] {
        urls.add(path, None);
    }
    for page in &site.pages {
        urls.add(&format!("/pages/{}", url_segment(&page.slug)), None);
    }
    for (base, terms) in [("/categories/", &site.categories), ("/tags/", &site.tags)] {
        for term in terms {
            urls.add(&format!("{base}{}", url_segment(&term.slug)), None);
        }
    }
    Ok(typed(XML, urls.finish()))
}

/// `GET /sitemap/{year}/{month}`: the posts of a month.
pub(crate) async fn month(
    State(app): State<Shared>,
    Path((year, month)): Path<(i16, i8)>,
    visitor: Visitor,
) -> Result<Response, Error> {
    let site = app.site().await?;
    let bounds = month_bounds(&site, year, month)?;
    let layout = Layout::new(&app, &visitor, "").await?;
    let mut urls = Urls::new(&visitor.manner.origin);
    for (slug, updated_at) in app.store.slugs_between(bounds, now()).await? {
        urls.add(&format!("/posts/{}", url_segment(&slug)), Some(&layout.rfc3339(&updated_at)));
    }
    Ok(typed(XML, urls.finish()))
}

struct Urls<'a> {
    origin: &'a str,
    xml: String,
}

impl<'a> Urls<'a> {
    fn new(origin: &'a str) -> Self {
        Self {
            origin,
            xml: format!("<?xml version=\"1.0\" encoding=\"utf-8\"?>\n<urlset xmlns=\"{NAMESPACE}\">\n"),
        }
    }

    /// Paths are percent-encoded, so nothing in them needs an XML escape.
    fn add(&mut self, path: &str, modified: Option<&str>) {
        let _ = write!(self.xml, "<url><loc>{}{path}</loc>", self.origin);
        if let Some(modified) = modified {
            let _ = write!(self.xml, "<lastmod>{modified}</lastmod>");
        }
        self.xml.push_str("</url>\n");
    }

    fn finish(mut self) -> String {
        self.xml.push_str("</urlset>\n");
        self.xml
    }
}
