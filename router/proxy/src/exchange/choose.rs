use super::record::{Attempt, Record};
use crate::{
    routes::{Client, InFlight, Pending, Route},
    worker::Worker,
};
use hyper::{StatusCode, http::request};
use split::Track;
use std::{net::IpAddr, sync::Arc};

/// Where a request goes next.
pub(super) struct Chosen {
    pub(super) route: Arc<Route>,
    pub(super) track: Track,
    in_flight: InFlight,
    /// `None`: no endpoint can take it.
    pub(super) picked: Option<Pending>,
}

/// Reads the table once. It is held without waiting, and the request counts as in flight before it is let go: that
/// is what an acknowledgement of a new table waits for.
pub(super) fn first(
    worker: &Worker,
    parts: &request::Parts,
    host: &[u8],
    client: IpAddr,
) -> Result<Chosen, (StatusCode, &'static str)> {
    let table = worker.shared.table.load();
    let found = table.find(host_name(host), parts.uri.path());
    let route = found.ok_or((StatusCode::NOT_FOUND, "no route takes this host and path\n"))?;
    let choice = route.choose(Client { headers: &parts.headers, address: client });
    let backend = choice.and_then(|choice| route.backends.get(choice.backend));
    let backend = backend.ok_or((StatusCode::SERVICE_UNAVAILABLE, "all weights of this route are zero\n"))?;
    let in_flight = backend.state.begin();
    let picked = backend.pick(&mut worker.rng.borrow_mut(), &[]).map(|endpoint| Arc::clone(endpoint).begin());
    Ok(Chosen { route: Arc::clone(route), track: backend.track, in_flight, picked })
}

/// Another endpoint on the first of `tracks` that has one. The routes may have changed since the first attempt, and
/// endpoints that left must not be asked; so the table is read again.
pub(super) fn next(worker: &Worker, route: &str, tracks: &[Track], tried: &[u64]) -> Option<Chosen> {
    let table = worker.shared.table.load();
    let route = table.named(route)?;
    tracks.iter().find_map(|&track| {
        let backend = route.backends.get(route.other(track)?)?;
        let endpoint = backend.pick(&mut worker.rng.borrow_mut(), tried)?;
        let (in_flight, picked) = (backend.state.begin(), Some(Arc::clone(endpoint).begin()));
        Some(Chosen { route: Arc::clone(route), track, in_flight, picked })
    })
}

// === impl Chosen ===

impl Chosen {
    /// The record of the attempt that begins now, and the endpoint that it goes to.
    pub(super) fn begin(self, attempt: Attempt) -> (Record, Option<Pending>) {
        (Record::new(self.route, self.track, attempt, self.in_flight), self.picked)
    }
}

/// The host without its port, as routes match it.
fn host_name(host: &[u8]) -> &str {
    let host = std::str::from_utf8(host).unwrap_or_default();
    match host.rsplit_once(':') {
        // The colons of an IPv6 address are inside of brackets.
        Some((name, port)) if !port.ends_with(']') => name,
        _ => host,
    }
}
