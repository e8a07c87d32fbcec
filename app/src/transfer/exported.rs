//! The format of our own export, and reading it.
//!
//! A folder: `manifest.json`, `settings.json`, `users.jsonl`, `posts.jsonl` (a line holds a post with its history and
//! its comments), `pictures.jsonl` and `pictures/` with their files, `audit.jsonl` for reading only. Lines of JSON, so
//! that neither side ever holds the whole. A newer release may add fields; unknown ones are passed over.

use std::fs::File;
use std::io::{BufRead as _, BufReader};
use std::path::Path;

use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use super::{Author, IncomingComment, IncomingPost, Item, Send, TransferError, note, read_text};
use crate::pictures::content_type;
use crate::store::{CommentStatus, Draft, ImportRevision, NewFile, NewMedia, Publication, Role, Settings};

/// The file that says what the folder is.
pub(super) const MANIFEST: &str = "manifest.json";
/// The number of this format. It grows only when an older program would read it wrongly.
pub(super) const FORMAT: u32 = 1;

/// `manifest.json`.
#[derive(Debug, Deserialize, Serialize)]
pub(super) struct Manifest {
    pub(super) format: u32,
    /// Tells blogs apart.
    pub(super) site: String,
    pub(super) exported_at: i64,
}

/// A line of `users.jsonl`.
#[derive(Debug, Default, Deserialize, Serialize)]
#[serde(default)]
pub(super) struct UserLine {
    pub(super) username: String,
    pub(super) display_name: String,
    pub(super) password_hash: String,
    pub(super) role: String,
    pub(super) bio: String,
    pub(super) created_at: i64,
    pub(super) disabled_at: Option<i64>,
}

/// `settings.json`.
#[derive(Debug, Deserialize, Serialize)]
#[serde(default)]
pub(super) struct SettingsFile {
    pub(super) title: String,
    pub(super) tagline: String,
    pub(super) time_zone: String,
    pub(super) page_size: i64,
    pub(super) moderate_comments: bool,
}

impl Default for SettingsFile {
    fn default() -> Self {
        Settings::default().into()
    }
}

impl From<Settings> for SettingsFile {
    fn from(settings: Settings) -> Self {
        let Settings { title, tagline, time_zone, page_size, moderate_comments } = settings;
        Self { title, tagline, time_zone, page_size, moderate_comments }
    }
}

/// A line of `posts.jsonl`.
#[derive(Debug, Default, Deserialize, Serialize)]
#[serde(default)]
pub(super) struct PostLine {
    pub(super) id: i64,
    pub(super) kind: String,
    pub(super) slug: String,
    pub(super) title: String,
    pub(super) summary: String,
    pub(super) body: String,
    pub(super) status: String,
    pub(super) published_at: Option<i64>,
    pub(super) created_at: i64,
    pub(super) updated_at: i64,
    pub(super) author: String,
    pub(super) category: String,
    pub(super) tags: Vec<String>,
    pub(super) cover: String,
    pub(super) comments_open: bool,
    pub(super) views: i64,
    pub(super) old_slugs: Vec<String>,
    pub(super) old_paths: Vec<String>,
    pub(super) revisions: Vec<RevisionLine>,
    pub(super) comments: Vec<CommentLine>,
}

/// An earlier text of a post.
#[derive(Debug, Default, Deserialize, Serialize)]
#[serde(default)]
pub(super) struct RevisionLine {
    pub(super) author: String,
    #[serde(flatten)]
    pub(super) text: ImportRevision,
}

/// A comment of a post.
#[derive(Debug, Default, Deserialize, Serialize)]
#[serde(default)]
pub(super) struct CommentLine {
    pub(super) id: i64,
    pub(super) answers: Option<i64>,
    pub(super) user: String,
    pub(super) name: String,
    pub(super) email: String,
    pub(super) url: String,
    pub(super) body: String,
    pub(super) status: String,
    pub(super) address: String,
    pub(super) at: i64,
}

/// A line of `pictures.jsonl`.
#[derive(Debug, Default, Deserialize, Serialize)]
#[serde(default)]
pub(super) struct PictureLine {
    pub(super) file: String,
    pub(super) title: String,
    pub(super) width: i64,
    pub(super) height: i64,
    pub(super) user: String,
    pub(super) created_at: i64,
    /// All its sizes, the largest first.
    pub(super) files: Vec<String>,
}

/// A line of `audit.jsonl`.
#[derive(Debug, Serialize)]
pub(super) struct AuditLine {
    pub(super) at: i64,
    pub(super) actor: String,
    pub(super) action: String,
    pub(super) subject: String,
    pub(super) detail: String,
}

