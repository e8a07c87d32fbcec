//! One request of a session, ready to be sent.

use bytes::Bytes;
use http_body_util::Full;
use hyper::{
    Method, Request, Uri,
    header::{self, HeaderValue},
};
use url::{Position, Url, form_urlencoded};

use crate::{
    page::{Form, FormMethod},
    person::Person,
    scenario::{Identity, Scenario},
    target::Target,
};

/// A request that somebody is about to send.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Visit {
    /// What it is counted as.
    pub counted_as: CountedAs,
    /// The method.
    pub method: Method,
    /// Where it is, always within the target.
    pub url: Url,
    /// What is sent of the URL: path and query.
    pub path: Uri,
    /// A form's fields.
    pub body: Option<String>,
}

/// The row of the report that a request belongs to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CountedAs {
    /// A step, by [`crate::scenario::Step::id`].
    Step(usize),
    /// A redirect within the target.
    Redirect,
}

/// The values of the placeholders in a form's fields.
pub struct Placeholders<'a> {
    /// `{username}` and `{password}`.
    pub credentials: Option<&'a Credentials>,
    /// `{number}`: differs for every request.
    pub number: u64,
}

/// Who logs in.
#[derive(Clone)]
pub struct Credentials {
    /// For `{username}`.
    pub username: String,
    /// For `{password}`.
    pub password: String,
}

impl Visit {
    /// A visit by GET; none if the URL is longer than a request can say.
    pub(super) fn get(counted_as: CountedAs, url: Url) -> Option<Self> {
        let path = url[Position::BeforePath..Position::AfterQuery].parse().ok()?;
        Some(Self { counted_as, method: Method::GET, url, path, body: None })
    }

    /// A form with these values, sent the way it says.
    pub(super) fn submit(counted_as: CountedAs, form: &Form, values: &[(&str, String)]) -> Option<Self> {
        let mut url = form.action.clone();
        let fields = form.filled(values);
        match form.method {
            FormMethod::Get => {
                url.query_pairs_mut().clear().extend_pairs(fields);
                Self::get(counted_as, url)
            }
            FormMethod::Post => {
                let body = form_urlencoded::Serializer::new(String::new()).extend_pairs(fields).finish();
                Some(Self { method: Method::POST, body: Some(body), ..Self::get(counted_as, url)? })
            }
        }
    }

    /// The request as this person sends it.
    pub fn request(&self, person: &Person, scenario: &Scenario, target: &Target) -> Request<Full<Bytes>> {
        let body = Full::new(Bytes::from(self.body.clone().unwrap_or_default()));
        let mut request = Request::new(body);
        *request.method_mut() = self.method.clone();
        *request.uri_mut() = self.path.clone();
        let fields = request.headers_mut();
        let agent = concat!("huidu-load/", env!("CARGO_PKG_VERSION"));
        fields.insert(header::USER_AGENT, HeaderValue::from_static(agent));
        fields.insert(header::ACCEPT, HeaderValue::from_static("text/html,application/xhtml+xml,*/*;q=0.8"));
        if self.body.is_some() {
            let form = HeaderValue::from_static("application/x-www-form-urlencoded");
            fields.insert(header::CONTENT_TYPE, form);
            // Browsers say where a form comes from; defences against CSRF rest on it.
            fields.extend(target.origin().parse().ok().map(|origin| (header::ORIGIN, origin)));
            fields.insert("sec-fetch-site", HeaderValue::from_static("same-origin"));
        }
        fields.extend(person.cookies.header().map(|cookies| (header::COOKIE, cookies)));
        if let Identity::Header(name) = &scenario.identity {
            fields.extend(person.name().parse().ok().map(|value| (name.clone(), value)));
        }
        for (name, value) in &scenario.headers {
            fields.insert(name, value.clone());
        }
        request
    }
}

impl Placeholders<'_> {
    /// The text with every placeholder replaced, in one pass: a password with braces is not filled in again.
    pub(super) fn fill(&self, text: &str) -> String {
        let (username, password) = self.credentials.map_or(("", ""), |c| (&c.username, &c.password));
        let number = self.number.to_string();
        let known = [("{username}", username), ("{password}", password), ("{number}", &number)];
        let mut filled = String::new();
        let mut rest = text;
        while let Some(at) = rest.find('{') {
            let (before, tail) = rest.split_at(at);
            let (name, value) =
                known.into_iter().find(|(name, _)| tail.starts_with(name)).unwrap_or(("{", "{"));
            filled.extend([before, value]);
            rest = &tail[name.len()..];
        }
        filled + rest
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn placeholders_are_filled_in_once() {
        let credentials = Credentials { username: "ed".to_owned(), password: "{number}{".to_owned() };
        let placeholders = Placeholders { credentials: Some(&credentials), number: 7 };
        assert_eq!(placeholders.fill("{username}:{password} {number}{other} {"), "ed:{number}{ 7{other} {");
    }
}
