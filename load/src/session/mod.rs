//! One virtual user at work: which request comes next, and what its answer changes.

mod verdict;
mod visit;

use hyper::{
    Method, StatusCode,
    header::{self, HeaderMap},
};
use rand::{Rng, seq::IndexedRandom};
use url::Url;

pub use self::{
    verdict::{REDIRECTS_MAX, Reason, Verdict},
    visit::{CountedAs, Credentials, Placeholders, Visit},
};
use crate::{
    client::Exchange,
    page::Page,
    person::Person,
    scenario::{Action, Flow, Follow, Step},
    target::Target,
};

/// A person on the way through a flow.
#[derive(Debug)]
pub struct Session {
    /// Who it is.
    pub person: Person,
    /// Index of the flow.
    pub flow: usize,
    /// Index of the step that is done next, or done again by a redirect.
    pub step: usize,
    page: Page,
    redirect: Option<Visit>,
    redirects: usize,
}

/// What the driver did with a redirect.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Redirected {
    /// There was none, or it leads to the target and is the session's next request.
    Within,
    /// It leads to another authority and is not followed.
    Refused,
}

impl Session {
    /// A session before its first step.
    pub fn new(person: Person, flow: usize) -> Self {
        Self { person, flow, step: 0, page: Page::default(), redirect: None, redirects: 0 }
    }

    /// The next request, or `None` if the step is not possible on the pages seen.
    pub fn visit(
        &self,
        step: &Step,
        surroundings: (&Target, &Placeholders<'_>),
        rng: &mut impl Rng,
    ) -> Option<Visit> {
        if self.redirect.is_some() {
            return self.redirect.clone();
        }
        let (target, placeholders) = surroundings;
        let counted_as = CountedAs::Step(step.id);
        match &step.action {
            Action::Get(path) => Visit::get(counted_as, target.page(path)?),
            Action::Follow(follow) => Visit::get(counted_as, self.link(follow, rng)?),
            Action::Search(words) => {
                let (form, field) = self.page.search()?;
                let word = words.choose(rng).cloned().or_else(|| self.word_of_a_title(rng))?;
                Visit::submit(counted_as, form, &[(field, word)])
            }
            Action::Submit(fields) => {
                let form = self.page.form_with(fields)?;
                let values = fields.iter().map(|(name, value)| (name.as_str(), placeholders.fill(value)));
                Visit::submit(counted_as, form, &values.collect::<Vec<_>>())
            }
        }
    }

    fn link(&self, follow: &Follow, rng: &mut impl Rng) -> Option<Url> {
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

    /// A word that a reader may look for, of a title that the reader has seen. Where a language writes no
    /// spaces, its first characters.
    fn word_of_a_title(&self, rng: &mut impl Rng) -> Option<String> {
        let title = &self.page.posts.choose(rng)?.text;
        let words = title.split(|c: char| !c.is_alphanumeric()).filter(|word| word.len() > 3);
        words.collect::<Vec<_>>().choose(rng).map(|word| word.chars().take(12).collect())
    }

    /// What the answer to this step was.
    pub fn judge(&self, step: Option<&Step>, exchange: &Exchange) -> Verdict {
        Verdict::of(exchange.outcome, step, self.redirects)
    }

    /// Takes over what a good answer brings: cookies, links, a redirect. Without a redirect the next step is
    /// then current.
    pub fn absorb(&mut self, flow: &Flow, target: &Target, answer: (&Visit, Exchange)) -> Redirected {
        let (visit, exchange) = answer;
        let (Ok(status), Some(headers)) = (exchange.outcome, exchange.headers) else {
            return Redirected::Within;
        };
        for cookie in headers.get_all(header::SET_COOKIE) {
            self.person.cookies.absorb(cookie);
        }
        let location = location(&headers, status, &visit.url);
        let is_away = location.as_ref().is_some_and(|url| !target.owns(url));
        self.redirect =
            location.filter(|url| target.owns(url)).and_then(|url| after_redirect(status, visit, url));
        if self.redirect.is_some() {
            self.redirects += 1;
            return Redirected::Within;
        }
        self.redirects = 0;
        self.step += 1;
        let is_read_later = flow.steps.iter().skip(self.step).any(|step| step.action.needs_page());
        if is_read_later && is_html(&headers) {
            let page = Page::read(&String::from_utf8_lossy(&exchange.body), &visit.url, target);
            self.page = page.or(std::mem::take(&mut self.page));
        }
        if is_away { Redirected::Refused } else { Redirected::Within }
    }
}

fn location(headers: &HeaderMap, status: StatusCode, at: &Url) -> Option<Url> {
    if ![301, 302, 303, 307, 308].contains(&status.as_u16()) {
        return None;
    }
    at.join(headers.get(header::LOCATION)?.to_str().ok()?).ok()
}

/// 307 and 308 repeat the request; the others turn into GET (RFC 9110 §15.4, as browsers do).
fn after_redirect(status: StatusCode, visit: &Visit, url: Url) -> Option<Visit> {
    let (method, body) = match status.as_u16() {
        307 | 308 => (visit.method.clone(), visit.body.clone()),
        _ => (Method::GET, None),
    };
    Some(Visit { method, body, ..Visit::get(CountedAs::Redirect, url)? })
}

fn is_html(headers: &HeaderMap) -> bool {
    let kind = headers.get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok());
    kind.is_some_and(|kind| kind.starts_with("text/html") || kind.starts_with("application/xhtml"))
}