/// Hands over everything of an export.
pub(super) fn read(root: &Path, send: Send<'_>) -> Result<(), TransferError> {
    let manifest: Manifest = file(&root.join(MANIFEST))?;
    if manifest.format > FORMAT {
        let why = format!(
            "its format is {}, this program reads up to {FORMAT}; use a newer release",
            manifest.format
        );
        return Err(TransferError::Source(root.to_owned(), why));
    }
    send(Item::Source(format!("blog {}", manifest.site)))?;
    let settings: SettingsFile = file(&root.join("settings.json"))?;
    let SettingsFile { title, tagline, time_zone, page_size, moderate_comments } = settings;
    send(Item::Settings(Settings { title, tagline, time_zone, page_size, moderate_comments }))?;
    lines(&root.join("users.jsonl"), |user: UserLine| {
        if user.disabled_at.is_some() {
            send(note(&user.username, "was shut: it comes without its password"))?;
        }
        send(Item::Author(Author {
            role: Role::parse(&user.role),
            password_hash: if user.disabled_at.is_some() { String::new() } else { user.password_hash },
            name: user.username,
            shown: user.display_name,
            bio: user.bio,
        }))
    })?;
    lines(&root.join("pictures.jsonl"), |line: PictureLine| match picture(root, line)? {
        Ok((picture, user, at)) => send(Item::Picture(picture, user, at)),
        Err((name, why)) => send(note(name, why)),
    })?;
    lines(&root.join("posts.jsonl"), |line: PostLine| send(Item::Post(Box::new(post(line)))))
}

type Whole = Result<(NewMedia, String, i64), (String, String)>;

fn picture(root: &Path, line: PictureLine) -> Result<Whole, TransferError> {
    let mut files = Vec::new();
    for name in &line.files {
        let Some(content_type) = content_type(name) else {
            return Ok(Err((line.file.clone(), format!("left out: `{name}` is no name of a picture"))));
        };
        let place = root.join("pictures").join(name);
        let content = std::fs::read(&place).map_err(|error| TransferError::File(place, error))?;
        files.push(NewFile { file: name.clone(), content_type, width: line.width, content });
    }
    let bytes = files.first().map_or(0, |file| i64::try_from(file.content.len()).unwrap_or(i64::MAX));
    let PictureLine { file, title, width, height, user, created_at, .. } = line;
    Ok(Ok((NewMedia { file, title, width, height, bytes, files }, user, created_at)))
}

fn post(line: PostLine) -> IncomingPost {
    let publication = match (line.status.as_str(), line.published_at) {
        ("published", Some(at)) => Publication::Published(at),
        ("archived", _) => Publication::Archived,
        _ => Publication::Draft,
    };
    IncomingPost {
        key: line.id.to_string(),
        draft: Draft {
            kind: if line.kind == "page" { "page" } else { "post" },
            slug: line.slug,
            title: line.title,
            summary: line.summary,
            body: line.body,
            category: line.category,
            tags: line.tags,
            cover: line.cover,
            comments_open: line.comments_open,
            publication,
        },
        author: line.author,
        created_at: line.created_at,
        updated_at: line.updated_at,
        published_at: line.published_at,
        paths: line.old_paths,
        comments: line.comments.into_iter().map(comment).collect(),
        views: line.views,
        slugs: line.old_slugs,
        revisions: line.revisions.into_iter().map(|line| (line.text, line.author)).collect(),
        pictures: Vec::new(),
        is_ours: true,
    }
}

fn comment(line: CommentLine) -> IncomingComment {
    IncomingComment {
        key: line.id.to_string(),
        answers: line.answers.map(|id| id.to_string()),
        author: line.name,
        email: line.email,
        url: line.url,
        body: line.body,
        status: CommentStatus::parse(&line.status).unwrap_or(CommentStatus::Pending),
        address: line.address,
        at: line.at,
        user: line.user,
    }
}

fn file<T: DeserializeOwned>(path: &Path) -> Result<T, TransferError> {
    let text = read_text(path)?;
    serde_json::from_str(&text).map_err(|error| TransferError::Source(path.to_owned(), error.to_string()))
}

/// Reads a file line by line.
fn lines<T: DeserializeOwned>(
    path: &Path,
    mut take: impl FnMut(T) -> Result<(), TransferError>,
) -> Result<(), TransferError> {
    let file = File::open(path).map_err(|error| TransferError::File(path.to_owned(), error))?;
    for (index, line) in BufReader::new(file).lines().enumerate() {
        let line = line.map_err(|error| TransferError::File(path.to_owned(), error))?;
        let value = serde_json::from_str(&line).map_err(|error| {
            TransferError::Source(path.to_owned(), format!("line {}: {error}", index + 1))
        })?;
        take(value)?;
    }
    Ok(())
}
