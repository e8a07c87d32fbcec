use super::Trouble;
use crate::{downstream::Upload, exchange};
use bytes::{BufMut, Bytes, BytesMut};
use hyper::{
    HeaderMap,
    body::{Frame, SizeHint},
    header::HeaderName,
};
use std::task::{Context, Poll, ready};

/// What follows the head of a request.
pub(crate) enum RequestBody {
    /// Nothing.
    Empty,
    /// As many bytes as `Content-Length` says.
    Length(Upload),
    /// Chunks, ended by the last one.
    Chunked(Upload),
    /// The last piece is out.
    Ended,
}

// === impl RequestBody ===

impl RequestBody {
    pub(crate) const fn is_empty(&self) -> bool {
        matches!(self, Self::Empty | Self::Ended)
    }

    /// The answer has begun: from now on the client may send whenever it likes.
    pub(crate) fn is_answered(&mut self) {
        if let Self::Length(upload) | Self::Chunked(upload) = self {
            upload.is_answered();
        }
    }

    pub(super) fn size_hint(&self) -> SizeHint {
        match self {
            Self::Empty | Self::Ended => SizeHint::with_exact(0),
            Self::Length(upload) | Self::Chunked(upload) => upload.size_hint(),
        }
    }

    /// The next piece without any framing; of trailers, those that may be passed on.
    pub(super) fn poll_frame(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Trouble>>> {
        let frame = match self {
            Self::Empty | Self::Ended => return Poll::Ready(None),
            Self::Length(upload) | Self::Chunked(upload) => ready!(upload.poll_frame(cx)),
        };
        Poll::Ready(match frame {
            Some(Ok(frame)) => passed_on(frame, self.named()).map(Ok),
            ended => ended,
        })
    }

    fn named(&self) -> &[String] {
        match self {
            Self::Empty | Self::Ended => &[],
            Self::Length(upload) | Self::Chunked(upload) => upload.named(),
        }
    }

    /// Whether nothing more will come.
    pub(super) fn is_over(&self) -> bool {
        match self {
            Self::Empty | Self::Ended => true,
            Self::Length(upload) | Self::Chunked(upload) => upload.is_over(),
        }
    }

    /// Pieces that were taken, and are to come once more.
    pub(super) fn put_back(&mut self, pieces: Vec<Bytes>) {
        if let Self::Length(upload) | Self::Chunked(upload) = self {
            upload.put_back(pieces);
        }
    }

    /// The next bytes to write, with their framing in HTTP/1.1.
    pub(super) fn poll_encoded(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<Bytes, Trouble>>> {
        let frame = match ready!(self.poll_frame(cx)) {
            Some(Err(trouble)) => return Poll::Ready(Some(Err(trouble))),
            Some(Ok(frame)) => Some(frame),
            None => None,
        };
        let is_chunked = matches!(self, Self::Chunked(_));
        let encoded = match frame.map(Frame::into_data) {
            Some(Ok(data)) if !is_chunked => data,
            Some(Ok(data)) => chunk(&data),
            Some(Err(frame)) if is_chunked => {
                *self = Self::Ended;
                last_chunk(frame.into_trailers().ok().as_ref())
            }
            None if is_chunked => {
                *self = Self::Ended;
                last_chunk(None)
            }
            Some(Err(_)) | None => return Poll::Ready(None),
        };
        Poll::Ready(Some(Ok(encoded)))
    }
}

fn chunk(data: &Bytes) -> Bytes {
    if data.is_empty() {
        // A chunk of nothing would end the body.
        return Bytes::new();
    }
    let mut encoded = BytesMut::with_capacity(data.len() + 20);
    encoded.put_slice(format!("{:x}\r\n", data.len()).as_bytes());
    encoded.put_slice(data);
    encoded.put_slice(b"\r\n");
    encoded.freeze()
}

fn last_chunk(trailers: Option<&HeaderMap>) -> Bytes {
    let mut encoded = BytesMut::from(&b"0\r\n"[..]);
    for (name, value) in trailers.into_iter().flatten() {
        encoded.put_slice(name.as_str().as_bytes());
        encoded.put_slice(b": ");
        encoded.put_slice(value.as_bytes());
        encoded.put_slice(b"\r\n");
    }
    encoded.put_slice(b"\r\n");
    encoded.freeze()
}

/// A piece of a message as it goes on: without trailers that must not, or that its `Connection` named.
pub(super) fn passed_on(piece: Frame<Bytes>, named: &[String]) -> Option<Frame<Bytes>> {
    let mut trailers = match piece.into_trailers() {
        Ok(trailers) => trailers,
        Err(data) => return Some(data),
    };
    let ends_here = |name: &HeaderName| !may_trail(name) || named.iter().any(|named| name == named.as_str());
    let kept_back: Vec<_> = trailers.keys().filter(|name| ends_here(name)).cloned().collect();
    for name in kept_back {
        trailers.remove(name);
    }
    (!trailers.is_empty()).then(|| Frame::trailers(trailers))
}

/// Fields that frame or route a message, or say who sent it, must not come after it (RFC 9110 §6.5.1): some servers add
/// trailers to the headers, and some of those take '_' for '-'.
pub(super) fn may_trail(name: &HeaderName) -> bool {
    let plain = name.as_str().replace('_', "-");
    !NEVER_TRAILING.contains(&plain.as_str())
        && !exchange::is_claim(plain.as_bytes())
        && !exchange::is_hop_by_hop(plain.as_bytes())
}

const NEVER_TRAILING: [&str; 13] = [
    "authorization",
    "content-encoding",
    "content-length",
    "content-range",
    "content-type",
    "cookie",
    "expect",
    "host",
    "max-forwards",
    "set-cookie",
    "te",
    "trailer",
    "via",
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_empty_piece_does_not_end_a_chunked_request() {
        assert!(chunk(&Bytes::new()).is_empty());
        assert_eq!(&chunk(&Bytes::from_static(b"0123456789"))[..], b"a\r\n0123456789\r\n");
        assert_eq!(&last_chunk(None)[..], b"0\r\n\r\n");
    }

    #[test]
    fn what_a_head_is_needed_for_does_not_come_after_the_body() {
        for name in [
            "connection",
            "content-length",
            "content_length",
            "transfer_encoding",
            "x-forwarded-for",
            "x_forwarded_proto",
            "x-forwarded_prefix",
            "x-real-ip",
            "forwarded",
            "via",
            "host",
        ] {
            assert!(!may_trail(&name.parse().unwrap()), "{name}");
        }
        for name in ["grpc-status", "server-timing", "digest", "x-forward", "x_checksum"] {
            assert!(may_trail(&name.parse().unwrap()), "{name}");
        }
    }
}
