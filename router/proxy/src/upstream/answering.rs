use super::{Trouble, h1, h2};
use bytes::Bytes;
use hyper::body::Frame;
use std::task::{Context, Poll};

/// Where the body of an answer comes from.
pub(crate) enum Answering {
    /// A connection that carries this answer and nothing else.
    H1(Box<h1::Connection>),
    /// One stream of several.
    H2(Box<h2::Answer>),
}

// === impl Answering ===

impl Answering {
    /// The next piece, while the rest of the request is sent.
    pub(crate) fn poll_frame(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Trouble>>> {
        match self {
            Self::H1(connection) => connection.poll_frame(cx),
            Self::H2(answer) => answer.poll_frame(cx),
        }
    }

    /// The whole body, if it was read together with the head.
    pub(crate) fn take_whole_body(&mut self) -> Option<Bytes> {
        match self {
            Self::H1(connection) => connection.take_whole_body(),
            Self::H2(answer) => answer.take_whole_body(),
        }
    }

    /// Whether all of the answer was read.
    pub(crate) fn is_answered(&self) -> bool {
        match self {
            Self::H1(connection) => connection.is_answered(),
            Self::H2(answer) => answer.is_answered(),
        }
    }

    /// How many bytes of the body are still to come, where that is stated.
    pub(crate) fn remaining(&self) -> Option<u64> {
        match self {
            Self::H1(connection) => connection.remaining(),
            Self::H2(answer) => answer.remaining(),
        }
    }
}
