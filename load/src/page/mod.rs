//! What a reader sees on a page: links to posts, the feed, the search box, forms.
//!
//! Nothing is assumed about the blog but what HTML says: posts are the links in headings or, where there are
//! none, in the main part; the feed is `<link rel="alternate">`; the search is a form sent by GET.

mod reader;

use url::Url;

use crate::target::Target;

/// The part of a page that a reader can use next.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Page {
    /// Links that lead to posts.
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

// === impl Page ===

impl Page {
    /// Reads the HTML of the page at `at`.
    pub fn read(html: &str, at: &Url, target: &Target) -> Self {
        reader::read(html, at, target)
    }

    /// This page, with what it does not offer taken from the page seen before.
    ///
    /// A reader goes back to the list to open the next post, so a post without links is no dead end.
    pub fn or(self, before: Self) -> Self {
        Self {
            posts: if self.posts.is_empty() { before.posts } else { self.posts },
            links: if self.links.is_empty() { before.links } else { self.links },
            feed: self.feed.or(before.feed),
            next: self.next.or(before.next),
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

    /// The first form that has a field for each of these.
    pub fn form_with(&self, values: &[(String, String)]) -> Option<&Form> {
        self.forms.iter().find(|form| values.iter().all(|(name, _)| form.has(name)))
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
        let of = |name: &str| (name.to_owned(), String::new());
        let form = page.form_with(&[of("user"), of("pass")]).unwrap();
        assert_eq!((form.method, form.action.path()), (FormMethod::Post, "/posts/here"));
        let sent = form.filled(&[("user", "me".to_owned()), ("ok", "yes".to_owned())]);
        let sent: Vec<_> = sent.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
        let kept = [("csrf", "a<b"), ("pass", ""), ("note", "as it\nwas"), ("box", "on"), ("lang", "en")];
        assert_eq!(sent, [&kept[..], &[("user", "me"), ("ok", "yes")]].concat());
        assert!(page.form_with(&[of("user"), of("other")]).is_none());
    }

    #[tokio::test]
    async fn a_page_with_very_many_links_is_bounded() {
        let html: String =
            (0..5_000).map(|n| format!("<h2><a href=/p/{n}>{}</a></h2>", "长".repeat(500))).collect();
        let page = read(&html).await;
        assert_eq!(page.posts.len(), reader::LINKS_MAX);
        assert!(page.posts.iter().all(|link| link.text.len() <= reader::TEXT_MAX));
    }
}
