//! Who floods: frames that make work and bring nothing are counted against those that bring something.

use super::frame::{DATA, HEADERS, Head, RST_STREAM};
use std::time::{Duration, Instant};

/// What a client may still do that brings nothing.
#[derive(Debug)]
pub(super) struct Budget {
    /// Frames that cost work and bring nothing: how many more are put up with.
    spare: u32,
    /// When time earned some last.
    earned_at: Instant,
    /// Streams that the client reset.
    resets: usize,
}

/// The client makes work instead of requests.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Flood;

/// Pings, settings, priorities, window updates and empty frames that a connection may begin with, and save up.
const SPARE_START: u32 = 1_000;
const SPARE_MAX: u32 = 10_000;

/// What each request that is served, each frame of a body, each KiB of an answer and each second earns.
const SPARE_PER_REQUEST: u32 = 16;
const SPARE_PER_DATA: u32 = 1;
const SPARE_PER_KIB: u32 = 1;
const SPARE_PER_SECOND: u32 = 50;

/// Frames of a body with less than the shortest message of gRPC earn nothing: they would pay for others by next to
/// nothing. Beside messages there may be as many pings, which gRPC measures its windows by.
const DATA_BYTES_MIN: usize = 5;

/// Requests that a client may take back beyond the number of those that were answered.
const RESETS_SPARE: usize = 100;

// === impl Budget ===

impl Budget {
    pub(super) fn new() -> Self {
        Self { spare: SPARE_START, earned_at: Instant::now(), resets: 0 }
    }

    /// A frame begins. `answered`: requests that were answered so far.
    pub(super) fn follow(&mut self, head: Head, answered: usize) -> Result<(), Flood> {
        match head.kind {
            // What they bring is known when they are read.
            DATA | HEADERS => {}
            RST_STREAM => {
                self.resets += 1;
                if self.resets > RESETS_SPARE + answered {
                    return Err(Flood);
                }
            }
            _ => self.spend()?,
        }
        Ok(())
    }

    /// A request is served.
    pub(super) fn serves(&mut self) {
        self.earn(SPARE_PER_REQUEST);
    }

    /// A header block is no request that is served: too many requests, too large, or of a stream that has ended.
    pub(super) fn serves_none(&mut self) -> Result<(), Flood> {
        self.spend()
    }

    /// A part of a body has so many bytes, without padding.
    pub(super) fn takes(&mut self, bytes: usize, is_last: bool) -> Result<(), Flood> {
        if bytes >= DATA_BYTES_MIN {
            self.earn(SPARE_PER_DATA);
        } else if bytes == 0 && !is_last {
            self.spend()?;
        }
        Ok(())
    }

    /// So many bytes were sent to the client, which acknowledges them.
    pub(super) fn sent(&mut self, bytes: usize) {
        self.earn(u32::try_from(bytes / 1024).unwrap_or(SPARE_MAX).saturating_mul(SPARE_PER_KIB));
    }

    fn earn(&mut self, frames: u32) {
        self.spare = self.spare.saturating_add(frames).min(SPARE_MAX);
    }

    fn spend(&mut self) -> Result<(), Flood> {
        if self.spare == 0 {
            let seconds = u32::try_from(self.earned_at.elapsed().as_secs()).unwrap_or(SPARE_MAX);
            self.earned_at += Duration::from_secs(seconds.into());
            self.earn(seconds.saturating_mul(SPARE_PER_SECOND));
        }
        self.spare = self.spare.checked_sub(1).ok_or(Flood)?;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::{
        super::frame::{CONTINUATION, PING},
        *,
    };

    const fn frame(kind: u8, length: usize) -> Head {
        Head { length, kind, flags: 0, stream: 1 }
    }

    #[test]
    fn frames_that_carry_nothing_are_put_up_with_for_a_while_and_more_beside_requests() {
        let count = |mut budget: Budget, kind| {
            (0..20_000).take_while(|_| budget.follow(frame(kind, 0), 0).is_ok()).count()
        };
        for kind in [PING, CONTINUATION, 2, 4, 8, 99] {
            assert_eq!(count(Budget::new(), kind), 1_000, "type {kind}");
        }
        let mut busy = Budget::new();
        busy.serves();
        busy.sent(10 * 1024);
        assert_eq!(count(busy, PING), 1_026);
    }

    #[test]
    fn bodies_and_requests_count_by_what_they_bring() {
        let spare_after = |bytes, is_last| {
            let mut budget = Budget::new();
            (0..10).for_each(|_| budget.takes(bytes, is_last).unwrap());
            budget.spare
        };
        assert_eq!(spare_after(0, false), SPARE_START - 10);
        assert_eq!((spare_after(0, true), spare_after(4, false)), (SPARE_START, SPARE_START));
        assert_eq!(spare_after(5, false), SPARE_START + 10);
        let mut budget = Budget::new();
        assert_eq!((0..20_000).take_while(|_| budget.serves_none().is_ok()).count(), 1_000);
    }

    #[test]
    fn as_many_requests_may_be_taken_back_as_were_answered_and_a_hundred_more() {
        let mut budget = Budget::new();
        let end = (0..1_000).find(|_| budget.follow(frame(RST_STREAM, 4), 50).is_err());
        assert_eq!(end, Some(150));
    }
}
