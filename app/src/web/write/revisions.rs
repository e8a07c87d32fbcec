//! A post's history: what changed between a saved text and the present one, and taking one back.

use askama::Template;
use axum::Form;
use axum::extract::{Path, State};
use axum::response::{IntoResponse, Redirect, Response};
use serde::Deserialize;
use similar::{ChangeTag, TextDiff};

use super::editor::own;
use crate::store::{Draft, Post, Publication, Revision, RevisionLine};
use crate::web::app::{Shared, now};
use crate::web::error::Error;
use crate::web::layout::{Layout, html};
use crate::web::visitor::Visitor;

/// How long a comparison may take; a worse but quick one follows.
const DIFF_TIMEOUT: std::time::Duration = std::time::Duration::from_millis(200);

#[derive(Template)]
#[template(path = "revisions.html")]
struct RevisionsTemplate {
    l: Layout,
    post: Post,
    revisions: Vec<RevisionLine>,
}

#[derive(Template)]
#[template(path = "revision.html")]
struct RevisionTemplate {
    l: Layout,
    post: Post,
    revision: Revision,
    lines: Vec<Line>,
}

struct Line {
    class: &'static str,
    mark: &'static str,
    text: String,
}

/// The version that the editor saw as the present one.
#[derive(Debug, Deserialize)]
pub(crate) struct RestoreForm {
    present: i64,
}

/// `GET /desk/posts/{id}/revisions`.
pub(crate) async fn list(
    State(app): State<Shared>,
    Path(id): Path<i64>,
    visitor: Visitor,
) -> Result<Response, Error> {
    let post = own(&app, &visitor, id).await?;
    let revisions = app.store.revisions(id).await?;
    let l = Layout::new(&app, &visitor, visitor.manner.text().history).await?.unlisted();
    html(&RevisionsTemplate { l, post, revisions })
}

/// `GET /desk/posts/{id}/revisions/{version}`.
pub(crate) async fn show(
    State(app): State<Shared>,
    Path((id, version)): Path<(i64, i64)>,
    visitor: Visitor,
) -> Result<Response, Error> {
    let post = own(&app, &visitor, id).await?;
    let revision = app.store.revision(id, version).await?.ok_or(Error::NotFound)?;
    let lines = compare(&revision.body, &post.body);
    let l = Layout::new(&app, &visitor, visitor.manner.text().history).await?.unlisted();
    html(&RevisionTemplate { l, post, revision, lines })
}

/// `POST /desk/posts/{id}/revisions/{version}`: the old text becomes a new save; nothing is thrown away.
pub(crate) async fn restore(
    State(app): State<Shared>,
    Path((id, version)): Path<(i64, i64)>,
    visitor: Visitor,
    Form(form): Form<RestoreForm>,
) -> Result<Response, Error> {
    let post = own(&app, &visitor, id).await?;
    let me = visitor.signed_in()?.clone();
    let revision = app.store.revision(id, version).await?.ok_or(Error::NotFound)?;
    let draft =
        Draft { title: revision.title, summary: revision.summary, body: revision.body, ..as_draft(&post) };
    app.store.update_post((id, form.present), &draft, me.id, now()).await?;
    app.audit(&me, ("post.restore", &post.slug), &format!("version {version}")).await;
    Ok(Redirect::to(&format!("/desk/posts/{id}?saved=1")).into_response())
}

/// A saved post as the form that would save it again.
pub(crate) fn as_draft(post: &Post) -> Draft {
    Draft {
        kind: if post.is_post() { "post" } else { "page" },
        slug: post.slug.clone(),
        title: post.title.clone(),
        summary: post.summary.clone(),
        body: post.body.clone(),
        category: post.category.clone(),
        tags: post.tags().iter().map(|tag| tag.name.to_owned()).collect(),
        cover: post.cover.clone(),
        comments_open: post.comments_open == 1,
        publication: match (post.status.as_str(), post.published_at) {
            ("published", Some(at)) => Publication::Published(at),
            ("archived", _) => Publication::Archived,
            _ => Publication::Draft,
        },
    }
}

/// What was taken away since and what came, with a little around it.
fn compare(old: &str, new: &str) -> Vec<Line> {
    let diff = TextDiff::configure().timeout(DIFF_TIMEOUT).diff_lines(old, new);
    let mut lines = Vec::new();
    for (index, group) in diff.grouped_ops(3).iter().enumerate() {
        if index > 0 {
            lines.push(Line { class: "gap", mark: "…", text: String::new() });
        }
        for change in group.iter().flat_map(|op| diff.iter_changes(op)) {
            let (class, mark) = match change.tag() {
                ChangeTag::Delete => ("hl-del", "−"),
                ChangeTag::Insert => ("hl-add", "+"),
                ChangeTag::Equal => ("same", " "),
            };
            lines.push(Line { class, mark, text: change.value().trim_end_matches('\n').to_owned() });
        }
    }
    lines
}

#[cfg(test)]
mod tests {
    use super::compare;

    #[test]
    fn a_comparison_shows_what_went_and_what_came() {
        let lines = compare("a\nb\nc\n", "a\nB\nc\n");
        let shown: Vec<String> = lines.iter().map(|line| format!("{}{}", line.mark, line.text)).collect();
        assert_eq!(shown, [" a", "−b", "+B", " c"]);
        assert!(compare("same\n", "same\n").is_empty());
    }
}
