//! What may keep a candidate from going on although nothing speaks against it: the time of day, and others' word.

use super::Turn;
use super::holds::later;
use crate::{GateAnswer, HoldReason, OnDeadline, Question, Release};
use jiff::Timestamp;

// === impl Turn ===

impl Turn<'_> {
    /// Whether `release` may enter `step`; where it may not, the hold says why. A person's word comes before both.
    pub(super) fn permits(&mut self, release: &Release, step: usize) -> bool {
        self.is_in_window() && self.gates_say_yes(release, step)
    }

    fn is_in_window(&mut self) -> bool {
        let windows = &self.spec.windows;
        if windows.is_empty() || windows.iter().any(|window| window.is_open(self.now)) {
            return true;
        }
        let next = windows
            .iter()
            .filter_map(|window| Some((window.next_opening(self.now)?, window)))
            .min_by_key(|(opening, _)| *opening);
        let (message, deadline) = match next {
            Some((opening, window)) => (format!("the next window opens at {opening:.0}: {window}"), opening),
            None => ("no window opens any more".to_owned(), Timestamp::MAX),
        };
        self.hold_until(HoldReason::OutsideWindow, format!("{message}; promote goes on now"), deadline);
        if let Some(hold) = &mut self.status.hold {
            hold.then = OnDeadline::Proceed;
        }
        false
    }

    fn gates_say_yes(&mut self, release: &Release, step: usize) -> bool {
        let question = Question::of(release, step);
        let answer = |gate: &str| {
            let mut reports = self.seen.gates.iter().filter(|report| report.question == question);
            reports.find(|report| report.gate == gate).map(|report| &report.answer)
        };
        let open: Vec<_> = self
            .spec
            .gates
            .iter()
            .filter_map(|gate| {
                let name = &gate.name;
                match answer(name) {
                    Some(GateAnswer::Yes) => None,
                    Some(GateAnswer::No(why)) if why.is_empty() => Some(format!("{name} says no")),
                    Some(GateAnswer::No(why)) => Some(format!("{name} says no: {why}")),
                    Some(GateAnswer::None(why)) => Some(format!("{name} gives no answer: {why}")),
                    None => Some(format!("{name} is being asked")),
                }
            })
            .collect();
        if open.is_empty() {
            return true;
        }
        // The time that is left begins with the question, not with the stage.
        let before = self.held.hold.as_ref().filter(|hold| hold.reason == HoldReason::AwaitingGate);
        let asked = before.map_or(self.now, |hold| hold.since);
        let message = format!("{}; promote goes on without", open.join(", "));
        self.hold_until(HoldReason::AwaitingGate, message, later(asked, self.spec.deadlines.hold));
        if let Some(hold) = &mut self.status.hold {
            hold.since = asked;
        }
        self.abort_overdue();
        false
    }
}
