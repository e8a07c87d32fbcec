use super::{client::Client, gate, io::Io};
use crate::{exchange, lifecycle::Phase, worker::Worker};
use hyper::{server::conn::http1, service::service_fn};
use std::{
    future::poll_fn,
    net::SocketAddr,
    pin::Pin,
    rc::Rc,
    task::{Context, Poll},
};
use tokio::net::TcpStream;

/// Why a connection ended before its time.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Ended {
    #[error("the client was too slow")]
    Slow,
    #[error(transparent)]
    Http(#[from] hyper::Error),
    #[error("the upgraded connection broke: {0}")]
    Tunnel(#[from] std::io::Error),
}

/// Serves one connection of a client until it ends.
pub(crate) async fn serve(worker: Rc<Worker>, stream: TcpStream, address: SocketAddr) -> Result<(), Ended> {
    // Small answers must not wait for the client's acknowledgement of the one before.
    if let Err(error) = stream.set_nodelay(true) {
        tracing::debug!(%error, "No TCP_NODELAY: {error}");
    }
    let client = Rc::new(Client::new(Rc::clone(&worker), address, "http"));
    let io = Io::new(stream, Rc::clone(&client));
    let service = service_fn({
        let client = Rc::clone(&client);
        move |request| exchange::handle(Rc::clone(&client), request)
    });
    let mut connection = http1::Builder::new()
        // Deadlines are the gate's affair, and so are the limits; hyper's must not be narrower.
        .header_read_timeout(None)
        .max_headers(gate::LINES_MAX)
        .max_buf_size(2 * gate::HEAD_BYTES_MAX)
        .serve_connection(io, service);
    let mut closing = false;
    poll_fn(|cx| {
        if worker.phase.get() >= Phase::Closing && !closing {
            closing = true;
            Pin::new(&mut connection).graceful_shutdown();
        }
        poll_until_expired(&mut connection, &client, cx)
    })
    .await?;
    let parts = connection.into_parts();
    let tunnel = client.tunnel.take();
    match tunnel {
        Some(tunnel) => {
            let (stream, early) = parts.io.into_parts();
            tunnel.run(stream, [parts.read_buf.into(), early]).await?;
        }
        None => parts.io.linger().await,
    }
    Ok(())
}

fn poll_until_expired<C: Future<Output = hyper::Result<()>> + Unpin>(
    connection: &mut C,
    client: &Client,
    cx: &mut Context<'_>,
) -> Poll<Result<(), Ended>> {
    match Pin::new(connection).poll(cx) {
        Poll::Ready(result) => Poll::Ready(result.map_err(Ended::Http)),
        Poll::Pending => client.poll_expired(cx).map(|()| Err(Ended::Slow)),
    }
}
