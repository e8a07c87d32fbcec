//! What the access log tells about a request.

use super::{
    asker::{self, Asker},
    record::Record,
};
use crate::{
    access_log::{AccessLog, Wanted},
    message::Request,
    routes::Route,
    worker::Worker,
};
use hyper::{Method, StatusCode, Version};
use jiff::Timestamp;
use serde::Serialize;
use split::Track;
use std::{
    cell::Cell,
    net::{IpAddr, SocketAddr},
    rc::Rc,
    sync::Arc,
    time::{Duration, Instant},
};

/// The line of one request, where it may have one; it is written when this is dropped.
#[derive(Default)]
pub(crate) struct Line(Option<Box<Entry>>);

struct Entry {
    log: Arc<AccessLog>,
    wanted: Wanted,
    time: Timestamp,
    began: Instant,
    client: IpAddr,
    asked: Option<Asked>,
    /// The track that the split or an override chose.
    chosen: Option<Track>,
    /// The route, the backend's place in it, and its track.
    goal: Option<(Arc<Route>, usize, Track)>,
    endpoint: Option<SocketAddr>,
    attempts: u32,
    status: Option<StatusCode>,
    first_byte: Option<Duration>,
    received: Rc<Cell<u64>>,
    sent: u64,
    /// Nothing is missing of the answer.
    is_whole: bool,
    reason: Option<&'static str>,
}

/// The request, before a filter changed it.
struct Asked {
    version: Version,
    method: Method,
    target: String,
    host: String,
    id: String,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Fields<'a> {
    time: Timestamp,
    id: Option<&'a str>,
    client: IpAddr,
    protocol: Option<&'static str>,
    method: Option<&'a str>,
    host: Option<&'a str>,
    path: Option<&'a str>,
    status: Option<u16>,
    route: Option<&'a str>,
    chosen: Option<Track>,
    track: Option<Track>,
    backend: Option<&'a str>,
    endpoint: Option<SocketAddr>,
    attempts: u32,
    bytes_received: u64,
    bytes_sent: u64,
    first_byte_ms: Option<f64>,
    duration_ms: f64,
    reason: Option<&'static str>,
}

/// Of an id that a client made up, no more is told.
const ID_CHARS_MAX: usize = 128;

/// The client was gone before it had the whole answer.
const CLIENT_LEFT: &str = "client_left";

// === impl Line ===

impl Line {
    /// A request begins.
    pub(crate) fn begin(worker: &Worker, client: IpAddr) -> Self {
        let log = &worker.shared.access_log;
        let Some(wanted) = log.wants(&worker.rng) else { return Self(None) };
        Self(Some(Box::new(Entry {
            log: Arc::clone(log),
            wanted,
            time: Timestamp::now(),
            began: Instant::now(),
            client,
            asked: None,
            chosen: None,
            goal: None,
            endpoint: None,
            attempts: 0,
            status: None,
            first_byte: None,
            received: Rc::default(),
            sent: 0,
            is_whole: false,
            reason: None,
        })))
    }

    /// This is asked for.
    pub(super) fn asked(&mut self, request: &Request, asker: &Asker) {
        if let Some(entry) = &mut self.0 {
            entry.client = asker.address;
            let id = request.fields.get_str("x-request-id");
            entry.asked = Some(Asked {
                version: request.version,
                method: request.method.clone(),
                target: request.target().to_owned(),
                host: asker::host(request).to_owned(),
                id: id.map_or_else(|| asker.id_text(), |id| id.chars().take(ID_CHARS_MAX).collect()),
            });
        }
    }

    /// An attempt is made on this backend.
    pub(super) fn goes_to(&mut self, record: &Record) {
        if let Some(entry) = &mut self.0 {
            entry.chosen.get_or_insert(record.track());
            entry.goal = Some((Arc::clone(record.route()), record.index(), record.track()));
            entry.endpoint = None;
        }
    }

    /// This endpoint of it is asked.
    pub(super) fn asks(&mut self, endpoint: SocketAddr) {
        if let Some(entry) = &mut self.0 {
            entry.endpoint = Some(endpoint);
            entry.attempts += 1;
        }
    }

