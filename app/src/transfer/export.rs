//! Writing everything into a folder.

use std::fs::{DirBuilder, File, OpenOptions};
use std::io::{BufWriter, Write as _};
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};

use serde::Serialize;

use super::TransferError;
use super::exported::{
    AuditLine, CommentLine, FORMAT, MANIFEST, Manifest, PictureLine, PostLine, RevisionLine, SettingsFile,
    UserLine,
};
use crate::pictures::{Place, files};
use crate::store::{ImportRevision, Post, Store};
use crate::text;

/// What an export wrote.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Exported {
    /// Posts and pages.
    pub posts: usize,
    /// Their comments.
    pub comments: usize,
    /// Pictures.
    pub pictures: usize,
    /// Accounts.
    pub accounts: usize,
}

/// Writes everything but sessions, tokens and invitations into a new folder that only its owner may read, since it
/// holds password hashes and the addresses of those who commented.
///
/// # Errors
/// When the folder is there already or can't be written, or the database or the pictures' place fails.
pub async fn export(
    store: &Store,
    place: &Place,
    folder: &Path,
    now: i64,
) -> Result<Exported, TransferError> {
    DirBuilder::new()
        .recursive(false)
        .mode(0o700)
        .create(folder)
        .map_err(|error| TransferError::File(folder.to_owned(), error))?;
    let mut done = Exported::default();
    users(store, folder, &mut done).await?;
    pictures(store, place, folder, &mut done).await?;
    posts(store, folder, &mut done).await?;
    audit(store, folder).await?;
    let settings = SettingsFile::from(store.settings().await?);
    Lines::create(folder.join("settings.json"))?.finish_with(&settings)?;
    let site = store.site_id(&text::hex(&rand::random::<[u8; 16]>())).await?;
    // Last of all: a folder without it is no export.
    let manifest = Manifest { format: FORMAT, site, exported_at: now };
    Lines::create(folder.join(MANIFEST))?.finish_with(&manifest)?;
    Ok(done)
}

async fn users(store: &Store, folder: &Path, done: &mut Exported) -> Result<(), TransferError> {
    let mut lines = Lines::create(folder.join("users.jsonl"))?;
    for user in store.whole_users().await? {
        lines.add(&UserLine {
            username: user.username,
            display_name: user.display_name,
            password_hash: user.password_hash,
            role: user.role,
            bio: user.bio,
            created_at: user.created_at,
            disabled_at: user.disabled_at,
        })?;
        done.accounts += 1;
    }
    lines.finish()
}

async fn posts(store: &Store, folder: &Path, done: &mut Exported) -> Result<(), TransferError> {
    let mut lines = Lines::create(folder.join("posts.jsonl"))?;
    let mut after = 0;
    loop {
        let ids = store.post_ids(after).await?;
        let Some(last) = ids.last() else { break };
        after = *last;
        for id in ids {
            let Some(post) = store.post(id).await? else { continue };
            let line = line(store, post).await?;
            done.posts += 1;
            done.comments += line.comments.len();
            lines.add(&line)?;
        }
    }
    lines.finish()
}

async fn line(store: &Store, post: Post) -> Result<PostLine, TransferError> {
    let belongings = store.belongings(&post).await?;
    let tags = post.tags().iter().map(|tag| tag.name.to_owned()).collect();
    Ok(PostLine {
        tags,
        id: post.id,
        kind: post.kind,
        slug: post.slug,
        title: post.title,
        summary: post.summary,
        body: post.body,
        status: post.status,
        published_at: post.published_at,
        created_at: belongings.created_at,
        updated_at: post.updated_at,
        author: belongings.author,
        category: post.category,
        cover: post.cover,
        comments_open: post.comments_open == 1,
        views: post.views,
        old_slugs: belongings.slugs,
        old_paths: belongings.paths,
        revisions: belongings
            .revisions
            .into_iter()
            .map(|revision| RevisionLine {
                author: revision.author,
                text: ImportRevision {
                    version: revision.version,
                    title: revision.title,
                    summary: revision.summary,
                    body: revision.body,
                    saved_at: revision.saved_at,
                },
            })
            .collect(),
        comments: belongings
            .comments
            .into_iter()
            .map(|comment| CommentLine {
                id: comment.id,
                answers: comment.parent_id,
                user: comment.username,
                name: comment.author_name,
                email: comment.author_email,
                url: comment.author_url,
                body: comment.body,
                status: comment.status,
                address: comment.address,
                at: comment.created_at,
            })
            .collect(),
    })
}

async fn pictures(
    store: &Store,
    place: &Place,
    folder: &Path,
    done: &mut Exported,
) -> Result<(), TransferError> {
    let mut lines = Lines::create(folder.join("pictures.jsonl"))?;
    let beside = folder.join("pictures");
    std::fs::create_dir(&beside).map_err(|error| TransferError::File(beside.clone(), error))?;
    let mut before = i64::MAX;
    loop {
        let batch = store.media(before, None).await?;
        let Some(last) = batch.last() else { break };
        before = last.id;
        for picture in batch {
            let mut kept = Vec::new();
            for name in files(&picture.file) {
                let Some(found) = place.read(store, &name).await? else { continue };
                let path = beside.join(&name);
                std::fs::write(&path, found.content).map_err(|error| TransferError::File(path, error))?;
                kept.push(name);
            }
            lines.add(&PictureLine {
                user: store.username(picture.user_id).await?,
                file: picture.file,
                title: picture.title,
                width: picture.width,
                height: picture.height,
                created_at: picture.created_at,
                files: kept,
            })?;
            done.pictures += 1;
        }
    }
    lines.finish()
}

async fn audit(store: &Store, folder: &Path) -> Result<(), TransferError> {
    let mut lines = Lines::create(folder.join("audit.jsonl"))?;
    let mut before = i64::MAX;
    loop {
        let batch = store.audit_log(before).await?;
        let Some(last) = batch.last() else { break };
        before = last.id;
        for entry in batch {
            lines.add(&AuditLine {
                at: entry.at,
                actor: entry.actor,
                action: entry.action,
                subject: entry.subject,
                detail: entry.detail,
            })?;
        }
    }
    lines.finish()
}

/// A file of lines of JSON.
struct Lines {
    path: PathBuf,
    file: BufWriter<File>,
}

impl Lines {
    fn create(path: PathBuf) -> Result<Self, TransferError> {
        match OpenOptions::new().write(true).create_new(true).mode(0o600).open(&path) {
            Ok(file) => Ok(Self { path, file: BufWriter::new(file) }),
            Err(error) => Err(TransferError::File(path, error)),
        }
    }

    fn add(&mut self, value: &impl Serialize) -> Result<(), TransferError> {
        serde_json::to_writer(&mut self.file, value)
            .map_err(std::io::Error::from)
            .and_then(|()| self.file.write_all(b"\n"))
            .map_err(|error| TransferError::File(self.path.clone(), error))
    }

    fn finish_with(mut self, value: &impl Serialize) -> Result<(), TransferError> {
        self.add(value)?;
        self.finish()
    }

    fn finish(mut self) -> Result<(), TransferError> {
        let kept = self.file.flush().and_then(|()| self.file.get_ref().sync_all());
        kept.map_err(|error| TransferError::File(self.path, error))
    }
}
