//! Pictures of the blog: taking them, listing them with what to write to show them, deleting them.

use askama::Template;
use axum::extract::multipart::{Multipart, MultipartError};
use axum::extract::{Query, State};
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse, Redirect, Response};
use axum::{Form, Json};
use serde::{Deserialize, Serialize};

use super::account::say;
use crate::pictures::{PictureError, PlaceError, encode, thumbnail};
use crate::store::{Media, NewMedia, Role, User};
use crate::text;
use crate::web::app::{Shared, now};
use crate::web::error::Error;
use crate::web::layout::{Layout, html};
use crate::web::visitor::Visitor;

/// Pictures of a page.
const PAGE: usize = 48;
/// Bytes of one file: what telephones make is a quarter of it.
const FILE_BYTES_MAX: usize = 20 << 20;
/// Bytes of a request with all its files.
pub(crate) const UPLOAD_BYTES_MAX: usize = 64 << 20;
/// Files of a request.
const FILES_MAX: usize = 20;
/// Characters of a picture's title.
const TITLE_CHARS_MAX: usize = 120;

/// Which pictures, and what was just done.
#[derive(Debug, Default, Deserialize)]
pub(crate) struct Ask {
    before: Option<i64>,
    /// How many were just taken.
    added: Option<u8>,
}

#[derive(Template)]
#[template(path = "pictures.html")]
struct PicturesTemplate {
    l: Layout,
    pictures: Vec<Media>,
    added: u8,
    problem: String,
    next: Option<i64>,
}

impl PicturesTemplate {
    fn thumbnail(&self, picture: &Media) -> String {
        thumbnail(&picture.file)
    }

    fn markdown(&self, picture: &Media) -> String {
        markdown(&picture.title, &picture.file)
    }
}

/// What the editor's script gets for each file.
#[derive(Debug, Serialize)]
struct Taken {
    file: String,
    url: String,
    markdown: String,
}

/// `GET /desk/pictures`: all pictures for editors, their own for authors.
pub(crate) async fn page(
    State(app): State<Shared>,
    Query(ask): Query<Ask>,
    visitor: Visitor,
) -> Result<Response, Error> {
    html(&build(&app, &visitor, ask).await?)
}

/// `POST /desk/pictures`: a form with files. The editor's script asks for JSON.
pub(crate) async fn upload(
    State(app): State<Shared>,
    visitor: Visitor,
    headers: HeaderMap,
    form: Multipart,
) -> Result<Response, Error> {
    let me = visitor.signed_in()?.clone();
    let wants_json =
        headers.get(header::ACCEPT).is_some_and(|value| value.as_bytes().starts_with(b"application/json"));
    let (status, problem) = match take(&app, &visitor, (&me, form)).await? {
        Ok(taken) if wants_json => return Ok(Json(taken).into_response()),
        Ok(taken) => {
            return Ok(Redirect::to(&format!("/desk/pictures?added={}", taken.len())).into_response());
        }
        Err(refused) => refused,
    };
    if wants_json {
        let body = serde_json::json!({ "title": problem, "status": status.as_u16() });
        return Ok((status, Json(body)).into_response());
    }
    let mut page = build(&app, &visitor, Ask::default()).await?;
    page.problem = problem;
    Ok((status, html(&page)?).into_response())
}

/// What an author does with a picture.
#[derive(Debug, Deserialize)]
pub(crate) struct DeleteForm {
    id: i64,
}

/// `POST /desk/pictures/delete`. A picture that posts show stays.
pub(crate) async fn delete(
    State(app): State<Shared>,
    visitor: Visitor,
    Form(form): Form<DeleteForm>,
) -> Result<Response, Error> {
    let me = visitor.signed_in()?.clone();
    let picture = app.store.medium(form.id).await?.ok_or(Error::NotFound)?;
    if picture.user_id != Some(me.id) && me.role() < Role::Editor {
        return Err(Error::Forbidden);
    }
    let shown = app.store.posts_with_picture(&picture.file).await?;
    if !shown.is_empty() {
        let titles: Vec<&str> = shown.iter().map(|(_, title)| title.as_str()).collect();
        let mut page = build(&app, &visitor, Ask::default()).await?;
        let why = say(&visitor, "这些文章还在用它，所以没有删除：", "Not deleted, because posts show it: ");
        page.problem = format!("{why}{}", titles.join(", "));
        return Ok((StatusCode::CONFLICT, html(&page)?).into_response());
    }
    app.options.pictures.remove(&app.store, &picture).await?;
    app.audit(&me, ("picture.delete", &picture.file), &picture.title).await;
    Ok(Redirect::to("/desk/pictures").into_response())
}

