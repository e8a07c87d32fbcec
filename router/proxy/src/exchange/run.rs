use super::{
    answer,
    asker::{self, Asker},
    attempt::Answered,
    body::{Body, Passing},
    choose::{self, Chosen, Own},
    failure::Failure,
    forward::{self, Framing, Hop},
    grpc, mirror,
    record::{Attempt, Record},
};
use crate::{
    downstream::{Busy, Client, Incoming, Refusal, StreamBody, Tunnel, Upload},
    lifecycle::Phase,
    lines,
    message::{Fields, Request, Response},
    routes::{self, Pending, Target},
    timers::Timer,
    upstream::{Answering, RequestBody, h1::Pace},
    worker::Worker,
};
use bytes::Bytes;
use hyper::{StatusCode, Version, body, header::HeaderValue};
use split::Track;
use std::{convert::Infallible, rc::Rc, slice, time::Instant};

/// One request: what is sent, where it was sent already, and how long it may take.
pub(super) struct Exchange {
    pub(super) worker: Rc<Worker>,
    pub(super) client: Rc<Client>,
    pub(super) busy: Busy,
    asker: Asker,
    pub(super) request: Request,
    framing: Framing,
    /// The attempt that is under way.
    pub(super) record: Record,
    pub(super) body: RequestBody,
    pub(super) pace: Pace,
    /// A byte of it was written to a backend.
    pub(super) was_sent: bool,
    /// Sending it twice does no harm, and all of it is at hand.
    is_repeatable: bool,
    pub(super) is_grpc: bool,
    /// The sticky key that the client gets.
    set_cookie: Option<HeaderValue>,
    /// Endpoints that failed this request.
    pub(super) tried: Vec<u64>,
    pub(super) deadline: Instant,
    pub(super) timer: Timer,
}

/// A request that was looked at.
enum Begun {
    /// The router answers itself.
    Answered(Response<Body>),
    /// A backend is asked, at this endpoint first.
    Asking(Box<Exchange>, Result<Pending, Failure>),
}

/// The most endpoints that are asked, on both tracks together.
const ATTEMPTS_MAX: usize = 4;

/// The most endpoints of a canary before stable is asked, so that it has as many: all of a canary may be broken.
const CANARY_ATTEMPTS_MAX: usize = 2;

/// Answers one request. It never fails: whatever happens becomes a response.
pub(crate) async fn handle(
    client: Rc<Client>,
    request: hyper::Request<body::Incoming>,
) -> Result<hyper::Response<Body>, Infallible> {
    let (parts, body) = request.into_parts();
    let version = parts.version;
    let begun = begin(&client, parts.into(), Some(Incoming::Http1(body)));
    Ok(finished(&client, begun.response().await, version).into_hyper())
}

/// Answers one request of HTTP/1.1 that has no body.
///
/// It begins at once, so that the future has no room for the request.
pub(crate) fn handle_simple(client: &Rc<Client>, request: Request) -> impl Future<Output = Response<Body>> {
    let begun = begin(client, request, None);
    async move { finished(client, begun.response().await, Version::HTTP_11) }
}

/// Answers one request of HTTP/2.
pub(crate) async fn handle_stream(
    client: Rc<Client>,
    request: Request,
    body: Option<StreamBody>,
) -> Response<Body> {
    let begun = begin(&client, request, body.map(Incoming::Http2));
    finished(&client, begun.response().await, Version::HTTP_2)
}

fn finished(client: &Client, mut response: Response<Body>, version: Version) -> Response<Body> {
    response.body.begins(response.status);
    if response.status == StatusCode::SWITCHING_PROTOCOLS {
        return response;
    }
    client.stays_http();
    let is_last = client.worker.phase.get() >= Phase::Draining || client.is_last();
    if is_last { answer::last(response, version) } else { response }
}

