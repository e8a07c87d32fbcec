//! The promoter's HTTP interface: what is, and what a person may say to it.

use crate::canary::{Canary, CanaryList};
use crate::metrics::Metrics;
use axum::Json;
use axum::Router;
use axum::body::Bytes;
use axum::extract::{DefaultBodyLimit, Path, State};
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing;
use release::{Refused, Verb};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use tokio::net::TcpListener;
use tokio::sync::{mpsc, oneshot, watch};

/// The verbs, as they are in paths and commands.
pub const VERBS: [&str; 7] = ["promote", "abort", "pause", "resume", "retry", "undo", "set-weight"];

/// The largest body that is read; the arguments of a verb are a few bytes.
const BODY_LIMIT: usize = 4096;

/// A verb that somebody said, and where the answer goes.
#[derive(Debug)]
pub struct Command {
    /// What was said.
    pub verb: Verb,
    /// The object after it, or why not.
    pub reply: oneshot::Sender<Result<Box<Canary>, Rejection>>,
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
    /// The object; none before the first look.
    pub canary: watch::Receiver<Option<Canary>>,
    /// Where verbs go.
    pub commands: mpsc::Sender<Command>,
    /// What is measured.
    pub metrics: Metrics,
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

    fn named(&self, name: &str) -> Result<Canary, Box<Response>> {
        let canary = self.canary.borrow().clone();
        let known = canary.as_ref().map_or("none yet", |canary| &canary.metadata.name).to_owned();
        canary.filter(|canary| canary.metadata.name == name).ok_or_else(|| {
            let error = format!("there is no canary `{name}`");
            Box::new(problem(StatusCode::NOT_FOUND, &error, &format!("known: {known}")))
        })
    }
}

async fn readyz(State(api): State<Api>) -> Response {
    match *api.canary.borrow() {
        Some(_) => "ok\n".into_response(),
        None => (StatusCode::SERVICE_UNAVAILABLE, "the first look has not been taken\n").into_response(),
    }
}

async fn metrics(State(api): State<Api>) -> Response {
    let canary = api.canary.borrow().clone();
    match canary.map(|canary| api.metrics.render(&canary)) {
        Some(Ok(text)) => ([(header::CONTENT_TYPE, "text/plain; version=0.0.4")], text).into_response(),
        Some(Err(error)) => problem(StatusCode::INTERNAL_SERVER_ERROR, &error.to_string(), "try again"),
        None => problem(StatusCode::SERVICE_UNAVAILABLE, "the first look has not been taken", "try again"),
    }
}

async fn list(State(api): State<Api>) -> Json<CanaryList> {
    Json(CanaryList::new(api.canary.borrow().iter().cloned().collect()))
}

async fn show(State(api): State<Api>, Path(name): Path<String>) -> Response {
    api.named(&name).map_or_else(|problem| *problem, |canary| Json(canary).into_response())
}

async fn say(State(api): State<Api>, Path((name, verb)): Path<(String, String)>, body: Bytes) -> Response {
    if let Err(problem) = api.named(&name) {
        return *problem;
    }
    let verb = match parse(&verb, &body) {
        Ok(verb) => verb,
        Err(response) => return *response,
    };
    let (reply, answer) = oneshot::channel();
    let ending = || problem(StatusCode::SERVICE_UNAVAILABLE, "the promoter is ending", "start it again");
    if api.commands.send(Command { verb, reply }).await.is_err() {
        return ending();
    }
    match answer.await {
        Ok(Ok(canary)) => Json(canary).into_response(),
        Ok(Err(Rejection::Refused(Refused { error, remedy }))) => {
            problem(StatusCode::CONFLICT, &error, &remedy)
        }
        Ok(Err(Rejection::Failed(error))) => {
            problem(StatusCode::INTERNAL_SERVER_ERROR, &error, "nothing was changed; try again")
        }
        Err(_) => ending(),
    }
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
