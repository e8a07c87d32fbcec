use super::{
    answer,
    body::{Body, Passing, RequestBody, Source},
    failure::Failure,
    headers,
    record::{Attempt, Record},
    upstream::{Unanswered, Upstream},
};
use crate::{
    lifecycle::Phase,
    routes::{Client, Endpoint, Pending, Route},
    worker::Worker,
};
use bytes::{Bytes, BytesMut};
use hyper::{
    Method, Request, Response, StatusCode,
    body::{Body as _, Incoming},
    header::{self, HeaderValue},
    http::request,
};
use split::Track;
use std::{
    convert::Infallible,
    future::poll_fn,
    net::SocketAddr,
    rc::Rc,
    sync::Arc,
    time::{Duration, Instant},
};
use tokio::time;

/// One request: its route, what is left to send, and how long it may take.
struct Exchange {
    worker: Rc<Worker>,
    request: Outbound,
    /// Endpoints that failed this request.
    tried: Vec<u64>,
    deadline: Instant,
}

/// The request in a form that can be sent again where that is allowed.
enum Outbound {
    /// Idempotent and without a body: as often as needed.
    Repeatable(request::Parts),
    /// Anything else: once, or again when not a byte of it was sent.
    Once(Option<Request<RequestBody>>),
}

/// An answer whose head may be passed on.
struct Answered {
    response: Response<()>,
    held: Option<Bytes>,
    source: Source,
}

/// The most endpoints that are asked, on both tracks together.
const ATTEMPTS_MAX: usize = 4;

/// Connecting to an endpoint nearby takes milliseconds; a lost SYN is repeated after one second.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(3);

/// A canary's answer up to this size is held back until it is complete, so that stable can still answer instead.
const HELD_BYTES_MAX: usize = 64 * 1024;

/// How long a canary's answer of unknown length is held back at most.
const HELD_TIME_MAX: Duration = Duration::from_millis(250);

/// Answers one request. It never fails: whatever happens becomes a response.
pub(crate) async fn handle(
    worker: Rc<Worker>,
    client: SocketAddr,
    request: Request<Incoming>,
) -> Result<Response<Body>, Infallible> {
    let is_draining = *worker.shared.phase.borrow() >= Phase::Draining;
    let mut response = respond(worker, client, request).await;
    if is_draining {
        response.headers_mut().insert(header::CONNECTION, HeaderValue::from_static("close"));
    }
    Ok(response)
}

async fn respond(worker: Rc<Worker>, client: SocketAddr, request: Request<Incoming>) -> Response<Body> {
    let (mut parts, body) = request.into_parts();
    if let Err(refusal) = headers::prepare_request(&mut parts, client.ip()) {
        return refuse(refusal);
    }
    let record = match choose(&worker, &parts, client) {
        Ok(chosen) => chosen,
        Err((status, text)) => return answer::text(status, text),
    };
    let deadline = Instant::now() + record.0.route().timeouts().request.get();
    let exchange = Exchange { worker, request: Outbound::new(parts, body), tried: Vec::new(), deadline };
    exchange.run(record.0, record.1).await
}

fn refuse(refusal: headers::Refusal) -> Response<Body> {
    let text = match refusal {
        headers::Refusal::Host => "exactly one Host header is needed\n",
        headers::Refusal::Authority => "the target and the Host header disagree\n",
        headers::Refusal::Connect => "CONNECT is not for this server\n",
    };
    let mut response = answer::text(StatusCode::BAD_REQUEST, text);
    response.headers_mut().insert(header::CONNECTION, HeaderValue::from_static("close"));
    response
}

/// Reads the table once. The table is held without waiting, and the request counts as in flight before it is
/// let go: that is what an acknowledgement of a new table waits for.
fn choose(
    worker: &Worker,
    parts: &request::Parts,
    client: SocketAddr,
) -> Result<(Record, Option<Pending>), (StatusCode, &'static str)> {
    let table = worker.shared.table.load();
    let found = table.find(headers::host_of(&parts.headers), parts.uri.path());
    let route = found.ok_or((StatusCode::NOT_FOUND, "no route takes this host and path\n"))?;
    let choice = route.choose(Client { headers: &parts.headers, address: client.ip() });
    let choice = choice.ok_or((StatusCode::SERVICE_UNAVAILABLE, "all weights of this route are zero\n"))?;
    let backend = &route.backends[choice.backend];
    let record = Record::new(Arc::clone(route), choice.track, Attempt::First, backend.state.begin());
    let picked = backend.pick(&mut worker.rng.borrow_mut(), &[]).map(|endpoint| Arc::clone(endpoint).begin());
    Ok((record, picked))
}

