use super::{body::Source, failure::Failure, grpc, guard, run::Exchange};
use crate::{
    config::AppProtocol,
    message::Response,
    metrics::Class,
    routes::{Endpoint, Pending},
    turn,
    upstream::{
        Answering, RequestBody, Trouble,
        h1::{Connection, Pace, Reads, ResponseHead},
        h2,
    },
};
use bytes::Bytes;
use hyper::{StatusCode, Version};
use split::Track;
use std::{
    future::poll_fn,
    pin::pin,
    rc::Rc,
    sync::Arc,
    task::Poll,
    time::{Duration, Instant},
};
use tokio::time;

/// An answer whose head may be passed on.
pub(super) struct Answered {
    pub(super) response: Response<()>,
    pub(super) held: Option<Bytes>,
    pub(super) source: Source,
}

/// Connecting to an endpoint nearby takes milliseconds; a lost SYN is repeated after one second.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(3);

/// How long a backend may take to say whether it wants the body of a request that waits for that: as curl has it.
const CONTINUE_TIMEOUT: Duration = Duration::from_secs(1);

async fn connect(endpoint: &Endpoint, deadline: Instant) -> Result<Box<Connection>, Failure> {
    let limit = CONNECT_TIMEOUT.min(deadline.saturating_duration_since(Instant::now()));
    let connecting = time::timeout(limit, Connection::connect(endpoint.address)).await;
    Ok(Box::new(connecting.map_err(|_| Failure::Connect)?.map_err(|_| Failure::Connect)?))
}

impl Exchange {
    /// Asks one endpoint.
    pub(super) async fn attempt(&mut self, picked: Result<Pending, Failure>) -> Result<Answered, Failure> {
        self.busy.line.goes_to(&self.record);
        let (picked, began) = match picked {
            // The endpoint has all of its time, however long the request waited for it.
            Err(Failure::Overloaded) => (Box::pin(self.wait_for_room()).await?, Instant::now()),
            picked => (picked?, self.record.started()),
        };
        let endpoint = Arc::clone(picked.endpoint());
        self.record.at(picked);
        self.busy.line.asks(endpoint.address);
        let limit = self.record.route().timeouts().backend_request.get();
        let deadline = self.deadline.min(began + limit);
        self.timer.set(Some(deadline));
        let mut result = match self.record.protocol() {
            AppProtocol::Http1 => self.ask(&endpoint, deadline).await,
            // Boxed, so that the usual request has no room for it.
            AppProtocol::H2c => Box::pin(self.ask_h2(&endpoint, deadline)).await,
        };
        if let Ok(answered) = &mut result
            && self.record.track() == Track::Canary
            && self.is_repeatable()
        {
            let Answered { response, source, .. } = answered;
            match guard::hold(response, source, &self.timer, deadline).await {
                Ok(held) => answered.held = held.or_else(|| answered.held.take()),
                Err(failure) => result = Err(failure),
            }
        }
        self.timer.set(None);
        match &result {
            Ok(answered) => {
                let Response { status, ref fields, .. } = answered.response;
                let grpc = fields.get(grpc::STATUS).filter(|_| self.is_grpc).map(grpc::class_of);
                self.record.head(grpc.unwrap_or_else(|| Class::of(status)));
            }
            Err(failure) => {
                self.tried.push(endpoint.id);
                if failure.blames_endpoint() {
                    endpoint.failed();
                } else if failure.is_bad_answer() && !self.is_cut_short(began, deadline) {
                    endpoint.answered_badly();
                }
            }
        }
        result
    }

    /// Whether the queue or earlier attempts left less time than an endpoint usually has. Then it is not to blame for
    /// being late.
    fn is_cut_short(&self, began: Instant, deadline: Instant) -> bool {
        let timeouts = self.record.route().timeouts();
        deadline < began + timeouts.backend_request.get().min(timeouts.request.get())
    }

    /// Sends the request by an idle or a new connection. An idle one that the endpoint closed meanwhile is no
    /// failure: where the request may be sent again, it goes by the next one.
    async fn ask(&mut self, endpoint: &Arc<Endpoint>, deadline: Instant) -> Result<Answered, Failure> {
        loop {
            let idle = self.worker.pool.borrow_mut().take(endpoint);
            let is_reused = idle.is_some();
            let mut connection = match idle {
                Some(connection) if !self.is_repeatable() && !connection.is_certainly_quiet() => continue,
                Some(connection) => connection,
                // Boxed, because it is rare.
                None => Box::pin(connect(endpoint, deadline)).await?,
            };
            let body = std::mem::replace(&mut self.body, RequestBody::Empty);
            let reads = self.reads(&body);
            connection.begin(body, (self.pace, reads), |out| self.put_head(out));
            turn::end().await;
            let failure = match self.head_of(&mut connection, deadline).await {
                // Nobody asked for that protocol.
                Ok(head)
                    if head.status == StatusCode::SWITCHING_PROTOCOLS
                        && !self.wants_upgrade(head.upgrade.as_deref()) =>
                {
                    return Err(Failure::Malformed);
                }
                Ok(head) => return Ok(self.answered(connection, head, endpoint)),
                Err(failure) => failure,
            };
            match connection.take_unsent() {
                Some(body) => self.body = body,
                None => self.was_sent = true,
            }
            if !(is_reused && failure == Failure::Reset && self.can_send()) {
                return Err(failure);
            }
        }
    }

