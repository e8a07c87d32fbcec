//! What the frames of a client mean (RFC 9113 §6).

use super::{
    connection::{Connection, Going, Opening, PING_GOING},
    frame::{
        ACK, CONTINUATION, DATA, ENABLE_PUSH, END_HEADERS, END_STREAM, Fault, GOAWAY, HEADER_TABLE_SIZE,
        HEADERS, Head, INITIAL_WINDOW_SIZE, MAX_FRAME_SIZE, PING, PRIORITY, PUSH_PROMISE, RST_STREAM, Reason,
        SETTINGS, WINDOW_UPDATE, number,
    },
    hpack,
    incoming::{Asks, channel},
    request::{self, Unfit},
    stream::Stream,
    window::{self, Window},
};
use crate::{exchange, message::Request};
use hyper::{Method, StatusCode};
use std::rc::Rc;

/// A header block that is not complete.
pub(super) struct Block {
    stream: u32,
    /// The stream ends with it.
    is_last: bool,
    bytes: Vec<u8>,
}

/// The longest header block: what is larger than that cannot be within the limit for a head even when it is compressed
/// badly, and is not read to its end.
const BLOCK_BYTES_MAX: usize = 64 * 1024;

const PROTOCOL_ERROR: Fault = Fault::Connection(Reason::ProtocolError);
const FRAME_SIZE_ERROR: Fault = Fault::Connection(Reason::FrameSizeError);

impl<S> Connection<S> {
    pub(super) fn receive(&mut self, head: Head, payload: &[u8]) -> Result<(), Fault> {
        self.budget.follow(head, self.client.answered())?;
        if self.opening == Opening::Settings {
            if head.kind != SETTINGS || head.has(ACK) {
                return Err(PROTOCOL_ERROR);
            }
            self.opening = Opening::Done;
        }
        if self.block.as_ref().is_some_and(|block| head.kind != CONTINUATION || head.stream != block.stream) {
            return Err(PROTOCOL_ERROR);
        }
        match head.kind {
            DATA => self.data(head, payload),
            HEADERS => self.headers(head, payload),
            CONTINUATION => self.continuation(head, payload),
            RST_STREAM => self.is_taken_back(head, payload),
            SETTINGS => self.settings(head, payload),
            PING => self.ping(head, payload),
            WINDOW_UPDATE => self.window_update(head, payload),
            PRIORITY if head.stream == 0 => Err(PROTOCOL_ERROR),
            PRIORITY if payload.len() != 5 => Err(Fault::Stream(head.stream, Reason::FrameSizeError)),
            PRIORITY if head.depends_on_itself(payload) => Err(PROTOCOL_ERROR),
            GOAWAY if head.stream != 0 => Err(PROTOCOL_ERROR),
            GOAWAY if payload.len() < 8 => Err(FRAME_SIZE_ERROR),
            PUSH_PROMISE => Err(PROTOCOL_ERROR),
            // Priorities are not kept, a client that says that it goes just goes, and other frames are none.
            _ => Ok(()),
        }
    }

    fn data(&mut self, head: Head, payload: &[u8]) -> Result<(), Fault> {
        if head.stream == 0 {
            return Err(PROTOCOL_ERROR);
        }
        self.window.take(payload.len()).map_err(Fault::Connection)?;
        let content = head.content(payload)?;
        self.budget.takes(content.len(), head.has(END_STREAM))?;
        let Some((place, stream)) = self.streams.find(head.stream) else {
            self.free(payload.len());
            return self.on_closed(head.stream);
        };
        let Stream { inlet: Some(inlet), room, .. } = stream else {
            self.free(payload.len());
            return Err(Fault::Stream(head.stream, Reason::StreamClosed));
        };
        let reason = if inlet.is_over() { Err(Reason::StreamClosed) } else { room.take(payload.len()) };
        if let Err(reason) = reason {
            self.free(payload.len());
            return Err(Fault::Stream(head.stream, reason));
        }
        // From here on the bytes are given back by the body, be it that it is broken off.
        inlet.skip(payload.len() - content.len());
        let put =
            inlet.put(content).and_then(|()| if head.has(END_STREAM) { inlet.end(None) } else { Ok(()) });
        self.streams.ready.mark(place);
        put.map_err(|reason| Fault::Stream(head.stream, reason))
    }