/// Does all that can be done before the first attempt.
fn begin(client: &Rc<Client>, mut request: Request, body: Option<Incoming>) -> Begun {
    let mut busy = client.busy();
    let body = body.filter(|body| !body.is_end_stream());
    if let Some(Refusal { status, why }) = client.refusal(&request) {
        busy.line.fails("bad_request");
        return Begun::Answered(answer::last(answer::to(&request, (status, why), busy), request.version));
    }
    let mut asker = Asker::new(client, &request);
    busy.line.asked(&request, &asker);
    if let Some(status) = forward::last_hop(&mut request) {
        return Begun::Answered(answer::with(status, Fields::default(), busy));
    }
    let chosen = match choose::first(&client.worker, &request, &asker) {
        Ok(chosen) => chosen,
        Err(Own::Failed(failure)) => {
            busy.line.fails(failure.reason());
            return Begun::Answered(answer::to(&request, failure.answer(), busy));
        }
        Err(Own::Filter(status, fields)) => return Begun::Answered(answer::with(status, fields, busy)),
    };
    let (filters, matcher) = (&chosen.route.filters, &chosen.route.matcher);
    if filters.may_rewrite() {
        let prefix = matcher.prefix_of(&Target::of(&request, asker::host(&request))).to_owned();
        asker.rewritten_host = filters.rewrite(&mut request, &prefix);
    }
    mirror::send(&client.worker, &request, (&asker, filters, body.is_none()));
    let set_cookie = chosen.set_cookie.clone();
    let (record, picked) = chosen.begin(Attempt::First);
    let exchange = Exchange::new((client, busy), (asker, request, body), (record, set_cookie));
    Begun::Asking(exchange, picked)
}

// === impl Begun ===

impl Begun {
    async fn response(self) -> Response<Body> {
        match self {
            Self::Answered(response) => response,
            Self::Asking(exchange, picked) => exchange.run(picked).await,
        }
    }
}

// === impl Exchange ===

impl Exchange {
    fn new(
        (client, busy): (&Rc<Client>, Busy),
        (asker, request, body): (Asker, Request, Option<Incoming>),
        (record, set_cookie): (Record, Option<HeaderValue>),
    ) -> Box<Self> {
        let is_empty = body.is_none();
        let expects = !is_empty && request.version != Version::HTTP_10 && request.fields.contains("expect");
        // A backend that does not know that it is asked would be waited for in vain.
        let expects = expects && !record.route().filters.removes("expect");
        let worker = Rc::clone(&client.worker);
        let upload = |body| {
            let upload = Upload::new(body, busy.line.received()).without(forward::named(&request.fields));
            if request.version == Version::HTTP_2 { upload.of_stream(&worker) } else { upload }
        };
        let (framing, body) = match body {
            None => (Framing::None, RequestBody::Empty),
            Some(body) if request.fields.contains("content-length") => {
                (Framing::Length, RequestBody::Length(upload(body)))
            }
            Some(body) => (Framing::Chunked, RequestBody::Chunked(upload(body))),
        };
        Box::new(Self {
            timer: worker.timers.timer(),
            worker,
            client: Rc::clone(client),
            busy,
            body,
            pace: if expects { Pace::WhenAsked } else { Pace::AtOnce },
            was_sent: false,
            is_repeatable: is_empty && request.method.is_idempotent(),
            is_grpc: grpc::is_call(&request),
            asker,
            request,
            framing,
            set_cookie,
            tried: Vec::new(),
            deadline: record.started() + record.route().timeouts().request.get(),
            record,
        })
    }

    pub(super) const fn is_repeatable(&self) -> bool {
        self.is_repeatable
    }

    /// Whether the client asked for this protocol.
    pub(super) fn wants_upgrade(&self, agreed: Option<&[u8]>) -> bool {
        let (Some(offers), Some(agreed)) = (self.asker.offers(&self.request), agreed) else { return false };
        lines::tokens(offers).any(|offer| offer.eq_ignore_ascii_case(agreed))
    }

    /// Whether the request may go to a backend now without the risk that it is carried out twice.
    pub(super) const fn can_send(&self) -> bool {
        self.is_repeatable || !self.was_sent
    }

    /// Writes the head as the backend that is asked is to get it.
    pub(super) fn put_head(&self, out: &mut Vec<u8>) {
        forward::encode(&self.request, &self.hop(), self.framing, out);
    }

    /// The head as the backend that is asked is to get it, where that speaks HTTP/2.
    pub(super) fn h2_request(&self) -> Option<hyper::Request<()>> {
        forward::to_h2(&self.request, &self.hop())
    }

