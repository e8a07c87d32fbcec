//! The border between the engine and the place where a workload runs.
//!
//! ```text
//!   decide(spec, status, observation, now) ─► status ─► store ─► actions ─► carry_out
//!        ▲                                                          │
//!        └────────────────────── observe ◄──────────────────────────┘
//! ```

use jiff::Timestamp;
use release::{Action, Decision, Event, Observation, Phase, Spec, Status, decide};
use std::fmt::Display;
use std::future::Future;
use tokio::time::Instant;

/// The most stages that one turn goes through before others get their turn.
const STAGES_PER_TURN: u32 = 16;

/// A place where a workload runs.
pub trait Platform {
    /// Why something could not be done now; it is tried again.
    type Error: Display;

    /// How releases go at the moment.
    fn spec(&self) -> &Spec;

    /// What is remembered.
    fn status(&self) -> &Status;

    /// The present moment; a recording has a clock of its own.
    fn now(&self) -> Timestamp {
        Timestamp::now()
    }

    /// Looks at everything. A sample of the counters is handed out once.
    fn observe(&mut self) -> impl Future<Output = Result<Observation, Self::Error>>;

    /// Remembers a status so that it survives a crash.
    fn store(&mut self, status: Status) -> impl Future<Output = Result<(), Self::Error>>;

    /// Does something; doing it twice is doing it once.
    fn carry_out(&mut self, action: Action) -> impl Future<Output = Result<(), Self::Error>>;

    /// Tells people.
    fn tell(&mut self, event: &Event);

    /// Notes how long a decision took.
    fn measure(&mut self, decision: std::time::Duration);
}

/// Goes on until nothing is left to do but to wait.
///
/// # Errors
/// Where the platform failed; what was decided is remembered or comes again at the next turn.
pub async fn turn<P: Platform>(platform: &mut P) -> Result<(), P::Error> {
    let mut before = Vec::new();
    for _ in 0..STAGES_PER_TURN {
        let seen = platform.observe().await?;
        let began = Instant::now();
        let Decision { status, actions, events } =
            decide(platform.spec(), platform.status(), &seen, platform.now());
        platform.measure(began.elapsed());
        let moved = place(&status) != place(platform.status());
        // What was decided must be remembered before any of it is done.
        platform.store(status).await?;
        for event in &events {
            platform.tell(event);
        }
        for action in &actions {
            platform.carry_out(action.clone()).await?;
        }
        // An action that comes back takes its time: what it waits for is seen at a later turn.
        if !moved && (actions.is_empty() || actions == before) {
            break;
        }
        before = actions;
    }
    Ok(())
}

/// Where a status is, without what merely accompanies it.
fn place(status: &Status) -> (&'static str, u8, usize, Timestamp) {
    let stage = match &status.phase {
        Phase::Initializing | Phase::Stable | Phase::Failed { .. } => 0,
        Phase::Progressing { stage, .. } => *stage as u8,
        Phase::Promoting { task, .. } => *task as u8,
        Phase::RollingBack { task, .. } => *task as u8,
    };
    let step = status.release().map_or(0, |release| release.step);
    (status.phase.name(), stage, step, status.since)
}
