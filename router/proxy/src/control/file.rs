use super::{
    Source,
    source::{SourceKind, SourceView, ViewSource},
};
use crate::config::{self, ConfigError, RoutesSpec};
use std::{
    fs, io,
    path::PathBuf,
    time::{Duration, SystemTime},
};

/// The routes file, read again whenever it changes. A file that is not there yet is waited for.
#[derive(Debug)]
pub struct FileSource {
    path: PathBuf,
    seen: Option<Fingerprint>,
    told_missing: bool,
}

/// What changes when a file is written or another one is renamed into its place.
type Fingerprint = (SystemTime, u64, u64);

/// How often the file is looked at: a weight change shall take effect at once for a person.
const POLL_INTERVAL: Duration = Duration::from_millis(50);

/// Far more than thousands of endpoints need; a larger file is a mistake.
const FILE_BYTES_MAX: u64 = 16 << 20;

// === impl FileSource ===

impl FileSource {
    /// Follows the file at `path`.
    #[must_use]
    pub const fn new(path: PathBuf) -> Self {
        Self { path, seen: None, told_missing: false }
    }

    /// Reads the file now. `None` while it does not exist.
    ///
    /// # Errors
    /// A file that can't be read or holds no usable routes.
    pub fn read(&mut self) -> Result<Option<RoutesSpec>, ConfigError> {
        let fingerprint = match self.fingerprint() {
            Ok(fingerprint) => fingerprint,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(self.error(format!("{error}; make it readable for the router"))),
        };
        self.seen = Some(fingerprint);
        if fingerprint.1 > FILE_BYTES_MAX {
            return Err(self.error(format!(
                "{} bytes are more than {FILE_BYTES_MAX}; is it the right file?",
                fingerprint.1
            )));
        }
        let text = fs::read_to_string(&self.path).map_err(|error| {
            self.error(format!("{error}; write it as UTF-8 text that the router may read"))
        })?;
        config::from_yaml(&self.path.display().to_string(), &text).map(Some)
    }

    fn fingerprint(&self) -> io::Result<Fingerprint> {
        use std::os::unix::fs::MetadataExt;
        let metadata = fs::metadata(&self.path)?;
        Ok((metadata.modified()?, metadata.len(), metadata.ino()))
    }

    fn error(&self, message: String) -> ConfigError {
        ConfigError { origin: self.path.display().to_string(), line: None, field: None, message }
    }
}

impl Source for FileSource {
    fn name(&self) -> String {
        self.path.display().to_string()
    }

    fn view(&self) -> ViewSource {
        Box::new(|| SourceView::near(SourceKind::File))
    }

    async fn next(&mut self) -> Option<Result<RoutesSpec, ConfigError>> {
        loop {
            match self.fingerprint() {
                Ok(fingerprint) if self.seen != Some(fingerprint) => {
                    if let Some(result) = self.read().transpose() {
                        return Some(result);
                    }
                }
                Err(_) if !self.told_missing => {
                    self.told_missing = true;
                    return Some(Err(self.error("is not there; write the routes into it".to_owned())));
                }
                _ => {}
            }
            tokio::time::sleep(POLL_INTERVAL).await;
        }
    }
}