// === impl Outbound ===

impl Outbound {
    fn new(parts: request::Parts, body: Incoming) -> Self {
        let idempotent = matches!(
            parts.method,
            Method::GET | Method::HEAD | Method::OPTIONS | Method::TRACE | Method::PUT | Method::DELETE
        );
        let is_empty = body.is_end_stream();
        if idempotent && is_empty {
            return Self::Repeatable(parts);
        }
        let body = if is_empty { RequestBody::Empty } else { RequestBody::Stream(body) };
        Self::Once(Some(Request::from_parts(parts, body)))
    }

    const fn is_repeatable(&self) -> bool {
        matches!(self, Self::Repeatable(_))
    }

    fn can_send(&self) -> bool {
        !matches!(self, Self::Once(None))
    }

    fn take(&mut self) -> Option<Request<RequestBody>> {
        match self {
            Self::Repeatable(parts) => Some(Request::from_parts(parts.clone(), RequestBody::Empty)),
            Self::Once(request) => request.take(),
        }
    }

    /// A request came back unsent.
    fn put_back(&mut self, unsent: Option<Request<RequestBody>>) {
        if let Self::Once(request) = self {
            *request = unsent;
        }
    }
}

// === impl Exchange ===

impl Exchange {
    /// Attempt after attempt until there is an answer.
    async fn run(mut self, mut record: Record, mut picked: Option<Pending>) -> Response<Body> {
        for attempts in 1.. {
            let failure = match self.attempt(&mut record, picked).await {
                Ok(answered) => return pass_on(answered, record),
                Err(failure) => failure,
            };
            let class = failure.class();
            let next = if attempts < ATTEMPTS_MAX { self.next(&record, failure) } else { None };
            let Some((route, track, next_picked, in_flight)) = next else {
                record.fail(class);
                let (status, text) = failure.answer();
                return answer::text(status, text);
            };
            if record.track() == Track::Canary && track == Track::Stable {
                self.worker.shared.metrics.count_failover(&route.spec.name, failure.reason());
            }
            // The next attempt is counted before this one ends, so that the request is in flight all the time.
            let next_record = Record::new(route, track, Attempt::Later, in_flight);
            record.give_up(class);
            (record, picked) = (next_record, Some(next_picked));
        }
        answer::text(StatusCode::BAD_GATEWAY, "the service could not be reached\n")
    }

    /// Where to go after a failure: another endpoint of the track, and from a canary to stable.
    fn next(
        &mut self,
        record: &Record,
        failure: Failure,
    ) -> Option<(Arc<Route>, Track, Pending, crate::routes::InFlight)> {
        let unsent = failure == Failure::Connect || failure == Failure::Reset;
        let may_repeat = self.request.is_repeatable() || (unsent && self.request.can_send());
        if !may_repeat
            || Instant::now() >= self.deadline
            || failure == Failure::NoEndpoint && self.tried.is_empty()
        {
            return None;
        }
        // The routes may have changed meanwhile; endpoints that left must not be asked.
        let table = self.worker.shared.table.load();
        let route = table.named(&record.route().spec.name)?;
        let tracks: &[Track] = match (record.track(), failure) {
            (Track::Canary, Failure::Status(_) | Failure::Timeout | Failure::Malformed) => &[Track::Stable],
            (Track::Canary, _) => &[Track::Canary, Track::Stable],
            (Track::Stable, Failure::Timeout) => &[],
            (Track::Stable, _) => &[Track::Stable],
        };
        tracks.iter().find_map(|&track| {
            let backend = &route.backends[route.other(track)?];
            let endpoint = backend.pick(&mut self.worker.rng.borrow_mut(), &self.tried)?;
            Some((Arc::clone(route), track, Arc::clone(endpoint).begin(), backend.state.begin()))
        })
    }

    /// Asks one endpoint.
    async fn attempt(&mut self, record: &mut Record, picked: Option<Pending>) -> Result<Answered, Failure> {
        let picked = picked.ok_or(Failure::NoEndpoint)?;
        let endpoint = Arc::clone(picked.endpoint());
        record.at(picked);
        let limit = record.route().timeouts().backend_request.get();
        let limit = limit.min(self.deadline.saturating_duration_since(Instant::now()));
        let is_guarded = record.track() == Track::Canary && self.request.is_repeatable();
        let result = match time::timeout(limit, self.ask(&endpoint, is_guarded)).await {
            Ok(result) => result,
            Err(_) => Err(Failure::Timeout),
        };
        match &result {
            Ok(answered) => record.head(answered.response.status()),
            Err(failure) => {
                self.tried.push(endpoint.id);
                if failure.blames_endpoint() {
                    endpoint.failed();
                }
            }
        }
        result
    }

