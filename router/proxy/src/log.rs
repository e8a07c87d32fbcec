//! The log of the process, whose filter can be changed while it runs.

use std::{
    io::{self, IsTerminal as _},
    sync::{Mutex, OnceLock, PoisonError},
};
use tracing_subscriber::{
    EnvFilter, Layer, Registry, fmt, layer::SubscriberExt, reload, util::SubscriberInitExt,
};

/// How log lines look.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub enum LogFormat {
    /// For people.
    Text,
    /// For machines: one JSON object a line.
    Json,
}

/// Why the log can't be as asked.
#[derive(Debug, thiserror::Error)]
pub enum LogError {
    /// Not a filter.
    #[error("filter {0:?}: {1}; write it like info or proxy=debug")]
    Filter(String, String),
    /// Something else in the process has a log already, or nothing has.
    #[error("the log of this process is not the router's own")]
    Foreign,
}

/// There is one log in a process; the text is what the filter was made from.
static FILTER: OnceLock<(reload::Handle<EnvFilter, Registry>, Mutex<String>)> = OnceLock::new();

/// Logs to standard error from now on.
///
/// # Errors
/// The filter can't be read, or there is a log already.
pub fn start(filter: &str, format: LogFormat) -> Result<(), LogError> {
    let (layer, handle) = reload::Layer::new(parse(filter)?);
    let lines = fmt::layer().with_writer(io::stderr).with_ansi(io::stderr().is_terminal());
    let lines = match format {
        LogFormat::Text => lines.boxed(),
        LogFormat::Json => lines.json().boxed(),
    };
    tracing_subscriber::registry().with(layer).with(lines).try_init().map_err(|_| LogError::Foreign)?;
    FILTER.set((handle, Mutex::new(filter.to_owned()))).map_err(|_| LogError::Foreign)
}

/// What is logged now.
#[must_use]
pub fn filter() -> Option<String> {
    FILTER.get().map(|(_, text)| text.lock().unwrap_or_else(PoisonError::into_inner).clone())
}

/// Logs by another filter from now on.
///
/// # Errors
/// The filter can't be read, or the log is not the router's.
pub fn set_filter(filter: &str) -> Result<(), LogError> {
    let parsed = parse(filter)?;
    let (handle, text) = FILTER.get().ok_or(LogError::Foreign)?;
    let mut text = text.lock().unwrap_or_else(PoisonError::into_inner);
    handle.reload(parsed).map_err(|_| LogError::Foreign)?;
    filter.clone_into(&mut text);
    Ok(())
}

fn parse(filter: &str) -> Result<EnvFilter, LogError> {
    filter.parse().map_err(|error: tracing_subscriber::filter::ParseError| {
        LogError::Filter(filter.to_owned(), error.to_string())
    })
}
