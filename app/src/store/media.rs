//! Pictures: what is known of each, and the files of those that the database itself keeps.

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
    /// Bytes of the largest file.
    pub bytes: i64,
    /// The largest file first, then smaller sizes; none where the files are kept outside the database.
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
    pub async fn add_media(&self, new: &NewMedia, user: Option<i64>, now: i64) -> Result<(), StoreError> {
        in_transaction!(self, |tx| {
            let row: Option<(i64,)> = pick!(
                tx,
                "INSERT INTO media(file, title, width, height, bytes, user_id, created_at) \
                 VALUES ($1, $2, $3, $4, $5, $6, $7) ON CONFLICT (file) DO NOTHING RETURNING id",
                &new.file,
                &new.title,
                new.width,
                new.height,
                new.bytes,
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

    /// Pictures before `before`, newest first, of one account or with `None` of all; at most 49.
    ///
    /// # Errors
    /// When the database is away.
    pub async fn media(&self, before: i64, of: Option<i64>) -> Result<Vec<Media>, StoreError> {
        Ok(fetch_all!(
            self,
            "SELECT id, file, title, width, height, bytes, user_id, created_at FROM media \
             WHERE id < $1 AND COALESCE(user_id, 0) = COALESCE($2, user_id, 0) ORDER BY id DESC LIMIT 49",
            before,
            of
        )?)
    }

    /// A picture by the name of its largest file.
    ///
    /// # Errors
    /// When the database is away.
    pub async fn medium_by_file(&self, file: &str) -> Result<Option<Media>, StoreError> {
        Ok(fetch_optional!(
            self,
            "SELECT id, file, title, width, height, bytes, user_id, created_at FROM media WHERE file = $1",
            file
        )?)
    }

    /// Posts that show a picture, as numbers and titles; at most 5.
    ///
    /// # Errors
    /// When the database is away.
    pub async fn posts_with_picture(&self, file: &str) -> Result<Vec<(i64, String)>, StoreError> {
        // A smaller size's name starts like the picture's own.
        let stem = file.rsplit_once('.').map_or(file, |(stem, _)| stem);
        Ok(fetch_all!(
            self,
            "SELECT id, title FROM posts WHERE cover = $1 OR body LIKE '%/media/' || $2 || '%' ORDER BY id LIMIT 5",
            file,
            stem
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
