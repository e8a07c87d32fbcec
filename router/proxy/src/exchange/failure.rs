use crate::{metrics::Class, upstream::Trouble};
use hyper::StatusCode;

/// Why an attempt brought no answer that may be passed on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Failure {
    /// No route takes the request.
    NoRoute,
    /// All weights of the route are zero.
    NoWeight,
    /// The backend has no endpoint, or none that was not tried already.
    NoEndpoint,
    /// The backend does not exist.
    Invalid,
    /// All endpoints have as many requests as they may.
    Overloaded,
    /// No connection could be made.
    Connect,
    /// The connection broke before a whole answer was there.
    Reset,
    /// What came is no HTTP.
    Malformed,
    /// No head in time.
    Timeout,
    /// The endpoint refused the request unseen.
    Refused,
    /// The body of the request broke off or is malformed.
    Request,
    /// The body of the request came too slowly.
    Slow,
    /// A server error of a canary that stable can make good.
    Status(StatusCode),
}

impl Failure {
    /// The label in metrics and logs.
    pub(super) const fn reason(self) -> &'static str {
        match self {
            Self::NoRoute => "no_route",
            Self::NoWeight => "no_weight",
            Self::NoEndpoint => "no_endpoint",
            Self::Invalid => "invalid",
            Self::Overloaded => "overloaded",
            Self::Connect => "connect",
            Self::Reset => "reset",
            Self::Malformed => "malformed",
            Self::Timeout => "timeout",
            Self::Refused => "refused",
            Self::Request => "request",
            Self::Slow => "slow",
            Self::Status(_) => "5xx",
        }
    }

    /// What it is counted as.
    pub(super) fn class(self) -> Class {
        match self {
            Self::Status(status) => Class::of(status),
            Self::NoWeight | Self::NoEndpoint | Self::Invalid | Self::Overloaded => Class::Status(5),
            Self::NoRoute | Self::Request | Self::Slow => Class::Status(4),
            Self::Connect | Self::Refused | Self::Reset | Self::Malformed | Self::Timeout => Class::Error,
        }
    }

    /// The status and sentence for the client when nothing else can be done.
    pub(super) const fn answer(self) -> (StatusCode, &'static str) {
        match self {
            Self::NoRoute => (StatusCode::NOT_FOUND, "no route takes this request\n"),
            Self::NoWeight => (StatusCode::SERVICE_UNAVAILABLE, "all weights of this route are zero\n"),
            Self::NoEndpoint => (StatusCode::SERVICE_UNAVAILABLE, "no endpoint is ready\n"),
            Self::Invalid => {
                (StatusCode::INTERNAL_SERVER_ERROR, "the backend of this route does not exist\n")
            }
            Self::Overloaded => (StatusCode::SERVICE_UNAVAILABLE, "the service is overloaded\n"),
            Self::Connect => (StatusCode::BAD_GATEWAY, "the service could not be reached\n"),
            Self::Reset => (StatusCode::BAD_GATEWAY, "the service broke the connection\n"),
            Self::Malformed => (StatusCode::BAD_GATEWAY, "the service sent no valid answer\n"),
            Self::Timeout => (StatusCode::GATEWAY_TIMEOUT, "the service did not answer in time\n"),
            Self::Refused => (StatusCode::SERVICE_UNAVAILABLE, "the service refused the request\n"),
            Self::Slow => (StatusCode::REQUEST_TIMEOUT, "the body of the request came too slowly\n"),
            Self::Request => (StatusCode::BAD_REQUEST, "the body of the request is broken\n"),
            Self::Status(status) => (status, "the service failed\n"),
        }
    }

    /// Whether it may be the endpoint's fault, if it happens again and again.
    pub(super) const fn is_bad_answer(self) -> bool {
        matches!(self, Self::Status(_) | Self::Timeout)
    }

    /// Whether the endpoint, and not only this request, is in trouble.
    pub(super) const fn blames_endpoint(self) -> bool {
        matches!(self, Self::Connect | Self::Reset | Self::Malformed)
    }
}

impl From<Trouble> for Failure {
    fn from(trouble: Trouble) -> Self {
        match trouble {
            Trouble::Broken => Self::Reset,
            Trouble::Malformed => Self::Malformed,
            Trouble::Refused => Self::Refused,
            Trouble::Request => Self::Request,
            Trouble::Slow => Self::Slow,
        }
    }
}
