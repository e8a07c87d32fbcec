//! What would become of a request, and why. Nothing is sent and no sequence moves.

use super::{Admin, refusal};
use crate::{
    config,
    downstream::gate::{Refusal, check_path},
    message::{Fields, Request},
    routes::{Backend, Client, EndpointState, Route, Target},
};
use axum::{
    Json,
    body::Bytes,
    extract::State,
    http::{HeaderName, HeaderValue, StatusCode, Version},
    response::{IntoResponse, Response},
};
use serde::{Deserialize, Serialize};
use split::{Reason, Track};
use std::{
    collections::BTreeMap,
    net::{IpAddr, Ipv4Addr, SocketAddr},
};

/// A request, as far as routes look at it.
#[derive(Deserialize)]
#[serde(deny_unknown_fields, default)]
struct Question {
    method: String,
    host: String,
    /// With the query.
    path: String,
    headers: BTreeMap<String, String>,
    /// The client's.
    address: IpAddr,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Explanation {
    /// All of it in words.
    sentence: String,
    route: Option<String>,
    /// What of the route fits.
    matched: Option<String>,
    /// The router's own answer, where no backend is asked.
    status: Option<u16>,
    /// `header`, `cookie`, `sticky` or `weight`.
    decided_by: Option<&'static str>,
    track: Option<Track>,
    /// None where the weights decide from request to request.
    backend: Option<String>,
    backends: Vec<Share>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Share {
    name: String,
    track: Track,
    /// Of the requests that the weights decide about, 0 to 1.
    share: f64,
    /// What happens to a request that goes there.
    outcome: String,
    endpoints: Vec<Place>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Place {
    address: SocketAddr,
    state: EndpointState,
    in_flight: usize,
}

pub(super) async fn post(State(admin): State<Admin>, body: Bytes) -> Response {
    let question: Question = match config::from_json("POST /explain", &body) {
        Ok(question) => question,
        Err(error) => return refusal(StatusCode::UNPROCESSABLE_ENTITY, error.to_string()),
    };
    let request = match question.request() {
        Ok(request) => request,
        Err(error) => return refusal(StatusCode::UNPROCESSABLE_ENTITY, error),
    };
    if let Err(Refusal { status, why }) = check_path(request.target().as_bytes()) {
        let sentence = format!("The router refuses it with {}: {why}.", status.as_u16());
        return Json(Explanation::own(status.as_u16(), sentence)).into_response();
    }
    let (table, _) = admin.control.acknowledged().await;
    let target = Target::of(&request, &question.host);
    let explanation = match table.find(&target) {
        Some(route) => explain(route, &question, (&request, &target)),
        None => Explanation::own(404, "No route takes this request: the router answers 404.".to_owned()),
    };
    Json(explanation).into_response()
}

fn explain(route: &Route, question: &Question, (request, target): (&Request, &Target<'_>)) -> Explanation {
    let name = &route.spec.name;
    let matched = route.matcher.describe(target);
    let fits = format!("Route {name} takes it ({matched})");
    let prefix = route.matcher.prefix_of(target);
    let with_route = |explanation| Explanation {
        route: Some(name.clone()),
        matched: Some(matched.clone()),
        ..explanation
    };
    if let Some((status, _)) = route.filters.answer(request, ("http", &question.host), prefix) {
        let status = status.as_u16();
        return with_route(Explanation::own(status, format!("{fits} and a filter of it answers {status}.")));
    }
    let backends: Vec<_> = route.backends.iter().map(|backend| Share::new(route, backend)).collect();
    let choice =
        route.would_choose(Client { fields: &request.fields, address: question.address, issued: None });
    let Some(choice) = choice else {
        let own =
            Explanation::own(503, format!("{fits}, but all its weights are zero: the router answers 503."));
        return with_route(Explanation { backends, ..own });
    };
    let is_certain = choice.reason != Reason::Weight || backends.iter().any(|backend| backend.share >= 1.0);
    let backend =
        route.backends.get(choice.backend).filter(|_| is_certain).map(|backend| backend.name.clone());
    let sentence = match &backend {
        Some(backend) => {
            let outcome =
                backends.iter().find(|share| share.name == *backend).map_or("", |share| &share.outcome);
            format!("{fits}. {} decides: it goes to {backend}. {outcome}", reason(choice.reason))
        }
        None => {
            let shares: Vec<_> = backends
                .iter()
                .map(|share| format!("{:.2} % to {}", 100.0 * share.share, share.name))
                .collect();
            format!("{fits}. The weights decide from request to request: {}.", shares.join(", "))
        }
    };
    let tripped = if route.is_canary_out() { " The canary is tripped: only overrides reach it." } else { "" };
    with_route(Explanation {
        sentence: format!("{sentence}{tripped}"),
        route: None,
        matched: None,
        status: None,
        decided_by: Some(choice.reason.as_str()),
        track: backend.is_some().then_some(choice.track),
        backend,
        backends,
    })
}

const fn reason(reason: Reason) -> &'static str {
    match reason {
        Reason::Header => "The override header",
        Reason::Cookie => "The override cookie",
        Reason::Sticky => "The client's sticky key",
        Reason::Weight => "The weight",
    }
}

// === impl Question ===

impl Default for Question {
    fn default() -> Self {
        let (method, path) = ("GET".to_owned(), "/".to_owned());
        Self {
            method,
            host: String::new(),
            path,
            headers: BTreeMap::new(),
            address: Ipv4Addr::LOCALHOST.into(),
        }
    }
}

impl Question {
    fn request(&self) -> Result<Request, String> {
        let method = self.method.parse().map_err(|error| format!("method: {error}"))?;
        let request = Request::new(method, self.path.as_bytes(), Version::HTTP_11, self.fields()?);
        request.filter(|_| self.path.starts_with('/')).ok_or_else(|| {
            format!("path {:?} is not usable; begin it with '/' and encode what is no URI", self.path)
        })
    }

    fn fields(&self) -> Result<Fields, String> {
        let mut fields = Fields::default();
        for (name, value) in &self.headers {
            let bad = |what: &str| format!("headers.{name}: the {what} can't be sent in a request");
            let value = HeaderValue::from_str(value).map_err(|_| bad("value"))?;
            let name = HeaderName::try_from(name.as_str()).map_err(|_| bad("name"))?;
            fields.append(name.as_str(), value.as_bytes());
        }
        Ok(fields)
    }
}

// === impl Explanation ===

impl Explanation {
    const fn own(status: u16, sentence: String) -> Self {
        Self {
            sentence,
            route: None,
            matched: None,
            status: Some(status),
            decided_by: None,
            track: None,
            backend: None,
            backends: Vec::new(),
        }
    }
}

// === impl Share ===

impl Share {
    fn new(route: &Route, backend: &Backend) -> Self {
        let place = |endpoint: &std::sync::Arc<crate::routes::Endpoint>| Place {
            address: endpoint.address,
            state: endpoint.state(),
            in_flight: endpoint.pending(),
        };
        let endpoints: Vec<_> = backend.endpoints.iter().map(place).collect();
        let ready = endpoints.iter().filter(|place| place.state == EndpointState::Ready).count();
        let outcome = match (backend.is_invalid, endpoints.len(), ready) {
            (true, ..) => "It can't be used: the router answers 500.".to_owned(),
            (_, 0, _) => "It has no endpoint: the router answers 503.".to_owned(),
            (_, 1, _) => "Its only endpoint gets it.".to_owned(),
            (_, all, 0) => {
                format!("All {all} endpoints are ejected; the less loaded of two random ones gets it.")
            }
            (_, all, ready) => {
                format!("Of {all} endpoints {ready} are ready; the less loaded of two random ones gets it.")
            }
        };
        Self {
            name: backend.name.clone(),
            track: backend.track,
            share: route.share_of(backend),
            outcome,
            endpoints,
        }
    }
}