/// Takes every file of the form, or says which one and why not. One
/// after the other in the whole process: decoded pictures are large.
async fn take(
    app: &Shared,
    visitor: &Visitor,
    (me, mut form): (&User, Multipart),
) -> Result<Result<Vec<Taken>, (StatusCode, String)>, Error> {
    let mut pictures = Vec::new();
    loop {
        let field = match form.next_field().await {
            Ok(Some(field)) => field,
            Ok(None) => break,
            Err(error) => return Ok(Err(unread(visitor, &error))),
        };
        let name = field.file_name().unwrap_or("").to_owned();
        let bytes = match field.bytes().await {
            Ok(bytes) => bytes,
            Err(error) => return Ok(Err(unread(visitor, &error))),
        };
        // A form whose file field was left empty sends a file without name and bytes.
        if name.is_empty() && bytes.is_empty() {
            continue;
        }
        if bytes.len() > FILE_BYTES_MAX || pictures.len() >= FILES_MAX {
            return Ok(Err((StatusCode::PAYLOAD_TOO_LARGE, too_large(visitor))));
        }
        let title = title(&name);
        let permit = app.uploads.acquire().await;
        let encoded = tokio::task::spawn_blocking(move || encode(&bytes, &title))
            .await
            .map_err(|error| Error::Internal(error.to_string()))?;
        drop(permit);
        match encoded {
            Ok(picture) => pictures.push(picture),
            Err(error) => {
                return Ok(Err((StatusCode::UNPROCESSABLE_ENTITY, refused(visitor, &name, &error))));
            }
        }
    }
    if pictures.is_empty() {
        let problem = say(visitor, "请选择图片文件。", "Choose a picture first.");
        return Ok(Err((StatusCode::UNPROCESSABLE_ENTITY, problem)));
    }
    let mut taken = Vec::new();
    for picture in pictures {
        match keep(app, me, picture).await {
            Ok(kept) => taken.push(kept),
            Err(Error::Pictures(error)) => {
                tracing::error!(%error, "a picture could not be kept: {error}");
                return Ok(Err((StatusCode::SERVICE_UNAVAILABLE, not_kept(visitor, &error))));
            }
            Err(error) => return Err(error),
        }
    }
    Ok(Ok(taken))
}

async fn keep(app: &Shared, me: &User, picture: NewMedia) -> Result<Taken, Error> {
    let (file, title) = (picture.file.clone(), picture.title.clone());
    app.options.pictures.keep(&app.store, picture, (Some(me.id), now())).await?;
    app.audit(me, ("picture.add", &file), &title).await;
    Ok(Taken { url: format!("/media/{file}"), markdown: markdown(&title, &file), file })
}

async fn build(app: &Shared, visitor: &Visitor, ask: Ask) -> Result<PicturesTemplate, Error> {
    let me = visitor.signed_in()?;
    let only = (me.role() < Role::Editor).then_some(me.id);
    let mut pictures = app.store.media(ask.before.unwrap_or(i64::MAX), only).await?;
    let next = (pictures.len() > PAGE).then(|| pictures[PAGE - 1].id);
    pictures.truncate(PAGE);
    let l = Layout::new(app, visitor, visitor.manner.text().pictures).await?.unlisted();
    Ok(PicturesTemplate { l, pictures, added: ask.added.unwrap_or(0), problem: String::new(), next })
}

/// `![title](/media/file)`, with nothing in the title that ends it early.
fn markdown(title: &str, file: &str) -> String {
    let plain: String = title.chars().map(|c| if "[]\\\n".contains(c) { ' ' } else { c }).collect();
    format!("![{}](/media/{file})", plain.trim())
}

/// The file's name without folder and type: what it is called until the author says more.
fn title(file_name: &str) -> String {
    let name = file_name.rsplit(['/', '\\']).next().unwrap_or("");
    let stem = name.rsplit_once('.').map_or(name, |(stem, _)| stem);
    let plain: String = stem.chars().map(|c| if c.is_control() { ' ' } else { c }).collect();
    text::shorten(plain.trim(), TITLE_CHARS_MAX)
}

fn unread(visitor: &Visitor, error: &MultipartError) -> (StatusCode, String) {
    if error.status() == StatusCode::PAYLOAD_TOO_LARGE {
        return (StatusCode::PAYLOAD_TOO_LARGE, too_large(visitor));
    }
    (error.status(), error.body_text())
}

fn too_large(visitor: &Visitor) -> String {
    say(
        visitor,
        "一个文件最多 20 MiB，一次最多 20 个文件、共 64 MiB。",
        "A file has at most 20 MiB; at most 20 files and 64 MiB at a time.",
    )
}

/// Whoever runs the blog is told by the log and by `blog check` what to do; only that is said to authors.
fn not_kept(visitor: &Visitor, error: &PlaceError) -> String {
    if error.is_passing() {
        return say(
            visitor,
            "图片库暂时连不上，图片还没有保存。请过一会儿再传一次。",
            "The store of pictures can't be reached now, so this one is not kept yet. Please send it again in a moment.",
        );
    }
    say(
        visitor,
        "图片库拒绝保存，再传一次也没有用。请告诉博客的管理者：日志和 `blog check` 里写着原因和办法。文字照常可以保存。",
        "The store of pictures refuses to keep it, and sending it again will not help. Please tell whoever runs this \
         blog: its log and `blog check` say why and what to do. Texts are saved as ever.",
    )
}

fn refused(visitor: &Visitor, name: &str, error: &PictureError) -> String {
    let why = match error {
        PictureError::Type => {
            say(visitor, "只支持 JPEG、PNG、WebP 和 GIF。", "Only JPEG, PNG, WebP and GIF are taken.")
        }
        PictureError::Pixels { most, .. } => {
            let most = most / 1_000_000;
            say(
                visitor,
                &format!("像素太多，上限是 {most} 百万。"),
                &format!("Too many pixels; the limit is {most} million."),
            )
        }
        PictureError::Damaged(why) => {
            say(visitor, &format!("文件已损坏：{why}"), &format!("The file is damaged: {why}"))
        }
    };
    format!("{}: {why}", text::shorten(name, TITLE_CHARS_MAX))
}

#[cfg(test)]
mod tests {
    use super::{markdown, title};

    #[test]
    fn a_title_comes_from_the_file_and_can_not_break_out_of_the_markdown() {
        assert_eq!(title("C:\\photos\\雪山 1.JPG"), "雪山 1");
        assert_eq!(markdown("a](javascript:x)", "f.jpg"), "![a (javascript:x)](/media/f.jpg)");
        assert_eq!(markdown("", "f.jpg"), "![](/media/f.jpg)");
    }
}
