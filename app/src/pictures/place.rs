//! Where the files of pictures are kept: in the database, or in a folder that all processes share.

use std::path::{Path, PathBuf};
use std::str::FromStr;

use tokio::io::AsyncWriteExt as _;

use super::{Name, content_type};
use crate::store::{Media, MediaFile, NewMedia, Store, StoreError};

/// A place for the files of pictures. What is known of each picture is in the database in any case.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Place {
    /// The database: one thing to back up, and every process serves every picture.
    #[default]
    Database,
    /// A folder, one file for each size. Several processes need one folder that all of them see.
    Folder(PathBuf),
}

/// Why a file could not be kept or read.
#[derive(Debug, thiserror::Error)]
pub enum PlaceError {
    /// The database failed.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The folder failed.
    #[error("the pictures' folder {}: {source}", folder.display())]
    Folder {
        /// Which.
        folder: PathBuf,
        /// What the system said.
        #[source]
        source: std::io::Error,
    },
}

impl FromStr for Place {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text.split_once(':') {
            None if text == "database" => Ok(Self::Database),
            Some(("folder", path)) if !path.is_empty() => Ok(Self::Folder(path.into())),
            _ => Err(format!("`{text}` is no place for pictures; write `database` or `folder:PATH`")),
        }
    }
}

impl Place {
    /// Keeps a picture. Its files are there before anybody is told about it.
    ///
    /// # Errors
    /// When the place or the database fails; then nothing is known of the picture.
    pub async fn keep(
        &self,
        store: &Store,
        mut picture: NewMedia,
        (user, now): (Option<i64>, i64),
    ) -> Result<(), PlaceError> {
        if let Self::Folder(folder) = self {
            for file in std::mem::take(&mut picture.files) {
                write(folder, &file.file, &file.content).await.map_err(|source| failed(folder, source))?;
            }
        }
        Ok(store.add_media(&picture, user, now).await?)
    }

    /// A file by its name. A folder's pictures come first; those that were kept in the database before are found too.
    ///
    /// # Errors
    /// When the place or the database fails.
    pub async fn read(&self, store: &Store, file: &str) -> Result<Option<MediaFile>, PlaceError> {
        let Some(content_type) = content_type(file) else { return Ok(None) };
        if let Self::Folder(folder) = self {
            match tokio::fs::read(folder.join(file)).await {
                Ok(content) => return Ok(Some(MediaFile { content_type: content_type.to_owned(), content })),
                Err(error) if error.kind() == std::io::ErrorKind::NotFound => {}
                Err(source) => return Err(failed(folder, source)),
            }
        }
        Ok(store.media_file(file).await?)
    }

    /// Deletes a picture with all its sizes. What nobody knows of any more may stay behind, never the reverse.
    ///
    /// # Errors
    /// When the place or the database fails.
    pub async fn remove(&self, store: &Store, picture: &Media) -> Result<(), PlaceError> {
        store.delete_media(picture.id).await?;
        let Self::Folder(folder) = self else { return Ok(()) };
        for file in files(&picture.file) {
            match tokio::fs::remove_file(folder.join(file)).await {
                Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
                    return Err(failed(folder, error));
                }
                _ => {}
            }
        }
        Ok(())
    }
}

/// A picture's largest file and its smaller sizes.
pub(crate) fn files(largest: &str) -> Vec<String> {
    let smaller = Name::parse(largest).map(|name| name.smaller()).unwrap_or_default();
    std::iter::once(largest.to_owned()).chain(smaller.into_iter().map(|(_, file)| file)).collect()
}

/// Writes beside and renames, so that nobody reads half a file; a name always means the same content.
async fn write(folder: &Path, name: &str, content: &[u8]) -> std::io::Result<()> {
    tokio::fs::create_dir_all(folder).await?;
    let beside = folder.join(format!(".{}.{name}", std::process::id()));
    let mut file = tokio::fs::File::create(&beside).await?;
    file.write_all(content).await?;
    file.sync_all().await?;
    tokio::fs::rename(&beside, folder.join(name)).await
}

fn failed(folder: &Path, source: std::io::Error) -> PlaceError {
    PlaceError::Folder { folder: folder.to_owned(), source }
}

#[cfg(test)]
mod tests {
    use super::Place;

    #[test]
    fn a_place_is_the_database_or_a_folder_and_anything_else_is_refused_with_the_remedy() {
        assert_eq!("database".parse(), Ok(Place::Database));
        assert_eq!("folder:/srv/pictures".parse(), Ok(Place::Folder("/srv/pictures".into())));
        for bad in ["", "folder:", "folder", "/srv/pictures", "ftp:x"] {
            assert!(bad.parse::<Place>().unwrap_err().contains("folder:PATH"), "{bad}");
        }
    }
}
