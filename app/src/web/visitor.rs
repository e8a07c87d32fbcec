//! Who asks: language, theme, account, address.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::sync::Arc;

use axum::extract::{ConnectInfo, FromRequestParts};
use axum::http::request::Parts;
use axum::http::{HeaderMap, header};

use super::app::{CookieSafety, Shared, Site, now};
use super::error::Error;
use super::i18n::{Lang, Text};
use crate::store::{Role, User};
use crate::text;

/// The cookie of the session.
pub(crate) const SESSION_COOKIE: &str = "blog_session";
/// The cookie of the chosen language.
pub(crate) const LANG_COOKIE: &str = "blog_lang";
/// The cookie of the chosen theme.
pub(crate) const THEME_COOKIE: &str = "blog_theme";
/// How long a sign-in lasts.
pub(crate) const SESSION_SECONDS: i64 = 30 * 24 * 3600;

/// Light or dark.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Theme {
    /// As the reader's system.
    Auto,
    /// Always light.
    Light,
    /// Always dark.
    Dark,
}

impl Theme {
    /// Its name in the cookie and on the page.
    #[must_use]
    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Self::Auto => "auto",
            Self::Light => "light",
            Self::Dark => "dark",
        }
    }

    /// Reads [`Theme::as_str`].
    #[must_use]
    pub(crate) fn parse(text: &str) -> Option<Self> {
        [Self::Auto, Self::Light, Self::Dark].into_iter().find(|theme| theme.as_str() == text)
    }
}

/// What a request says of the one who sent it, without asking the database.
#[derive(Clone, Debug)]
pub(crate) struct Manner {
    /// The language of the page.
    pub(crate) lang: Lang,
    /// Light or dark.
    pub(crate) theme: Theme,
    /// Path and query.
    pub(crate) here: String,
    /// Scheme and host that the reader uses.
    pub(crate) origin: String,
}

impl Manner {
    /// Reads headers and cookies.
    #[must_use]
    pub(crate) fn of(app: &Shared, headers: &HeaderMap, uri: &axum::http::Uri) -> Self {
        let accepted =
            headers.get(header::ACCEPT_LANGUAGE).and_then(|value| value.to_str().ok()).unwrap_or("");
        Self {
            lang: cookie(headers, LANG_COOKIE)
                .and_then(Lang::parse)
                .unwrap_or_else(|| Lang::negotiate(accepted)),
            theme: cookie(headers, THEME_COOKIE).and_then(Theme::parse).unwrap_or(Theme::Auto),
            here: uri.path_and_query().map_or("/", |path| path.as_str()).to_owned(),
            origin: origin(app, headers),
        }
    }

    /// The words of the language.
    #[must_use]
    pub(crate) fn text(&self) -> &'static Text {
        self.lang.text()
    }
}

/// The one who asks.
#[derive(Clone, Debug)]
pub(crate) struct Visitor {
    /// Language, theme and place.
    pub(crate) manner: Manner,
    /// The account, when signed in.
    pub(crate) user: Option<User>,
    /// SHA-256 of the session's token, or empty.
    pub(crate) session: String,
    /// The client's address.
    pub(crate) address: IpAddr,
    /// What the browser calls itself, cut to 200 characters.
    pub(crate) user_agent: String,
    /// What pages show of the site, where a layer has read it already.
    pub(crate) site: Option<Arc<Site>>,
}

impl Visitor {
    /// The account.
    ///
    /// # Errors
    /// Sends to the sign-in page when there is none.
    pub(crate) fn signed_in(&self) -> Result<&User, Error> {
        self.user.as_ref().ok_or_else(|| Error::SignIn(self.manner.here.clone()))
    }

    /// The account, with at least this role.
    ///
    /// # Errors
    /// Sends to the sign-in page, or says that it is not allowed.
    pub(crate) fn at_least(&self, role: Role) -> Result<&User, Error> {
        let user = self.signed_in()?;
        if user.role() >= role { Ok(user) } else { Err(Error::Forbidden) }
    }
}

