//! Markdown to harmless HTML.
//!
//! Rendered HTML is never kept in the database: each version renders for itself, so an older program never meets
//! markup of a newer one.

use std::collections::{HashMap, HashSet};
use std::sync::LazyLock;

use ammonia::{Builder, UrlRelative};
use pulldown_cmark::{
    CodeBlockKind, CowStr, Event, HeadingLevel, Options, Parser, Tag, TagEnd, TextMergeStream, html,
};

use crate::autolink::link_addresses;
use crate::code::colour;
use crate::footnotes::notes_last;
use crate::{pictures, text};

/// A rendered text.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Rendered {
    /// Harmless HTML.
    pub html: String,
    /// Its headings, in order.
    pub contents: Vec<Heading>,
    /// Minutes that reading takes.
    pub minutes: usize,
}

/// A heading, for the table of contents.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Heading {
    /// 2 to 6: the title of the page is the only heading of level 1.
    pub level: u8,
    /// Its anchor.
    pub id: String,
    /// Plain text.
    pub text: String,
}

/// An author's text: CommonMark with tables, footnotes, task lists and strikethrough.
#[must_use]
pub fn render_post(markdown: &str) -> Rendered {
    let options = Options::ENABLE_TABLES
        | Options::ENABLE_FOOTNOTES
        | Options::ENABLE_TASKLISTS
        | Options::ENABLE_STRIKETHROUGH
        | Options::ENABLE_SMART_PUNCTUATION
        | Options::ENABLE_GFM;
    let mut events = link_addresses(TextMergeStream::new(Parser::new_ext(markdown, options)));
    let contents = anchor_headings(&mut events);
    let mut raw = String::with_capacity(markdown.len() * 3 / 2);
    html::push_html(&mut raw, dress(notes_last(events)).into_iter());
    // Alignment comes as a style, which neither the sanitiser nor the page's policy lets through.
    for side in ["left", "center", "right"] {
        raw = raw.replace(&format!(" style=\"text-align: {side}\""), &format!(" align=\"{side}\""));
    }
    Rendered { html: POST.clean(&raw).to_string(), contents, minutes: text::reading_minutes(markdown) }
}

/// A reader's comment: paragraphs, emphasis, links, lists, quotations and code; no pictures, no HTML.
#[must_use]
pub fn render_comment(markdown: &str) -> String {
    let events = Parser::new_ext(markdown, Options::ENABLE_STRIKETHROUGH).map(|event| match event {
        Event::Html(raw) | Event::InlineHtml(raw) => Event::Text(raw),
        Event::SoftBreak => Event::HardBreak,
        other => other,
    });
    let events = link_addresses(TextMergeStream::new(events));
    let mut raw = String::with_capacity(markdown.len() * 2);
    html::push_html(&mut raw, events.into_iter());
    COMMENT.clean(&raw).to_string()
}

static POST: LazyLock<Builder<'static>> = LazyLock::new(|| {
    let mut builder = Builder::default();
    builder
        .add_tags(["input", "section", "figure", "figcaption", "video", "audio", "source"])
        .add_tag_attributes("input", ["type", "checked", "disabled", "aria-label"])
        .add_tag_attribute_values("input", "type", ["checkbox"])
        .add_tag_attributes("img", ["loading", "decoding", "sizes", "srcset"])
        .add_tag_attributes("video", ["src", "controls", "width", "height", "poster"])
        .add_tag_attributes("audio", ["src", "controls"])
        .add_tag_attributes("source", ["src", "type"])
        .add_tag_attributes("a", ["id", "aria-hidden", "tabindex"])
        .add_tag_attribute_values("a", "role", ["doc-noteref", "doc-backlink"])
        .add_tag_attribute_values("section", "role", ["doc-endnotes"])
        .add_tag_attributes("details", ["open"])
        .set_tag_attribute_value("img", "loading", "lazy")
        .set_tag_attribute_value("img", "decoding", "async")
        .set_tag_attribute_value("input", "disabled", "")
        .url_relative(UrlRelative::PassThrough)
        .link_rel(Some("noopener"));
    for heading in ["h2", "h3", "h4", "h5", "h6"] {
        builder.add_tag_attributes(heading, ["id"]);
    }
    for tag in ["code", "pre", "div", "span", "sup", "section", "a", "li", "ul", "table", "figure", "p"] {
        builder.add_tag_attributes(tag, ["class"]);
    }
    builder
        .add_tag_attributes("li", ["id"])
        .add_tag_attributes("pre", ["tabindex"])
        .add_tag_attributes("div", ["tabindex"]);
    builder
});

