use super::{Lease, Sent};
use crate::upstream::{Trouble, body::passed_on};
use bytes::Bytes;
use h2::Reason;
use hyper::{
    Request, StatusCode,
    body::{Body as _, Frame, Incoming},
    header,
    http::response,
};
use std::{
    error::Error as _,
    pin::Pin,
    task::{Context, Poll},
};

/// The body of an answer, and its place on the connection.
pub(crate) struct Answer {
    body: Incoming,
    sent: Sent,
    _lease: Lease,
}

// === impl Answer ===

impl Answer {
    /// Sends a request and waits for the head of its answer. The caller limits the time.
    pub(crate) async fn to(
        lease: Lease,
        request: Request<Sent>,
        sent: Sent,
    ) -> Result<(response::Parts, Self), Trouble> {
        let response = match lease.send(request).await {
            Ok(response) => response,
            Err(error) => {
                let trouble = sent.failed().unwrap_or_else(|| trouble(&error));
                if trouble == Trouble::Refused {
                    lease.retire();
                }
                return Err(trouble);
            }
        };
        sent.is_answered();
        let (mut parts, body) = response.into_parts();
        // HTTP/2 changes no protocols (RFC 9113 §8.6).
        if parts.status.is_informational() || parts.status.as_u16() >= 600 {
            return Err(Trouble::Malformed);
        }
        // As in HTTP/1.1: what has no body has no length.
        if parts.status == StatusCode::NO_CONTENT {
            parts.headers.remove(header::CONTENT_LENGTH);
        }
        Ok((parts, Self { body, sent, _lease: lease }))
    }

    pub(crate) fn poll_frame(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Trouble>>> {
        Pin::new(&mut self.body).poll_frame(cx).map(|frame| match frame? {
            Ok(frame) => passed_on(frame, &[]).map(Ok),
            Err(error) => Some(Err(self.sent.failed().unwrap_or_else(|| trouble(&error)))),
        })
    }

    pub(crate) fn take_whole_body(&self) -> Option<Bytes> {
        self.is_answered().then(Bytes::new)
    }

    pub(crate) fn is_answered(&self) -> bool {
        self.body.is_end_stream()
    }

    pub(crate) fn remaining(&self) -> Option<u64> {
        if self.is_answered() { Some(0) } else { self.body.size_hint().exact() }
    }
}

/// What an error says about the request.
fn trouble(error: &hyper::Error) -> Trouble {
    // The connection ended before the request was written.
    if error.is_canceled() || error.is_closed() {
        return Trouble::Refused;
    }
    match error.source().and_then(|source| source.downcast_ref::<h2::Error>()) {
        // RFC 9113 §8.7 and §6.8: nothing was done for it.
        Some(error) if error.reason() == Some(Reason::REFUSED_STREAM) => Trouble::Refused,
        Some(error) if error.is_go_away() && error.reason() == Some(Reason::NO_ERROR) => Trouble::Refused,
        Some(error) if error.is_library() => Trouble::Malformed,
        _ => Trouble::Broken,
    }
}
