//! What a writer states: types that refuse nonsense, and errors that name place, field and remedy.

mod access_log;
mod app_protocol;
mod endpoint;
mod filters;
mod matches;
mod names;
mod parse;
mod share;
mod spec;
mod sticky;

pub use access_log::AccessLogSpec;
pub use app_protocol::{AppProtocol, AppProtocolError};
pub use duration::{Duration, InvalidDuration};
pub use endpoint::{EndpointAddress, EndpointName, EndpointSpec};
pub use filters::{
    Cors, FilterSpec, Fraction, HeaderEdits, HeaderValueSpec, PathEdit, Percent, RangeError, RedirectStatus,
    RequestMirror, RequestRedirect, Scheme, UrlRewrite,
};
pub use matches::{MatchSpec, PathMatch, Pattern, ValueMatch, ValuePattern};
pub use names::{EditableHeader, HeaderName, HeaderValue, Hostname, Method, NameError, PathPrefix};
pub use parse::{ConfigError, from_json, from_yaml};
pub use share::{Share, ShareError};
pub(crate) use spec::RawTimeouts;
pub use spec::{
    BackendFilters, BackendSpec, BackendWeight, HealthSpec, Origin, OverrideSpec, QueueSpec, RequestsMax,
    RouteSpec, RoutesSpec, TimeoutsSpec,
};
pub use sticky::{IssuedCookie, StickySpec};
