use super::{
    AccessLogSpec, AppProtocol, Duration, EndpointSpec, FilterSpec, HeaderEdits, MatchSpec, PathMatch,
    StickySpec, names,
};
use serde::{Deserialize, Deserializer, Serialize, de};
use split::{MAX_BACKEND_WEIGHT, MAX_BACKENDS, Track};
use std::{collections::HashSet, fmt};

/// All routes, as a writer states them: the content of the routes file and of `PUT /routes`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", try_from = "RawRoutes")]
pub struct RoutesSpec {
    /// The writer's number, reported back once no later request can use older weights.
    pub generation: u64,
    /// The routes; the most specific match wins, whatever the order.
    pub routes: Vec<RouteSpec>,
    /// Which requests are logged; what the flags say where it is not stated.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub access_log: Option<AccessLogSpec>,
    /// What the source could not carry out as it was meant; the routes are in force nevertheless.
    #[serde(skip)]
    pub problems: Vec<String>,
}

/// Which requests a route takes, and where they go.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", try_from = "RawRoute")]
pub struct RouteSpec {
    /// Unique; the label in metrics and the path in the admin API.
    pub name: String,
    /// Hosts without a port, `*.example.com` for any host below; empty: every host.
    pub hostnames: Vec<names::Hostname>,
    /// One of these must fit. `pathPrefix: /blog` is short for `matches: [{path: {type: PathPrefix, value: /blog}}]`.
    pub matches: Vec<MatchSpec>,
    /// What is done to requests and answers, in this order.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub filters: Vec<FilterSpec>,
    /// At least one, unless the route redirects; at most 16.
    pub backends: Vec<BackendSpec>,
    /// Whether and by what clients stay on their track.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub sticky: Option<StickySpec>,
    /// Where a request may choose its track itself.
    #[serde(rename = "override", skip_serializing_if = "Option::is_none")]
    pub overrides: Option<OverrideSpec>,
    /// How long an answer may take.
    pub timeouts: TimeoutsSpec,
    /// The object that it was read from, where that has a generation of its own.
    #[serde(skip)]
    pub origin: Option<Origin>,
}

/// The object of a cluster that a route was read from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Origin {
    /// Another one for each object that ever had the same name.
    pub uid: String,
    /// Counts the changes of what the object asks for.
    pub generation: u64,
    /// What of it can't be carried out as it was meant, and what is done instead.
    pub problem: Option<String>,
}

/// One version of a service.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct BackendSpec {
    /// Unique within the route.
    pub name: String,
    /// The track that it serves; stable where it is not stated.
    #[serde(default)]
    pub track: Track,
    /// The share is this weight over the sum of all weights of the route.
    #[serde(default)]
    pub weight: BackendWeight,
    /// Its replicas: addresses, or names for all addresses that DNS knows for them; each with a port.
    #[serde(default)]
    pub endpoints: Vec<EndpointSpec>,
    /// Why the backend can't be used; its share is answered with 500.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub invalid: Option<String>,
    /// Changes of headers for this backend only, after those of the route.
    #[serde(default, skip_serializing_if = "BackendFilters::is_empty")]
    pub filters: BackendFilters,
    /// What the endpoints speak.
    #[serde(default, skip_serializing_if = "AppProtocol::is_default")]
    pub app_protocol: AppProtocol,
    /// Requests at a time at one endpoint; more are answered with 503 when all endpoints are full.
    #[serde(default)]
    pub max_requests: RequestsMax,
    /// Requests that may wait until an endpoint has room; none where it is not stated.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub queue: Option<QueueSpec>,
    /// How long an endpoint that joins others takes to its full share; at once where it is not stated.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub slow_start: Option<Duration>,
    /// How endpoints are asked whether they are well; not at all where it is not stated.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub health: Option<HealthSpec>,
}

/// Requests that wait for room.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct QueueSpec {
    /// How many; more are answered with 503.
    pub max_requests: std::num::NonZeroU32,
    /// How long; then they are answered with 503. Default 1s.
    #[serde(default = "one_second")]
    pub timeout: Duration,
}

