//! What a reader sees on a page: links to posts, the feed, the search box, forms.
//!
//! Nothing is assumed about the blog but what HTML says: posts are the links in headings or, where there are
//! none, in the main part; the feed is `<link rel="alternate">`; the search is a form sent by GET.

use std::cell::RefCell;

use html5ever::{
    tendril::StrTendril,
    tokenizer::{
        BufferQueue, Tag, TagKind, Token, TokenSink, TokenSinkResult, Tokenizer, TokenizerOpts,
        states::RawKind,
    },
};
use url::Url;

use crate::target::Target;

/// The part of a page that a reader can use next.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Page {
    /// Links that lead to posts, best guesses first come together: all have the same rank.
    pub posts: Vec<Link>,
    /// Every other link within the target, for scenarios that say what a link looks like.
    pub links: Vec<Link>,
    /// The Atom or RSS feed.
    pub feed: Option<Url>,
    /// The next page of a list, by `rel="next"`.
    pub next: Option<Url>,
    /// All forms that are sent to the target.
    pub forms: Vec<Form>,
}

/// A link within the target.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Link {
    /// Where it leads.
    pub url: Url,
    /// Its text, at most the first 200 bytes.
    pub text: String,
}

/// A form as the browser would send it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Form {
    /// How it is sent.
    pub method: FormMethod,
    /// Where it is sent to.
    pub action: Url,
    /// All named fields and buttons.
    pub fields: Vec<Field>,
}

/// A field or button of a form.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Field {
    /// Its name.
    pub name: String,
    /// What is sent if nobody fills it in, such as a CSRF token; nothing for buttons and unchecked boxes.
    pub value: Option<String>,
}

/// The method of a form.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FormMethod {
    /// Fields go into the query.
    Get,
    /// Fields go into the body.
    Post,
}

/// Limits on what a page may make the driver keep.
const LINKS_MAX: usize = 500;
/// Most fields of a form.
const FIELDS_MAX: usize = 100;
/// Longest kept text of a link in bytes.
const TEXT_MAX: usize = 200;
/// Longest kept URL in bytes: what RFC 9110 §4.1 asks every server to take.
const URL_MAX: usize = 8_000;
/// Path segments that are never posts.
const NOT_POSTS: &str = "about admin archive archives assets atom author categories category desk feed feeds login \
     logout media page pages preferences register rss search signup static tag tags";

// === impl Page ===

impl Page {
    /// Reads the HTML of the page at `at`.
    pub fn read(html: &str, at: &Url, target: &Target) -> Self {
        let reader = Reader { at, target, state: RefCell::new(State::default()) };
        let tokenizer = Tokenizer::new(reader, TokenizerOpts::default());
        let input = BufferQueue::default();
        input.push_back(StrTendril::from_slice(html));
        let _ = tokenizer.feed(&input);
        tokenizer.end();
        tokenizer.sink.state.into_inner().finish()
    }

    /// This page, with what it does not offer taken from the page seen before.
    ///
    /// A reader goes back to the list to open the next post, so a post without links is no dead end.
    pub fn or(self, before: Self) -> Self {
        Self {
            posts: if self.posts.is_empty() { before.posts } else { self.posts },
            links: if self.links.is_empty() { before.links } else { self.links },
            feed: self.feed.or(before.feed),
            next: self.next,
            forms: if self.forms.is_empty() { before.forms } else { self.forms },
        }
    }

    /// The search box with the name of its field: a form sent by GET to a path or with a field that says so.
    pub fn search(&self) -> Option<(&Form, &str)> {
        self.forms.iter().filter(|form| form.method == FormMethod::Get).find_map(|form| {
            let named =
                form.fields.iter().find(|field| ["q", "query", "search", "s"].contains(&field.name.as_str()));
            let by_path = || form.fields.first().filter(|_| form.action.path().contains("search"));
            named.or_else(by_path).map(|field| (form, field.name.as_str()))
        })
    }

    /// The first form that has all these fields.
    pub fn form_with<'a>(&self, mut names: impl Iterator<Item = &'a String> + Clone) -> Option<&Form> {
        self.forms
            .iter()
            .find(|form| names.clone().all(|name| form.has(name)))
            .filter(|_| names.next().is_some())
    }
}

