//! One virtual user at work: which request comes next, and what its answer changes.

use bytes::Bytes;
use http_body_util::Full;
use hyper::{
    Method, Request, StatusCode, Uri,
    header::{self, HeaderMap, HeaderValue},
};
use rand::seq::IndexedRandom;
use url::{Url, form_urlencoded};

use crate::{
    client::Exchange,
    cookies::Cookies,
    page::{FormMethod, Page},
    scenario::{Action, Flow, Follow, Identity, Scenario, Step},
    target::Target,
};

/// Someone with an identity and cookies, who comes back for more sessions.
#[derive(Debug)]
pub struct Person {
    /// The N of `user-N`.
    pub number: usize,
    /// What the target has set.
    pub cookies: Cookies,
}

/// A person on the way through a flow.
#[derive(Debug)]
pub struct Session {
    /// Who it is.
    pub person: Person,
    /// Index of the flow.
    pub flow: usize,
    /// Index of the step that is done next.
    pub step: usize,
    page: Page,
    redirect: Option<Redirect>,
}

/// The next request of a session, ready to be sent.
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
    /// A step, by [`Step::id`].
    Step(usize),
    /// A redirect within the target.
    Redirect,
}

/// What an answer was, next to the wire's failures.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// As it should be.
    Fine,
    /// No whole answer, a 5xx, or too many redirects; the name of the reason.
    Failed(Reason),
    /// Another status than the scenario expects.
    Unexpected(StatusCode),
}

/// Why a request failed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reason {
    /// On the wire.
    Wire(crate::client::Failure),
    /// 5xx.
    Status(StatusCode),
    /// More than [`REDIRECTS_MAX`] redirects one after the other.
    RedirectLoop,
}

/// What the driver did with a redirect.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Redirected {
    /// There was none, or it leads to the target and is the session's next request.
    Within,
    /// It leads to another authority and is not followed.
    Refused,
}

/// The values of a form's placeholders.
#[derive(Clone, Debug, Default)]
pub struct Credentials {
    /// For `{username}`.
    pub username: String,
    /// For `{password}`.
    pub password: String,
}

#[derive(Debug)]
struct Redirect {
    method: Method,
    url: Url,
    body: Option<String>,
    count: usize,
}

/// As many as browsers would follow several times over for a page.
pub const REDIRECTS_MAX: usize = 10;

// === impl Session ===

impl Session {
    /// A session before its first step.
    pub fn new(person: Person, flow: usize) -> Self {
        Self { person, flow, step: 0, page: Page::default(), redirect: None }
    }

    /// The next request, or `None` if the current step is not possible on the page that there is.
    pub fn visit(
        &self,
        scenario: &Scenario,
        surroundings: &Surroundings<'_>,
        rng: &mut impl rand::Rng,
    ) -> Option<Visit> {
        if let Some(Redirect { method, url, body, .. }) = &self.redirect {
            return Visit::new(CountedAs::Redirect, url.clone())
                .map(|visit| visit.with(method.clone(), body.clone()));
        }
        let step = scenario.flows.get(self.flow)?.steps.get(self.step)?;
        let counted_as = CountedAs::Step(step.id);
        let get = |url| Visit::new(counted_as, url);
        match &step.action {
            Action::Get(path) => surroundings.target.page(path).and_then(get),
            Action::Follow(follow) => self.link(follow, rng).and_then(get),
            Action::Search(words) => {
                let (form, field) = self.page.search()?;
                let word = words.choose(rng).cloned().or_else(|| self.word_of_a_title(rng))?;
                let mut url = form.action.clone();
                url.query_pairs_mut().clear().extend_pairs(form.filled(&[(field, word)]));
                get(url)
            }
            Action::Submit(fields) => self.form(counted_as, fields, surroundings),
        }
    }

