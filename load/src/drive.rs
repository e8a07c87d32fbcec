//! A run: people, connections, pacer and recorder put together.

use std::{
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
    time::{Duration, Instant},
};

use hyper::header::{HeaderMap, HeaderName};
use jiff::Timestamp;
use rand::{SeedableRng, rngs::Xoshiro256PlusPlus};
use tokio::{
    sync::{OwnedSemaphorePermit, Semaphore, mpsc},
    time::MissedTickBehavior,
};

use crate::{
    client::{Client, Exchange, Settings},
    pacer::{End, pace},
    population::{NobodyError, Population},
    record::{Counts, Ended, Event, Recorder, Second, Version},
    scenario::Scenario,
    schedule::{Arrival, Arrivals, Schedule, Stage},
    session::{Credentials, Redirected, Session, Verdict, Visit},
    target::Target,
};

/// Everything that a run needs to know.
#[derive(Clone)]
pub struct Plan {
    /// Where requests go.
    pub target: Target,
    /// What people do.
    pub scenario: Arc<Scenario>,
    /// The rate over time, not empty.
    pub stages: Vec<Stage>,
    /// How the starts are spread.
    pub arrivals: Arrivals,
    /// Repeats arrivals and choices.
    pub seed: u64,
    /// Time limit and retry rule of a request.
    pub settings: Settings,
    /// Requests under way beyond which arrivals are dropped and counted.
    pub in_flight_max: usize,
    /// The header field of answers that names the version.
    pub version_header: HeaderName,
    /// For the flows of authors.
    pub credentials: Option<Credentials>,
}

/// What a run was.
pub struct Outcome {
    /// How it ended.
    pub end: End,
    /// Its length.
    pub elapsed: Duration,
    /// Requests that were given up at a second request to stop; they are in no other count.
    pub abandoned: usize,
    /// What happened.
    pub counts: Counts,
}

/// Receives each second of a run.
pub trait Watcher {
    /// Shows one second; `false` when nobody watches any more, which ends the run early.
    fn second(&mut self, second: &Second) -> bool;
}

/// Runs the plan to its end. A message on `stop` ends it early: the first lets requests under way end, the
/// second gives them up.
///
/// # Errors
/// [`NobodyError`] if the scenario has nobody who may run without credentials.
pub async fn drive(
    plan: Plan,
    watcher: &mut impl Watcher,
    stop: &mut mpsc::Receiver<()>,
) -> Result<Outcome, NobodyError> {
    let (events, mut happened) = mpsc::unbounded_channel();
    let (halt, halted) = std::sync::mpsc::channel();
    let mut recorder = Recorder::new(Timestamp::now(), plan.stages.clone(), plan.scenario.step_names.len());
    let slots = Arc::new(Semaphore::new(plan.in_flight_max));
    let in_flight = || plan.in_flight_max - slots.available_permits();
    let engine = Arc::new(Engine::try_new(&plan, Arc::clone(&slots), events)?);
    let begun = Instant::now();
    let pacer = spawn_pacer(&plan, engine, halted);

    let mut halt = Some(halt);
    let mut abandoned = 0;
    let mut ticks = tokio::time::interval(Duration::from_secs(1));
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    ticks.tick().await;
    loop {
        tokio::select! {
            event = happened.recv() => match event {
                Some(event) => recorder.record(event),
                // The pacer and every request have ended.
                None => break,
            },
            _ = ticks.tick() => {
                let second = recorder.tick(begun.elapsed(), in_flight());
                if !watcher.second(second) {
                    halt = None;
                }
            }
            Some(()) = stop.recv() => {
                if halt.take().is_none() {
                    abandoned = in_flight();
                    break;
                }
            }
        }
    }
    let elapsed = begun.elapsed();
    recorder.tick(elapsed, in_flight());
    drop(halt);
    let end = pacer.await.unwrap_or(End::Interrupted);
    Ok(Outcome { end, elapsed, abandoned, counts: recorder.finish() })
}

fn spawn_pacer(
    plan: &Plan,
    engine: Arc<Engine>,
    halted: std::sync::mpsc::Receiver<()>,
) -> tokio::task::JoinHandle<End> {
    let rng = Xoshiro256PlusPlus::seed_from_u64(plan.seed);
    let arrivals = Schedule::new(plan.stages.clone(), plan.arrivals, rng);
    let length = plan.stages.iter().map(|stage| stage.duration.get()).sum();
    let runtime = tokio::runtime::Handle::current();
    tokio::task::spawn_blocking(move || {
        pace(arrivals, length, &halted, |due, arrival| Engine::launch(&engine, &runtime, (due, arrival)))
    })
}

