//! The compiled routes: an immutable [`Table`] that each request reads once, and the state that outlives a table.

mod endpoint;
mod matching;
mod state;
mod table;
mod trip;

pub use endpoint::{Endpoint, EndpointState, Pending};
pub use matching::Matcher;
pub use state::{BackendState, InFlight, RouteState};
pub use table::{Backend, Client, Route, Table};
pub use trip::{Trip, TripReport};
