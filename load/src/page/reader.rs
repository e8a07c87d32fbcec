//! Reads a page token by token, by the HTML standard's rules.

use std::cell::RefCell;

use html5ever::{
    tendril::StrTendril,
    tokenizer::{
        BufferQueue, Tag, TagKind, Token, TokenSink, TokenSinkResult, Tokenizer, TokenizerOpts,
        states::RawKind,
    },
};
use url::Url;

use super::{Field, Form, FormMethod, Link, Page};
use crate::target::Target;

/// Most links, and most forms, that a page may make the driver keep.
pub(super) const LINKS_MAX: usize = 500;
/// Most fields of a form.
const FIELDS_MAX: usize = 100;
/// Longest kept text of a link in bytes.
pub(super) const TEXT_MAX: usize = 200;
/// Longest kept URL in bytes: what RFC 9110 §4.1 asks every server to take.
const URL_MAX: usize = 8_000;
/// Path segments that are never posts.
const NOT_POSTS: &str = "about admin archive archives assets atom author categories category desk feed feeds login \
     logout media page pages preferences register rss search signup static tag tags";

/// What the HTML of the page at `at` offers.
pub(super) fn read(html: &str, at: &Url, target: &Target) -> Page {
    let reader = Reader { at, target, state: RefCell::new(State::default()) };
    let tokenizer = Tokenizer::new(reader, TokenizerOpts::default());
    let input = BufferQueue::default();
    input.push_back(StrTendril::from_slice(html));
    // No script ever stops it, as this sink runs none.
    let _ = tokenizer.feed(&input);
    tokenizer.end();
    tokenizer.sink.state.into_inner().finish()
}

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
