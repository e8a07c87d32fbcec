use crate::{
    config::AppProtocol,
    metrics::Class,
    routes::{Backend, InFlight, Pending, Route},
};
use split::Track;
use std::{sync::Arc, time::Duration, time::Instant};

/// One attempt on one endpoint: what it is counted as when it ends.
///
/// The latency is the time to the head of the answer, so that a slow reader does not make a version look slow.
/// The class is settled at the end of the body, so that a broken body counts as an error.
pub(crate) struct Record {
    route: Arc<Route>,
    backend: usize,
    track: Track,
    attempt: Attempt,
    started: Instant,
    outcome: Outcome,
    pending: Option<Pending>,
    _in_flight: InFlight,
}

/// Whether the attempt is what the promoter judges.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Attempt {
    /// The first one, on the track that the split or an override chose.
    First,
    /// Any other.
    Later,
}

#[derive(Clone, Copy)]
enum Outcome {
    /// No head yet.
    Waiting,
    /// The head is there; the body may still break.
    Head(Class, Duration),
    /// Counted.
    Settled,
}

/// A client that leaves before this is impatient; one that leaves after it was let down, which counts as an error.
const PATIENCE: Duration = Duration::from_secs(5);

// === impl Record ===

impl Record {
    pub(super) fn new(
        route: Arc<Route>,
        (backend, track): (usize, Track),
        attempt: Attempt,
        in_flight: InFlight,
    ) -> Self {
        let (started, outcome, pending) = (Instant::now(), Outcome::Waiting, None);
        Self { route, backend, track, attempt, started, outcome, pending, _in_flight: in_flight }
    }

    /// The backend that is asked.
    pub(super) fn backend(&self) -> Option<&Backend> {
        self.route.backends.get(self.backend)
    }

    /// The backend's place in the route.
    pub(super) const fn index(&self) -> usize {
        self.backend
    }

    /// What the backend speaks.
    pub(super) fn protocol(&self) -> AppProtocol {
        self.backend().map_or(AppProtocol::Http1, |backend| backend.protocol)
    }

    pub(super) const fn route(&self) -> &Arc<Route> {
        &self.route
    }

    pub(super) const fn started(&self) -> Instant {
        self.started
    }

    pub(super) const fn track(&self) -> Track {
        self.track
    }

    /// The attempt goes to this endpoint now.
    pub(super) fn at(&mut self, pending: Pending) {
        self.pending = Some(pending);
    }

    /// The head of an answer arrived.
    pub(super) fn head(&mut self, class: Class) {
        self.outcome = Outcome::Head(class, self.started.elapsed());
    }

    /// What came after the body says how it went.
    pub(super) const fn trailers(&mut self, said: Class) {
        if let Outcome::Head(class, _) = &mut self.outcome {
            *class = said;
        }
    }

    /// The answer was passed on to its end.
    pub(super) fn complete(&mut self) {
        if let Outcome::Head(class, took) = self.outcome {
            self.settle(class, took);
            if let Some(pending) = &self.pending {
                if class.is_error() {
                    pending.endpoint().answered_badly();
                } else {
                    pending.endpoint().succeeded();
                }
            }
        }
    }

    /// The attempt failed, and the client gets this from it.
    pub(super) fn fail(&mut self, class: Class) {
        self.settle(class, self.started.elapsed());
    }

    /// The attempt failed, and another one will be made. It is charged nevertheless when it is the first.
    pub(super) fn give_up(mut self, class: Class) {
        if self.attempt == Attempt::First {
            self.charge(class, self.started.elapsed());
        }
        self.outcome = Outcome::Settled;
    }

    fn settle(&mut self, class: Class, took: Duration) {
        if self.attempt == Attempt::First {
            self.charge(class, took);
        }
        self.route.state.metrics(self.track).request(class, took);
        self.outcome = Outcome::Settled;
    }

    fn charge(&self, class: Class, took: Duration) {
        self.route.state.metrics(self.track).first_attempt(class, took);
        // A track without endpoints keeps its share and answers 503 for it: nobody asked to spill it over.
        if self.pending.is_none() {
            return;
        }
        let outcome = if class.is_error() { Err(()) } else { Ok(()) };
        if self.route.state.trip.note(self.track, outcome) {
            let name = &self.route.spec.name;
            tracing::error!(
                route = name,
                "Tripped {name}: most requests to its canary fail, stable takes all"
            );
        }
    }
}

impl Drop for Record {
    fn drop(&mut self) {
        match self.outcome {
            // The client left in the middle of the body: the answer itself was in order.
            Outcome::Head(class, took) => self.settle(class, took),
            Outcome::Waiting if self.started.elapsed() >= PATIENCE => self.fail(Class::Error),
            Outcome::Waiting | Outcome::Settled => {}
        }
    }
}
