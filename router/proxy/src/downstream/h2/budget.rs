//! Who floods: frames that make work and bring nothing are counted against those that bring something.

use super::frame::{DATA, END_STREAM, HEADERS, Head, RST_STREAM};
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

/// What each request, each frame of a body, each KiB of an answer and each second earns.
const SPARE_PER_REQUEST: u32 = 16;
const SPARE_PER_DATA: u32 = 1;
const SPARE_PER_KIB: u32 = 1;
const SPARE_PER_SECOND: u32 = 50;

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
            DATA if head.length > 0 || head.has(END_STREAM) => self.earn(SPARE_PER_DATA),
            HEADERS => self.earn(SPARE_PER_REQUEST),
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
        for kind in [PING, DATA, CONTINUATION, 2, 4, 8, 99] {
            assert_eq!(count(Budget::new(), kind), 1_000, "type {kind}");
        }
        let mut busy = Budget::new();
        busy.follow(frame(HEADERS, 1), 0).unwrap();
        busy.sent(10 * 1024);
        assert_eq!(count(busy, PING), 1_026);
    }

    #[test]
    fn as_many_requests_may_be_taken_back_as_were_answered_and_a_hundred_more() {
        let mut budget = Budget::new();
        let end = (0..1_000).find(|_| budget.follow(frame(RST_STREAM, 4), 50).is_err());
        assert_eq!(end, Some(150));
    }
}
