use crate::timers::Timer;
use std::{
    task::{Context, Poll, ready},
    time::{Duration, Instant},
};

/// Finds out whether a silent client is still there.
pub(super) struct Heartbeat {
    timer: Timer,
    state: State,
}

#[derive(Clone, Copy, Default)]
struct State {
    /// Something was read since the timer was set.
    has_heard: bool,
    /// It was asked.
    is_asked: bool,
}

/// What is done when the time is up.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Beat {
    /// Nothing.
    Waits,
    /// The client is asked.
    Asks,
    /// It was asked and has said nothing.
    Gone,
}

/// A client that answers no ping for so long is gone.
const PING_INTERVAL: Duration = Duration::from_secs(30);
const PING_TIMEOUT: Duration = Duration::from_secs(20);

// === impl Heartbeat ===

impl Heartbeat {
    pub(super) fn new(timer: Timer) -> Self {
        timer.set(Some(Instant::now() + PING_INTERVAL));
        Self { timer, state: State::default() }
    }

    /// Something was read.
    pub(super) const fn hears(&mut self) {
        self.state.has_heard = true;
    }

    /// Ready when the time is up; `is_idle`: nothing is under way.
    pub(super) fn poll_beat(&mut self, is_idle: bool, cx: &Context<'_>) -> Poll<Beat> {
        ready!(self.timer.poll_passed(cx));
        let beat = self.state.beat(is_idle);
        let wait = if beat == Beat::Asks { PING_TIMEOUT } else { PING_INTERVAL };
        self.timer.set(Some(Instant::now() + wait));
        Poll::Ready(beat)
    }
}

// === impl State ===

impl State {
    fn beat(&mut self, is_idle: bool) -> Beat {
        let beat = match self {
            Self { has_heard: false, is_asked: true } => Beat::Gone,
            // Who waits for nothing may be silent until the idle deadline.
            Self { has_heard: false, .. } if !is_idle => Beat::Asks,
            _ => Beat::Waits,
        };
        *self = Self { has_heard: false, is_asked: beat == Beat::Asks };
        beat
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_silent_client_with_a_request_is_asked_and_gone_without_an_answer() {
        let mut state = State::default();
        assert_eq!([state.beat(false), state.beat(false)], [Beat::Asks, Beat::Gone]);
    }

    #[test]
    fn a_client_that_answers_or_says_anything_stays() {
        let mut state = State::default();
        for _ in 0..3 {
            assert_eq!(state.beat(false), Beat::Asks);
            state.has_heard = true;
            assert_eq!(state.beat(false), Beat::Waits);
        }
    }

    #[test]
    fn a_client_that_waits_for_nothing_is_not_asked() {
        let mut state = State::default();
        assert_eq!([state.beat(true), state.beat(true)], [Beat::Waits; 2]);
    }
}
