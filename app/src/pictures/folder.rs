//! Pictures in a folder, one file for each size.

use std::io::{ErrorKind, Result};
use std::path::Path;

use tokio::io::AsyncWriteExt as _;

use crate::store::NewFile;

/// Writes beside and renames, so that nobody reads half a file; a name always means the same content.
pub(super) async fn put(folder: &Path, new: &NewFile) -> Result<()> {
    tokio::fs::create_dir_all(folder).await?;
    let beside = folder.join(format!(".{}.{}", std::process::id(), new.file));
    let mut file = tokio::fs::File::create(&beside).await?;
    file.write_all(&new.content).await?;
    file.sync_all().await?;
    tokio::fs::rename(&beside, folder.join(&new.file)).await
}

/// A file's bytes; `None` where it is not there.
pub(super) async fn get(folder: &Path, file: &str) -> Result<Option<Vec<u8>>> {
    if_there(tokio::fs::read(folder.join(file)).await)
}

/// Deletes a file, if it is there.
pub(super) async fn delete(folder: &Path, file: &str) -> Result<()> {
    if_there(tokio::fs::remove_file(folder.join(file)).await).map(|_| ())
}

fn if_there<T>(done: Result<T>) -> Result<Option<T>> {
    match done {
        Ok(done) => Ok(Some(done)),
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error),
    }
}
