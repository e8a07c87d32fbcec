//! The usual requests, served without hyper: complete heads of HTTP/1.1 without a body, without an upgrade, and
//! without a word on the connection.
//!
//! The [`Gate`] judges them as it judges all others. Whatever else comes (a body, an upgrade, `HEAD`, HTTP/1.0, a head
//! that is refused) is left unread, and the connection goes on with hyper from there.

mod direct;
mod request;
mod response;

use super::{
    client::Client,
    gate::{Gate, HEAD_BYTES_MAX, Stage, Verdict},
    transport::Transport,
};
use crate::{
    exchange,
    fill::{poll_bytes, poll_little},
    lifecycle::Phase,
    message::Request,
    turn,
};
use bytes::{Buf, BytesMut};
use direct::Direct;
use response::{Output, Sending, Sent};
use std::{
    future::poll_fn,
    io,
    pin::pin,
    rc::Rc,
    task::{Context, Poll, ready},
};

/// What becomes of the connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Next {
    /// It has ended.
    Close,
    /// The answer that was sent is the last one.
    Last,
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
    /// It began when idle connections were closed already: its first request is on its way.
    is_late: bool,
}

/// Serves requests until something else than a simple one comes.
pub(super) async fn serve<S: Transport>(
    client: &Rc<Client>,
    stream: &mut S,
    input: &mut BytesMut,
) -> io::Result<Next> {
    // A handshake of TLS takes its time; those who were ready before had theirs, like everybody else.
    let is_late = input.is_empty() && client.worker.phase.get() >= Phase::Closing;
    if is_late {
        client.leave();
    }
    let mut simple = Simple { client, stream, input, gate: Gate::new(), is_late };
    let mut output = Output::default();
    loop {
        let request = match poll_fn(|cx| simple.poll_request(cx)).await? {
            Ok(request) => request,
            Err(next) => return Ok(next),
        };
        simple.is_late = false;
        let begun = {
            let mut answering = pin!(exchange::handle_simple(client, request));
            let begun = poll_fn(|cx| match answering.as_mut().poll(cx) {
                Poll::Ready(response) => {
                    Poll::Ready(Ok(output.begin(response, client.worker.date.get(), cx)))
                }
                Poll::Pending => simple.poll_gone(cx).map(Err),
            });
            begun.await
        };
        let mut sending = match begun {
            Ok(sending) => sending,
            Err(gone) => return gone.map(|()| Next::Close),
        };
        turn::end().await;
        loop {
            match poll_fn(|cx| output.poll_send(&mut sending, simple.stream, (client, cx))).await? {
                Sent::Some => {}
                Sent::All => break,
                // Either the answer broke off, or it said that it was the last one.
                Sent::Last => return Ok(Next::Last),
            }
            let direct = if sending.is_direct() { Direct::to(simple.stream, client) } else { None };
            let waited = match direct {
                Some(direct) => simple.pass_on(direct, (&mut output, &mut sending)).await?,
                None => {
                    let more = poll_fn(|cx| match output.poll_more(&mut sending, cx) {
                        Poll::Ready(()) => Poll::Ready(Ok(())),
                        Poll::Pending => simple.poll_gone(cx).map(Err),
                    });
                    more.await
                }
            };
            if let Err(gone) = waited {
                return gone.map(|()| Next::Close);
            }
        }
    }
}

// === impl Simple ===

impl<S: Transport> Simple<'_, S> {
    fn poll_request(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<Result<Request, Next>>> {
        if !self.input.is_empty()
            && let Some(found) = self.look_at_input()
        {
            return Poll::Ready(Ok(found));
        }
        loop {
            let Self { client, stream, input, gate, .. } = self;
            let found = poll_bytes(*stream, cx, |bytes| {
                if bytes.is_empty() {
                    return Some(Err(Next::Close));
                }
                // Usually a whole head comes at once, and is looked at where it was read.
                let (used, found) = if input.is_empty() { look(bytes, gate, client) } else { (0, None) };
                input.extend_from_slice(bytes.get(used..).unwrap_or_default());
                found
            });
            match found {
                Poll::Ready(Ok(None)) => {
                    if let Some(found) = self.look_at_input() {
                        return Poll::Ready(Ok(found));
                    }
                }
                Poll::Ready(Ok(Some(found))) => return Poll::Ready(Ok(found)),
                Poll::Ready(Err(error)) => return Poll::Ready(Err(error)),
                Poll::Pending => {
                    if self.input.is_empty() {
                        // An idle connection keeps no buffer, and is closed when the process ends.
                        *self.input = BytesMut::new();
                        if !self.is_late && self.client.worker.phase.get() >= Phase::Closing {
                            return Poll::Ready(Ok(Err(Next::Close)));
                        }
                    }
                    self.client.waits_for(Stage::Head, self.input.is_empty());
                    return Poll::Pending;
                }
            }
        }
    }

    fn look_at_input(&mut self) -> Option<Result<Request, Next>> {
        let (used, found) = look(self.input, &mut self.gate, self.client);
        self.input.advance(used);
        found
    }

    /// Passes the rest of an answer on from socket to socket.
    async fn pass_on(
        &mut self,
        mut direct: Direct,
        (output, sending): (&mut Output, &mut Sending),
    ) -> io::Result<Result<(), io::Result<()>>> {
        let passed = poll_fn(|cx| {
            loop {
                let emptied = direct.poll_empty(self.stream, cx);
                if emptied.is_pending() {
                    self.client.waits_to_write();
                }
                match ready!(emptied) {
                    Err(error) => return Poll::Ready(Err(error)),
                    Ok(0) if sending.is_over() => return Poll::Ready(Ok(Ok(()))),
                    Ok(0) => match sending.poll_take(cx, |from, left| direct.fill(from, left)) {
                        Poll::Ready(()) => {}
                        Poll::Pending => return self.poll_gone(cx).map(|gone| Ok(Err(gone))),
                    },
                    Ok(count) => output.has_written(count, self.client),
                }
            }
        });
        let passed = passed.await;
        direct.end(self.client);
        passed
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

/// How many of the bytes at hand are used, and the request that they begin with, if it is a simple one; `None` while it
/// is not complete.
fn look(bytes: &[u8], gate: &mut Gate, client: &Client) -> (usize, Option<Result<Request, Next>>) {
    let mut used = 0;
    loop {
        let rest = bytes.get(used..).unwrap_or_default();
        match gate.admit(rest, usize::MAX) {
            Verdict::More => return (used, None),
            Verdict::Skip(count) => used += count,
            // A head without a body: the next head follows.
            Verdict::Pass(length) if gate.stage() == Stage::Head => {
                let head = rest.get(..length).unwrap_or_default();
                // hyper begins where this request begins.
                let Some(request) = request::simple(head, &mut gate.outline) else { break };
                client.has_read();
                return (used + length, Some(Ok(request)));
            }
            Verdict::Pass(_) | Verdict::Hold | Verdict::Refuse(_) | Verdict::Break => break,
        }
    }
    client.begins_anew();
    (used, Some(Err(Next::Hyper)))
}
