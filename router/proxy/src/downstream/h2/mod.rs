//! HTTP/2 (RFC 9113): hyper and h2 read and write it; what is ours are the limits, the deadlines, and the rules for
//! requests that go on to a backend.

mod frames;
mod io;
mod request;
mod stream;

pub(super) use request::check;
pub(crate) use stream::Stream;

use super::{client::Client, connection::Ended, gate, transport::Transport};
use crate::{exchange, lifecycle::Phase};
use bytes::BytesMut;
use frames::Frames;
use hyper::{server::conn::http2, service::service_fn};
use hyper_util::rt::TokioTimer;
use io::Framed;
use std::{future::poll_fn, pin::pin, rc::Rc, task::Poll, time::Duration};
use stream::Executor;

/// Requests at a time on one connection: what RFC 9113 §6.5.2 recommends at least.
const STREAMS_MAX: u32 = 100;

/// What a client may send of one body before a backend takes it, and of all bodies together.
const STREAM_WINDOW: u32 = 256 * 1024;
const CONNECTION_WINDOW: u32 = 1024 * 1024;

/// The smallest that the protocol allows: a large frame would make others wait.
const FRAME_BYTES_MAX: u32 = 16 * 1024;

/// What is kept of an answer that the client does not take.
const SEND_BUFFER_BYTES: usize = 64 * 1024;

/// Compressed headers refer to a table of this size: the default of the protocol.
const HEADER_TABLE_BYTES: u32 = 4 * 1024;

/// Requests that were taken back before they were looked at, all at once (CVE-2023-44487); more end the connection.
const RESETS_PENDING_MAX: usize = 20;

/// Streams that a client made us reset; more end the connection.
const RESETS_BY_ERROR_MAX: usize = 100;

/// A client that answers no ping for so long is gone.
const PING_INTERVAL: Duration = Duration::from_secs(30);
const PING_TIMEOUT: Duration = Duration::from_secs(20);

/// Serves HTTP/2 until the connection ends. `input` was read already.
pub(super) async fn serve<S: Transport>(client: Rc<Client>, stream: S, input: BytesMut) -> Result<(), Ended> {
    client.speaks_h2();
    let io = Framed::new((stream, input), Frames::new(), Rc::clone(&client));
    let service = service_fn({
        let client = Rc::clone(&client);
        move |request| exchange::handle(Rc::clone(&client), request)
    });
    let connection = builder(Executor::new(&client)).serve_connection(io, service);
    let mut connection = pin!(connection);
    poll_fn(|cx| {
        // GOAWAY: requests in flight go on, and the client opens another connection for the next one.
        if (client.worker.phase.get() >= Phase::Draining || client.is_last()) && client.leave() {
            connection.as_mut().graceful_shutdown();
        }
        loop {
            if let Poll::Ready(result) = connection.as_mut().poll(cx) {
                return Poll::Ready(result.map_err(Ended::Http));
            }
            match client.poll_expired(cx) {
                Poll::Pending => return Poll::Pending,
                Poll::Ready(()) if client.is_idle() && client.leave() => {
                    connection.as_mut().graceful_shutdown();
                }
                Poll::Ready(()) => return Poll::Ready(Err(Ended::Slow)),
            }
        }
    })
    .await
}

fn builder(executor: Executor) -> http2::Builder<Executor> {
    let mut builder = http2::Builder::new(executor);
    builder
        .timer(TokioTimer::new())
        .max_concurrent_streams(STREAMS_MAX)
        .initial_stream_window_size(STREAM_WINDOW)
        .initial_connection_window_size(CONNECTION_WINDOW)
        .max_frame_size(FRAME_BYTES_MAX)
        .max_send_buf_size(SEND_BUFFER_BYTES)
        .max_header_list_size(u32::try_from(gate::HEAD_BYTES_MAX).unwrap_or(u32::MAX))
        .header_table_size(HEADER_TABLE_BYTES)
        .max_pending_accept_reset_streams(RESETS_PENDING_MAX)
        .max_local_error_reset_streams(RESETS_BY_ERROR_MAX)
        .keep_alive_interval(PING_INTERVAL)
        .keep_alive_timeout(PING_TIMEOUT);
    builder
}
