//! What a writer states: types that refuse nonsense, and errors that name place, field and remedy.

mod duration;
mod names;
mod parse;
mod spec;

pub use duration::{Duration, DurationError};
pub use names::{HeaderName, Hostname, NameError, PathPrefix};
pub use parse::{ConfigError, from_json, from_yaml};
pub use spec::{
    BackendSpec, BackendWeight, EndpointAddress, OverrideSpec, RouteSpec, RoutesSpec, StickySpec,
    TimeoutsSpec,
};