/// A question to each endpoint. 200 to 399 in time is well.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct HealthSpec {
    /// What is asked for, with GET.
    pub path: names::PathPrefix,
    /// How often; default 5s, at least 100ms.
    #[serde(default = "five_seconds")]
    pub interval: Duration,
    /// How long an answer may take; default 1s.
    #[serde(default = "one_second")]
    pub timeout: Duration,
    /// Failures in a row after which it gets no requests; default 3.
    #[serde(default = "three")]
    pub unhealthy_after: std::num::NonZeroU32,
    /// Successes in a row after which it gets requests again; default 2.
    #[serde(default = "two")]
    pub healthy_after: std::num::NonZeroU32,
}

/// Changes of headers for one backend.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct BackendFilters {
    /// Of the request.
    pub request_header_modifier: HeaderEdits,
    /// Of the answer.
    pub response_header_modifier: HeaderEdits,
}

/// A limit of at least 1; 1,024 where none is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct RequestsMax(pub std::num::NonZeroU32);

/// An integer from 0 to 1,000,000; 1 where none is written, as in the Gateway API.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct BackendWeight(pub u32);

/// Where a request says `always` or `never`.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct OverrideSpec {
    /// This header; it wins over the cookie.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub header: Option<names::HeaderName>,
    /// This cookie.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cookie: Option<String>,
}

/// How long an answer may take until its head is there.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", from = "RawTimeouts")]
pub struct TimeoutsSpec {
    /// All attempts together; default 60s, or as long as one attempt where that is longer; without limit with 0s.
    pub request: Duration,
    /// One attempt on one backend; default 30s, or all of `request` where only that is stated; without limit with 0s.
    pub backend_request: Duration,
    /// How long an answer or an upgraded connection may be silent once it has begun; default 5m.
    pub idle: Duration,
}

/// A rule that no single field can break alone.
#[derive(Debug, thiserror::Error)]
enum RuleError {
    #[error("route name {0:?} is used twice; give each route its own name")]
    RouteTwice(String),
    #[error("backend name {0:?} is used twice in route {1:?}; give each backend its own name")]
    BackendTwice(String, String),
    #[error("route {0:?} has no backends; write at least one")]
    NoBackends(String),
    #[error("route {0:?} has {1} backends; write at most {MAX_BACKENDS}")]
    TooManyBackends(String, usize),
    #[error("name {0:?} is not usable; write 1 to 253 letters, digits, '.', '_' or '-'")]
    Name(String),
    #[error("route {0:?} has pathPrefix and matches; write the prefix as one of the matches")]
    PrefixAndMatches(String),
}

