use super::forward::{self, Hop, Recorded};
use crate::{downstream::Client, message::Request, worker::Settings};
use rand::RngExt;
use std::net::IpAddr;

/// Who asks, and for which host.
pub(super) struct Asker {
    /// What a filter put in the place of the host that the client wrote.
    pub(super) rewritten_host: Option<String>,
    /// The client, seen through trusted proxies.
    pub(super) address: IpAddr,
    /// The other end of the connection.
    peer: IpAddr,
    scheme: &'static str,
    /// As the client uses it, seen through trusted proxies.
    client_scheme: &'static str,
    /// Change to the protocol that the client asks for, if the backend agrees.
    upgrades: bool,
    id: u128,
    trace: Option<Recorded>,
    trusted_hops: usize,
}

// === impl Asker ===

impl Asker {
    pub(super) fn new(client: &Client, request: &Request) -> Self {
        let Settings { trusted_hops, trace_sample, .. } = client.worker.shared.settings;
        let mut rng = client.worker.rng.borrow_mut();
        let mut record = |share| if rng.random_bool(share) { Recorded::Yes } else { Recorded::No };
        let trace = trace_sample.map(|share| record(share.get()));
        let peer = client.address.ip();
        Self {
            rewritten_host: None,
            address: forward::client_address(&request.fields, peer, trusted_hops),
            peer,
            scheme: client.scheme,
            client_scheme: forward::client_scheme(&request.fields, client.scheme, trusted_hops),
            upgrades: forward::upgrade(request).is_some(),
            id: rng.random(),
            trace,
            trusted_hops,
        }
    }

    /// The id of the request where the client sent none.
    pub(super) fn id_text(&self) -> String {
        format!("{:032x}", self.id)
    }

    /// Scheme and host, as a redirect repeats them.
    pub(super) fn origin<'a>(&self, request: &'a Request) -> (&'static str, &'a str) {
        (self.client_scheme, host(request))
    }

    /// The protocols that the client would change to.
    pub(super) fn offers<'a>(&self, request: &'a Request) -> Option<&'a [u8]> {
        request.fields.get("upgrade").filter(|_| self.upgrades)
    }

    pub(super) fn hop<'a>(&'a self, request: &'a Request) -> Hop<'a> {
        let forwarded_host = request.fields.get("host").unwrap_or_default();
        Hop {
            client: self.peer,
            scheme: self.scheme,
            host: self.rewritten_host.as_ref().map_or(forwarded_host, |host| host.as_bytes()),
            forwarded_host,
            upgrade: self.offers(request),
            id: self.id,
            trace: self.trace,
            trusted_hops: self.trusted_hops,
            edits: [&[], &[]],
        }
    }
}

/// The host that was asked for, with its port.
pub(super) fn host(request: &Request) -> &str {
    request.fields.get("host").and_then(|host| std::str::from_utf8(host).ok()).unwrap_or_default()
}
