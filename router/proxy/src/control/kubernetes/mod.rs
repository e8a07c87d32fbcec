//! Routes from a cluster: HTTPRoutes, and the Services and EndpointSlices that they lead to.
//!
//! ```text
//! watches ──► stores ──► translate (pure) ──► RoutesSpec ──► Control::apply
//! ```
//!
//! Nothing is written to the cluster. While the API server is away the stores stay as they are, and so do the routes.

mod annotations;
mod cluster;
mod contact;
mod filters;
mod matches;
mod objects;
mod parent;
mod proven;
mod source;
mod translate;

pub use parent::{Parent, ParentError};
pub use source::{KubernetesError, KubernetesSource};