    /// Sends the request by an idle or a new connection. An idle one that the endpoint closed meanwhile is no
    /// failure: where the request may be sent again, it goes by the next one.
    async fn ask(&mut self, endpoint: &Arc<Endpoint>, is_guarded: bool) -> Result<Answered, Failure> {
        loop {
            let idle = self.worker.pool.borrow_mut().take(endpoint);
            let is_reused = idle.is_some();
            let mut upstream = match idle {
                Some(upstream) => upstream,
                None => {
                    let connecting =
                        time::timeout(CONNECT_TIMEOUT, Upstream::connect(endpoint.address)).await;
                    Box::new(connecting.map_err(|_| Failure::Connect)??)
                }
            };
            let request = self.request.take().ok_or(Failure::Reset)?;
            match upstream.round_trip(request).await {
                Ok(response) => {
                    let (parts, incoming) = response.into_parts();
                    let response = Response::from_parts(parts, ());
                    let (worker, endpoint) = (Rc::clone(&self.worker), Arc::clone(endpoint));
                    let source = Source { incoming, upstream: Some(upstream), endpoint, worker };
                    let answered = Answered { response, held: None, source };
                    return if is_guarded { answered.guard().await } else { Ok(answered) };
                }
                Err(Unanswered { failure, unsent }) => {
                    self.request.put_back(unsent);
                    if !(is_reused && failure == Failure::Reset && self.request.can_send()) {
                        return Err(failure);
                    }
                }
            }
        }
    }
}

// === impl Answered ===

impl Answered {
    /// Looks at a canary's answer before the client sees it: a server error, or a body that breaks within its first
    /// part, is a failure that stable can make good.
    async fn guard(mut self) -> Result<Self, Failure> {
        let status = self.response.status();
        if status.is_server_error() {
            return Err(Failure::Status(status));
        }
        let is_stream = self.response.headers().get(header::CONTENT_TYPE).is_some_and(|value| {
            value.as_bytes().starts_with(b"text/event-stream")
                || value.as_bytes().starts_with(b"application/grpc")
        });
        let length = self.source.incoming.size_hint().upper();
        let is_long = length.is_some_and(|length| length > HELD_BYTES_MAX as u64);
        if is_stream || is_long || self.source.incoming.is_end_stream() {
            return Ok(self);
        }
        let mut held = BytesMut::new();
        let hold = self.hold(&mut held);
        let result = match length {
            Some(_) => hold.await,
            // A body without a stated length may be a slow stream on purpose.
            None => time::timeout(HELD_TIME_MAX, hold).await.unwrap_or(Ok(())),
        };
        result?;
        self.held = Some(held.freeze()).filter(|held| !held.is_empty());
        Ok(self)
    }

    async fn hold(&mut self, held: &mut BytesMut) -> Result<(), Failure> {
        while held.len() < HELD_BYTES_MAX {
            match poll_fn(|cx| self.source.poll_frame(cx)).await {
                None => return Ok(()),
                Some(Err(_)) => return Err(Failure::Reset),
                Some(Ok(frame)) => {
                    if let Ok(data) = frame.into_data() {
                        held.extend_from_slice(&data);
                    }
                }
            }
        }
        Ok(())
    }
}

fn pass_on(answered: Answered, mut record: Record) -> Response<Body> {
    let Answered { response, held, source } = answered;
    let (mut parts, ()) = response.into_parts();
    headers::prepare_response(&mut parts.headers);
    let is_complete = source.upstream.is_none();
    if is_complete {
        record.complete();
        return Response::from_parts(parts, Body::Full(held));
    }
    let mut passing = Box::new(Passing { held, source, record });
    if passing.held.is_none() && passing.source.incoming.is_end_stream() {
        // hyper does not ask for a body that has ended; so the connection is given back here.
        let mut cx = std::task::Context::from_waker(std::task::Waker::noop());
        let _ = passing.poll_frame(&mut cx);
        return Response::from_parts(parts, Body::Full(None));
    }
    Response::from_parts(parts, Body::Stream(passing))
}