/// What every request needs.
struct Engine {
    scenario: Arc<Scenario>,
    client: Client,
    version_header: HeaderName,
    population: Mutex<Population<Xoshiro256PlusPlus>>,
    slots: Arc<Semaphore>,
    events: mpsc::UnboundedSender<Event>,
    run: String,
    serial: AtomicU64,
}

impl Engine {
    fn try_new(
        plan: &Plan,
        slots: Arc<Semaphore>,
        events: mpsc::UnboundedSender<Event>,
    ) -> Result<Self, NobodyError> {
        // Another stream than the arrivals', so that both are repeated whatever the timing.
        let rng = Xoshiro256PlusPlus::seed_from_u64(plan.seed.wrapping_add(1));
        let (scenario, target) = (Arc::clone(&plan.scenario), plan.target.clone());
        let population =
            Population::try_new(Arc::clone(&scenario), target.clone(), plan.credentials.clone(), rng)?;
        Ok(Self {
            scenario,
            client: Client::new(target, plan.settings),
            version_header: plan.version_header.clone(),
            population: Mutex::new(population),
            slots,
            events,
            run: format!("load-{:08x}", rand::random::<u32>()),
            serial: AtomicU64::new(0),
        })
    }

    /// Starts the request of one arrival, or counts it as dropped.
    fn launch(self: &Arc<Self>, runtime: &tokio::runtime::Handle, start: (Instant, Arrival)) {
        let slot = Arc::clone(&self.slots).try_acquire_owned().ok();
        let chosen = slot.and_then(|slot| Some((slot, self.population().next(Instant::now())?)));
        match chosen {
            Some((slot, (session, visit))) => {
                let engine = Arc::clone(self);
                runtime.spawn(async move { engine.perform(slot, start, (session, visit)).await });
            }
            None => self.tell(Event::Dropped { stage: start.1.stage }),
        }
    }

    async fn perform(&self, slot: OwnedSemaphorePermit, start: (Instant, Arrival), what: (Session, Visit)) {
        let (due, arrival) = start;
        let (mut session, visit) = what;
        let sent_id = format!("{}-{}", self.run, self.serial.fetch_add(1, Ordering::Relaxed));
        let lag = due.elapsed();
        let exchange = self.exchange(&visit, &session, &sent_id).await;
        let latency = due.elapsed();
        drop(slot);
        let verdict = session.judge(self.scenario.step(session.flow, session.step), &exchange);
        let headers = exchange.headers.as_ref();
        self.tell(Event::Ended(Box::new(Ended {
            intended: arrival.offset,
            lag,
            latency,
            stage: arrival.stage,
            counted_as: visit.counted_as,
            request: shown(&format!("{} {}", visit.method, visit.path)),
            version: headers.map_or(Version::NoAnswer, |fields| self.version(fields)),
            verdict,
            retried: exchange.retried,
            request_id: headers.and_then(|fields| text(fields, "x-request-id")).unwrap_or(sent_id),
        })));
        let Some(flow) = self.scenario.flows.get(session.flow).filter(|_| verdict == Verdict::Fine) else {
            // Whoever meets an error leaves.
            return self.population().retire(session);
        };
        if session.absorb(flow, self.client.target(), (&visit, exchange)) == Redirected::Refused {
            self.tell(Event::RedirectRefused);
        }
        let skipped = self.population().give_back(session, Instant::now());
        skipped.into_iter().for_each(|step| self.tell(Event::Skipped(step)));
    }

    async fn exchange(&self, visit: &Visit, session: &Session, id: &str) -> Exchange {
        let mut request = visit.request(&session.person, &self.scenario, self.client.target());
        if let Ok(id) = id.parse() {
            request.headers_mut().insert("x-request-id", id);
        }
        self.client.exchange(request).await
    }

    fn version(&self, fields: &HeaderMap) -> Version {
        text(fields, self.version_header.as_str()).map_or(Version::Unnamed, Version::Named)
    }

    fn tell(&self, event: Event) {
        // Fails only when the run was given up.
        let _ = self.events.send(event);
    }

    fn population(&self) -> std::sync::MutexGuard<'_, Population<Xoshiro256PlusPlus>> {
        self.population.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn text(fields: &HeaderMap, name: &str) -> Option<String> {
    Some(shown(fields.get(name)?.to_str().ok()?))
}

/// Text of the target, cut to a length that a report can show.
fn shown(text: &str) -> String {
    text.chars().take(100).collect()
}
