use super::{
    client::Client,
    gate::{self, Stage},
    gated::Gated,
    h2,
    linger::drain,
    simple::{self, Next},
    transport::Transport,
};
use crate::{exchange, fill::poll_little, lifecycle::Phase, listen::Entry, worker::Worker};
use bytes::BytesMut;
use hyper::{server::conn::http1, service::service_fn};
use std::{
    future::poll_fn,
    io,
    net::SocketAddr,
    pin::{Pin, pin},
    rc::Rc,
    task::{Context, Poll},
    time::Duration,
};
use tokio::{io::AsyncWriteExt, net::TcpStream, time};
use tokio_rustls::TlsAcceptor;

/// Why a connection ended before its time.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Ended {
    #[error("the client was too slow")]
    Slow,
    #[error(transparent)]
    Http(#[from] hyper::Error),
    #[error("the client broke the rules of HTTP/2: {0:?}")]
    Rules(h2::Reason),
    #[error("the connection broke: {0}")]
    Broken(#[from] io::Error),
}

/// What a client speaks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Protocol {
    Http1,
    Http2,
}

/// What every client of HTTP/2 says first (RFC 9113 §3.4).
pub(super) const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";

/// How long the last bytes of a connection are waited for.
pub(super) const GOODBYE_TIME_MAX: Duration = Duration::from_secs(1);

/// Serves one connection of a client until it ends.
pub(crate) async fn serve(
    worker: Rc<Worker>,
    (stream, address): (TcpStream, SocketAddr),
    entry: Entry,
) -> Result<(), Ended> {
    // Small answers must not wait for the client's acknowledgement of the one before.
    if let Err(error) = stream.set_nodelay(true) {
        tracing::debug!(%error, "No TCP_NODELAY: {error}");
    }
    // What is rare is boxed, so that a connection that speaks plain HTTP/1.1 takes no room for it.
    match entry {
        Entry::Plain => plain(Rc::new(Client::new(worker, address, "http")), stream).await,
        Entry::Tls => Box::pin(encrypted(Rc::new(Client::new(worker, address, "https")), stream)).await,
    }
}

async fn plain(client: Rc<Client>, mut stream: TcpStream) -> Result<(), Ended> {
    let mut input = BytesMut::new();
    match poll_fn(|cx| poll_protocol(&mut stream, &mut input, (&client, cx))).await? {
        Some(Protocol::Http1) => http1(client, stream, input).await,
        Some(Protocol::Http2) => Box::pin(h2::serve(client, stream, input)).await,
        None => Ok(()),
    }
}

/// TLS names the protocol itself (ALPN); whoever names none speaks HTTP/1.1.
async fn encrypted(client: Rc<Client>, stream: TcpStream) -> Result<(), Ended> {
    let Some(server) = client.worker.shared.tls.clone() else { return Ok(()) };
    let patience = client.worker.shared.settings.patience.head;
    let handshake = time::timeout(patience, TlsAcceptor::from(server).accept(stream)).await;
    let stream = Box::new(handshake.map_err(|_| Ended::Slow)??);
    match stream.get_ref().1.alpn_protocol() {
        Some(b"h2") => h2::serve(client, stream, BytesMut::new()).await,
        _ => http1(client, stream, BytesMut::new()).await,
    }
}

/// Reads until it is clear what is spoken; `None` when the process ends before that.
fn poll_protocol(
    stream: &mut TcpStream,
    input: &mut BytesMut,
    (client, cx): (&Client, &mut Context<'_>),
) -> Poll<Result<Option<Protocol>, Ended>> {
    loop {
        let common = input.iter().zip(PREFACE).take_while(|(byte, expected)| byte == expected).count();
        if common == PREFACE.len() {
            return Poll::Ready(Ok(Some(Protocol::Http2)));
        } else if common < input.len() {
            return Poll::Ready(Ok(Some(Protocol::Http1)));
        }
        match poll_little(stream, input, cx) {
            Poll::Ready(Ok(0)) => return Poll::Ready(Ok(Some(Protocol::Http1))),
            Poll::Ready(Ok(_)) => {}
            Poll::Ready(Err(error)) => return Poll::Ready(Err(Ended::Broken(error))),
            Poll::Pending if input.is_empty() && client.worker.phase.get() >= Phase::Closing => {
                return Poll::Ready(Ok(None));
            }
            Poll::Pending => {
                client.waits_for(Stage::Head, input.is_empty());
                return client.poll_expired(cx).map(|()| Err(Ended::Slow));
            }
        }
    }
}

async fn http1<S: Transport>(client: Rc<Client>, mut stream: S, mut input: BytesMut) -> Result<(), Ended> {
    let next = {
        let mut simple = pin!(simple::serve(&client, &mut stream, &mut input));
        poll_fn(|cx| poll_until_expired(simple.as_mut(), &client, cx)).await?
    };
    if next == Next::Hyper {
        // What is less usual is boxed, so that other connections have no room for it.
        return Box::pin(by_hyper(client, stream, input)).await;
    }
    // Over TLS the end is said, so that it cannot be taken for a cut (RFC 8446 §6.1). A client that is gone or takes
    // nothing any more is left without it.
    let said = time::timeout(GOODBYE_TIME_MAX, stream.shutdown()).await;
    if next == Next::Last && matches!(said, Ok(Ok(()))) {
        Box::pin(drain(&mut stream)).await;
    }
    Ok(())
}

async fn by_hyper<S: Transport>(client: Rc<Client>, stream: S, input: BytesMut) -> Result<(), Ended> {
    let io = Gated::new((stream, input), Rc::clone(&client));
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
        if client.worker.phase.get() >= Phase::Closing && !closing {
            closing = true;
            Pin::new(&mut connection).graceful_shutdown();
        }
        poll_until_expired(Pin::new(&mut connection), &client, cx)
    })
    .await?;
    let parts = connection.into_parts();
    let tunnel = client.tunnel.take();
    match tunnel {
        Some(tunnel) => {
            let (stream, early) = parts.io.into_parts();
            tunnel.run(stream, [parts.read_buf.into(), early]).await?;
        }
        None if closing && parts.io.is_at_rest() => {}
        None => parts.io.linger().await,
    }
    Ok(())
}

fn poll_until_expired<T, E: Into<Ended>>(
    serving: Pin<&mut impl Future<Output = Result<T, E>>>,
    client: &Client,
    cx: &mut Context<'_>,
) -> Poll<Result<T, Ended>> {
    match serving.poll(cx) {
        Poll::Ready(result) => Poll::Ready(result.map_err(Into::into)),
        Poll::Pending => client.poll_expired(cx).map(|()| Err(Ended::Slow)),
    }
}
