use super::{
    REFUSED_METHOD,
    gate::{Refusal, Stage},
    h2,
    tunnel::Tunnel,
};
use crate::{exchange::Line, message::Request, timers::Timer, worker::Worker};
use std::{
    cell::{Cell, RefCell},
    net::SocketAddr,
    rc::Rc,
    task::{Context, Poll, Waker},
    time::{Duration, Instant},
};

/// A client's connection, as its requests and its socket see it.
pub(crate) struct Client {
    pub(crate) worker: Rc<Worker>,
    pub(crate) address: SocketAddr,
    /// `http` or `https`.
    pub(crate) scheme: &'static str,
    timer: Timer,
    is_h2: Cell<bool>,
    /// It was told to go.
    is_leaving: Cell<bool>,
    requests: Cell<usize>,
    /// Requests that were answered without a change of protocol.
    answered: Cell<usize>,
    /// Requests whose answers are not sent.
    busy: Cell<usize>,
    refusal: Cell<Option<Refusal>>,
    reading: Cell<Option<(Stage, Instant)>>,
    /// The deadline of a connection without a request, kept while a frame comes that is none.
    idle_until: Cell<Option<Instant>>,
    writing: Cell<Option<Instant>>,
    pub(super) tunnel: RefCell<Option<Tunnel>>,
    /// Whoever reads on when an upgrade is refused.
    held: RefCell<Option<Waker>>,
}

/// A request that is under way on a connection; ends when dropped.
pub(crate) struct Busy {
    client: Rc<Client>,
    /// What the access log tells about it.
    pub(crate) line: Line,
}

/// How long clients may take. After this they make room for others.
#[derive(Clone, Copy, Debug)]
pub struct Patience {
    /// Between requests.
    pub idle: Duration,
    /// From the first byte of a head to its last.
    pub head: Duration,
    /// For the next kibibyte of a body, or to take as much of an answer.
    pub stall: Duration,
}

/// A client that moves fewer bytes than these in [`Patience::stall`] is not slow but holding on.
pub(super) const PROGRESS_MIN: usize = 1024;

/// How long a client that was told to go may stay with nothing under way.
const FAREWELL: Duration = Duration::from_secs(5);

/// Requests after which a connection is ended, so that clients are spread anew over routers and workers.
const REQUESTS_MAX: usize = 10_000;

// === impl Client ===

impl Client {
    pub(crate) fn new(worker: Rc<Worker>, address: SocketAddr, scheme: &'static str) -> Self {
        let timer = worker.timers.timer();
        // A client of IPv4 is known by that address on a socket that listens to both.
        let address = SocketAddr::new(address.ip().to_canonical(), address.port());
        Self {
            worker,
            address,
            scheme,
            timer,
            is_h2: Cell::new(false),
            is_leaving: Cell::new(false),
            requests: Cell::new(0),
            answered: Cell::new(0),
            busy: Cell::new(0),
            refusal: Cell::new(None),
            reading: Cell::new(None),
            idle_until: Cell::new(None),
            writing: Cell::new(None),
            tunnel: RefCell::new(None),
            held: RefCell::new(None),
        }
    }

    /// Counts a request until the result is dropped.
    pub(crate) fn busy(self: &Rc<Self>) -> Busy {
        self.requests.set(self.requests.get() + 1);
        self.busy.set(self.busy.get() + 1);
        // hyper looks for the next request while this one is under way; nobody has to hurry with it.
        if self.reading.get().is_some_and(|(stage, _)| stage == Stage::Head) {
            self.has_read();
        }
        let line = Line::begin(&self.worker, self.address.ip());
        Busy { client: Rc::clone(self), line }
    }

    /// The connection speaks HTTP/2.
    pub(super) fn speaks_h2(&self) {
        self.is_h2.set(true);
    }

    /// The client is told to go; true when it was not told before.
    pub(super) fn leave(&self) -> bool {
        let is_new = !self.is_leaving.replace(true);
        if is_new && self.is_idle() {
            self.has_read();
            self.waits_for(Stage::Head, true);
        }
        is_new
    }

    /// Nothing is under way, and nothing has begun.
    pub(super) fn is_idle(&self) -> bool {
        self.busy.get() == 0 && self.reading.get().is_none_or(|(stage, _)| stage == Stage::Head)
    }

    /// Whoever reads from here on counts requests from zero.
    pub(super) fn begins_anew(&self) {
        self.answered.set(0);
    }