    fn link(&self, follow: &Follow, rng: &mut impl rand::Rng) -> Option<Url> {
        match follow {
            Follow::Post => self.page.posts.choose(rng).map(|link| link.url.clone()),
            Follow::Feed => self.page.feed.clone(),
            Follow::Next => self.page.next.clone(),
            Follow::Under(path) => {
                let all = self.page.posts.iter().chain(&self.page.links);
                let under: Vec<_> = all.filter(|link| link.url.path().starts_with(path)).collect();
                under.choose(rng).map(|link| link.url.clone())
            }
        }
    }

    /// A word that a reader may look for: of a Latin title one longer word, of others the first characters.
    fn word_of_a_title(&self, rng: &mut impl rand::Rng) -> Option<String> {
        let title = &self.page.posts.choose(rng)?.text;
        let words: Vec<_> =
            title.split(|c: char| !c.is_alphanumeric()).filter(|word| word.len() > 3).collect();
        words.choose(rng).map(|word| word.chars().take(12).collect())
    }

    fn form(
        &self,
        counted_as: CountedAs,
        fields: &[(String, String)],
        surroundings: &Surroundings<'_>,
    ) -> Option<Visit> {
        let form = self.page.form_with(fields.iter().map(|(name, _)| name))?;
        let values: Vec<_> =
            fields.iter().map(|(name, value)| (name.as_str(), surroundings.fill(value))).collect();
        let values = form.filled(&values);
        match form.method {
            FormMethod::Get => {
                let mut url = form.action.clone();
                url.query_pairs_mut().clear().extend_pairs(values);
                Visit::new(counted_as, url)
            }
            FormMethod::Post => {
                let body = form_urlencoded::Serializer::new(String::new()).extend_pairs(values).finish();
                Visit::new(counted_as, form.action.clone()).map(|visit| visit.with(Method::POST, Some(body)))
            }
        }
    }

    /// What the answer was.
    pub fn judge(&self, scenario: &Scenario, exchange: &Exchange) -> Verdict {
        let status = match (exchange.failure, &exchange.head) {
            (Some(failure), _) => return Verdict::Failed(Reason::Wire(failure)),
            (None, Some((status, _))) => *status,
            (None, None) => return Verdict::Failed(Reason::Wire(crate::client::Failure::Closed)),
        };
        let expected = match (&self.redirect, self.current(scenario)) {
            (None, Some(step)) => step.expects(status),
            _ => status.is_success() || status.is_redirection(),
        };
        match status {
            _ if expected && self.redirects() >= REDIRECTS_MAX && status.is_redirection() => {
                Verdict::Failed(Reason::RedirectLoop)
            }
            _ if expected => Verdict::Fine,
            _ if status.is_server_error() => Verdict::Failed(Reason::Status(status)),
            _ => Verdict::Unexpected(status),
        }
    }

    /// Takes over what a good answer brings: cookies, links, a redirect. The step after it is then current.
    pub fn absorb(&mut self, scenario: &Scenario, target: &Target, answer: (&Visit, Exchange)) -> Redirected {
        let (visit, exchange) = answer;
        let Some((status, headers)) = exchange.head else { return Redirected::Within };
        for cookie in headers.get_all(header::SET_COOKIE) {
            self.person.cookies.absorb(cookie);
        }
        let count = self.redirects();
        self.redirect = None;
        if let Some(url) = location(&headers, status, &visit.url) {
            if target.owns(&url) {
                let (method, body) = after_redirect(status, visit);
                self.redirect = Some(Redirect { method, url, body, count: count + 1 });
                return Redirected::Within;
            }
            self.step += 1;
            return Redirected::Refused;
        }
        self.step += 1;
        let flow = scenario.flows.get(self.flow);
        let is_read_later =
            flow.is_some_and(|flow| later_steps(flow, self.step).any(|step| step.action.needs_page()));
        if is_read_later && is_html(&headers) {
            let page = Page::read(&String::from_utf8_lossy(&exchange.body), &visit.url, target);
            self.page = page.or(std::mem::take(&mut self.page));
        }
        Redirected::Within
    }