impl FromRequestParts<Shared> for Visitor {
    type Rejection = Error;

    async fn from_request_parts(parts: &mut Parts, app: &Shared) -> Result<Self, Error> {
        let token = cookie(&parts.headers, SESSION_COOKIE).filter(|token| is_token(token));
        let session = token.map(|token| text::sha256_hex(token.as_bytes())).unwrap_or_default();
        let user = if session.is_empty() { None } else { app.store.session_user(&session, now()).await? };
        if user.is_some() && parts.uri.path().starts_with("/desk") {
            app.store.note_session(&session, now()).await?;
        }
        let user_agent = parts.headers.get(header::USER_AGENT).and_then(|value| value.to_str().ok());
        Ok(Self {
            manner: Manner::of(app, &parts.headers, &parts.uri),
            user,
            session,
            address: client_address(app, parts),
            user_agent: text::shorten(user_agent.unwrap_or(""), 200),
            site: parts.extensions.get().cloned(),
        })
    }
}

impl FromRequestParts<Shared> for Manner {
    type Rejection = std::convert::Infallible;

    async fn from_request_parts(parts: &mut Parts, app: &Shared) -> Result<Self, Self::Rejection> {
        Ok(Self::of(app, &parts.headers, &parts.uri))
    }
}

/// The client's address, behind the proxies that are trusted.
#[must_use]
pub(crate) fn client_address(app: &Shared, parts: &Parts) -> IpAddr {
    let peer = parts
        .extensions
        .get::<ConnectInfo<SocketAddr>>()
        .map_or(IpAddr::V4(Ipv4Addr::LOCALHOST), |ConnectInfo(peer)| peer.ip());
    let forwarded = parts.headers.get("x-forwarded-for").and_then(|value| value.to_str().ok());
    app.client_address(peer, forwarded.unwrap_or(""))
}

/// The value of a cookie.
#[must_use]
pub(crate) fn cookie<'a>(headers: &'a HeaderMap, name: &str) -> Option<&'a str> {
    headers
        .get_all(header::COOKIE)
        .iter()
        .filter_map(|value| value.to_str().ok())
        .flat_map(|value| value.split(';'))
        .filter_map(|pair| pair.trim().split_once('='))
        .find_map(|(key, value)| (key == name).then_some(value))
}

/// A `Set-Cookie` value that lasts `max_age_s` seconds; 0 forgets the cookie.
#[must_use]
pub(crate) fn set_cookie(app: &Shared, (name, value): (&str, &str), max_age_s: i64) -> String {
    let secure = match app.options.cookies {
        CookieSafety::Secure => "; Secure",
        CookieSafety::PlainHttp => "",
    };
    format!("{name}={value}; Path=/; Max-Age={max_age_s}; HttpOnly; SameSite=Lax{secure}")
}

/// A token as [`super::write::login`] makes it: 64 hexadecimal digits.
fn is_token(token: &str) -> bool {
    token.len() == 64 && token.bytes().all(|byte| byte.is_ascii_hexdigit())
}

/// Scheme and host of links that leave the page. A `Host` with anything but a name and a port is not repeated.
fn origin(app: &Shared, headers: &HeaderMap) -> String {
    if let Some(base) = &app.options.base_url {
        return base.clone();
    }
    let host = headers.get(header::HOST).and_then(|value| value.to_str().ok()).unwrap_or("");
    let plain = host.bytes().all(|byte| byte.is_ascii_alphanumeric() || b".-:[]".contains(&byte));
    let host = if plain && !host.is_empty() && host.len() <= 255 { host } else { "localhost" };
    let https = app.options.trusted_hops > 0
        && headers.get("x-forwarded-proto").is_some_and(|proto| proto.as_bytes() == b"https");
    format!("{}://{host}", if https { "https" } else { "http" })
}
