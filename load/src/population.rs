//! Who sends the next request.

use std::{
    collections::BTreeMap,
    sync::Arc,
    time::{Duration, Instant},
};

use rand::{Rng, RngExt};

use crate::{
    person::Person,
    scenario::{Flow, Role, Scenario},
    session::{Credentials, Placeholders, Session, Visit},
    target::Target,
};

/// All people. An arrival goes on with the session that has waited longest; where nobody is due, someone
/// starts a new session, so that an arrival never waits for an answer.
pub struct Population<R> {
    scenario: Arc<Scenario>,
    target: Target,
    credentials: Option<Credentials>,
    rng: R,
    /// People without a session.
    resting: Vec<Person>,
    /// Sessions with their next request, by the time from which it may start.
    waiting: BTreeMap<(Instant, u64), (Session, Visit)>,
    known: usize,
    serial: u64,
}

/// Nobody can do anything: the scenario has only flows for authors, and there are no credentials.
#[derive(Debug, thiserror::Error)]
#[error("every flow of scenario `{0}` is for authors: give --username and LOAD_PASSWORD or --password-file")]
pub struct NobodyError(String);

impl<R: Rng> Population<R> {
    /// People for a scenario.
    ///
    /// # Errors
    /// [`NobodyError`] if there is no flow that may run without credentials, and none are given.
    pub fn try_new(
        scenario: Arc<Scenario>,
        target: Target,
        credentials: Option<Credentials>,
        rng: R,
    ) -> Result<Self, NobodyError> {
        let resting = (1..=scenario.users).map(|number| Person::new(number, &scenario.identity)).collect();
        let known = scenario.users;
        let waiting = BTreeMap::new();
        let population = Self { scenario, target, credentials, rng, resting, waiting, known, serial: 0 };
        if population.total_weight() == 0 {
            return Err(NobodyError(population.scenario.name.clone()));
        }
        Ok(population)
    }

    /// Whoever is due, or a new session.
    pub fn next(&mut self, now: Instant) -> Option<(Session, Visit)> {
        if let Some(entry) = self.waiting.first_entry() {
            // Where everyone is on the way, the next one hurries.
            if entry.key().0 <= now || self.resting.is_empty() {
                return Some(entry.remove());
            }
        }
        let person = self.someone();
        let flow = self.choose_flow()?;
        let session = Session::new(person, flow);
        let visit = self.visit(&session)?;
        Some((session, visit))
    }

    /// Takes a session back after an answer, and finds the next step that its pages offer. Returns the
    /// [`crate::scenario::Step::id`] of each step that they did not.
    pub fn give_back(&mut self, mut session: Session, now: Instant) -> Vec<usize> {
        let mut skipped = vec![];
        while let Some(step) = self.step(&session) {
            if let Some(visit) = self.visit(&session) {
                let due =
                    now + self.scenario.flows.get(session.flow).map_or(Duration::ZERO, |flow| flow.think);
                self.waiting.insert((due, self.serial), (session, visit));
                return skipped;
            }
            skipped.push(step);
            session.step += 1;
        }
        self.retire(session);
        skipped
    }

    /// Ends a session.
    pub fn retire(&mut self, mut session: Session) {
        let flow = self.scenario.flows.get(session.flow);
        if flow.is_some_and(|flow| flow.role == Role::Author) {
            session.person.forget(&self.scenario.identity);
        }
        self.resting.push(session.person);
    }

    fn visit(&mut self, session: &Session) -> Option<Visit> {
        self.serial += 1;
        let placeholders = Placeholders { credentials: self.credentials.as_ref(), number: self.serial };
        let step = self.scenario.step(session.flow, session.step)?;
        session.visit(step, (&self.target, &placeholders), &mut self.rng)
    }

    fn step(&self, session: &Session) -> Option<usize> {
        self.scenario.step(session.flow, session.step).map(|step| step.id)
    }

    /// Anyone who rests, or one person more: more requests are under way than the scenario has people.
    fn someone(&mut self) -> Person {
        if self.resting.is_empty() {
            self.known += 1;
            return Person::new(self.known, &self.scenario.identity);
        }
        let index = self.rng.random_range(0..self.resting.len());
        self.resting.swap_remove(index)
    }

    fn choose_flow(&mut self) -> Option<usize> {
        let mut point = self.rng.random_range(0..self.total_weight());
        self.scenario.flows.iter().position(|flow| {
            let weight = self.weight(flow);
            let is_here = point < weight;
            point = point.saturating_sub(weight);
            is_here
        })
    }

    fn total_weight(&self) -> u64 {
        self.scenario.flows.iter().map(|flow| self.weight(flow)).sum()
    }

    fn weight(&self, flow: &Flow) -> u64 {
        if flow.role == Role::Author && self.credentials.is_none() { 0 } else { u64::from(flow.weight) }
    }
}
