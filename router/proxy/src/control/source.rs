use super::Control;
use crate::config::{ConfigError, RoutesSpec};
use jiff::Timestamp;
use serde::Serialize;
use std::sync::Arc;

/// Where routes come from: a file, the admin port, a cluster.
pub trait Source: Send + 'static {
    /// What it is called in logs and errors.
    fn name(&self) -> String;

    /// Tells at any later time how the source is.
    fn view(&self) -> ViewSource;

    /// Waits for the next complete set of routes, or for the reason why there is none. `None` ends the source.
    fn next(&mut self) -> impl Future<Output = Option<Result<RoutesSpec, ConfigError>>> + Send;
}

/// See [`Source::view`].
pub type ViewSource = Box<dyn Fn() -> SourceView + Send + Sync>;

/// What a person and the promoter are told about the source.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct SourceView {
    /// Which one it is.
    pub kind: SourceKind,
    /// Whether a change would be heard of.
    pub connected: bool,
    /// When it was heard of last, where that is known.
    pub last_event: Option<Timestamp>,
    /// Why it is not connected.
    pub error: Option<String>,
}

/// The kinds of sources.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum SourceKind {
    /// Whoever uses `PUT /routes`.
    Admin,
    /// A routes file.
    File,
    /// HTTPRoutes.
    Kubernetes,
}

// === impl SourceView ===

impl SourceView {
    /// A source that can't be cut off.
    #[must_use]
    pub const fn near(kind: SourceKind) -> Self {
        Self { kind, connected: true, last_event: None, error: None }
    }
}

/// Puts in force whatever `source` brings, until it ends. What can't be used is reported and skipped.
pub async fn follow<S: Source>(mut source: S, control: Arc<Control>) {
    while let Some(next) = source.next().await {
        match next {
            Ok(spec) => control.apply(&source.name(), spec).await,
            Err(error) => control.refuse(error),
        }
    }
}
