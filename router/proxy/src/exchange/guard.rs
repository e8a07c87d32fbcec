//! A canary's answer is looked at before the client sees it, so that stable can still answer instead.

use super::{body::Source, failure::Failure};
use crate::{message::Response, timers::Timer};
use bytes::{Bytes, BytesMut};
use hyper::body::Frame;
use std::{
    future::poll_fn,
    task::Poll,
    time::{Duration, Instant},
};

/// A canary's answer up to this size is held back until it is complete.
const BYTES_MAX: usize = 64 * 1024;

/// How long a canary's answer of unknown length is held back at most.
const TIME_MAX: Duration = Duration::from_millis(250);

/// Reads the first part of an answer; a server error, or a body that breaks within that part, is a failure.
///
/// The timer is set to the deadline of the attempt, and is set anew here.
pub(super) async fn hold(
    response: &Response<()>,
    source: &mut Source,
    timer: &Timer,
    deadline: Instant,
) -> Result<Option<Bytes>, Failure> {
    let status = response.status;
    if status.is_server_error() {
        return Err(Failure::Status(status));
    }
    let length = source.remaining();
    if is_stream(response) || length.is_some_and(|length| length == 0 || length > BYTES_MAX as u64) {
        return Ok(None);
    }
    // A body without a stated length may be a slow stream on purpose.
    let patience = Instant::now() + TIME_MAX;
    timer.set(Some(if length.is_some() { deadline } else { deadline.min(patience) }));
    let whole = poll_fn(|cx| match source.poll_whole(cx) {
        Poll::Pending => timer.poll_passed(cx).map(|()| Err(Failure::Timeout)),
        Poll::Ready(whole) => Poll::Ready(whole.map_err(|_| Failure::Reset)),
    });
    if let Some(whole) = whole.await? {
        return Ok(Some(whole));
    }
    let mut held = BytesMut::new();
    while held.len() < BYTES_MAX && source.answering.is_some() {
        let frame = poll_fn(|cx| match source.poll_frame(cx) {
            Poll::Pending => timer.poll_passed(cx).map(|()| Err(())),
            Poll::Ready(frame) => Poll::Ready(Ok(frame)),
        });
        match frame.await {
            Err(()) if length.is_none() && Instant::now() < deadline => break,
            Err(()) => return Err(Failure::Timeout),
            Ok(None) => break,
            Ok(Some(Err(_))) => return Err(Failure::Reset),
            Ok(Some(Ok(frame))) => {
                if let Ok(data) = Frame::into_data(frame) {
                    held.extend_from_slice(&data);
                }
            }
        }
    }
    Ok(Some(held.freeze()).filter(|held| !held.is_empty()))
}

/// Event streams and gRPC are sent piece by piece, and gRPC needs its trailers.
fn is_stream(response: &Response<()>) -> bool {
    let fields = &response.fields;
    fields.contains("trailer")
        || fields.get("content-type").is_some_and(|value| {
            value.starts_with(b"text/event-stream") || value.starts_with(b"application/grpc")
        })
}