impl Form {
    /// What is sent when these fields are filled in: they and the values of the other fields.
    pub fn filled(&self, values: &[(&str, String)]) -> Vec<(String, String)> {
        let others = self.fields.iter().filter(|field| values.iter().all(|(name, _)| *name != field.name));
        let others = others.filter_map(|field| Some((field.name.clone(), field.value.clone()?)));
        others.chain(values.iter().map(|(name, value)| ((*name).to_owned(), value.clone()))).collect()
    }

    fn has(&self, name: &str) -> bool {
        self.fields.iter().any(|field| field.name == name)
    }
}

// === the reader of tokens ===

struct Reader<'a> {
    at: &'a Url,
    target: &'a Target,
    state: RefCell<State>,
}

#[derive(Default)]
struct State {
    page: Page,
    /// Open elements that tell what a link is: depth of each.
    main: usize,
    heading: usize,
    chrome: usize,
    link: Option<(Rank, Link)>,
    ranked: Vec<(Rank, Link)>,
    form: Option<Form>,
    /// Whether text belongs to the form's last field.
    is_in_text_area: bool,
}

/// How likely a link is a post; later is likelier.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Rank {
    /// Shown around the content.
    Chrome,
    /// Anywhere else.
    Other,
    /// In the main part or an article.
    Main,
    /// In a heading.
    Heading,
}

impl TokenSink for Reader<'_> {
    type Handle = ();

    fn process_token(&self, token: Token, _line: u64) -> TokenSinkResult<()> {
        let mut state = self.state.borrow_mut();
        match token {
            Token::TagToken(tag) if tag.kind == TagKind::StartTag => {
                self.open(&mut state, &tag);
                return raw_text(&tag);
            }
            Token::TagToken(tag) => state.close(&tag.name),
            Token::CharacterTokens(text) => state.text(&text),
            _ => {}
        }
        TokenSinkResult::Continue
    }
}

impl Reader<'_> {
    fn open(&self, state: &mut State, tag: &Tag) {
        match &*tag.name {
            "main" | "article" => state.main += 1,
            "h1" | "h2" | "h3" => state.heading += 1,
            "nav" | "footer" | "aside" => state.chrome += 1,
            "a" => {
                state.close("a");
                if let Some(url) = self.resolve(attribute(tag, "href")) {
                    state.note_next(tag, &url);
                    state.link = Some((state.rank(), Link { url, text: String::new() }));
                }
            }
            "link" => {
                let Some(url) = self.resolve(attribute(tag, "href")) else { return };
                state.note_next(tag, &url);
                let kind = attribute(tag, "type").unwrap_or_default();
                let is_feed = has_word(attribute(tag, "rel"), "alternate")
                    && (kind.contains("atom") || kind.contains("rss"));
                if is_feed {
                    state.page.feed.get_or_insert(url);
                }
            }
            "form" => state.form = self.form(tag),
            "input" | "textarea" | "select" | "button" => state.field(tag),
            "option" => state.option(tag),
            _ => {}
        }
    }

    fn form(&self, tag: &Tag) -> Option<Form> {
        let method = match attribute(tag, "method").unwrap_or_default().to_ascii_lowercase().as_str() {
            "post" => FormMethod::Post,
            "" | "get" => FormMethod::Get,
            _ => return None,
        };
        let action = self.resolve(Some(attribute(tag, "action").unwrap_or_default()))?;
        Some(Form { method, action, fields: vec![] })
    }

    /// The URL without fragment, if it is within the target and not longer than servers take.
    fn resolve(&self, reference: Option<&str>) -> Option<Url> {
        let mut url = self.at.join(reference?).ok()?;
        url.set_fragment(None);
        (self.target.owns(&url) && url.as_str().len() <= URL_MAX).then_some(url)
    }
}

impl State {
    fn rank(&self) -> Rank {
        match (self.chrome, self.heading, self.main) {
            (0, 0, 0) => Rank::Other,
            (0, 0, _) => Rank::Main,
            (0, _, _) => Rank::Heading,
            _ => Rank::Chrome,
        }
    }

    fn note_next(&mut self, tag: &Tag, url: &Url) {
        if has_word(attribute(tag, "rel"), "next") {
            self.page.next.get_or_insert_with(|| url.clone());
        }
    }

