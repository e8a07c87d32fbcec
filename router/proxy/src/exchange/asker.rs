use super::forward::{self, Hop, Recorded};
use crate::{downstream::Client, worker::Settings};
use hyper::{
    header::{self, HeaderValue},
    http::request,
};
use rand::RngExt;
use std::net::IpAddr;

/// Who asks, and for which host.
pub(super) struct Asker {
    /// As the client wrote it.
    host: Option<HeaderValue>,
    /// What a filter put in its place.
    pub(super) rewritten_host: Option<HeaderValue>,
    /// The client, seen through trusted proxies.
    pub(super) address: IpAddr,
    /// The other end of the connection.
    peer: IpAddr,
    scheme: &'static str,
    /// A protocol to change to.
    pub(super) upgrade: Option<HeaderValue>,
    id: u128,
    trace: Option<Recorded>,
    trusted_hops: usize,
}

// === impl Asker ===

impl Asker {
    pub(super) fn new(client: &Client, parts: &request::Parts) -> Self {
        let Settings { trusted_hops, trace_sample, .. } = client.worker.shared.settings;
        let mut rng = client.worker.rng.borrow_mut();
        let mut record = |share| if rng.random_bool(share) { Recorded::Yes } else { Recorded::No };
        let trace = trace_sample.map(|share| record(share.get()));
        let peer = client.address.ip();
        Self {
            host: parts.headers.get(header::HOST).cloned(),
            rewritten_host: None,
            address: forward::client_address(&parts.headers, peer, trusted_hops),
            peer,
            scheme: client.scheme,
            upgrade: forward::upgrade(parts).cloned(),
            id: rng.random(),
            trace,
            trusted_hops,
        }
    }

    /// The host that was asked for, as the client wrote it.
    pub(super) const fn host(&self) -> Option<&HeaderValue> {
        self.host.as_ref()
    }

    /// The id of the request where the client sent none.
    pub(super) fn id_text(&self) -> String {
        format!("{:032x}", self.id)
    }

    /// The host that was asked for, with its port.
    pub(super) fn host_text(&self) -> &str {
        self.host.as_ref().and_then(|host| host.to_str().ok()).unwrap_or_default()
    }

    /// Scheme and host, as a redirect repeats them.
    pub(super) fn origin(&self) -> (&str, &str) {
        (self.scheme, self.host_text())
    }

    pub(super) fn hop(&self) -> Hop<'_> {
        let forwarded_host = self.host.as_ref().map_or(&b""[..], |host| host.as_bytes());
        Hop {
            client: self.peer,
            scheme: self.scheme,
            host: self.rewritten_host.as_ref().map_or(forwarded_host, |host| host.as_bytes()),
            forwarded_host,
            upgrade: self.upgrade.as_ref(),
            id: self.id,
            trace: self.trace,
            trusted_hops: self.trusted_hops,
        }
    }
}