    fn headers(&mut self, head: Head, payload: &[u8]) -> Result<(), Fault> {
        if head.stream.is_multiple_of(2) {
            return Err(PROTOCOL_ERROR);
        }
        let content = head.content(payload)?;
        let is_last = head.has(END_STREAM);
        if head.has(END_HEADERS) {
            return self.block((head.stream, is_last), content);
        }
        self.block = Some(Block { stream: head.stream, is_last, bytes: content.to_vec() });
        Ok(())
    }

    fn continuation(&mut self, head: Head, payload: &[u8]) -> Result<(), Fault> {
        let block = self.block.as_mut().ok_or(PROTOCOL_ERROR)?;
        block.bytes.extend_from_slice(payload);
        if block.bytes.len() > BLOCK_BYTES_MAX {
            return Err(Fault::Connection(Reason::EnhanceYourCalm));
        }
        if !head.has(END_HEADERS) {
            return Ok(());
        }
        let Some(Block { stream, is_last, bytes }) = self.block.take() else { return Ok(()) };
        self.block((stream, is_last), &bytes)
    }

    /// A header block is complete. It is read in any case, as later ones refer to it.
    fn block(&mut self, (id, is_last): (u32, bool), block: &[u8]) -> Result<(), Fault> {
        let mut fields = request::Reading::default();
        let decoded = self.decoder.decode(block, |field, size| fields.add(field, size));
        decoded.map_err(|hpack::Undecodable| Fault::Connection(Reason::CompressionError))?;
        let malformed = Fault::Stream(id, Reason::ProtocolError);
        if let Some((_, stream)) = self.streams.find(id) {
            let inlet = stream.inlet.as_ref().filter(|inlet| !inlet.is_over());
            let inlet = inlet.ok_or(Fault::Stream(id, Reason::StreamClosed))?;
            let trailers = fields.trailers().filter(|_| is_last).ok_or(malformed)?;
            return inlet.end(Some(trailers)).map_err(|reason| Fault::Stream(id, reason));
        }
        if id <= self.streams.last {
            self.budget.serves_none()?;
            let is_known = self.streams.was_reset(id);
            return if is_known { Ok(()) } else { Err(Fault::Connection(Reason::StreamClosed)) };
        }
        if self.going == Going::Last {
            return Ok(self.budget.serves_none()?);
        }
        self.streams.last = id;
        match fields.request() {
            Ok((_, Some(1..))) if is_last => Err(malformed),
            // RFC 9110 §9.3.8.
            Ok((request, _)) if !is_last && request.method == Method::TRACE => Err(malformed),
            Ok(_) if self.streams.open.len() >= super::STREAMS_MAX => {
                self.refuse(id);
                Ok(self.budget.serves_none()?)
            }
            Ok((request, length)) => {
                self.budget.serves();
                self.open(id, request, (!is_last).then_some(length));
                Ok(())
            }
            Err(Unfit::Malformed) => Err(malformed),
            Err(Unfit::TooLarge) => {
                self.budget.serves_none()?;
                let put =
                    |out: &mut Vec<u8>| hpack::put_status(out, StatusCode::REQUEST_HEADER_FIELDS_TOO_LARGE);
                self.output.put_block((id, true), self.peer.frame_max, put);
                if is_last { Ok(()) } else { Err(Fault::Stream(id, Reason::NoError)) }
            }
        }
    }

    /// A request begins. `body`: its length where it is stated, if there is one.
    fn open(&mut self, id: u32, request: Request, body: Option<Option<u64>>) {
        let place = self.streams.open.vacant_key();
        let waker = self.streams.ready.waker(place);
        let asks = || if request.fields.contains("expect") { Asks::WhenRead } else { Asks::Never };
        let (inlet, incoming) = body.map(|length| channel((length, asks()), waker)).unzip();
        let method = request.method.clone();
        let answering = Box::pin(exchange::handle_stream(Rc::clone(&self.client), request, incoming));
        let room = Window::new(super::STREAM_WINDOW);
        let stream = Stream::new(id, &method, answering, (self.peer.stream_window, room), inlet);
        self.streams.open.insert(stream);
        self.streams.ready.mark(place);
    }