    fn field(&mut self, tag: &Tag) {
        let (Some(form), Some(name)) = (&mut self.form, attribute(tag, "name")) else { return };
        let written = attribute(tag, "value");
        let value = match (&*tag.name, attribute(tag, "type").unwrap_or("text")) {
            ("button" | "select", _) | ("input", "submit" | "button" | "image" | "reset" | "file") => None,
            ("input", "checkbox" | "radio") => attribute(tag, "checked").map(|_| written.unwrap_or("on")),
            _ => Some(written.unwrap_or_default()),
        };
        if form.fields.len() < FIELDS_MAX {
            self.is_in_text_area = &*tag.name == "textarea";
            form.fields.push(Field { name: name.to_owned(), value: value.map(str::to_owned) });
        }
    }

    /// The first option of a list is chosen unless another one says that it is.
    fn option(&mut self, tag: &Tag) {
        let last = self.form.as_mut().and_then(|form| form.fields.last_mut());
        if let (Some(field), Some(value)) = (last, attribute(tag, "value"))
            && (field.value.is_none() || attribute(tag, "selected").is_some())
        {
            field.value = Some(value.to_owned());
        }
    }

    fn text(&mut self, text: &str) {
        let last = self.form.as_mut().and_then(|form| form.fields.last_mut());
        if let Some(Field { value: Some(value), .. }) = last.filter(|_| self.is_in_text_area) {
            value.push_str(text);
        }
        if let Some((_, link)) = &mut self.link {
            let room = TEXT_MAX.saturating_sub(link.text.len());
            link.text.push_str(&text[..text.floor_char_boundary(room)]);
        }
    }

    fn close(&mut self, name: &str) {
        match name {
            "main" | "article" => self.main = self.main.saturating_sub(1),
            "h1" | "h2" | "h3" => self.heading = self.heading.saturating_sub(1),
            "nav" | "footer" | "aside" => self.chrome = self.chrome.saturating_sub(1),
            "textarea" => self.is_in_text_area = false,
            "a" if self.ranked.len() < LINKS_MAX => self.ranked.extend(self.link.take()),
            "form" if self.page.forms.len() < LINKS_MAX => self.page.forms.extend(self.form.take()),
            _ => {}
        }
    }

    fn finish(mut self) -> Page {
        self.close("a");
        self.close("form");
        let is_post = |(rank, link): &(Rank, Link)| *rank > Rank::Chrome && may_be_post(&link.url);
        let best = self.ranked.iter().filter(|entry| is_post(entry)).map(|(rank, _)| *rank).max();
        for entry in self.ranked {
            let posts = if Some(entry.0) == best && is_post(&entry) {
                &mut self.page.posts
            } else {
                &mut self.page.links
            };
            if !posts.contains(&entry.1) {
                posts.push(entry.1);
            }
        }
        self.page
    }
}

/// What stands in these elements is text and no markup.
fn raw_text(tag: &Tag) -> TokenSinkResult<()> {
    match &*tag.name {
        "script" => TokenSinkResult::RawData(RawKind::ScriptData),
        "style" => TokenSinkResult::RawData(RawKind::Rawtext),
        "title" | "textarea" => TokenSinkResult::RawData(RawKind::Rcdata),
        _ => TokenSinkResult::Continue,
    }
}

fn may_be_post(url: &Url) -> bool {
    let mut segments = url.path().split('/').filter(|segment| !segment.is_empty()).peekable();
    let has_path = segments.peek().is_some();
    let file =
        url.path().rsplit('/').next().is_some_and(|last| last.contains('.') && !last.ends_with(".html"));
    has_path
        && !file
        && url.query().is_none()
        && segments.all(|segment| NOT_POSTS.split_whitespace().all(|word| word != segment))
}

fn attribute<'a>(tag: &'a Tag, name: &str) -> Option<&'a str> {
    tag.attrs.iter().find(|attribute| &*attribute.name.local == name).map(|attribute| &*attribute.value)
}