    fn current<'a>(&self, scenario: &'a Scenario) -> Option<&'a Step> {
        scenario.flows.get(self.flow)?.steps.get(self.step)
    }

    fn redirects(&self) -> usize {
        self.redirect.as_ref().map_or(0, |redirect| redirect.count)
    }
}

fn later_steps(flow: &Flow, from: usize) -> impl Iterator<Item = &Step> {
    flow.steps.iter().skip(from)
}

fn location(headers: &HeaderMap, status: StatusCode, at: &Url) -> Option<Url> {
    if ![301, 302, 303, 307, 308].contains(&status.as_u16()) {
        return None;
    }
    at.join(headers.get(header::LOCATION)?.to_str().ok()?).ok()
}

/// 307 and 308 repeat the request; the others turn into GET (RFC 9110 §15.4, as browsers do).
fn after_redirect(status: StatusCode, visit: &Visit) -> (Method, Option<String>) {
    match status.as_u16() {
        307 | 308 => (visit.method.clone(), visit.body.clone()),
        _ => (Method::GET, None),
    }
}

fn is_html(headers: &HeaderMap) -> bool {
    let kind = headers.get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok());
    kind.is_some_and(|kind| kind.starts_with("text/html") || kind.starts_with("application/xhtml"))
}

// === impl Visit ===

/// What requests take from the run.
pub struct Surroundings<'a> {
    /// The address.
    pub target: &'a Target,
    /// For `{username}` and `{password}`.
    pub credentials: &'a Credentials,
    /// For `{number}`: differs for every request.
    pub number: u64,
}

impl Surroundings<'_> {
    fn fill(&self, value: &str) -> String {
        // One pass, so that a password with braces is not filled in again.
        let mut filled = String::new();
        let mut rest = value;
        while let Some(at) = rest.find('{') {
            let (before, tail) = rest.split_at(at);
            filled.push_str(before);
            let number = self.number.to_string();
            let known = [
                ("{username}", &self.credentials.username),
                ("{password}", &self.credentials.password),
                ("{number}", &number),
            ];
            match known.iter().find(|(name, _)| tail.starts_with(name)) {
                Some((name, value)) => {
                    filled.push_str(value);
                    rest = &tail[name.len()..];
                }
                None => {
                    filled.push('{');
                    rest = &tail[1..];
                }
            }
        }
        filled + rest
    }
}

impl Visit {
    /// A visit by GET, unless the URL is longer than a request can say.
    fn new(counted_as: CountedAs, url: Url) -> Option<Self> {
        let path = url[url::Position::BeforePath..url::Position::AfterQuery].parse().ok()?;
        Some(Self { counted_as, method: Method::GET, url, path, body: None })
    }

    fn with(self, method: Method, body: Option<String>) -> Self {
        Self { method, body, ..self }
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

impl Person {
    /// A person who was never here; the identity's cookie is set from the start.
    pub fn new(number: usize, identity: &Identity) -> Self {
        let mut person = Self { number, cookies: Cookies::default() };
        person.forget(identity);
        person
    }

    /// Ends every login: only the identity's cookie stays.
    pub fn forget(&mut self, identity: &Identity) {
        self.cookies = Cookies::default();
        if let Identity::Cookie(name) = identity
            && let Ok(cookie) = HeaderValue::from_str(&format!("{name}={}", self.name()))
        {
            self.cookies.absorb(&cookie);
        }
    }

    fn name(&self) -> String {
        format!("user-{}", self.number)
    }
}

impl Reason {
    /// A short stable name for tables and JSON.
    pub fn name(self) -> String {
        match self {
            Self::Wire(failure) => failure.name().to_owned(),
            Self::Status(status) => format!("http {}", status.as_u16()),
            Self::RedirectLoop => "redirect loop".to_owned(),
        }
    }
}
