//! One's own account: profile, password, sessions, tokens of programs.

use askama::Template;
use axum::Form;
use axum::extract::{Query, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Redirect, Response};
use serde::Deserialize;

use super::login::{PASSWORD_BYTES_MAX, new_token};
use crate::store::{ApiToken, Session, TokenScope, User};
use crate::text;
use crate::web::app::{Shared, now};
use crate::web::error::Error;
use crate::web::i18n::Lang;
use crate::web::layout::{Layout, html};
use crate::web::visitor::Visitor;

/// Characters of a password at least.
pub(crate) const PASSWORD_CHARS_MIN: usize = 10;
/// Tokens of an account.
const TOKENS_MAX: usize = 20;

/// What was just done.
#[derive(Debug, Deserialize)]
pub(crate) struct Done {
    saved: Option<String>,
}

#[derive(Template)]
#[template(path = "account.html")]
struct AccountTemplate {
    l: Layout,
    me: User,
    own_session: String,
    sessions: Vec<Session>,
    tokens: Vec<ApiToken>,
    /// A new token, shown this once.
    new_token: String,
    saved: bool,
    problem: String,
}

/// The forms of the page, told apart by `action`.
#[derive(Debug, Default, Deserialize)]
pub(crate) struct AccountForm {
    action: String,
    #[serde(default)]
    display_name: String,
    #[serde(default)]
    bio: String,
    #[serde(default)]
    current: String,
    #[serde(default)]
    password: String,
    #[serde(default)]
    session: String,
    #[serde(default)]
    name: String,
    #[serde(default)]
    scope: String,
    #[serde(default)]
    id: i64,
}

/// `GET /desk/account`.
pub(crate) async fn page(
    State(app): State<Shared>,
    Query(done): Query<Done>,
    visitor: Visitor,
) -> Result<Response, Error> {
    let mut page = build(&app, &visitor).await?;
    page.saved = done.saved.is_some();
    html(&page)
}

/// `POST /desk/account`.
pub(crate) async fn act(
    State(app): State<Shared>,
    visitor: Visitor,
    Form(form): Form<AccountForm>,
) -> Result<Response, Error> {
    let me = visitor.signed_in()?.clone();
    let done = match form.action.as_str() {
        "profile" => profile(&app, &visitor, &form).await?,
        "password" => password(&app, &visitor, form).await?,
        "end" => {
            app.store.end_sessions(me.id, Some(&form.session), "").await?;
            app.audit(&me, ("session.end", &me.username), "one").await;
            Outcome::Saved
        }
        "end-others" => {
            let ended = app.store.end_sessions(me.id, None, &visitor.session).await?;
            app.audit(&me, ("session.end", &me.username), &format!("{ended} others")).await;
            Outcome::Saved
        }
        "token" => token(&app, &visitor, &form).await?,
        "revoke" => {
            app.store.revoke_token(me.id, form.id).await?;
            app.audit(&me, ("token.revoke", &form.id.to_string()), "").await;
            Outcome::Saved
        }
        other => return Err(Error::BadRequest(format!("`{other}` is no action on an account"))),
    };
    let mut page = build(&app, &visitor).await?;
    match done {
        Outcome::Saved => Ok(Redirect::to("/desk/account?saved=1").into_response()),
        Outcome::Token(token) => {
            page.new_token = token;
            html(&page)
        }
        Outcome::Problem(problem) => {
            page.problem = problem;
            Ok((StatusCode::UNPROCESSABLE_ENTITY, html(&page)?).into_response())
        }
    }
}

/// How a form ended.
enum Outcome {
    Saved,
    Token(String),
    Problem(String),
}

async fn profile(app: &Shared, visitor: &Visitor, form: &AccountForm) -> Result<Outcome, Error> {
    let me = visitor.signed_in()?;
    let (name, bio) = (form.display_name.trim(), form.bio.trim());
    if name.is_empty() || name.chars().count() > 50 || bio.chars().count() > 200 {
        return Ok(Outcome::Problem(say(
            visitor,
            "名字要有 1 到 50 个字，简介最多 200 个字。",
            "A name has 1 to 50 characters, a line about you at most 200.",
        )));
    }
    app.store.set_profile(me.id, (name, bio)).await?;
    Ok(Outcome::Saved)
}

async fn password(app: &Shared, visitor: &Visitor, form: AccountForm) -> Result<Outcome, Error> {
    let me = visitor.signed_in()?;
    if let Some(problem) = password_problem(visitor, &form.password) {
        return Ok(Outcome::Problem(problem));
    }
    if !app.passwords.verify(form.current, Some(me.password_hash.clone())).await {
        return Ok(Outcome::Problem(say(visitor, "现在的密码不对。", "The present password is wrong.")));
    }
    let hash = app.passwords.hash(form.password).await?;
    app.store.set_password(me.id, &hash, &visitor.session).await?;
    app.audit(me, ("password.change", &me.username), "other sessions ended").await;
    Ok(Outcome::Saved)
}

async fn token(app: &Shared, visitor: &Visitor, form: &AccountForm) -> Result<Outcome, Error> {
    let me = visitor.signed_in()?;
    let name = form.name.trim();
    if name.is_empty() || name.chars().count() > 50 || app.store.tokens(me.id).await?.len() >= TOKENS_MAX {
        return Ok(Outcome::Problem(say(
            visitor,
            "令牌要有 1 到 50 个字的名字，最多 20 个。",
            "A token has a name of 1 to 50 characters; there are at most 20.",
        )));
    }
    let scope = TokenScope::parse(&form.scope)
        .ok_or_else(|| Error::BadRequest(format!("`{}` is no scope; write read or write", form.scope)))?;
    let token = format!("blog_{}", new_token());
    app.store.add_token(me.id, (name, &text::sha256_hex(token.as_bytes()), scope), now()).await?;
    app.audit(me, ("token.create", name), scope.as_str()).await;
    Ok(Outcome::Token(token))
}

async fn build(app: &Shared, visitor: &Visitor) -> Result<AccountTemplate, Error> {
    let me = visitor.signed_in()?.clone();
    let me = app.store.user_by_name(&me.username).await?.ok_or(Error::NotFound)?;
    Ok(AccountTemplate {
        l: Layout::new(app, visitor, visitor.manner.text().account).await?.unlisted(),
        own_session: visitor.session.clone(),
        sessions: app.store.sessions(me.id, now()).await?,
        tokens: app.store.tokens(me.id).await?,
        me,
        new_token: String::new(),
        saved: false,
        problem: String::new(),
    })
}

/// What is wrong with a new password.
pub(crate) fn password_problem(visitor: &Visitor, password: &str) -> Option<String> {
    let fine = password.chars().count() >= PASSWORD_CHARS_MIN && password.len() <= PASSWORD_BYTES_MAX;
    (!fine).then(|| say(visitor, "密码至少要有 10 个字符。", "A password has at least 10 characters."))
}

/// A sentence in the visitor's language.
pub(crate) fn say(visitor: &Visitor, zh: &str, en: &str) -> String {
    if visitor.manner.lang == Lang::Zh { zh.to_owned() } else { en.to_owned() }
}
