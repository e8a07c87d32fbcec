//! The promoter's HTTP interface: what is, and what a person may say to it.

use crate::canary::{Canary, CanaryList};
use crate::metrics::Metrics;
use crate::notify::Told;
use axum::Json;
use axum::Router;
use axum::body::Bytes;
use axum::extract::{DefaultBodyLimit, Path, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use axum::routing;
use release::{Refused, Verb};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use std::sync::Arc;
use tokio::net::TcpListener;
use tokio::sync::{mpsc, oneshot, watch};

/// The verbs, as they are in paths and commands.
pub const VERBS: [&str; 7] = ["promote", "abort", "pause", "resume", "retry", "undo", "set-weight"];

/// The largest body that is read; the arguments of a verb are a few bytes.
const BODY_LIMIT: usize = 4096;

/// Something that somebody wants of the control loop, and where the answer goes.
#[derive(Debug)]
pub struct Command {
    /// What is wanted.
    pub wish: Wish,
    /// The object after it, or why not.
    pub reply: oneshot::Sender<Result<Box<Canary>, Rejection>>,
}

/// What somebody wants.
#[derive(Clone, Copy, Debug)]
pub enum Wish {
    /// The object as it is now, with every change of the file already seen: who edits the file and then asks, is
    /// answered about the edit.
    Look,
    /// A verb.
    Say(Verb),
}

/// Why a verb was not carried out.
#[derive(Debug)]
pub enum Rejection {
    /// It makes no sense now.
    Refused(Refused),
    /// It could not be remembered, so it was not done.
    Failed(String),
}

/// What the interface shows and reaches.
#[derive(Clone, Debug)]
pub struct Api {
    /// The name of the only object.
    pub name: String,
    /// The object; none before the first look.
    pub canary: watch::Receiver<Option<Canary>>,
    /// Where verbs go.
    pub commands: mpsc::Sender<Command>,
    /// What is measured.
    pub metrics: Metrics,
    /// What came of telling webhooks.
    pub told: Arc<Told>,
}

/// An answer that is no object.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Problem {
    /// What is wrong.
    pub error: String,
    /// What to do instead.
    pub remedy: String,
}

// === impl Api ===

impl Api {
    /// Answers until the process ends.
    ///
    /// # Errors
    /// None: axum itself goes on after every failed connection.
    pub async fn serve(self, listener: TcpListener) -> std::io::Result<()> {
        let router = Router::new()
            .route("/livez", routing::get(async || "ok\n"))
            .route("/readyz", routing::get(readyz))
            .route("/metrics", routing::get(metrics))
            .route("/canaries", routing::get(list))
            .route("/canaries/{name}", routing::get(show))
            .route("/canaries/{name}/{verb}", routing::post(say))
            .fallback(async || problem(StatusCode::NOT_FOUND, "no such page", "see /canaries"))
            .layer(DefaultBodyLimit::max(BODY_LIMIT))
            .with_state(self);
        axum::serve(listener, router).await
    }

    /// The object after the wish, or the answer that says why not.
    async fn ask(&self, wish: Wish) -> Result<Box<Canary>, Box<Response>> {
        let ending =
            || Box::new(problem(StatusCode::SERVICE_UNAVAILABLE, "the promoter is ending", "start it again"));
        let (reply, answer) = oneshot::channel();
        self.commands.send(Command { wish, reply }).await.map_err(|_| ending())?;
        match answer.await.map_err(|_| ending())? {
            Ok(canary) => Ok(canary),
            Err(Rejection::Refused(Refused { error, remedy })) => {
                Err(Box::new(problem(StatusCode::CONFLICT, &error, &remedy)))
            }
            Err(Rejection::Failed(error)) => Err(Box::new(problem(
                StatusCode::INTERNAL_SERVER_ERROR,
                &error,
                "nothing was changed; try again",
            ))),
        }
    }

    /// Refuses a name that nothing has.
    fn check(&self, name: &str) -> Result<(), Box<Response>> {
        if name == self.name {
            return Ok(());
        }
        let error = format!("there is no canary `{name}`");
        Err(Box::new(problem(StatusCode::NOT_FOUND, &error, &format!("known: {}", self.name))))
    }
}

async fn readyz(State(api): State<Api>) -> Response {
    match *api.canary.borrow() {
        Some(_) => "ok\n".into_response(),
        None => (StatusCode::SERVICE_UNAVAILABLE, "the first look has not been taken\n").into_response(),
    }
}

async fn metrics(State(api): State<Api>) -> Response {
    api.metrics.page(&api.told)
}

async fn list(State(api): State<Api>) -> Response {
    match api.ask(Wish::Look).await {
        Ok(canary) => Json(CanaryList::new(vec![*canary])).into_response(),
        Err(response) => *response,
    }
}

async fn show(State(api): State<Api>, Path(name): Path<String>) -> Response {
    let answer = async {
        api.check(&name)?;
        api.ask(Wish::Look).await
    };
    answer.await.map_or_else(|response| *response, |canary| Json(canary).into_response())
}

async fn say(State(api): State<Api>, Path((name, verb)): Path<(String, String)>, body: Bytes) -> Response {
    let answer = async {
        api.check(&name)?;
        api.ask(Wish::Say(parse(&verb, &body)?)).await
    };
    answer.await.map_or_else(|response| *response, |canary| Json(canary).into_response())
}

/// The verb with its arguments; an empty body is no arguments.
fn parse(verb: &str, body: &Bytes) -> Result<Verb, Box<Response>> {
    if !VERBS.contains(&verb) {
        let remedy = format!("known: {}", VERBS.join(", "));
        return Err(Box::new(problem(StatusCode::NOT_FOUND, &format!("there is no verb `{verb}`"), &remedy)));
    }
    let unprocessable = |error: serde_json::Error| {
        let remedy = "send the verb's arguments as a JSON object, such as {\"weight\": \"30%\"}";
        Box::new(problem(StatusCode::UNPROCESSABLE_ENTITY, &error.to_string(), remedy))
    };
    let arguments = if body.is_empty() { b"{}" } else { body.as_ref() };
    let mut arguments: Map<String, Value> = serde_json::from_slice(arguments).map_err(unprocessable)?;
    arguments.insert("verb".to_owned(), Value::from(verb));
    serde_json::from_value(Value::Object(arguments)).map_err(unprocessable)
}

fn problem(status: StatusCode, error: &str, remedy: &str) -> Response {
    let problem = Problem { error: error.to_owned(), remedy: remedy.to_owned() };
    (status, Json(problem)).into_response()
}
