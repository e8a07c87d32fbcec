//! Which account a program acts for, and how often it may ask.

use axum::extract::FromRequestParts;
use axum::http::request::Parts;
use axum::http::{StatusCode, header};

use super::problem::Problem;
use crate::store::{TokenScope, User};
use crate::text;
use crate::web::app::{Shared, now};
use crate::web::visitor::client_address;

/// Requests of a token in a minute.
const PER_TOKEN_MAX: i64 = 300;
/// Requests with wrong tokens from one address in ten minutes.
const WRONG_MAX: i64 = 30;

/// The account of the request's token. Cookies count for nothing here, so no other site can make a browser call.
#[derive(Clone, Debug)]
pub(crate) struct Caller {
    /// The account, with the role that it has now.
    pub(crate) user: User,
    scope: TokenScope,
}

impl Caller {
    /// The account, where the token may write.
    ///
    /// # Errors
    /// 403 for a token that only reads.
    pub(crate) fn writes(&self) -> Result<&User, Problem> {
        match self.scope {
            TokenScope::Write => Ok(&self.user),
            TokenScope::Read => Err(Problem::new(
                StatusCode::FORBIDDEN,
                "this token only reads; make one that writes on the account page",
            )),
        }
    }
}

impl FromRequestParts<Shared> for Caller {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, app: &Shared) -> Result<Self, Problem> {
        let Some(token) = bearer(parts) else {
            return Err(Problem::new(
                StatusCode::UNAUTHORIZED,
                "send `Authorization: Bearer blog_…` with a token from the account page",
            ));
        };
        let now = now();
        let Some(owner) = app.store.token_owner(&text::sha256_hex(token.as_bytes()), now).await? else {
            let bucket = format!("api-wrong:{}", client_address(app, parts));
            return Err(if app.store.count_attempt(&bucket, 600, now).await? > WRONG_MAX {
                Problem::new(StatusCode::TOO_MANY_REQUESTS, "too many wrong tokens; wait ten minutes")
            } else {
                Problem::new(StatusCode::UNAUTHORIZED, "the token is wrong or was taken back")
            });
        };
        if app.store.count_attempt(&format!("api:{}", owner.token_id), 60, now).await? > PER_TOKEN_MAX {
            return Err(Problem::new(
                StatusCode::TOO_MANY_REQUESTS,
                format!("a token may ask {PER_TOKEN_MAX} times a minute"),
            ));
        }
        Ok(Self { user: owner.user, scope: owner.scope })
    }
}

/// The token of an `Authorization` header (RFC 6750, section 2.1), if it looks like one of ours.
fn bearer(parts: &Parts) -> Option<&str> {
    let value = parts.headers.get(header::AUTHORIZATION)?.to_str().ok()?;
    let (scheme, token) = value.split_once(' ')?;
    let digits = token.trim().strip_prefix("blog_")?;
    let ours = digits.len() == 64 && digits.bytes().all(|byte| byte.is_ascii_hexdigit());
    (scheme.eq_ignore_ascii_case("bearer") && ours).then(|| token.trim())
}
