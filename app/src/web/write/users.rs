//! Accounts looked after by administrators, and invitations.

use askama::Template;
use axum::Form;
use axum::extract::{Path, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Redirect, Response};
use serde::Deserialize;

use super::account::{password_problem, say};
use super::login::new_token;
use crate::store::{Invite, Role, StoreError, User};
use crate::text;
use crate::web::app::{Shared, now};
use crate::web::error::Error;
use crate::web::layout::{Layout, html};
use crate::web::visitor::Visitor;

/// How long an invitation can be used.
const INVITE_SECONDS: i64 = 7 * 24 * 3600;

#[derive(Template)]
#[template(path = "users.html")]
struct UsersTemplate {
    l: Layout,
    users: Vec<User>,
    invites: Vec<Invite>,
    /// The link of a new invitation, shown this once.
    link: String,
    problem: String,
}

impl UsersTemplate {
    fn roles(&self) -> [Role; 3] {
        Role::ALL
    }
}

#[derive(Template)]
#[template(path = "invite.html")]
struct InviteTemplate {
    l: Layout,
    role: String,
    form: JoinForm,
    problem: String,
}

/// What an administrator does.
#[derive(Debug, Deserialize)]
pub(crate) struct UsersForm {
    action: String,
    #[serde(default)]
    id: i64,
    #[serde(default)]
    role: String,
    #[serde(default)]
    disabled: String,
    #[serde(default)]
    token: String,
}

/// What the invited fill in.
#[derive(Clone, Debug, Default, Deserialize)]
pub(crate) struct JoinForm {
    #[serde(default)]
    username: String,
    #[serde(default)]
    display_name: String,
    #[serde(default)]
    password: String,
}

/// `GET /desk/users`.
pub(crate) async fn page(State(app): State<Shared>, visitor: Visitor) -> Result<Response, Error> {
    html(&build(&app, &visitor).await?)
}

/// `POST /desk/users`.
pub(crate) async fn act(
    State(app): State<Shared>,
    visitor: Visitor,
    Form(form): Form<UsersForm>,
) -> Result<Response, Error> {
    let me = visitor.at_least(Role::Admin)?.clone();
    let role =
        || Role::parse(&form.role).ok_or_else(|| Error::BadRequest(format!("`{}` is no role", form.role)));
    match form.action.as_str() {
        "standing" => {
            let disabled = (!form.disabled.is_empty()).then(now);
            match app.store.set_standing(form.id, role()?, disabled).await {
                Ok(()) => {}
                Err(StoreError::Refused(_)) => {
                    let mut page = build(&app, &visitor).await?;
                    page.problem =
                        say(&visitor, "至少要留一位管理员。", "There must be an administrator left.");
                    return Ok((StatusCode::CONFLICT, html(&page)?).into_response());
                }
                Err(error) => return Err(error.into()),
            }
            let detail = if disabled.is_some() { "disabled" } else { "active" };
            app.audit(&me, ("user.standing", &form.id.to_string()), &format!("{} {detail}", form.role)).await;
        }
        "invite" => {
            let token = new_token();
            let hash = text::sha256_hex(token.as_bytes());
            app.store.invite(&hash, role()?, (me.id, now() + INVITE_SECONDS, now())).await?;
            app.audit(&me, ("user.invite", &form.role), "").await;
            let mut page = build(&app, &visitor).await?;
            page.link = format!("{}/invite/{token}", visitor.manner.origin);
            return html(&page);
        }
        "withdraw" => {
            app.store.withdraw_invite(&form.token).await?;
            app.audit(&me, ("user.withdraw", ""), "").await;
        }
        other => return Err(Error::BadRequest(format!("`{other}` is no action on accounts"))),
    }
    Ok(Redirect::to("/desk/users").into_response())
}

/// `GET /invite/{token}`.
pub(crate) async fn invited(
    State(app): State<Shared>,
    Path(token): Path<String>,
    visitor: Visitor,
) -> Result<Response, Error> {
    let invite = open(&app, &token).await?;
    html(&join_page(&app, &visitor, (invite.role, JoinForm::default()), String::new()).await?)
}

/// `POST /invite/{token}`.
pub(crate) async fn join(
    State(app): State<Shared>,
    Path(token): Path<String>,
    visitor: Visitor,
    Form(form): Form<JoinForm>,
) -> Result<Response, Error> {
    let invite = open(&app, &token).await?;
    let username = form.username.trim().to_lowercase();
    let shown = if form.display_name.trim().is_empty() {
        username.clone()
    } else {
        form.display_name.trim().to_owned()
    };
    let problem = if !is_username(&username) || shown.chars().count() > 50 {
        Some(say(
            &visitor,
            "用户名由 1 到 60 个字母、数字或 - _ . @ 组成。",
            "A username has 1 to 60 letters, digits or - _ . @",
        ))
    } else {
        password_problem(&visitor, &form.password)
    };
    if let Some(problem) = problem {
        let page = join_page(&app, &visitor, (invite.role, form), problem).await?;
        return Ok((StatusCode::UNPROCESSABLE_ENTITY, html(&page)?).into_response());
    }
    let hash = app.passwords.hash(form.password.clone()).await?;
    match app.store.accept_invite(&invite.token_hash, (&username, &shown), &hash, now()).await {
        Ok(_) => Ok(Redirect::to("/login").into_response()),
        Err(StoreError::Duplicate(_)) => {
            let problem = say(&visitor, "这个用户名已经有人用了。", "This username is taken.");
            let page = join_page(&app, &visitor, (invite.role, form), problem).await?;
            Ok((StatusCode::CONFLICT, html(&page)?).into_response())
        }
        Err(error) => Err(error.into()),
    }
}

/// A name to sign in with: 1 to 60 letters, digits or `-_.@`.
pub(crate) fn is_username(name: &str) -> bool {
    (1..=60).contains(&name.chars().count())
        && name.chars().all(|c| c.is_alphanumeric() || "-_.@".contains(c))
}

async fn open(app: &Shared, token: &str) -> Result<Invite, Error> {
    let hash = text::sha256_hex(token.as_bytes());
    app.store.open_invite(&hash, now()).await?.ok_or(Error::NotFound)
}

async fn build(app: &Shared, visitor: &Visitor) -> Result<UsersTemplate, Error> {
    visitor.at_least(Role::Admin)?;
    Ok(UsersTemplate {
        l: Layout::new(app, visitor, visitor.manner.text().users).await?.unlisted(),
        users: app.store.users().await?,
        invites: app.store.invites(now()).await?,
        link: String::new(),
        problem: String::new(),
    })
}

async fn join_page(
    app: &Shared,
    visitor: &Visitor,
    (role, form): (String, JoinForm),
    problem: String,
) -> Result<InviteTemplate, Error> {
    let l = Layout::new(app, visitor, visitor.manner.text().join).await?.unlisted();
    Ok(InviteTemplate { l, role, form, problem })
}
