//! Pictures, kept in the database so that every process serves every picture.

use super::{Store, StoreError, execute, fetch_all, fetch_optional, in_transaction, pick, run};

/// The bytes of one file.
#[derive(Clone, Debug, sqlx::FromRow)]
pub struct MediaFile {
    /// Its MIME type.
    pub content_type: String,
    /// Its bytes.
    pub content: Vec<u8>,
}

/// A picture as authors see it.
#[derive(Clone, Debug, sqlx::FromRow)]
pub struct Media {
    /// Its number.
    pub id: i64,
    /// Its name in URLs.
    pub file: String,
    /// A name for authors.
    pub title: String,
    /// Width in pixels.
    pub width: i64,
    /// Height in pixels.
    pub height: i64,
    /// Bytes of the largest file.
    pub bytes: i64,
    /// Whose it is.
    pub user_id: Option<i64>,
    /// When it came.
    pub created_at: i64,
}

/// A picture to be kept.
#[derive(Clone, Debug)]
pub struct NewMedia {
    /// Its name in URLs, made from its content.
    pub file: String,
    /// A name for authors.
    pub title: String,
    /// Width in pixels.
    pub width: i64,
    /// Height in pixels.
    pub height: i64,
    /// The largest file first, then smaller sizes.
    pub files: Vec<NewFile>,
}

/// A file of a picture.
#[derive(Clone, Debug)]
pub struct NewFile {
    /// Its name in URLs.
    pub file: String,
    /// Its MIME type.
    pub content_type: &'static str,
    /// Width in pixels.
    pub width: i64,
    /// Its bytes.
    pub content: Vec<u8>,
}

impl Store {
    /// A file by its name.
    ///
    /// # Errors
    /// When the database is away.
    pub async fn media_file(&self, file: &str) -> Result<Option<MediaFile>, StoreError> {
        Ok(fetch_optional!(self, "SELECT content_type, content FROM media_files WHERE file = $1", file)?)
    }

    /// Keeps a picture; one with the same content is kept once.
    ///
    /// # Errors
    /// When the database is away.
    pub async fn add_media(&self, new: &NewMedia, user: i64, now: i64) -> Result<(), StoreError> {
        let bytes = new.files.first().map_or(0, |file| i64::try_from(file.content.len()).unwrap_or(i64::MAX));
        in_transaction!(self, |tx| {
            let row: Option<(i64,)> = pick!(
                tx,
                "INSERT INTO media(file, title, width, height, bytes, user_id, created_at) \
                 VALUES ($1, $2, $3, $4, $5, $6, $7) ON CONFLICT (file) DO NOTHING RETURNING id",
                &new.file,
                &new.title,
                new.width,
                new.height,
                bytes,
                user,
                now
            );
            if let Some((id,)) = row {
                for file in &new.files {
                    run!(
                        tx,
                        "INSERT INTO media_files(file, media_id, content_type, width, content) \
                         VALUES ($1, $2, $3, $4, $5) ON CONFLICT (file) DO NOTHING",
                        &file.file,
                        id,
                        file.content_type,
                        file.width,
                        &file.content
                    );
                }
            }
        });
        Ok(())
    }

    /// Pictures before `before`, newest first; at most 49.
    ///
    /// # Errors
    /// When the database is away.
    pub async fn media(&self, before: i64) -> Result<Vec<Media>, StoreError> {
        Ok(fetch_all!(
            self,
            "SELECT id, file, title, width, height, bytes, user_id, created_at FROM media WHERE id < $1 \
             ORDER BY id DESC LIMIT 49",
            before
        )?)
    }

    /// One picture.
    ///
    /// # Errors
    /// When the database is away.
    pub async fn medium(&self, id: i64) -> Result<Option<Media>, StoreError> {
        Ok(fetch_optional!(
            self,
            "SELECT id, file, title, width, height, bytes, user_id, created_at FROM media WHERE id = $1",
            id
        )?)
    }

    /// Deletes a picture with all its sizes.
    ///
    /// # Errors
    /// When the database is away.
    pub async fn delete_media(&self, id: i64) -> Result<(), StoreError> {
        execute!(self, "DELETE FROM media WHERE id = $1", id)?;
        Ok(())
    }
}
