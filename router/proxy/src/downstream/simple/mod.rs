//! The usual requests, served without hyper: complete heads of HTTP/1.1 without a body, without an upgrade, and
//! without a word on the connection.
//!
//! The [`Gate`] judges them as it judges all others. Whatever else comes (a body, an upgrade, `HEAD`, HTTP/1.0, a head
//! that is refused) is left unread, and the connection goes on with hyper from there.

mod request;
mod response;

use super::{
    client::Client,
    gate::{Gate, HEAD_BYTES_MAX, Stage, Verdict},
    transport::Transport,
};
use crate::{exchange, fill::poll_little, lifecycle::Phase, message::Request, turn};
use bytes::{Buf, BytesMut};
use response::{Output, Sent};
use std::{
    future::poll_fn,
    io,
    rc::Rc,
    task::{Context, Poll, ready},
};

/// What becomes of the connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Next {
    /// It has ended.
    Close,
    /// What is unread is not for here.
    Hyper,
}

/// A connection that has said nothing unusual so far.
struct Simple<'a, S> {
    client: &'a Rc<Client>,
    stream: &'a mut S,
    /// What was read and not used.
    input: &'a mut BytesMut,
    gate: Gate,
    is_new: bool,
}

/// Serves requests until something else than a simple one comes.
pub(super) async fn serve<S: Transport>(
    client: &Rc<Client>,
    stream: &mut S,
    input: &mut BytesMut,
) -> io::Result<Next> {
    let mut simple = Simple { client, stream, input, gate: Gate::new(), is_new: true };
    let mut output = Output::default();
    loop {
        let request = match poll_fn(|cx| simple.poll_request(cx)).await? {
            Ok(request) => request,
            Err(next) => return Ok(next),
        };
        simple.is_new = false;
        // Boxed, so that an idle connection has no room for it.
        let mut answering = Box::pin(exchange::handle_simple(Rc::clone(client), request));
        let begun = poll_fn(|cx| match answering.as_mut().poll(cx) {
            Poll::Ready(response) => Poll::Ready(Ok(output.begin(response, client.worker.date.get(), cx))),
            Poll::Pending => simple.poll_gone(cx).map(Err),
        });
        let mut sending = match begun.await {
            Ok(sending) => sending,
            Err(gone) => return gone.map(|()| Next::Close),
        };
        drop(answering);
        turn::end().await;
        loop {
            match poll_fn(|cx| output.poll_send(&mut sending, simple.stream, (client, cx))).await? {
                Sent::Some => {}
                Sent::All => break,
                // Either the answer broke off, or it said that it was the last one.
                Sent::Last => return Ok(Next::Close),
            }
            let waited = poll_fn(|cx| match output.poll_more(&mut sending, cx) {
                Poll::Ready(()) => Poll::Ready(Ok(())),
                Poll::Pending => simple.poll_gone(cx).map(Err),
            });
            if let Err(gone) = waited.await {
                return gone.map(|()| Next::Close);
            }
        }
    }
}

// === impl Simple ===

impl<S: Transport> Simple<'_, S> {
    fn poll_request(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<Result<Request, Next>>> {
        loop {
            if let Some(found) = self.look() {
                return Poll::Ready(Ok(found));
            }
            match poll_little(self.stream, self.input, cx) {
                Poll::Ready(Ok(0)) => return Poll::Ready(Ok(Err(Next::Close))),
                Poll::Ready(Ok(_)) => {}
                Poll::Ready(Err(error)) => return Poll::Ready(Err(error)),
                Poll::Pending => {
                    if self.input.is_empty() {
                        // An idle connection keeps no buffer, and is closed when the process ends.
                        *self.input = BytesMut::new();
                        if !self.is_new && self.client.worker.phase.get() >= Phase::Closing {
                            return Poll::Ready(Ok(Err(Next::Close)));
                        }
                    }
                    self.client.waits_for(Stage::Head, self.input.is_empty());
                    return Poll::Pending;
                }
            }
        }
    }

    /// Takes a request from the bytes at hand, if they begin with a simple one; `None` while it is not complete.
    fn look(&mut self) -> Option<Result<Request, Next>> {
        loop {
            match self.gate.admit(self.input, usize::MAX) {
                Verdict::More => return None,
                Verdict::Skip(count) => self.input.advance(count),
                // A head without a body: the next head follows.
                Verdict::Pass(length) if self.gate.stage() == Stage::Head => {
                    let head = self.input.get(..length).unwrap_or_default();
                    // hyper begins where this request begins.
                    let Some(request) = request::simple(head, &mut self.gate.outline) else { break };
                    self.input.advance(length);
                    self.client.has_read();
                    return Some(Ok(request));
                }
                Verdict::Pass(_) | Verdict::Hold | Verdict::Refuse(_) | Verdict::Break => break,
            }
        }
        self.client.begins_anew();
        Some(Err(Next::Hyper))
    }

    /// Ready when the client has left in the middle of its request. What it sends already is kept, up to a limit.
    fn poll_gone(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        while self.input.len() < HEAD_BYTES_MAX {
            if ready!(poll_little(self.stream, self.input, cx))? == 0 {
                return Poll::Ready(Ok(()));
            }
        }
        Poll::Pending
    }
}
