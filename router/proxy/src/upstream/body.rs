use super::Trouble;
use crate::downstream::Upload;
use bytes::{BufMut, Bytes, BytesMut};
use hyper::{
    HeaderMap,
    body::{Frame, SizeHint},
    header::{self, HeaderName},
};
use std::task::{Context, Poll};

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

    /// The next piece without any framing.
    pub(super) fn poll_frame(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Trouble>>> {
        match self {
            Self::Empty | Self::Ended => Poll::Ready(None),
            Self::Length(upload) | Self::Chunked(upload) => upload.poll_frame(cx),
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
        let (upload, is_chunked) = match self {
            Self::Empty | Self::Ended => return Poll::Ready(None),
            Self::Length(upload) => (upload, false),
            Self::Chunked(upload) => (upload, true),
        };
        let frame = match upload.poll_frame(cx) {
            Poll::Pending => return Poll::Pending,
            Poll::Ready(Some(Err(trouble))) => return Poll::Ready(Some(Err(trouble))),
            Poll::Ready(Some(Ok(frame))) => Some(frame),
            Poll::Ready(None) => None,
        };
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
    for (name, value) in trailers.into_iter().flatten().filter(|(name, _)| may_trail(name)) {
        encoded.put_slice(name.as_str().as_bytes());
        encoded.put_slice(b": ");
        encoded.put_slice(value.as_bytes());
        encoded.put_slice(b"\r\n");
    }
    encoded.put_slice(b"\r\n");
    encoded.freeze()
}

/// Fields that frame or route a message must not come after it (RFC 9110 §6.5.1).
pub(super) fn may_trail(name: &HeaderName) -> bool {
    let forbidden = [
        header::CONTENT_LENGTH,
        header::CONTENT_TYPE,
        header::CONTENT_ENCODING,
        header::CONTENT_RANGE,
        header::HOST,
        header::AUTHORIZATION,
        header::COOKIE,
        header::SET_COOKIE,
        header::TRAILER,
        header::TE,
        header::EXPECT,
    ];
    !forbidden.contains(name) && !crate::exchange::is_hop_by_hop(name.as_str().as_bytes())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_empty_piece_does_not_end_a_chunked_request() {
        assert!(chunk(&Bytes::new()).is_empty());
        assert_eq!(&chunk(&Bytes::from_static(b"0123456789"))[..], b"a\r\n0123456789\r\n");
        assert_eq!(&last_chunk(None)[..], b"0\r\n\r\n");
    }
}