    /// Something went wrong; the last reason counts.
    pub(crate) fn fails(&mut self, reason: &'static str) {
        if let Some(entry) = &mut self.0 {
            entry.reason = Some(reason);
        }
    }

    /// The head of an answer is passed on.
    pub(super) fn answers(&mut self, status: StatusCode) {
        if let Some(entry) = &mut self.0 {
            entry.status = Some(status);
            entry.first_byte = Some(entry.began.elapsed());
            // Nobody asks for the body of such an answer.
            entry.is_whole = entry.asked.as_ref().is_some_and(|asked| asked.method == Method::HEAD);
        }
    }

    /// A piece of the answer is passed on.
    pub(crate) fn sends(&mut self, bytes: u64) {
        if let Some(entry) = &mut self.0 {
            entry.sent += bytes;
        }
    }

    /// Nothing of the answer is missing.
    pub(crate) fn is_whole(&mut self) {
        if let Some(entry) = &mut self.0 {
            entry.is_whole = true;
        }
    }

    /// So much was passed on both ways after a change of protocol.
    pub(crate) fn passed(&mut self, received: u64, sent: u64) {
        if let Some(entry) = &mut self.0 {
            entry.received.set(received);
            entry.sent = sent;
        }
    }

    /// Counts what the client sends after the head.
    pub(crate) fn received(&self) -> Option<Rc<Cell<u64>>> {
        self.0.as_ref().map(|entry| Rc::clone(&entry.received))
    }
}

// === impl Entry ===

impl Entry {
    fn is_failed(&self) -> bool {
        self.reason.is_some() || self.status.is_some_and(|status| status.is_server_error())
    }

    fn fields(&self) -> Fields<'_> {
        let asked = self.asked.as_ref();
        let (route, backend, track) =
            self.goal.as_ref().map_or((None, None, None), |(route, index, track)| {
                (Some(route.spec.name.as_str()), route.backends.get(*index), Some(*track))
            });
        Fields {
            time: self.time,
            id: asked.map(|asked| asked.id.as_str()),
            client: self.client,
            protocol: asked.map(|asked| protocol(asked.version)),
            method: asked.map(|asked| asked.method.as_str()),
            host: asked.map(|asked| asked.host.as_str()).filter(|host| !host.is_empty()),
            path: asked.map(|asked| asked.path(self.log.spec().query)),
            status: self.status.map(|status| status.as_u16()),
            route,
            chosen: self.chosen,
            track,
            backend: backend.map(|backend| backend.name.as_str()),
            endpoint: self.endpoint,
            attempts: self.attempts,
            bytes_received: self.received.get(),
            bytes_sent: self.sent,
            first_byte_ms: self.first_byte.map(millis),
            duration_ms: millis(self.began.elapsed()),
            reason: self.reason,
        }
    }
}

impl Drop for Entry {
    fn drop(&mut self) {
        if !self.is_whole && self.reason.is_none() {
            self.reason = Some(CLIENT_LEFT);
        }
        if self.wanted == Wanted::Failed && !self.is_failed() {
            return;
        }
        let mut line = Vec::with_capacity(512);
        // Writing to memory does not fail.
        if serde_json::to_writer(&mut line, &self.fields()).is_ok() {
            line.push(b'\n');
            self.log.push(&line);
        }
    }
}

// === impl Asked ===

impl Asked {
    fn path(&self, with_query: bool) -> &str {
        let path = self.target.split_once('?').map(|(path, _)| path);
        path.filter(|_| !with_query).unwrap_or(&self.target)
    }
}

const fn protocol(version: Version) -> &'static str {
    match version {
        Version::HTTP_10 => "HTTP/1.0",
        Version::HTTP_2 => "HTTP/2",
        _ => "HTTP/1.1",
    }
}

/// Milliseconds to the microsecond.
fn millis(duration: Duration) -> f64 {
    (duration.as_secs_f64() * 1e6).round() / 1e3
}