    fn hop(&self) -> Hop<'_> {
        let of_backend = self.record.backend().map(|backend| &backend.filters.request_header_modifier);
        let of_backend = of_backend.filter(|edits| !edits.is_empty()).map_or(&[][..], slice::from_ref);
        let edits = [self.record.route().filters.request.as_slice(), of_backend];
        Hop { edits, ..self.asker.hop(&self.request) }
    }

    /// Attempt after attempt until there is an answer.
    async fn run(mut self: Box<Self>, mut picked: Result<Pending, Failure>) -> Response<Body> {
        for attempts in 1.. {
            let failure = match self.attempt(picked).await {
                Ok(answered) => return self.pass_on(answered),
                Err(failure) => failure,
            };
            self.busy.line.fails(failure.reason());
            let next = if attempts < ATTEMPTS_MAX { self.next(failure, attempts) } else { None };
            let Some(next) = next else { return self.give_up(failure) };
            picked = self.change(failure, next);
        }
        answer::text(StatusCode::BAD_GATEWAY, "the service could not be reached\n", self.busy)
    }

    /// Where to go after a failure: another endpoint of the track, and from a canary to stable.
    fn next(&self, failure: Failure, attempts: usize) -> Option<Chosen> {
        if !self.can_send() || Instant::now() >= self.deadline {
            return None;
        }
        let record = &self.record;
        let tracks: &[Track] = match (record.track(), failure) {
            // A track that can take nothing keeps its share; nobody asked to spill it over.
            (
                _,
                Failure::NoRoute
                | Failure::NoWeight
                | Failure::NoEndpoint
                | Failure::Invalid
                | Failure::Overloaded
                | Failure::Request
                | Failure::Slow,
            ) => &[],
            // The fault of the version, which another endpoint would repeat, or of its time, which is spent.
            (Track::Canary, Failure::Status(_) | Failure::Timeout) => &[Track::Stable],
            (Track::Stable, Failure::Timeout | Failure::Status(_)) => &[],
            (Track::Canary, _) if attempts >= CANARY_ATTEMPTS_MAX => &[Track::Stable, Track::Canary],
            (Track::Canary, Failure::Connect | Failure::Refused | Failure::Reset | Failure::Malformed) => {
                &[Track::Canary, Track::Stable]
            }
            (Track::Stable, Failure::Connect | Failure::Refused | Failure::Reset | Failure::Malformed) => {
                &[Track::Stable]
            }
        };
        tracks.iter().find_map(|&track| {
            let next = choose::next(&self.worker, &record.route().spec.name, track, &self.tried)?;
            // The same request at stable is one more for stable only, so it needs no budget.
            (track != record.track() || record.route().state.budget.withdraw()).then_some(next)
        })
    }

    /// The next attempt is counted before the last one ends, so that the request is in flight all the time.
    fn change(&mut self, failure: Failure, next: Chosen) -> Result<Pending, Failure> {
        if self.record.track() == Track::Canary && next.track == Track::Stable {
            self.worker.shared.metrics.count_failover(&next.route.spec.name, failure.reason());
        }
        let (record, picked) = next.begin(Attempt::Later);
        std::mem::replace(&mut self.record, record).give_up(failure.class());
        picked
    }

    fn pass_on(self: Box<Self>, answered: Answered) -> Response<Body> {
        let Self { mut busy, mut record, request, set_cookie, timer, client, is_grpc, .. } = *self;
        let Answered { mut response, held, mut source } = answered;
        record.route().filters.edit_response(&mut response.fields, request.fields.get_str("origin"));
        if let Some(backend) = record.backend() {
            routes::edit(&backend.filters.response_header_modifier, &mut response.fields);
        }
        if let Some(cookie) = set_cookie {
            response.fields.append("set-cookie", cookie.as_bytes());
        }
        let idle = record.route().timeouts().idle.get();
        if response.status == StatusCode::SWITCHING_PROTOCOLS
            && let Some(Answering::H1(connection)) = source.answering.take()
        {
            record.complete();
            let mut line = std::mem::take(&mut busy.line);
            line.answers(response.status);
            client.tunnel(Tunnel { connection, record, line, timer, idle });
        } else if source.answering.is_none() {
            record.complete();
        } else {
            let is_sized = source.remaining().is_some();
            let passing = Passing { held, source, record, timer, idle, is_grpc, is_sized };
            let passing = Box::new(passing);
            return response.with(Body::passing(passing, busy));
        }
        response.with(Body::full(held.unwrap_or_else(Bytes::new), busy))
    }

    fn give_up(mut self: Box<Self>, failure: Failure) -> Response<Body> {
        self.record.fail(failure.class());
        let response = answer::to(&self.request, failure.answer(), self.busy);
        // The rest of a broken request can't be told from the next one.
        if failure == Failure::Request { answer::last(response, self.request.version) } else { response }
    }
}
