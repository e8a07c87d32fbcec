//! The control plane: where routes come from, how they are put in force, and the port where people and the
//! promoter ask. Nothing here runs on a worker.

mod admin;
mod apply;
mod file;
mod source;
mod tls;

pub use admin::serve as serve_admin;
pub use apply::{Control, WeightsError};
pub use file::FileSource;
pub use source::{Source, follow};
pub use tls::follow as follow_tls;
