//! One HTTP/1.1 connection that knows whether any byte came back.

use std::{
    io,
    pin::Pin,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    task::{Context, Poll},
};

use bytes::Bytes;
use http_body_util::Full;
use hyper::{Request, Response, body::Incoming, client::conn::http1};
use hyper_util::rt::TokioIo;
use tokio::{
    io::{AsyncRead, AsyncWrite, ReadBuf},
    net::TcpStream,
};

use super::Failure;
use crate::target::Target;

/// An open connection; dropping it closes it.
pub(super) struct Connection {
    sender: http1::SendRequest<Full<Bytes>>,
    bytes_read: Arc<AtomicU64>,
}

/// How much of an answer had come when a connection failed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Answered {
    /// Not one byte.
    Nothing,
    /// At least one byte.
    Partly,
}

impl Connection {
    pub(super) async fn open(target: &Target) -> Result<Self, Failure> {
        let stream = TcpStream::connect(target.addresses()).await.map_err(|_| Failure::Connect)?;
        // Small requests must not wait for the acknowledgement of earlier ones.
        stream.set_nodelay(true).map_err(|_| Failure::Connect)?;
        let bytes_read = Arc::new(AtomicU64::new(0));
        let io = Counted { stream, bytes_read: Arc::clone(&bytes_read) };
        let (sender, connection) = http1::handshake(TokioIo::new(io)).await.map_err(|_| Failure::Connect)?;
        // Ends when the sender is dropped or the server closes; what went wrong is told to the request.
        tokio::spawn(async move { drop(connection.await) });
        Ok(Self { sender, bytes_read })
    }

    /// Whether it can carry another request. The last answer was read to its end, so this waits at most for
    /// the connection's task to notice.
    pub(super) async fn is_ready(&mut self) -> bool {
        self.sender.ready().await.is_ok()
    }

    pub(super) async fn send(
        &mut self,
        request: Request<Full<Bytes>>,
    ) -> Result<Response<Incoming>, Failure> {
        let before = self.bytes_read.load(Ordering::Relaxed);
        self.sender.send_request(request).await.map_err(|error| {
            let answered = self.bytes_read.load(Ordering::Relaxed) > before;
            failure(&error, if answered { Answered::Partly } else { Answered::Nothing })
        })
    }
}

/// What a failed connection means for its request.
pub(super) fn failure(error: &hyper::Error, answered: Answered) -> Failure {
    match answered {
        _ if error.is_parse() => Failure::Malformed,
        Answered::Partly => Failure::Truncated,
        Answered::Nothing if is_reset(error) => Failure::Reset,
        Answered::Nothing => Failure::Closed,
    }
}

fn is_reset(error: &hyper::Error) -> bool {
    let mut source = std::error::Error::source(error);
    while let Some(cause) = source {
        let kind = cause.downcast_ref::<io::Error>().map(io::Error::kind);
        if matches!(kind, Some(io::ErrorKind::ConnectionReset | io::ErrorKind::BrokenPipe)) {
            return true;
        }
        source = cause.source();
    }
    false
}

/// A stream that counts what was read from it.
struct Counted {
    stream: TcpStream,
    bytes_read: Arc<AtomicU64>,
}

impl AsyncRead for Counted {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let before = buffer.filled().len();
        let polled = Pin::new(&mut self.stream).poll_read(cx, buffer);
        let read = buffer.filled().len() - before;
        self.bytes_read.fetch_add(read as u64, Ordering::Relaxed);
        polled
    }
}

impl AsyncWrite for Counted {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, data: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write(cx, data)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }
}