    /// An answer that is not held back may go from socket to socket where the client is on one without TLS. Requests
    /// with a body are hyper's, which copies.
    fn reads(&self, body: &RequestBody) -> Reads {
        let is_held = self.record.track() == Track::Canary && self.is_repeatable();
        let is_plain = self.request.version == Version::HTTP_11 && self.client.scheme == "http";
        if is_plain && !is_held && body.is_empty() { Reads::Little } else { Reads::All }
    }

    async fn head_of(&self, connection: &mut Connection, deadline: Instant) -> Result<ResponseHead, Failure> {
        if self.pace == Pace::WhenAsked {
            self.timer.set(Some(deadline.min(Instant::now() + CONTINUE_TIMEOUT)));
        }
        poll_fn(|cx| {
            loop {
                match connection.poll_head(cx) {
                    Poll::Ready(result) => return Poll::Ready(result.map_err(Failure::from)),
                    Poll::Pending if self.timer.poll_passed(cx).is_pending() => return Poll::Pending,
                    Poll::Pending if Instant::now() >= deadline => return Poll::Ready(Err(Failure::Timeout)),
                    // The backend may not know what is expected of it; then the body goes without being asked for.
                    Poll::Pending => {
                        connection.stop_waiting();
                        self.timer.set(Some(deadline));
                    }
                }
            }
        })
        .await
    }

    fn answered(
        &self,
        mut connection: Box<Connection>,
        head: ResponseHead,
        endpoint: &Arc<Endpoint>,
    ) -> Answered {
        connection.expect_body(&head, &self.request.method);
        let mut response = Response { status: head.status, fields: head.fields, body: () };
        let is_upgraded = head.status == StatusCode::SWITCHING_PROTOCOLS;
        if let Some(protocol) = head.upgrade.filter(|_| is_upgraded) {
            response.fields.insert("upgrade", &protocol);
            response.fields.insert("connection", b"upgrade");
        }
        let answering = Some(Answering::H1(connection));
        let (endpoint, worker) = (Arc::clone(endpoint), Rc::clone(&self.worker));
        let mut source = Source { answering, endpoint, worker };
        let held = if is_upgraded { None } else { source.take_whole() };
        Answered { response, held, source }
    }

    /// Sends the request by a stream of a shared connection.
    async fn ask_h2(&mut self, endpoint: &Arc<Endpoint>, deadline: Instant) -> Result<Answered, Failure> {
        for is_last in [false, true] {
            let limit = CONNECT_TIMEOUT.min(deadline.saturating_duration_since(Instant::now()));
            let lease = time::timeout(limit, h2::lease(&self.worker, endpoint)).await;
            let lease = lease.map_err(|_| Failure::Connect)?.map_err(|_| Failure::Connect)?;
            let request = self.h2_request().ok_or(Failure::Request)?;
            let sent = h2::Sent::new(std::mem::replace(&mut self.body, RequestBody::Empty));
            let request = request.map(|()| sent.clone());
            let answer = h2::Answer::to(lease, request, sent.clone());
            let failure = match self.before_deadline(answer).await {
                Ok((parts, answer)) => {
                    let response =
                        Response { status: parts.status, fields: (&parts.headers).into(), body: () };
                    let (endpoint, worker) = (Arc::clone(endpoint), Rc::clone(&self.worker));
                    let answering = Some(Answering::H2(Box::new(answer)));
                    let mut source = Source { answering, endpoint, worker };
                    let held = source.take_whole();
                    return Ok(Answered { response, held, source });
                }
                Err(failure) => failure,
            };
            // What is in hyper's hands still counts as sent, unless the endpoint says that it did not look at it.
            let unseen = if failure == Failure::Refused { sent.take_back() } else { None };
            match unseen {
                Some(body) => self.body = body,
                None => self.was_sent = true,
            }
            // A connection that the endpoint is about to close is no failure: the next one may do.
            if is_last || failure != Failure::Refused || !self.can_send() {
                return Err(failure);
            }
        }
        Err(Failure::Refused)
    }

    async fn before_deadline<T>(
        &self,
        asked: impl Future<Output = Result<T, Trouble>>,
    ) -> Result<T, Failure> {
        let mut asked = pin!(asked);
        poll_fn(|cx| match asked.as_mut().poll(cx) {
            Poll::Ready(result) => Poll::Ready(result.map_err(Failure::from)),
            Poll::Pending => self.timer.poll_passed(cx).map(|()| Err(Failure::Timeout)),
        })
        .await
    }
}