    /// Whether the answer to the request that was counted last ends the connection.
    pub(crate) fn is_last(&self) -> bool {
        self.requests.get() >= REQUESTS_MAX
    }

    /// An answer is ready, and the protocol stays.
    pub(crate) fn stays_http(&self) {
        self.answered.set(self.answered.get() + 1);
        if let Some(waker) = self.held.take() {
            waker.wake();
        }
    }

    /// Reading waits for an upgrade to be decided.
    pub(super) fn holds(&self, cx: &Context<'_>) {
        *self.held.borrow_mut() = Some(cx.waker().clone());
    }

    pub(super) fn answered(&self) -> usize {
        self.answered.get()
    }

    /// Why a request must not go on, if so: what the gate says, or the rules of HTTP/2.
    pub(crate) fn refusal(&self, request: &Request) -> Option<Refusal> {
        if self.is_h2.get() {
            return h2::check(request).err();
        }
        let is_refused = request.method.as_str() == REFUSED_METHOD;
        is_refused.then(|| self.refusal.take().unwrap_or(Refusal::bad("the request is malformed")))
    }

    pub(super) fn refuse(&self, refusal: Refusal) {
        self.refusal.set(Some(refusal));
    }

    /// Nothing can be read in this stage; `is_empty`: nothing was read of it so far.
    pub(super) fn waits_for(&self, stage: Stage, is_empty: bool) {
        let patience = self.worker.shared.settings.patience;
        let limit = match stage {
            Stage::Head if self.busy.get() > 0 => return,
            Stage::Head if is_empty && self.is_leaving.get() => FAREWELL,
            Stage::Head if is_empty => patience.idle,
            Stage::Head | Stage::Frame => patience.head,
            Stage::Body => patience.stall,
            Stage::Other => return,
        };
        // Most connections wait for their next request, and are asked again and again whether they still do.
        let is_idle = is_empty && !self.is_leaving.get();
        if is_idle && self.reading.get().is_some_and(|(waited_for, _)| waited_for == stage) {
            return;
        }
        let mut deadline = Instant::now() + limit;
        if is_empty && stage == Stage::Head {
            deadline = self.idle_until.get().unwrap_or(deadline);
            self.idle_until.set(Some(deadline));
        }
        // An earlier deadline of the same wait holds.
        if self.reading.get().is_none_or(|(waited_for, at)| waited_for != stage || at > deadline) {
            self.reading.set(Some((stage, deadline)));
            self.schedule();
        }
    }

    /// What was waited for has come.
    pub(super) fn has_read(&self) {
        self.idle_until.set(None);
        if self.reading.take().is_some() {
            self.schedule();
        }
    }

    /// A frame has come that is no request and no body: an idle connection stays idle.
    pub(super) fn has_read_frame(&self) {
        if self.reading.get().is_some_and(|(stage, _)| stage != Stage::Head) {
            self.reading.set(None);
            self.schedule();
        }
    }

    /// The client does not take what is sent.
    pub(super) fn waits_to_write(&self) {
        if self.writing.get().is_none() {
            self.writing.set(Some(Instant::now() + self.worker.shared.settings.patience.stall));
            self.schedule();
        }
    }

    /// The client takes what is sent.
    pub(super) fn has_written(&self) {
        if self.writing.take().is_some() {
            self.schedule();
        }
    }

    /// Ready when the client has used up its time.
    pub(super) fn poll_expired(&self, cx: &Context<'_>) -> Poll<()> {
        self.timer.poll_passed(cx)
    }

    fn schedule(&self) {
        let reading = self.reading.get().map(|(_, deadline)| deadline);
        let earlier = match (reading, self.writing.get()) {
            (Some(reading), Some(writing)) => Some(reading.min(writing)),
            (reading, writing) => reading.or(writing),
        };
        self.timer.set(earlier);
    }
}

// === impl Busy ===

impl Busy {
    /// Whether fields may come after the answer, asked for or not.
    pub(crate) fn takes_trailers(&self) -> bool {
        self.client.is_h2.get()
    }
}

impl Drop for Busy {
    fn drop(&mut self) {
        let Self { client, .. } = self;
        let busy = client.busy.get() - 1;
        client.busy.set(busy);
        // A frame that has begun keeps its deadline.
        let is_within_frame = client.reading.get().is_some_and(|(stage, _)| stage == Stage::Frame);
        if busy == 0 && !is_within_frame {
            // hyper asked for the next request long ago, and will not ask again before it comes.
            client.waits_for(Stage::Head, true);
        }
    }
}
