//! The compiled routes: an immutable [`Table`] that each request reads once, and the state that outlives a table.

mod backend;
mod budget;
mod endpoint;
mod filters;
mod matching;
mod queue;
mod state;
mod table;
mod trip;

pub use backend::{Backend, NotPicked};
pub use budget::Budget;
pub use endpoint::{Age, Endpoint, EndpointState, Pending};
pub use filters::Filters;
pub(crate) use filters::edit;
pub use matching::{Matcher, Target};
pub use queue::{Place, Queue};
pub use state::{BackendState, InFlight, RouteState};
pub use table::{Client, Route, Table};
pub use trip::{Trip, TripReport};
