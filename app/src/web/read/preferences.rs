//! Language and theme, without script: a link sets a cookie and comes back.

use axum::extract::{Query, State};
use axum::http::{HeaderValue, header};
use axum::response::{IntoResponse, Redirect, Response};
use serde::Deserialize;

use crate::web::app::Shared;
use crate::web::error::Error;
use crate::web::i18n::Lang;
use crate::web::visitor::{LANG_COOKIE, THEME_COOKIE, Theme, set_cookie};

/// A year.
const KEPT_SECONDS: i64 = 365 * 24 * 3600;

/// `?lang=`, `?theme=` and where to go then.
#[derive(Debug, Deserialize)]
pub(crate) struct Choice {
    lang: Option<String>,
    theme: Option<String>,
    #[serde(default)]
    next: String,
}

/// `GET /preferences`.
pub(crate) async fn set(State(app): State<Shared>, Query(choice): Query<Choice>) -> Result<Response, Error> {
    let mut response = Redirect::to(local(&choice.next)).into_response();
    let lang = choice.lang.as_deref().and_then(Lang::parse).map(|lang| (LANG_COOKIE, lang.short()));
    let theme = choice.theme.as_deref().and_then(Theme::parse).map(|theme| (THEME_COOKIE, theme.as_str()));
    for pair in [lang, theme].into_iter().flatten() {
        let value = HeaderValue::from_str(&set_cookie(&app, pair, KEPT_SECONDS))
            .map_err(|error| Error::Internal(error.to_string()))?;
        response.headers_mut().append(header::SET_COOKIE, value);
    }
    Ok(response)
}

/// A path of this site: anything else would let a link of ours lead a reader away.
#[must_use]
pub(crate) fn local(next: &str) -> &str {
    let ok = next.starts_with('/')
        && !next.starts_with("//")
        && !next.starts_with("/\\")
        && next.bytes().all(|byte| byte.is_ascii_graphic());
    if ok { next } else { "/" }
}

#[cfg(test)]
mod tests {
    use super::local;

    #[test]
    fn a_link_of_ours_never_leads_to_another_site() {
        assert_eq!(local("/posts/a?b=c"), "/posts/a?b=c");
        for bad in
            ["//evil.example", "/\\evil.example", "https://evil.example", "", "evil", "/a\r\nset-cookie: x=y"]
        {
            assert_eq!(local(bad), "/", "{bad}");
        }
    }
}