    fn is_taken_back(&mut self, head: Head, payload: &[u8]) -> Result<(), Fault> {
        number(payload)?;
        let Some((place, stream)) = self.streams.find(head.stream) else {
            return self.has_begun(head.stream);
        };
        if stream.is_new {
            self.streams.unseen += 1;
        }
        self.remove(place);
        if self.streams.unseen > super::RESETS_PENDING_MAX {
            return Err(Fault::Connection(Reason::EnhanceYourCalm));
        }
        Ok(())
    }

    fn settings(&mut self, head: Head, payload: &[u8]) -> Result<(), Fault> {
        if head.stream != 0 {
            return Err(PROTOCOL_ERROR);
        }
        let (settings, rest) = payload.as_chunks::<6>();
        if !rest.is_empty() || head.has(ACK) && !settings.is_empty() {
            return Err(FRAME_SIZE_ERROR);
        }
        for &[high, low, value @ ..] in settings {
            self.setting(u16::from_be_bytes([high, low]), u32::from_be_bytes(value))?;
        }
        if !head.has(ACK) {
            self.output.put(SETTINGS, ACK, 0, &[]);
        }
        Ok(())
    }

    fn setting(&mut self, id: u16, value: u32) -> Result<(), Fault> {
        let overflow = Fault::Connection(Reason::FlowControlError);
        match id {
            HEADER_TABLE_SIZE => self.output.must_tell_table(),
            ENABLE_PUSH if value > 1 => return Err(PROTOCOL_ERROR),
            INITIAL_WINDOW_SIZE => {
                let window =
                    Some(i64::from(value)).filter(|&window| window <= window::MAX).ok_or(overflow)?;
                let change = window - self.peer.stream_window;
                self.peer.stream_window = window;
                for (place, stream) in &mut self.streams.open {
                    stream.window += change;
                    if stream.window > window::MAX {
                        return Err(overflow);
                    }
                    self.streams.ready.mark(place);
                }
            }
            MAX_FRAME_SIZE => {
                let size = usize::try_from(value).ok().filter(|size| (1 << 14..1 << 24).contains(size));
                self.peer.frame_max = size.ok_or(PROTOCOL_ERROR)?;
            }
            _ => {}
        }
        Ok(())
    }

    fn ping(&mut self, head: Head, payload: &[u8]) -> Result<(), Fault> {
        if head.stream != 0 {
            return Err(PROTOCOL_ERROR);
        }
        match (head.has(ACK), <[u8; 8]>::try_from(payload)) {
            (_, Err(_)) => return Err(FRAME_SIZE_ERROR),
            (false, Ok(payload)) => self.output.put(PING, ACK, 0, &payload),
            (true, Ok(PING_GOING)) => self.is_told(),
            (true, Ok(_)) => {}
        }
        Ok(())
    }

    fn window_update(&mut self, head: Head, payload: &[u8]) -> Result<(), Fault> {
        let update = i64::from(number(payload)? & 0x7FFF_FFFF);
        if head.stream == 0 {
            self.peer.window += update;
            if update == 0 || self.peer.window > window::MAX {
                let reason = if update == 0 { Reason::ProtocolError } else { Reason::FlowControlError };
                return Err(Fault::Connection(reason));
            }
            for (place, stream) in &self.streams.open {
                if stream.has_piece() {
                    self.streams.ready.mark(place);
                }
            }
            return Ok(());
        }
        let Some((place, stream)) = self.streams.find(head.stream) else {
            return self.has_begun(head.stream);
        };
        stream.window += update;
        if update == 0 {
            return Err(Fault::Stream(head.stream, Reason::ProtocolError));
        }
        if stream.window > window::MAX {
            return Err(Fault::Stream(head.stream, Reason::FlowControlError));
        }
        self.streams.ready.mark(place);
        Ok(())
    }

    /// A part of a body came for a stream that is not open.
    fn on_closed(&self, stream: u32) -> Result<(), Fault> {
        self.has_begun(stream)?;
        let is_known = stream > self.streams.last || self.streams.was_reset(stream);
        if is_known { Ok(()) } else { Err(Fault::Stream(stream, Reason::StreamClosed)) }
    }

    /// A frame came for a stream that is not open: it must have been.
    fn has_begun(&self, stream: u32) -> Result<(), Fault> {
        // Requests that come after the last one are not looked at, and neither is what belongs to them.
        let is_idle = stream > self.streams.last && self.going != Going::Last;
        if stream == 0 || is_idle { Err(PROTOCOL_ERROR) } else { Ok(()) }
    }
}
