use super::{body::RequestBody, failure::Failure};
use hyper::{
    Request, Response,
    body::Incoming,
    client::conn::http1::{self, Connection, SendRequest},
};
use hyper_util::rt::TokioIo;
use std::{
    future::poll_fn,
    net::SocketAddr,
    pin::{Pin, pin},
    task::{Context, Poll},
    time::Instant,
};
use tokio::net::TcpStream;

/// A connection to an endpoint. It is driven by the task of the request that uses it: no task of its own, so no
/// wake-up from one task to another for each message.
pub(super) struct Upstream {
    sender: SendRequest<RequestBody>,
    /// `None` once the connection has ended.
    connection: Option<Connection<TokioIo<TcpStream>, RequestBody>>,
    pub(super) idle_since: Instant,
}

/// A request that was not answered.
pub(super) struct Unanswered {
    pub(super) failure: Failure,
    /// The request itself when not a byte of it was sent.
    pub(super) unsent: Option<Request<RequestBody>>,
}

// === impl Upstream ===

impl Upstream {
    /// Connects. The caller limits the time.
    pub(super) async fn connect(address: SocketAddr) -> Result<Self, Failure> {
        let stream = TcpStream::connect(address).await.map_err(|_| Failure::Connect)?;
        stream.set_nodelay(true).map_err(|_| Failure::Connect)?;
        let handshake = http1::Builder::new().handshake(TokioIo::new(stream)).await;
        let (sender, connection) = handshake.map_err(|_| Failure::Connect)?;
        Ok(Self { sender, connection: Some(connection), idle_since: Instant::now() })
    }

    /// Sends a request and waits for the head of its answer.
    pub(super) async fn round_trip(
        &mut self,
        request: Request<RequestBody>,
    ) -> Result<Response<Incoming>, Unanswered> {
        let mut response = pin!(self.sender.try_send_request(request));
        let connection = &mut self.connection;
        let answered = poll_fn(|cx| {
            let alive = drive(connection, cx);
            match response.as_mut().poll(cx) {
                Poll::Pending if alive == Alive::No => Poll::Ready(None),
                other => other.map(Some),
            }
        });
        match answered.await {
            Some(Ok(response)) => Ok(response),
            Some(Err(mut error)) => {
                let failure = if error.error().is_parse() { Failure::Malformed } else { Failure::Reset };
                Err(Unanswered { failure, unsent: error.take_message() })
            }
            None => Err(Unanswered { failure: Failure::Reset, unsent: None }),
        }
    }

    /// Moves bytes as far as they go.
    pub(super) fn drive(&mut self, cx: &mut Context<'_>) {
        drive(&mut self.connection, cx);
    }

    /// Whether another request may be sent.
    pub(super) fn is_reusable(&self) -> bool {
        self.connection.is_some() && self.sender.is_ready()
    }

    /// Whether the other side has closed an idle connection.
    pub(super) fn is_closed(&mut self) -> bool {
        let mut cx = Context::from_waker(std::task::Waker::noop());
        drive(&mut self.connection, &mut cx) == Alive::No
    }
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Alive {
    Yes,
    No,
}

fn drive(
    connection: &mut Option<Connection<TokioIo<TcpStream>, RequestBody>>,
    cx: &mut Context<'_>,
) -> Alive {
    if let Some(alive) = connection {
        if Pin::new(alive).poll(cx).is_pending() {
            return Alive::Yes;
        }
        // What went wrong reaches the request or the body by itself.
        *connection = None;
    }
    Alive::No
}
