use super::Control;
use crate::config::{ConfigError, RoutesSpec};
use std::sync::Arc;

/// Where routes come from: a file, the admin port, a cluster.
pub trait Source: Send + 'static {
    /// What it is called in logs and errors.
    fn name(&self) -> String;

    /// Waits for the next complete set of routes, or for the reason why there is none. `None` ends the source.
    fn next(&mut self) -> impl Future<Output = Option<Result<RoutesSpec, ConfigError>>> + Send;
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