fn has_word(list: Option<&str>, word: &str) -> bool {
    list.is_some_and(|list| list.split_ascii_whitespace().any(|entry| entry.eq_ignore_ascii_case(word)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::target::Reach;

    async fn read(html: &str) -> Page {
        let target = Target::resolve("http://127.0.0.1:8080", Reach::Loopback).await.unwrap();
        Page::read(html, &target.page("/posts/here").unwrap(), &target)
    }

    fn paths(links: &[Link]) -> Vec<&str> {
        links.iter().map(|link| link.url.path()).collect()
    }

    #[tokio::test]
    async fn posts_are_the_links_in_headings_of_the_main_part() {
        let page = read(
            r#"<nav><a href="/about-us">About</a></nav>
            <main><article><h2><a href="/posts/one">One &amp; <em>only</em></a></h2><a href="/tags/x">x</a></article>
            <article><h2><a href="two#part">Two</a></h2><a href="/posts/two">read on</a></article></main>
            <footer><h3><a href="/imprint">Imprint</a></h3></footer>"#,
        )
        .await;
        assert_eq!(paths(&page.posts), ["/posts/one", "/posts/two"]);
        assert_eq!(page.posts[0].text, "One & only");
    }

    #[tokio::test]
    async fn a_plain_list_in_the_main_part_will_do() {
        let page = read(
            r#"<a href="/somewhere">x</a><main><ul><li><a href="/2024/05/hello.html">Hello</a>
            <li><a href="/static/a.css">no</a><li><a href="/tag/x">no</a><li><a href="/posts/?page=2">no</a></ul></main>"#,
        )
        .await;
        assert_eq!(paths(&page.posts), ["/2024/05/hello.html"]);
    }

    #[tokio::test]
    async fn links_and_forms_to_other_authorities_are_not_seen() {
        let page = read(
            r#"<main><h2><a href="http://127.0.0.1:9/posts/x">x</a></h2><h2><a href="//other.test/y">y</a></h2>
            <h2><a href="https://127.0.0.1:8080/z">z</a></h2><h2><a href="mailto:a@b">m</a></h2></main>
            <link rel=alternate type=application/atom+xml href="http://other.test/feed">
            <form action="http://other.test/search"><input name=q></form>"#,
        )
        .await;
        assert_eq!(page, Page::default());
    }

    #[tokio::test]
    async fn links_in_scripts_and_text_areas_are_text() {
        let link = r#"<h2><a href="/no">no</a></h2>"#;
        let page =
            read(&format!("<script>{link}</script><textarea>{link}</textarea><h2><a href=/yes>y</a></h2>"))
                .await;
        assert_eq!(paths(&page.posts), ["/yes"]);
    }

    #[tokio::test]
    async fn feed_search_and_next_page_are_found() {
        let page = read(
            r#"<link rel="alternate" type="application/atom+xml" href="/feed.atom">
            <form action="/find"><input type=search name=q><button name=go>Go</button></form>
            <a rel="nofollow next" href="?page=2">older</a>"#,
        )
        .await;
        assert_eq!(page.feed.as_ref().unwrap().path(), "/feed.atom");
        let (form, field) = page.search().unwrap();
        assert_eq!((form.action.path(), field), ("/find", "q"));
        assert_eq!(page.next.unwrap().query(), Some("page=2"));
    }

    #[tokio::test]
    async fn a_form_is_sent_as_a_browser_would() {
        let page = read(
            r#"<form method="POST"><input type=hidden name=csrf value="a&lt;b"><input name=user value=old><input type=password name=pass>
            <textarea name=note>as it
was</textarea><input type=checkbox name=box checked><input type=checkbox name=no>
            <select name=lang><option value=zh><option value=en selected><option value=fr></select><input type=submit name=ok></form>"#,
        )
        .await;
        let form = page.form_with(["user".to_owned(), "pass".to_owned()].iter()).unwrap();
        assert_eq!((form.method, form.action.path()), (FormMethod::Post, "/posts/here"));
        let sent = form.filled(&[("user", "me".to_owned()), ("ok", "yes".to_owned())]);
        let sent: Vec<_> = sent.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
        let kept = [("csrf", "a<b"), ("pass", ""), ("note", "as it\nwas"), ("box", "on"), ("lang", "en")];
        assert_eq!(sent, [&kept[..], &[("user", "me"), ("ok", "yes")]].concat());
        assert!(page.form_with(["other".to_owned()].iter()).is_none());
    }

    #[tokio::test]
    async fn a_page_with_very_many_links_is_bounded() {
        let html: String =
            (0..5_000).map(|n| format!("<h2><a href=/p/{n}>{}</a></h2>", "长".repeat(500))).collect();
        let page = read(&html).await;
        assert_eq!(page.posts.len(), LINKS_MAX);
        assert!(page.posts.iter().all(|link| link.text.len() <= TEXT_MAX));
    }
}
