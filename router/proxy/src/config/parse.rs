use super::RoutesSpec;
use serde::{Deserialize, Serialize};
use std::fmt;

/// A configuration that can't be used. The last good one stays in force.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct ConfigError {
    /// The file, or what else it came from.
    pub origin: String,
    /// Line, from 1, where it is known.
    pub line: Option<u64>,
    /// The path of the field, like `routes[0].backends[1].weight`, where it is known.
    pub field: Option<String>,
    /// What is wrong and what to write instead.
    pub message: String,
}

/// Reads routes from YAML.
///
/// # Errors
/// Broken YAML, unknown or missing fields, values out of range.
pub fn from_yaml(origin: &str, text: &str) -> Result<RoutesSpec, ConfigError> {
    let mut field = None;
    let result = serde_saphyr::with_deserializer_from_str(text, |deserializer| {
        let mut track = serde_path_to_error::Track::new();
        let tracked = serde_path_to_error::Deserializer::new(deserializer, &mut track);
        RoutesSpec::deserialize(tracked).inspect_err(|_| field = Some(track.path().to_string()))
    });
    result.map_err(|error| ConfigError {
        origin: origin.to_owned(),
        line: error.location().map(|location| location.line()),
        field: field.filter(|path| path != "."),
        message: one_line(&error),
    })
}

/// Reads any type from JSON, as the admin port takes it.
///
/// # Errors
/// Broken JSON, unknown or missing fields, values out of range.
pub fn from_json<T: for<'de> Deserialize<'de>>(origin: &str, text: &[u8]) -> Result<T, ConfigError> {
    let mut deserializer = serde_json::Deserializer::from_slice(text);
    let result = serde_path_to_error::deserialize(&mut deserializer).and_then(|value| {
        // Something after the value, like a second object, would otherwise be ignored.
        deserializer
            .end()
            .map(|()| value)
            .map_err(|error| serde_path_to_error::Error::new(serde_path_to_error::Track::new().path(), error))
    });
    result.map_err(|error| {
        let path = error.path().to_string();
        let inner = error.into_inner();
        let line = u64::try_from(inner.line()).ok().filter(|&line| line > 0);
        let message = inner.to_string();
        ConfigError { origin: origin.to_owned(), line, field: Some(path).filter(|path| path != "."), message }
    })
}

/// The message alone: line and field are told apart, and a log line has no room for a picture.
fn one_line(error: &serde_saphyr::Error) -> String {
    let options = serde_saphyr::render_options! {
        formatter: &serde_saphyr::UserMessageFormatter,
        snippets: serde_saphyr::SnippetMode::Off,
    };
    let text = error.render_with_options(options);
    text.rsplit_once(" at line ").map_or(text.clone(), |(message, _)| message.to_owned())
}

// === impl ConfigError ===

impl fmt::Display for ConfigError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { origin, line, field, message } = self;
        f.write_str(origin)?;
        if let Some(line) = line {
            write!(f, ", line {line}")?;
        }
        if let Some(field) = field {
            write!(f, ", field {field}")?;
        }
        write!(f, ": {message}")
    }
}

impl std::error::Error for ConfigError {}
