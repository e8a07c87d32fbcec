//! Pictures, kept in the database so that every process serves every picture.

use super::{Store, StoreError, fetch_optional, in_transaction, pick, run};

/// The bytes of one file.
#[derive(Clone, Debug, sqlx::FromRow)]
pub struct MediaFile {
    /// Its MIME type.
    pub content_type: String,
    /// Its bytes.
    pub content: Vec<u8>,
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
    /// Its MIME type.
    pub content_type: &'static str,
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
        let bytes = i64::try_from(new.content.len()).unwrap_or(i64::MAX);
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
                run!(
                    tx,
                    "INSERT INTO media_files(file, media_id, content_type, width, content) \
                     VALUES ($1, $2, $3, $4, $5)",
                    &new.file,
                    id,
                    new.content_type,
                    new.width,
                    &new.content
                );
            }
        });
        Ok(())
    }
}
