//! Overviews: all tags, all categories, all months.

use askama::Template;
use axum::extract::State;
use axum::response::Response;

use crate::store::Term;
use crate::web::app::{Month, Shared};
use crate::web::error::Error;
use crate::web::layout::{Layout, html};
use crate::web::visitor::Visitor;

#[derive(Template)]
#[template(path = "terms.html")]
struct TermsTemplate {
    l: Layout,
    base: &'static str,
    terms: Vec<Term>,
}

impl TermsTemplate {
    /// 1 to 5: tags with more posts are larger. The steps are logarithmic, for a few tags have most posts.
    fn size(&self, posts: &i64) -> usize {
        let most = self.terms.iter().map(|term| term.posts).max().unwrap_or(1).max(1);
        #[expect(clippy::cast_precision_loss, reason = "a size of a letter needs no exact count")]
        let share = (*posts as f64).ln_1p() / (most as f64).ln_1p();
        [0.25, 0.45, 0.65, 0.85].iter().filter(|bound| share > **bound).count() + 1
    }
}

#[derive(Template)]
#[template(path = "archive.html")]
struct ArchiveTemplate {
    l: Layout,
    years: Vec<Year>,
    total: i64,
}

struct Year {
    year: i16,
    posts: usize,
    months: Vec<Month>,
}

/// `GET /tags`.
pub(crate) async fn tags(State(app): State<Shared>, visitor: Visitor) -> Result<Response, Error> {
    let layout = Layout::new(&app, &visitor, visitor.manner.text().tags).await?.at("/tags");
    let terms = app.site().await?.tags.clone();
    html(&TermsTemplate { l: layout, base: "/tags/", terms })
}

/// `GET /categories`.
pub(crate) async fn categories(State(app): State<Shared>, visitor: Visitor) -> Result<Response, Error> {
    let layout = Layout::new(&app, &visitor, visitor.manner.text().categories).await?.at("/categories");
    let terms = app.site().await?.categories.clone();
    html(&TermsTemplate { l: layout, base: "/categories/", terms })
}

/// `GET /archive`.
pub(crate) async fn archive(State(app): State<Shared>, visitor: Visitor) -> Result<Response, Error> {
    let layout = Layout::new(&app, &visitor, visitor.manner.text().archive).await?.at("/archive");
    let site = app.site().await?;
    let mut years: Vec<Year> = Vec::new();
    for month in &site.months {
        match years.last_mut() {
            Some(year) if year.year == month.year => {
                year.posts += month.posts;
                year.months.push(*month);
            }
            _ => years.push(Year { year: month.year, posts: month.posts, months: vec![*month] }),
        }
    }
    html(&ArchiveTemplate { l: layout, years, total: i64::try_from(site.posts).unwrap_or(i64::MAX) })
}
