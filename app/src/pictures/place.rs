//! Where the files of pictures are kept: in the database, in a folder that all processes share, or in an S3 bucket.

use std::path::{Path, PathBuf};
use std::str::FromStr;

use super::s3::{S3, S3Address, S3Error};
use super::{Name, content_type, folder};
use crate::store::{Media, MediaFile, NewFile, NewMedia, Store, StoreError};

/// A place as the command line names it: `database`, `folder:PATH` or `s3:ADDRESS`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum PlaceName {
    /// The database.
    Database,
    /// A folder.
    Folder(PathBuf),
    /// A bucket.
    S3(S3Address),
}

/// A place for the files of pictures. What is known of each picture is in the database in any case.
#[derive(Clone, Debug, Default)]
pub enum Place {
    /// The database: one thing to back up, and every process serves every picture.
    #[default]
    Database,
    /// A folder, one file for each size. Several processes need one folder that all of them see.
    Folder(PathBuf),
    /// A bucket of a store that speaks S3, one object for each size.
    S3(Box<S3>),
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
    /// The bucket failed.
    #[error(transparent)]
    S3(#[from] S3Error),
}

// === impl PlaceError ===

impl PlaceError {
    /// Whether the same may work in a moment, without anybody mending anything.
    #[must_use]
    pub fn is_passing(&self) -> bool {
        match self {
            Self::Store(error) => error.is_unavailable(),
            Self::Folder { .. } => false,
            Self::S3(error) => error.is_passing(),
        }
    }
}

// === impl PlaceName ===

impl FromStr for PlaceName {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text.split_once(':') {
            None if text == "database" => Ok(Self::Database),
            Some(("folder", path)) if !path.is_empty() => Ok(Self::Folder(path.into())),
            Some(("s3", address)) => Ok(Self::S3(address.parse()?)),
            _ => Err(format!(
                "`{text}` is no place for pictures; write `database`, `folder:PATH` or \
                 `s3:https://HOST/BUCKET`"
            )),
        }
    }
}

impl PlaceName {
    /// The place itself. A bucket needs its region, and its keys from a file or the environment.
    ///
    /// # Errors
    /// When a bucket has no keys.
    pub fn open(&self, region: &str, keys: Option<&Path>) -> Result<Place, PlaceError> {
        Ok(match self {
            Self::Database => Place::Database,
            Self::Folder(folder) => Place::Folder(folder.clone()),
            Self::S3(address) => Place::S3(Box::new(S3::new(address, region, keys)?)),
        })
    }
}

// === impl Place ===

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
        if !matches!(self, Self::Database) {
            for file in std::mem::take(&mut picture.files) {
                self.put(file).await?;
            }
        }
        Ok(store.add_media(&picture, user, now).await?)
    }

    /// A file by its name. What the place has comes first; pictures that were kept in the database before are found
    /// too.
    ///
    /// # Errors
    /// When the place or the database fails.
    pub async fn read(&self, store: &Store, file: &str) -> Result<Option<MediaFile>, PlaceError> {
        let Some(content_type) = content_type(file) else { return Ok(None) };
        let outside = match self {
            Self::Database => None,
            Self::Folder(path) => folder::get(path, file).await.map_err(|source| failed(path, source))?,
            Self::S3(s3) => s3.get(file).await?,
        };
        match outside {
            Some(content) => Ok(Some(MediaFile { content_type: content_type.to_owned(), content })),
            None => Ok(store.media_file(file).await?),
        }
    }

    /// Whether pictures can be read here, found out by asking for one that nobody has.
    ///
    /// # Errors
    /// When the place or the database fails.
    pub async fn ask(&self, store: &Store) -> Result<(), PlaceError> {
        self.read(store, "0000000000000000-1x1.png").await.map(|_| ())
    }

    /// Deletes a picture with all its sizes. What nobody knows of any more may stay behind, never the reverse.
    ///
    /// # Errors
    /// When the place or the database fails.
    pub async fn remove(&self, store: &Store, picture: &Media) -> Result<(), PlaceError> {
        store.delete_media(picture.id).await?;
        for file in files(&picture.file) {
            match self {
                Self::Database => {}
                Self::Folder(path) => {
                    folder::delete(path, &file).await.map_err(|source| failed(path, source))?;
                }
                Self::S3(s3) => s3.delete(&file).await?,
            }
        }
        Ok(())
    }

    async fn put(&self, file: NewFile) -> Result<(), PlaceError> {
        match self {
            Self::Database => Ok(()),
            Self::Folder(path) => folder::put(path, &file).await.map_err(|source| failed(path, source)),
            Self::S3(s3) => Ok(s3.put(file).await?),
        }
    }
}

/// A picture's largest file and its smaller sizes.
pub(crate) fn files(largest: &str) -> Vec<String> {
    let smaller = Name::parse(largest).map(|name| name.smaller()).unwrap_or_default();
    std::iter::once(largest.to_owned()).chain(smaller.into_iter().map(|(_, file)| file)).collect()
}

fn failed(folder: &Path, source: std::io::Error) -> PlaceError {
    PlaceError::Folder { folder: folder.to_owned(), source }
}

#[cfg(test)]
mod tests {
    use super::PlaceName;

    #[test]
    fn a_place_is_the_database_a_folder_or_a_bucket_and_anything_else_is_refused_with_the_remedy() {
        assert_eq!("database".parse(), Ok(PlaceName::Database));
        assert_eq!("folder:/srv/pictures".parse(), Ok(PlaceName::Folder("/srv/pictures".into())));
        assert!(matches!("s3:http://127.0.0.1:9000/blog".parse(), Ok(PlaceName::S3(_))));
        for bad in ["", "folder:", "folder", "/srv/pictures", "ftp:x"] {
            assert!(bad.parse::<PlaceName>().unwrap_err().contains("folder:PATH"), "{bad}");
        }
        assert!("s3:".parse::<PlaceName>().unwrap_err().contains("s3:https://"));
    }
}
