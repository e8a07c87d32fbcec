use super::{
    connection::Connection,
    frame::{Reason, WINDOW_UPDATE},
    hpack,
    incoming::Inlet,
    ready::Ready,
    stream::{Stream, Turn, Way},
};
use hyper::StatusCode;
use slab::Slab;
use std::{collections::VecDeque, task::Context};

/// The requests that are under way on a connection.
#[derive(Default)]
pub(super) struct Streams {
    pub(super) open: Slab<Stream>,
    pub(super) ready: Ready,
    /// The highest number that a request had.
    pub(super) last: u32,
    /// Streams that were reset from this side: what the client sent before it knew is no fault.
    reset: VecDeque<u32>,
    /// How many of them were the client's fault.
    faults: usize,
    /// Requests that were taken back before anybody looked at them, since the last look.
    pub(super) unseen: usize,
}

/// Streams that are remembered after a reset: as many as may be open.
const RESETS_KEPT: usize = super::STREAMS_MAX;

// === impl Streams ===

impl Streams {
    pub(super) fn is_empty(&self) -> bool {
        self.open.is_empty()
    }

    /// The stream of this number, and its place.
    pub(super) fn find(&mut self, id: u32) -> Option<(usize, &mut Stream)> {
        self.open.iter_mut().find(|(_, stream)| stream.id == id)
    }

    pub(super) fn was_reset(&self, id: u32) -> bool {
        self.reset.contains(&id)
    }

    pub(super) fn clear(&mut self) {
        self.open.clear();
    }

    fn remember(&mut self, id: u32) {
        if self.reset.len() >= RESETS_KEPT {
            self.reset.pop_front();
        }
        self.reset.push_back(id);
    }
}

// === impl Connection: its streams ===

impl<S> Connection<S> {
    /// Lets every stream that has something to do go on; true when one of them had to pause.
    pub(super) fn advance(&mut self) -> bool {
        let mut marked = self.streams.ready.take();
        let mut is_paused = false;
        self.streams.unseen = 0;
        while marked != 0 {
            let place = marked.trailing_zeros() as usize;
            marked &= marked - 1;
            is_paused |= self.advance_at(place);
        }
        is_paused
    }

    fn advance_at(&mut self, place: usize) -> bool {
        self.open_windows(place);
        let waker = self.streams.ready.waker(place);
        let Some(stream) = self.streams.open.get_mut(place) else { return false };
        let mut way = Way {
            client: &self.client,
            output: &mut self.output,
            window: &mut self.peer.window,
            frame_max: self.peer.frame_max,
        };
        let turn = stream.advance(&mut way, &mut Context::from_waker(&waker));
        let id = stream.id;
        match turn {
            Turn::Waits => self.ask(place),
            Turn::Pauses => self.streams.ready.mark(place),
            Turn::Ends => {
                let is_whole = stream.inlet.as_ref().is_none_or(Inlet::is_over);
                self.remove(place);
                if !is_whole {
                    // The answer does not need the rest of the request (RFC 9113 §8.1).
                    self.streams.remember(id);
                    self.put_reset(id, Reason::NoError);
                }
            }
            Turn::Fails(reason) => {
                self.remove(place);
                self.streams.remember(id);
                self.put_reset(id, reason);
            }
        }
        turn == Turn::Pauses
    }

    /// Asks a client for the body that it holds back.
    fn ask(&mut self, place: usize) {
        let Some(stream) = self.streams.open.get_mut(place) else { return };
        if stream.inlet.as_ref().is_some_and(Inlet::take_asks) && !stream.has_begun() {
            let put = |out: &mut Vec<u8>| hpack::put_status(out, StatusCode::CONTINUE);
            self.output.put_block((stream.id, false), self.peer.frame_max, put);
        }
    }

    /// The client may send as much as was taken.
    fn open_windows(&mut self, place: usize) {
        let Some(stream) = self.streams.open.get_mut(place) else { return };
        let Some(inlet) = &stream.inlet else { return };
        let taken = inlet.take_taken();
        let update = if inlet.is_over() { None } else { stream.room.free(taken) };
        if let Some(update) = update {
            self.output.put(WINDOW_UPDATE, 0, stream.id, &update.to_be_bytes());
        }
        self.free(taken);
    }

    /// So many bytes of bodies are out of the way.
    pub(super) fn free(&mut self, bytes: usize) {
        if let Some(update) = self.window.free(bytes) {
            self.output.put(WINDOW_UPDATE, 0, 0, &update.to_be_bytes());
        }
    }

    /// Ends a stream that a client did something wrong on.
    pub(super) fn reset(&mut self, id: u32, reason: Reason) {
        if let Some((place, _)) = self.streams.find(id) {
            self.remove(place);
        }
        self.streams.remember(id);
        self.put_reset(id, reason);
        self.streams.faults += 1;
        if self.streams.faults > super::RESETS_BY_ERROR_MAX {
            self.fail(Reason::EnhanceYourCalm);
        }
    }

    pub(super) fn remove(&mut self, place: usize) {
        let Some(stream) = self.streams.open.try_remove(place) else { return };
        if let Some(inlet) = &stream.inlet {
            self.free(inlet.close());
        }
    }

    /// Requests that are refused do not count as faults: the client may not have read the limit yet.
    pub(super) fn refuse(&mut self, id: u32) {
        self.streams.remember(id);
        self.put_reset(id, Reason::RefusedStream);
    }
}
