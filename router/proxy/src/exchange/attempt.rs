use super::{body::Source, failure::Failure, guard, record::Record, run::Exchange};
use crate::{
    routes::{Endpoint, Pending},
    upstream::h1::{Connection, RequestBody, ResponseHead, Trouble},
};
use bytes::Bytes;
use hyper::{
    Response, StatusCode,
    header::{self, HeaderValue},
};
use split::Track;
use std::{
    future::poll_fn,
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

impl Exchange {
    /// Asks one endpoint.
    pub(super) async fn attempt(
        &mut self,
        record: &mut Record,
        picked: Result<Pending, Failure>,
    ) -> Result<Answered, Failure> {
        let picked = picked?;
        self.encode_for(record);
        let endpoint = Arc::clone(picked.endpoint());
        record.at(picked);
        let limit = record.route().timeouts().backend_request.get();
        let deadline = self.deadline.min(record.started() + limit);
        self.timer.set(Some(deadline));
        let mut result = self.ask(&endpoint, deadline).await;
        if let Ok(answered) = &mut result
            && record.track() == Track::Canary
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
            Ok(answered) => record.head(answered.response.status()),
            Err(failure) => {
                self.tried.push(endpoint.id);
                if failure.blames_endpoint() {
                    endpoint.failed();
                }
            }
        }
        result
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
                None => {
                    let limit = CONNECT_TIMEOUT.min(deadline.saturating_duration_since(Instant::now()));
                    let connecting = time::timeout(limit, Connection::connect(endpoint.address)).await;
                    Box::new(connecting.map_err(|_| Failure::Connect)?.map_err(|_| Failure::Connect)?)
                }
            };
            connection.begin(std::mem::replace(&mut self.body, RequestBody::Empty));
            let failure = match self.head_of(&mut connection).await {
                // Nobody asked for another protocol.
                Ok(head) if head.status == StatusCode::SWITCHING_PROTOCOLS && !self.wants_upgrade() => {
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

    async fn head_of(&self, connection: &mut Connection) -> Result<ResponseHead, Failure> {
        poll_fn(|cx| match connection.poll_head(&self.head, cx) {
            Poll::Ready(result) => Poll::Ready(result.map_err(|trouble| match trouble {
                Trouble::Broken => Failure::Reset,
                Trouble::Malformed => Failure::Malformed,
                Trouble::Request => Failure::Request,
            })),
            Poll::Pending => self.timer.poll_passed(cx).map(|()| Err(Failure::Timeout)),
        })
        .await
    }

    fn answered(
        &self,
        mut connection: Box<Connection>,
        head: ResponseHead,
        endpoint: &Arc<Endpoint>,
    ) -> Answered {
        connection.expect_body(&head, &self.parts.method);
        let mut response = Response::new(());
        *response.status_mut() = head.status;
        *response.headers_mut() = head.headers;
        let is_upgraded = head.status == StatusCode::SWITCHING_PROTOCOLS;
        if let Some(protocol) = head.upgrade.filter(|_| is_upgraded) {
            response.headers_mut().insert(header::UPGRADE, protocol);
            response.headers_mut().insert(header::CONNECTION, HeaderValue::from_static("upgrade"));
        }
        let (connection, endpoint, worker) =
            (Some(connection), Arc::clone(endpoint), Rc::clone(&self.worker));
        let mut source = Source { connection, endpoint, worker };
        let held = if is_upgraded { None } else { source.take_whole() };
        Answered { response, held, source }
    }
}