/// As they are stated.
#[derive(Clone, Copy, Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub(crate) struct RawTimeouts {
    pub(crate) request: Option<Duration>,
    pub(crate) backend_request: Option<Duration>,
    pub(crate) idle: Option<Duration>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct RawRoutes {
    #[serde(default)]
    generation: u64,
    routes: Vec<RouteSpec>,
    access_log: Option<AccessLogSpec>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct RawRoute {
    name: String,
    #[serde(default)]
    hostnames: Vec<names::Hostname>,
    path_prefix: Option<names::PathPrefix>,
    #[serde(default)]
    matches: Vec<MatchSpec>,
    #[serde(default)]
    filters: Vec<FilterSpec>,
    backends: Vec<BackendSpec>,
    sticky: Option<StickySpec>,
    #[serde(rename = "override")]
    overrides: Option<OverrideSpec>,
    #[serde(default)]
    timeouts: TimeoutsSpec,
}

fn one_second() -> Duration {
    std::time::Duration::from_secs(1).into()
}

fn five_seconds() -> Duration {
    std::time::Duration::from_secs(5).into()
}

const fn two() -> std::num::NonZeroU32 {
    std::num::NonZeroU32::MIN.saturating_add(1)
}

const fn three() -> std::num::NonZeroU32 {
    std::num::NonZeroU32::MIN.saturating_add(2)
}

// === impl RoutesSpec ===

impl TryFrom<RawRoutes> for RoutesSpec {
    type Error = RuleError;

    fn try_from(RawRoutes { generation, routes, access_log }: RawRoutes) -> Result<Self, RuleError> {
        let mut seen = HashSet::new();
        for route in &routes {
            if !seen.insert(&route.name) {
                return Err(RuleError::RouteTwice(route.name.clone()));
            }
        }
        Ok(Self { generation, routes, access_log, problems: Vec::new() })
    }
}

// === impl RouteSpec ===

impl TryFrom<RawRoute> for RouteSpec {
    type Error = RuleError;

    fn try_from(raw: RawRoute) -> Result<Self, RuleError> {
        let RawRoute {
            name,
            hostnames,
            path_prefix,
            mut matches,
            filters,
            backends,
            sticky,
            overrides,
            timeouts,
        } = raw;
        if path_prefix.is_some() && !matches.is_empty() {
            return Err(RuleError::PrefixAndMatches(name));
        }
        if matches.is_empty() {
            let path = PathMatch::PathPrefix(path_prefix.unwrap_or_default());
            matches.push(MatchSpec { path, ..MatchSpec::default() });
        }
        let mut seen = HashSet::new();
        for backend in &backends {
            if !seen.insert(&backend.name) {
                return Err(RuleError::BackendTwice(backend.name.clone(), name));
            }
        }
        if let Some(bad) = std::iter::once(&name).chain(seen).find(|name| !names::is_name(name)) {
            return Err(RuleError::Name(bad.clone()));
        }
        let redirects = filters.iter().any(|filter| matches!(filter, FilterSpec::RequestRedirect(_)));
        match backends.len() {
            0 if !redirects => Err(RuleError::NoBackends(name)),
            0..=MAX_BACKENDS => {
                let origin = None;
                Ok(Self { name, hostnames, matches, filters, backends, sticky, overrides, timeouts, origin })
            }
            count => Err(RuleError::TooManyBackends(name, count)),
        }
    }
}

// === impl BackendWeight ===

impl Default for BackendWeight {
    fn default() -> Self {
        Self(1)
    }
}

impl<'de> Deserialize<'de> for BackendWeight {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Visitor;

        impl de::Visitor<'_> for Visitor {
            type Value = BackendWeight;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, "an integer from 0 to {MAX_BACKEND_WEIGHT} (5 % is 500 beside 9500)")
            }

            fn visit_u64<E: de::Error>(self, number: u64) -> Result<BackendWeight, E> {
                let weight = u32::try_from(number).ok().filter(|&weight| weight <= MAX_BACKEND_WEIGHT);
                weight
                    .map(BackendWeight)
                    .ok_or_else(|| E::invalid_value(de::Unexpected::Unsigned(number), &self))
            }

            fn visit_i64<E: de::Error>(self, number: i64) -> Result<BackendWeight, E> {
                match u64::try_from(number) {
                    Ok(number) => self.visit_u64(number),
                    Err(_) => Err(E::invalid_value(de::Unexpected::Signed(number), &self)),
                }
            }
        }
        deserializer.deserialize_any(Visitor)
    }
}

// === impl BackendFilters ===

impl BackendFilters {
    /// Whether nothing is changed.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }
}

// === impl RequestsMax ===

impl Default for RequestsMax {
    fn default() -> Self {
        Self(std::num::NonZeroU32::MIN.saturating_add(1023))
    }
}

// === impl TimeoutsSpec ===

/// Longer than any process lives.
const WITHOUT_LIMIT: std::time::Duration = std::time::Duration::from_secs(365 * 24 * 3_600);

impl TimeoutsSpec {
    /// With a length where zero stands for none.
    #[must_use]
    pub(crate) fn in_force(self) -> Self {
        let limit = |duration: Duration| match duration.get() {
            std::time::Duration::ZERO => WITHOUT_LIMIT.into(),
            _ => duration,
        };
        let Self { request, backend_request, idle } = self;
        Self { request: limit(request), backend_request: limit(backend_request), idle: limit(idle) }
    }
}

impl From<RawTimeouts> for TimeoutsSpec {
    /// What is stated alone is not cut by the default of the other.
    fn from(RawTimeouts { request, backend_request, idle }: RawTimeouts) -> Self {
        let seconds = |seconds| Duration::from(std::time::Duration::from_secs(seconds));
        let whole = match backend_request {
            Some(attempt) if attempt == Duration::default() => attempt,
            attempt => attempt.unwrap_or_default().max(seconds(60)),
        };
        Self {
            request: request.unwrap_or(whole),
            backend_request: backend_request.or(request).unwrap_or(seconds(30)),
            idle: idle.unwrap_or(seconds(300)),
        }
    }
}

impl Default for TimeoutsSpec {
    fn default() -> Self {
        RawTimeouts::default().into()
    }
}
