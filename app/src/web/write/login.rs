//! Signing in and out.

use askama::Template;
use axum::Form;
use axum::extract::{Query, State};
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Redirect, Response};
use rand::RngExt as _;
use serde::Deserialize;

use crate::store::NewSession;
use crate::text;
use crate::web::app::{Shared, now};
use crate::web::error::Error;
use crate::web::layout::{Layout, html};
use crate::web::read::preferences::local;
use crate::web::visitor::{SESSION_COOKIE, SESSION_SECONDS, Visitor, set_cookie};

/// Sign-ins that may fail in a window, for one name from one address.
const ATTEMPTS_MAX: i64 = 8;
/// Sign-ins that may fail in a window, for one name from everywhere.
const ATTEMPTS_OF_NAME_MAX: i64 = 50;
/// The window, in seconds.
const WINDOW_S: i64 = 900;
/// Bytes of a password: argon2 takes longer ones, people don't.
pub(crate) const PASSWORD_BYTES_MAX: usize = 1024;

/// Where to go after signing in.
#[derive(Debug, Deserialize)]
pub(crate) struct Next {
    #[serde(default)]
    next: String,
}

/// The form.
#[derive(Deserialize)]
pub(crate) struct Credentials {
    username: String,
    password: String,
    #[serde(default)]
    next: String,
}

#[derive(Template)]
#[template(path = "login.html")]
struct LoginTemplate {
    l: Layout,
    username: String,
    next: String,
    problem: &'static str,
}

/// `GET /login`.
pub(crate) async fn form(
    State(app): State<Shared>,
    Query(next): Query<Next>,
    visitor: Visitor,
) -> Result<Response, Error> {
    if visitor.user.is_some() {
        return Ok(Redirect::to(destination(&next.next)).into_response());
    }
    let layout = Layout::new(&app, &visitor, visitor.manner.text().sign_in).await?.unlisted();
    html(&LoginTemplate { l: layout, username: String::new(), next: next.next, problem: "" })
}

/// `POST /login`.
pub(crate) async fn sign_in(
    State(app): State<Shared>,
    visitor: Visitor,
    Form(credentials): Form<Credentials>,
) -> Result<Response, Error> {
    let Credentials { username, password, next } = credentials;
    let username = username.trim().to_lowercase();
    let now = now();
    let own = format!("login:{}:{}", visitor.address, text::shorten(&username, 60));
    let name = format!("login:*:{}", text::shorten(&username, 60));
    let slow = app.store.count_attempt(&own, WINDOW_S, now).await? > ATTEMPTS_MAX
        || app.store.count_attempt(&name, WINDOW_S, now).await? > ATTEMPTS_OF_NAME_MAX;
    let t = visitor.manner.text();
    let again = |problem| LoginAgain { username: username.clone(), next: next.clone(), problem };
    if slow {
        return refuse(&app, &visitor, StatusCode::TOO_MANY_REQUESTS, again(t.login_slow)).await;
    }
    let user = app.store.user_by_name(&username).await?.filter(|user| user.disabled_at.is_none());
    let hash = user.as_ref().map(|user| user.password_hash.clone());
    let fits = password.len() <= PASSWORD_BYTES_MAX && app.passwords.verify(password, hash).await;
    let Some(user) = user.filter(|_| fits) else {
        tracing::info!(%username, address = %visitor.address, "a sign-in failed");
        return refuse(&app, &visitor, StatusCode::UNAUTHORIZED, again(t.login_failed)).await;
    };
    app.store.forget_attempts(&own).await?;
    let token = new_token();
    let session = NewSession {
        token_hash: text::sha256_hex(token.as_bytes()),
        user_id: user.id,
        expires_at: now + SESSION_SECONDS,
        user_agent: visitor.user_agent.clone(),
        address: visitor.address.to_string(),
    };
    app.store.start_session(&session, now).await?;
    tracing::info!(%username, address = %visitor.address, "`{username}` signed in");
    with_session(&app, destination(&next), (&token, SESSION_SECONDS))
}

/// `POST /logout`.
pub(crate) async fn sign_out(State(app): State<Shared>, visitor: Visitor) -> Result<Response, Error> {
    if !visitor.session.is_empty() {
        app.store.end_session(&visitor.session).await?;
    }
    with_session(&app, "/", ("", 0))
}

/// 256 random bits as 64 hexadecimal digits.
pub(crate) fn new_token() -> String {
    text::hex(&rand::rng().random::<[u8; 32]>())
}

struct LoginAgain {
    username: String,
    next: String,
    problem: &'static str,
}

async fn refuse(
    app: &Shared,
    visitor: &Visitor,
    status: StatusCode,
    again: LoginAgain,
) -> Result<Response, Error> {
    let layout = Layout::new(app, visitor, visitor.manner.text().sign_in).await?.unlisted();
    let LoginAgain { username, next, problem } = again;
    Ok((status, html(&LoginTemplate { l: layout, username, next, problem })?).into_response())
}

fn with_session(app: &Shared, to: &str, (token, seconds): (&str, i64)) -> Result<Response, Error> {
    let mut response = Redirect::to(to).into_response();
    let cookie = HeaderValue::from_str(&set_cookie(app, (SESSION_COOKIE, token), seconds))
        .map_err(|error| Error::Internal(error.to_string()))?;
    response.headers_mut().append(header::SET_COOKIE, cookie);
    Ok(response)
}

fn destination(next: &str) -> &str {
    match local(next) {
        "/" => "/desk",
        path => path,
    }
}
