//! Copies of requests, for whom the answers do not matter.

use super::{
    asker::Asker,
    forward::{self, Framing},
};
use crate::{
    message::Request,
    routes::Filters,
    upstream::{
        RequestBody,
        h1::{Connection, Pace, Reads},
    },
    worker::Worker,
};
use rand::RngExt;
use std::{cell::Cell, future::poll_fn, net::SocketAddr, time::Duration};
use tokio::time;

/// Copies that are under way on one worker; more are left out, so that a slow mirror costs nothing.
const COPIES_MAX: usize = 64;

/// How long a copy may take.
const TIMEOUT: Duration = Duration::from_secs(5);

thread_local! {
    static COPIES: Cell<usize> = const { Cell::new(0) };
}

/// Sends copies where the filters want them. Requests with a body are not copied: it would have to be kept.
pub(super) fn send(worker: &Worker, request: &Request, (asker, filters, is_empty): (&Asker, &Filters, bool)) {
    for mirror in filters.mirrors.iter().filter(|_| is_empty) {
        let mut rng = worker.rng.borrow_mut();
        let (numerator, denominator) = mirror.share();
        let is_wanted = rng.random_range(0..denominator.get()) < numerator;
        let target = match mirror.endpoints.len() {
            0 => None,
            count => mirror.endpoints.get(rng.random_range(0..count)),
        };
        if let Some(target) = target.filter(|_| is_wanted && COPIES.get() < COPIES_MAX) {
            // A mirror speaks HTTP and nothing else.
            let hop = forward::Hop { upgrade: None, edits: [&filters.request, &[]], ..asker.hop(request) };
            let mut head = Vec::new();
            forward::encode(request, &hop, Framing::None, &mut head);
            tokio::task::spawn_local(copy(target.0, head, request.method.clone()));
        }
    }
}

async fn copy(address: SocketAddr, head: Vec<u8>, method: hyper::Method) {
    COPIES.set(COPIES.get() + 1);
    let exchange = async {
        let mut connection = Connection::connect(address).await.ok()?;
        connection.begin(RequestBody::Empty, (Pace::AtOnce, Reads::All), |out| *out = head);
        let response = poll_fn(|cx| connection.poll_head(cx)).await.ok()?;
        connection.expect_body(&response, &method);
        // Read to its end, so that the mirror sees an ordinary client.
        while let Some(Ok(_)) = poll_fn(|cx| connection.poll_frame(cx)).await {}
        Some(())
    };
    // Whatever became of it, nobody waits for it.
    let _ = time::timeout(TIMEOUT, exchange).await;
    COPIES.set(COPIES.get() - 1);
}