static COMMENT: LazyLock<Builder<'static>> = LazyLock::new(|| {
    let mut builder = Builder::default();
    builder
        .tags(HashSet::from([
            "p",
            "br",
            "em",
            "strong",
            "del",
            "code",
            "pre",
            "blockquote",
            "ul",
            "ol",
            "li",
            "a",
        ]))
        .tag_attributes(HashMap::from([("a", HashSet::from(["href"]))]))
        .generic_attributes(HashSet::new())
        .url_schemes(HashSet::from(["http", "https", "mailto"]))
        .url_relative(UrlRelative::Deny)
        .link_rel(Some("nofollow ugc noopener"));
    builder
});

/// Gives each heading an anchor; returns the table of contents. Where the author uses headings of level 1, all move
/// one level down, because the page's title is the only one of its level.
fn anchor_headings(events: &mut [Event<'_>]) -> Vec<Heading> {
    let is_top =
        |event: &Event<'_>| matches!(event, Event::Start(Tag::Heading { level: HeadingLevel::H1, .. }));
    let shift: fn(HeadingLevel) -> HeadingLevel =
        if events.iter().any(is_top) { down } else { |level| level };
    let mut contents: Vec<Heading> = Vec::new();
    let mut seen: HashMap<String, usize> = HashMap::new();
    let mut start = None;
    for index in 0..events.len() {
        match &events[index] {
            Event::Start(Tag::Heading { .. }) => start = Some(index),
            Event::End(TagEnd::Heading(level)) => {
                let level = shift(*level);
                let Some(first) = start.take() else { continue };
                let text: String = events[first..index].iter().filter_map(plain).collect();
                let base = anchor(&text);
                let count = seen.entry(base.clone()).or_insert(0);
                *count += 1;
                let id = if *count == 1 { base } else { format!("{base}-{count}") };
                events[first] = Event::Start(Tag::Heading {
                    level,
                    id: Some(CowStr::from(id.clone())),
                    classes: Vec::new(),
                    attrs: Vec::new(),
                });
                events[index] = Event::End(TagEnd::Heading(level));
                contents.push(Heading { level: level as u8, id, text });
            }
            _ => {}
        }
    }
    contents
}

/// A heading's anchor, which must not be one that the page itself has.
fn anchor(text: &str) -> String {
    let slug = text::slugify(text);
    let is_taken = ["main", "q", "write", "comments"].contains(&slug.as_str())
        || ["fn-", "fnref-", "comment-"].iter().any(|start| slug.starts_with(start));
    if is_taken { format!("section-{slug}") } else { slug }
}

/// Headings link to themselves; wide tables scroll by themselves, not the page; code gets its colours.
fn dress(events: Vec<Event<'_>>) -> Vec<Event<'_>> {
    let mut out = Vec::with_capacity(events.len() + 8);
    let mut code: Option<(String, String)> = None;
    let mut heading = String::new();
    let mut picture: Option<(CowStr<'_>, CowStr<'_>, String)> = None;
    for event in events {
        match event {
            Event::Start(Tag::Image { dest_url, title, .. })
                if pictures::tag(&dest_url, "", "").is_some() =>
            {
                picture = Some((dest_url, title, String::new()));
            }
            Event::End(TagEnd::Image) if picture.is_some() => {
                let tag =
                    picture.take().and_then(|(address, title, alt)| pictures::tag(&address, &alt, &title));
                out.extend(tag.map(|tag| Event::InlineHtml(tag.into())));
            }
            event if picture.is_some() => {
                if let (Some((_, _, alt)), Some(text)) = (&mut picture, plain(&event)) {
                    alt.push_str(text);
                }
            }
            Event::Start(Tag::Heading { id: Some(ref id), .. }) => {
                heading = format!(
                    " <a class=\"anchor\" href=\"#{}\" aria-hidden=\"true\" tabindex=\"-1\"></a>",
                    text::url_segment(id)
                );
                out.push(event);
            }
            Event::End(TagEnd::Heading(_)) => {
                out.push(Event::InlineHtml(std::mem::take(&mut heading).into()));
                out.push(event);
            }
            Event::TaskListMarker(done) => {
                let (state, name) = if done { (" checked", "☑") } else { ("", "☐") };
                out.push(Event::InlineHtml(
                    format!("<input type=\"checkbox\" disabled aria-label=\"{name}\"{state}>\n").into(),
                ));
            }
            Event::Start(Tag::Table(_)) => {
                out.push(Event::Html("<div class=\"table\" tabindex=\"0\">".into()));
                out.push(event);
            }
            Event::End(TagEnd::Table) => {
                out.push(event);
                out.push(Event::Html("</div>".into()));
            }
            Event::Start(Tag::CodeBlock(kind)) => {
                let info = match &kind {
                    CodeBlockKind::Fenced(info) => info.as_ref(),
                    CodeBlockKind::Indented => "",
                };
                code = Some((info.split([' ', ',']).next().unwrap_or("").to_owned(), String::new()));
            }
            Event::End(TagEnd::CodeBlock) => {
                if let Some((language, text)) = code.take() {
                    out.push(Event::Html(code_block(&language, &text).into()));
                }
            }
            Event::Text(text) if code.is_some() => {
                if let Some((_, all)) = &mut code {
                    all.push_str(&text);
                }
            }
            event => out.push(event),
        }
    }
    out
}

fn code_block(language: &str, text: &str) -> String {
    let class: String =
        language.chars().filter(|c| c.is_ascii_alphanumeric() || "+-_#".contains(*c)).collect();
    let class = if class.is_empty() { String::new() } else { format!(" class=\"language-{class}\"") };
    // A block that scrolls must be reachable by keyboard.
    format!("<pre tabindex=\"0\"><code{class}>{}</code></pre>\n", colour(text, language))
}

fn plain<'a>(event: &'a Event<'_>) -> Option<&'a str> {
    match event {
        Event::Text(text) | Event::Code(text) => Some(text),
        Event::SoftBreak => Some(" "),
        _ => None,
    }
}

fn down(level: HeadingLevel) -> HeadingLevel {
    match level {
        HeadingLevel::H1 => HeadingLevel::H2,
        HeadingLevel::H2 => HeadingLevel::H3,
        HeadingLevel::H3 => HeadingLevel::H4,
        HeadingLevel::H4 => HeadingLevel::H5,
        HeadingLevel::H5 | HeadingLevel::H6 => HeadingLevel::H6,
    }
}

#[cfg(test)]
mod tests {
    use super::{render_comment, render_post};

    #[test]
    fn addresses_become_links_but_not_in_code_or_links() {
        let html =
            render_comment("看 https://a.test/b_c。 `https://x.test` [https://y.test](https://z.test)");
        assert!(
            html.contains("href=\"https://a.test/b_c\"") && html.contains("<code>https://x.test"),
            "{html}"
        );
        assert!(
            html.contains("href=\"https://z.test\"") && !html.contains("href=\"https://y.test\""),
            "{html}"
        );
    }

    #[test]
    fn footnotes_stand_at_the_end_in_the_order_of_their_mention_and_lead_back() {
        let html = render_post(
            "[^b]: Of b, see[^c].\n\nOne[^a] two[^b] again[^a] none[^x].\n\n[^a]: Of a.\n\n[^c]: Of c.\n\n[^d]: Unused.\n\nEnd.",
        )
        .html;
        insta::assert_snapshot!(html, @r##"
        <p>One<sup class="footnote"><a id="fnref-1" href="#fn-1" role="doc-noteref" rel="noopener">1</a></sup> two<sup class="footnote"><a id="fnref-2" href="#fn-2" role="doc-noteref" rel="noopener">2</a></sup> again<sup class="footnote"><a id="fnref-1-2" href="#fn-1" role="doc-noteref" rel="noopener">1</a></sup> none[^x].</p>
        <p>End.</p>
        <section class="footnotes" role="doc-endnotes"><ol><li id="fn-1">
        <p>Of a. <a href="#fnref-1" role="doc-backlink" rel="noopener">↩</a> <a href="#fnref-1-2" role="doc-backlink" rel="noopener">↩</a></p>
        </li><li id="fn-2">
        <p>Of b, see<sup class="footnote"><a id="fnref-3" href="#fn-3" role="doc-noteref" rel="noopener">3</a></sup>. <a href="#fnref-2" role="doc-backlink" rel="noopener">↩</a></p>
        </li><li id="fn-3">
        <p>Of c. <a href="#fnref-3" role="doc-backlink" rel="noopener">↩</a></p>
        </li></ol></section>
        "##);
    }

    #[test]
    fn a_heading_links_to_itself_and_never_takes_an_anchor_of_the_page() {
        let page = render_post("## 灰度 Release\n\n## Comments\n\n## comment 7");
        assert!(
            page.html.contains("<h2 id=\"灰度-release\">灰度 Release <a class=\"anchor\" href=\"#%E7"),
            "{}",
            page.html
        );
        let ids: Vec<_> = page.contents.iter().map(|heading| heading.id.as_str()).collect();
        assert_eq!(ids, ["灰度-release", "section-comments", "section-comment-7"]);
    }

    #[test]
    fn a_post_has_tables_footnotes_tasks_and_anchored_headings() {
        let page = render_post(
            "# 为什么\n\n## Why\n\n## Why\n\n| a | b |\n|---|--:|\n| 1 | 2 |\n\n- [x] done\n\nText[^1].\n\n[^1]: Note.",
        );
        assert!(page.html.contains("<h2 id=\"为什么\">"), "{}", page.html);
        assert!(page.html.contains("<h3 id=\"why-2\">"));
        assert!(page.html.contains("<td align=\"right\">2</td>"));
        assert!(page.html.contains("type=\"checkbox\""));
        assert!(page.html.contains("footnote"));
        assert_eq!(page.contents.len(), 3);
        assert_eq!(page.contents[1].level, 3);
    }

    #[test]
    fn a_picture_of_ours_is_shown_in_the_size_that_fits() {
        let html = render_post("![a *b*](/media/0123456789abcdef-700x500.jpg \"t\")").html;
        assert!(
            html.contains("alt=\"a b\"") && html.contains("title=\"t\"") && html.contains("320w"),
            "{html}"
        );
        assert!(html.contains("width=\"700\"") && html.contains("loading=\"lazy\""), "{html}");
    }

    #[test]
    fn code_keeps_its_language_class() {
        let html = render_post("```rust\nfn main() {}\n```").html;
        assert!(html.contains("<code class=\"language-rust\"><span class=\"hl-k\">fn</span>"), "{html}");
        assert!(render_post("```\"><script>\nx\n```").html.contains("<pre tabindex=\"0\"><code"));
    }

    #[test]
    fn script_is_taken_out_of_posts_and_comments() {
        let attack =
            "<script>alert(1)</script> <img src=x onerror=alert(1)> [x](javascript:alert(1)) <svg onload=a>";
        for html in [render_post(attack).html, render_comment(attack)] {
            assert!(!html.contains("<script") && !html.contains("href=\"javascript"), "{html}");
            assert!(!html.contains("<img src=\"x\" onerror") && !html.contains("<svg"), "{html}");
        }
    }

    #[test]
    fn a_comment_shows_html_as_text_and_marks_its_links() {
        let html = render_comment(
            "<b>x</b> https://a.example [l](https://a.example)\nnext ![p](https://a.example/p.png)",
        );
        assert!(html.contains("&lt;b&gt;"), "{html}");
        assert!(html.contains("rel=\"nofollow ugc noopener\""), "{html}");
        assert!(!html.contains("<img"), "{html}");
    }
}
