//! What processes print.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Read as _, Seek as _, SeekFrom};
use std::path::{Path, PathBuf};

/// A file beyond this size is set aside before the next start; as a kubelet does.
const ROTATE_BYTES: u64 = 10 * 1024 * 1024;
/// How much of a file's end is looked at for its last line.
const TAIL_BYTES: u64 = 4096;
/// How much of a line is shown.
const LINE_CHARS: usize = 200;

/// The file of a replica.
pub(super) fn path(folder: &Path, replica: &str) -> PathBuf {
    folder.join(format!("{replica}.log"))
}

/// Opens the file of a replica to add to it.
pub(super) fn open(path: &Path) -> io::Result<File> {
    if let Some(folder) = path.parent() {
        fs::create_dir_all(folder)?;
    }
    if fs::metadata(path).is_ok_and(|file| file.len() > ROTATE_BYTES) {
        fs::rename(path, path.with_added_extension("1"))?;
    }
    OpenOptions::new().append(true).create(true).open(path)
}

/// The last line that is not empty, among those printed after the file had `from` bytes.
pub(super) fn last_line(path: &Path, from: u64) -> Option<String> {
    let mut file = File::open(path).ok()?;
    let start = file.metadata().ok()?.len().saturating_sub(TAIL_BYTES).max(from);
    file.seek(SeekFrom::Start(start)).ok()?;
    let mut bytes = Vec::new();
    file.take(TAIL_BYTES).read_to_end(&mut bytes).ok()?;
    let text = String::from_utf8_lossy(&bytes);
    let line = text.lines().rev().map(str::trim).find(|line| !line.is_empty())?;
    Some(line.chars().filter(|char| !char.is_control()).take(LINE_CHARS).collect())
}
