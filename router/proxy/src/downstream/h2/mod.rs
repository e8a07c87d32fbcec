//! HTTP/2 (RFC 9113): frames, streams and windows, and the rules for requests that go on to a backend.
//!
//! All streams of a connection are driven by its task, so that what they have to say goes out in few writes, and pieces
//! of bodies are written from where they were read. Towards backends hyper and h2 speak it.

mod budget;
mod connection;
mod frame;
#[cfg(test)]
mod fuzz;
mod heartbeat;
mod hpack;
mod incoming;
mod output;
mod ready;
mod receive;
mod request;
mod stream;
mod streams;
mod window;

pub(crate) use frame::Reason;
pub(crate) use incoming::Incoming;
pub(super) use request::check;

use super::{client::Client, connection::Ended, gate, transport::Transport};
use bytes::BytesMut;
use connection::Connection;
use frame::{INITIAL_WINDOW_SIZE, MAX_CONCURRENT_STREAMS, MAX_FRAME_SIZE, MAX_HEADER_LIST_SIZE};
use std::{future::poll_fn, rc::Rc};

/// Requests at a time on one connection: what RFC 9113 §6.5.2 recommends at least.
const STREAMS_MAX: usize = 100;

/// What a client may send of one body before a backend takes it, and of all bodies together.
const STREAM_WINDOW: u32 = 256 * 1024;
const CONNECTION_WINDOW: u32 = 1024 * 1024;

/// The window that every connection begins with.
const WINDOW_DEFAULT: u32 = 65_535;

/// The smallest that the protocol allows: a large frame would make others wait.
const FRAME_BYTES_MAX: u32 = 16 * 1024;

/// Compressed headers refer to a table of this size: the default of the protocol.
const HEADER_TABLE_BYTES: usize = 4 * 1024;

/// Requests that were taken back before they were looked at, all at once (CVE-2023-44487); more end the connection.
const RESETS_PENDING_MAX: usize = 20;

/// Streams that a client made us reset; more end the connection.
const RESETS_BY_ERROR_MAX: usize = 100;

/// Serves HTTP/2 until the connection ends. `input` was read already.
pub(super) async fn serve<S: Transport>(client: Rc<Client>, stream: S, input: BytesMut) -> Result<(), Ended> {
    client.speaks_h2();
    let mut connection = Connection::new(client, stream, input);
    poll_fn(|cx| connection.poll(cx)).await?;
    let failure = connection.failure();
    connection.part().await;
    failure.map_or(Ok(()), |reason| Err(Ended::Rules(reason)))
}

/// The limits that a client is told.
fn settings() -> Vec<u8> {
    let settings = [
        (MAX_CONCURRENT_STREAMS, u32::try_from(STREAMS_MAX).unwrap_or(u32::MAX)),
        (INITIAL_WINDOW_SIZE, STREAM_WINDOW),
        (MAX_FRAME_SIZE, FRAME_BYTES_MAX),
        (MAX_HEADER_LIST_SIZE, u32::try_from(gate::HEAD_BYTES_MAX).unwrap_or(u32::MAX)),
    ];
    settings
        .into_iter()
        .flat_map(|(id, value)| [&id.to_be_bytes()[..], &value.to_be_bytes()].concat())
        .collect()
}
