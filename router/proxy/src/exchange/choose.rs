use super::{
    asker::{self, Asker},
    failure::Failure,
    record::{Attempt, Record},
};
use crate::{
    message::{Fields, Request},
    routes::{Backend, Client, InFlight, NotPicked, Pending, Route, Target},
    worker::Worker,
};
use hyper::{StatusCode, header::HeaderValue};
use rand::RngExt;
use split::Track;
use std::sync::Arc;

/// Where a request goes next.
pub(super) struct Chosen {
    pub(super) route: Arc<Route>,
    backend: usize,
    pub(super) track: Track,
    /// The sticky key that the client gets with its answer.
    pub(super) set_cookie: Option<HeaderValue>,
    in_flight: InFlight,
    picked: Result<Pending, Failure>,
}

/// An answer of the router itself.
pub(super) enum Own {
    Failed(Failure),
    /// A redirect or the answer to a preflight.
    Filter(StatusCode, Fields),
}

/// Reads the table once. It is held without waiting, and the request counts as in flight before it is let go: that
/// is what an acknowledgement of a new table waits for.
pub(super) fn first(worker: &Worker, request: &Request, asker: &Asker) -> Result<Chosen, Own> {
    let table = worker.shared.table.load();
    let target = Target::of(request, asker::host(request));
    let found = table.find(&target);
    let route = found.ok_or(Own::Failed(Failure::NoRoute))?;
    if route.filters.may_answer() {
        let prefix = route.matcher.prefix_of(&target);
        let answer = route.filters.answer(request, asker.origin(request), prefix);
        answer.map_or(Ok(()), |(status, fields)| Err(Own::Filter(status, fields)))?;
    }
    route.state.budget.deposit();
    let client = Client { fields: &request.fields, address: asker.address, issued: None };
    let issued = route.issue(client, || worker.rng.borrow_mut().random());
    let choice = route.choose(Client { issued: issued.as_ref().map(|(_, key)| key.as_str()), ..client });
    let choice = choice.ok_or(Own::Failed(Failure::NoWeight))?;
    let mut chosen = Chosen::new(worker, route, choice.backend, &[]);
    if let (Some(chosen), Some((cookie, key))) = (&mut chosen, issued) {
        chosen.set_cookie = cookie.header(&key, asker.origin(request).0);
    }
    chosen.ok_or(Own::Failed(Failure::Invalid))
}

/// Another endpoint on a track. The routes may have changed since the first attempt, and endpoints that left must
/// not be asked; so the table is read again.
pub(super) fn next(worker: &Worker, route: &str, track: Track, tried: &[u64]) -> Option<Chosen> {
    let table = worker.shared.table.load();
    let route = table.named(route)?;
    let mut chosen = route.others(track).filter_map(|backend| Chosen::new(worker, route, backend, tried));
    chosen.find(|chosen| chosen.picked.is_ok())
}

/// An endpoint of the same backend, as it is now.
pub(super) fn again(worker: &Worker, route: &str, backend: &str) -> Result<Pending, Failure> {
    let table = worker.shared.table.load();
    let backends = table.named(route).map(|route| route.backends.as_slice()).unwrap_or_default();
    let backend = backends.iter().find(|known| known.name == backend).ok_or(Failure::NoEndpoint)?;
    pick(worker, backend, &[])
}

// === impl Chosen ===

impl Chosen {
    fn new(worker: &Worker, route: &Arc<Route>, index: usize, tried: &[u64]) -> Option<Self> {
        let backend = route.backends.get(index)?;
        let in_flight = backend.state.begin();
        let picked = pick(worker, backend, tried);
        let (track, set_cookie) = (backend.track, None);
        Some(Self { route: Arc::clone(route), backend: index, track, set_cookie, in_flight, picked })
    }

    /// The record of the attempt that begins now, and the endpoint that it goes to.
    pub(super) fn begin(self, attempt: Attempt) -> (Record, Result<Pending, Failure>) {
        (Record::new(self.route, (self.backend, self.track), attempt, self.in_flight), self.picked)
    }
}

fn pick(worker: &Worker, backend: &Backend, tried: &[u64]) -> Result<Pending, Failure> {
    backend.pick(&mut worker.rng.borrow_mut(), tried).map_err(|why| match why {
        NotPicked::NoEndpoint if backend.is_invalid => Failure::Invalid,
        NotPicked::NoEndpoint => Failure::NoEndpoint,
        NotPicked::Full => Failure::Overloaded,
    })
}
