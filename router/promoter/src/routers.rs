//! What a router says of itself on its admin port.

use crate::http::Client;
use hyper::Uri;
use serde::{Deserialize, Deserializer, de};
use split::Track;
use std::net::{IpAddr, SocketAddr};

/// The admin address of a router, such as `http://127.0.0.1:8081`.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Admin(String);

/// The part of `GET /routes` that matters here; other fields may be there.
#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct RouterState {
    pub(crate) generation: u64,
    #[serde(default)]
    pub(crate) last_error: Option<String>,
    #[serde(default)]
    pub(crate) source: Option<SourceState>,
    pub(crate) routes: Vec<RouteState>,
}

/// Where a router has its routes from.
#[derive(Clone, Debug, Deserialize)]
pub(crate) struct SourceState {
    #[serde(default)]
    pub(crate) connected: Option<bool>,
}

/// One route of a router.
#[derive(Clone, Debug, Deserialize)]
pub(crate) struct RouteState {
    pub(crate) name: String,
    #[serde(default)]
    pub(crate) generation: u64,
    /// The identity of the HTTPRoute, where it comes from one.
    #[serde(default)]
    pub(crate) uid: Option<String>,
    /// Why it answers nobody, if so.
    #[serde(default)]
    pub(crate) error: Option<String>,
    #[serde(default)]
    pub(crate) tripped: Option<TripState>,
    pub(crate) backends: Vec<BackendState>,
}

/// That a router took the candidate out by itself.
#[derive(Clone, Debug, Deserialize)]
pub(crate) struct TripState {
    pub(crate) failed: u64,
    pub(crate) of: u64,
}

/// One backend of a route.
#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct BackendState {
    pub(crate) track: Track,
    pub(crate) weight: u64,
    pub(crate) in_flight: u64,
    /// Why it answers nobody, if so.
    #[serde(default)]
    pub(crate) invalid: Option<String>,
    #[serde(default)]
    pub(crate) endpoints: Vec<EndpointState>,
}

/// A replica that a router knows.
#[derive(Clone, Debug, Deserialize)]
pub(crate) struct EndpointState {
    pub(crate) address: SocketAddr,
}

/// Asks a router what it does.
///
/// # Errors
/// A sentence without the address, where there is no answer or one of something else.
pub(crate) async fn ask(client: &Client, admin: &Admin) -> Result<RouterState, String> {
    let answer = client.get(&admin.page("/routes")).await.map_err(|error| error.to_string())?;
    if !answer.status.is_success() {
        return Err(format!("answered {}", answer.status));
    }
    serde_json::from_slice(&answer.body).map_err(|_| "this is not the admin port of a router".to_owned())
}

// === impl Admin ===

impl Admin {
    /// The admin port of the router at this address.
    pub fn at(ip: IpAddr, port: u16) -> Self {
        Self(format!("http://{}", SocketAddr::new(ip, port)))
    }

    /// The address of one of its pages.
    pub fn page(&self, path: &str) -> String {
        format!("{}{path}", self.0)
    }

    /// The address.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl<'de> Deserialize<'de> for Admin {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        let uri = text.parse::<Uri>().ok().filter(|uri| {
            uri.scheme_str() == Some("http") && uri.port_u16().is_some() && matches!(uri.path(), "" | "/")
        });
        match uri {
            Some(_) => Ok(Self(text.trim_end_matches('/').to_owned())),
            None => Err(de::Error::custom(format!(
                "`{text}` is not the address of an admin port; write it as http://127.0.0.1:8081"
            ))),
        }
    }
}

// === impl RouteState ===

impl RouteState {
    /// The canary's weight in basis points.
    pub(crate) fn share_of_canary(&self) -> u64 {
        let sum: u64 = self.backends.iter().map(|backend| backend.weight).sum();
        let canary = self.of(Track::Canary).map(|backend| backend.weight).sum::<u64>();
        (canary * 10_000).checked_div(sum).unwrap_or(0)
    }

    /// The requests of a track that have not ended.
    pub(crate) fn in_flight(&self, track: Track) -> u64 {
        self.of(track).map(|backend| backend.in_flight).sum()
    }

    /// The backends of a track.
    pub(crate) fn of(&self, track: Track) -> impl Iterator<Item = &BackendState> {
        self.backends.iter().filter(move |backend| backend.track == track)
    }
}
