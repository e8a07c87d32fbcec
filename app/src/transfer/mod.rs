//! Posts that come from elsewhere and go elsewhere.
//!
//! ```text
//! folder of Markdown ─┐
//! Hexo folder ────────┤ read: items ─► sink ─► pictures' place, store
//! WordPress WXR ──────┤                  │
//! our own export ─────┘                  └─► report: what came, what did not and why
//! ```
//!
//! Reading is done by a thread of its own that hands one item after the other to the sink, so an export of any size
//! needs little memory. Each post comes in one transaction and is remembered by the other blog's own name for it:
//! doing an import again brings only what is new.

mod dates;
mod export;
mod exported;
mod files;
mod front_matter;
mod hexo;
mod html;
mod markdown;
mod sink;
mod wordpress;

use std::path::{Path, PathBuf};

pub use export::{Exported, export};
pub(crate) use files::{links, pictures};
pub use sink::{Options, Report, import};

use crate::store::{CommentStatus, Draft, ImportRevision, NewMedia, Role, Settings};

/// What an import is read from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Source {
    /// A folder that `blog export` wrote.
    Blog,
    /// A folder of Markdown files with front matter, as Hugo and Jekyll have them.
    Markdown,
    /// A folder of a Hexo blog.
    Hexo,
    /// A file that WordPress exported.
    WordPress,
}

impl Source {
    /// Its name on the command line.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Blog => "blog",
            Self::Markdown => "markdown",
            Self::Hexo => "hexo",
            Self::WordPress => "wordpress",
        }
    }

    /// Reads [`Source::as_str`].
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        [Self::Blog, Self::Markdown, Self::Hexo, Self::WordPress].into_iter().find(|one| one.as_str() == text)
    }

    /// What a path looks like.
    ///
    /// # Errors
    /// When there is nothing, or nothing that is known.
    pub fn guess(path: &Path) -> Result<Self, TransferError> {
        let unknown = |why: &str| TransferError::Source(path.to_owned(), why.to_owned());
        if path.is_dir() {
            return Ok(if path.join(exported::MANIFEST).is_file() {
                Self::Blog
            } else if path.join("_config.yml").is_file() && path.join("source").is_dir() {
                Self::Hexo
            } else {
                Self::Markdown
            });
        }
        match path.extension().and_then(|extension| extension.to_str()) {
            _ if !path.exists() => Err(unknown("there is no such file or folder")),
            Some("xml") => Ok(Self::WordPress),
            _ => Err(unknown(
                "expected a folder of `blog export`, of Hexo or of Markdown files, or the .xml file of a WordPress export",
            )),
        }
    }
}

/// Why nothing more can be read or written.
#[derive(Debug, thiserror::Error)]
pub enum TransferError {
    /// The path is not what was asked for.
    #[error("{}: {}", .0.display(), .1)]
    Source(PathBuf, String),
    /// The file or folder could not be read or written.
    #[error("{}: {}", .0.display(), .1)]
    File(PathBuf, #[source] std::io::Error),
    /// The database failed.
    #[error(transparent)]
    Store(#[from] crate::store::StoreError),
    /// The pictures' place failed.
    #[error(transparent)]
    Place(#[from] crate::pictures::PlaceError),
    /// Posts without an author need one.
    #[error("`{0}` names no author; say with --author which account such posts belong to")]
    NoAuthor(String),
    /// The reading thread ended early.
    #[error("reading ended: {0}")]
    Reader(String),
}

/// One thing that was read.
enum Item {
    /// The other blog's name for itself: keys are unique inside it. It comes first.
    Source(String),
    Author(Author),
    Settings(Settings),
    Post(Box<IncomingPost>),
    /// A picture that stays as it is, because our own export wrote it.
    Picture(NewMedia, String, i64),
    /// Something that was left out, or changed on the way.
    Note {
        about: String,
        what: String,
    },
}

/// An account that wrote something.
#[derive(Clone, Debug, Default)]
struct Author {
    name: String,
    shown: String,
    bio: String,
    /// Empty: nobody can sign in until a password is set.
    password_hash: String,
    role: Option<Role>,
}

/// A post of another blog.
#[derive(Clone, Debug, Default)]
struct IncomingPost {
    /// The other blog's own name for it.
    key: String,
    draft: Draft,
    /// The author's name to sign in with, or the name that readers see; empty when nobody is named.
    author: String,
    created_at: i64,
    updated_at: i64,
    /// When it became public, also where it is not public any more.
    published_at: Option<i64>,
    /// Paths under which readers know it.
    paths: Vec<String>,
    comments: Vec<IncomingComment>,
    /// Local files that the text shows, by the address that stands in it.
    pictures: Vec<(String, PathBuf)>,
    views: i64,
    /// Names in our own URLs before renaming.
    slugs: Vec<String>,
    /// Earlier texts with their author's name; the present text is the last.
    revisions: Vec<(ImportRevision, String)>,
    /// Whether it comes from our own export: its texts and addresses then stay as they are.
    is_ours: bool,
}

/// A comment of another blog; one that is answered stands before its answers.
#[derive(Clone, Debug)]
struct IncomingComment {
    key: String,
    answers: Option<String>,
    author: String,
    email: String,
    url: String,
    body: String,
    status: CommentStatus,
    address: String,
    at: i64,
    /// The account of the writer, or empty.
    user: String,
}

/// Takes items; an error means that nobody wants more.
type Send<'a> = &'a mut dyn FnMut(Item) -> Result<(), TransferError>;

fn note(about: impl Into<String>, what: impl Into<String>) -> Item {
    Item::Note { about: about.into(), what: what.into() }
}

fn read_text(path: &Path) -> Result<String, TransferError> {
    let bytes = std::fs::read(path).map_err(|error| TransferError::File(path.to_owned(), error))?;
    let text = String::from_utf8(bytes).map_err(|error| {
        let at = error.utf8_error().valid_up_to();
        TransferError::Source(path.to_owned(), format!("byte {at} is no UTF-8; convert the file first"))
    })?;
    Ok(text.trim_start_matches('\u{feff}').replace("\r\n", "\n"))
}

/// An old address as it is kept: a slash at the start, none at the end, no `index.html`, nothing percent-encoded.
#[must_use]
pub fn old_path(address: &str) -> Option<String> {
    let path = match address.split_once("://") {
        Some((_, rest)) => rest.find('/').map_or("", |at| &rest[at..]),
        None => address,
    };
    let path = path.split(['?', '#']).next().unwrap_or("");
    let path = percent_encoding::percent_decode_str(path).decode_utf8().ok()?;
    let path = path.trim_end_matches("index.html").trim_matches('/');
    (!path.is_empty() && path.len() <= 500 && !path.contains('\0')).then(|| format!("/{path}"))
}

#[cfg(test)]
mod tests {
    use super::old_path;

    #[test]
    fn an_old_address_is_its_path_however_it_was_written() {
        for address in [
            "https://old.example/2024/03/灰度/",
            "/2024/03/%E7%81%B0%E5%BA%A6/index.html",
            "2024/03/灰度?utm=1#more",
        ] {
            assert_eq!(old_path(address).as_deref(), Some("/2024/03/灰度"), "{address}");
        }
        assert_eq!(old_path("/a/b.html").as_deref(), Some("/a/b.html"));
        for none in ["", "/", "https://old.example", "https://old.example/?p=3", "/%FF"] {
            assert_eq!(old_path(none), None, "{none}");
        }
    }
}
