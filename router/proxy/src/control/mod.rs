//! The control plane: where routes come from, how they are put in force, and the port where people and the
//! promoter ask. Nothing here runs on a worker.

mod admin;
mod apply;
mod file;
mod health;
mod kubernetes;
mod names;
mod source;
mod tls;

pub use admin::{Access, Token, TokenError, serve as serve_admin};
pub use apply::{Control, WeightsError};
pub use file::FileSource;
pub use health::check as check_health;
pub use kubernetes::{KubernetesError, KubernetesSource, Parent, ParentError};
pub use names::refresh as refresh_names;
pub use source::{Source, SourceKind, SourceView, ViewSource, follow};
pub use tls::follow as follow_tls;
