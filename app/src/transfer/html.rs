//! HTML of another blog as Markdown that a person can go on editing.
//!
//! What Markdown has is converted; what it has not (tables with spans, frames of other sites, forms) stays as HTML,
//! which the renderer sanitises like everything else.

use std::cell::RefCell;

use html5ever::tendril::StrTendril;
use html5ever::tokenizer::{
    BufferQueue, Tag, TagKind, Token, TokenSink, TokenSinkResult, Tokenizer, TokenizerOpts,
};

/// What single line ends between tags mean.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Lines {
    /// Nothing, as in HTML.
    Space,
    /// A new line, and an empty line a new paragraph: what WordPress does with texts of its old editor.
    Kept,
}

/// Elements without a counterpart: they and all inside stay HTML.
const KEPT: [&str; 8] = ["table", "iframe", "video", "audio", "dl", "details", "object", "form"];
/// Elements that are dropped with all inside.
const DROPPED: [&str; 3] = ["script", "style", "noscript"];

/// The text as Markdown.
#[must_use]
pub(super) fn to_markdown(html: &str, lines: Lines) -> String {
    let writer = Writer { lines, state: RefCell::new(State::default()) };
    let tokenizer = Tokenizer::new(writer, TokenizerOpts::default());
    let input = BufferQueue::default();
    input.push_back(StrTendril::from_slice(html));
    // No script ever stops it, as this sink runs none.
    let _ = tokenizer.feed(&input);
    tokenizer.end();
    tokenizer.sink.state.into_inner().finish()
}

struct Writer {
    lines: Lines,
    state: RefCell<State>,
}

#[derive(Default)]
struct State {
    out: String,
    /// Stands before each line: quotations and list items.
    prefixes: Vec<String>,
    /// Open lists: the number of the next item, or `None` for bullets.
    lists: Vec<Option<u32>>,
    links: Vec<Option<String>>,
    /// Text of a `<pre>`, with its language.
    code: Option<(String, String)>,
    /// HTML that stays: the element that ends it, how deep it is nested, the text.
    kept: Option<(String, usize, String)>,
    dropped: Option<(String, usize)>,
    /// Whether the text is inside `<code>` and takes no escapes.
    in_code: bool,
    /// Whether the next text starts a paragraph.
    gap: bool,
    /// Whether the next item is the first of a list that stands by itself.
    list_begins: bool,
    /// Whether an item or a quotation was just begun: its first paragraph needs no line of its own.
    fresh: bool,
}

impl TokenSink for Writer {
    type Handle = ();

    fn process_token(&self, token: Token, _line: u64) -> TokenSinkResult<()> {
        let mut state = self.state.borrow_mut();
        match token {
            Token::TagToken(tag) => state.tag(&tag),
            Token::CharacterTokens(text) => state.text(&text, self.lines),
            _ => {}
        }
        TokenSinkResult::Continue
    }
}

impl State {
    fn tag(&mut self, tag: &Tag) {
        let name = tag.name.as_ref();
        if self.is_inside(tag) {
            return;
        }
        if let Some((_, code)) = &mut self.code {
            match (name, tag.kind) {
                ("pre", TagKind::EndTag) => self.end_code(),
                ("br", _) => code.push('\n'),
                ("code", TagKind::StartTag) => self.learn_language(tag),
                _ => {}
            }
            return;
        }
        if tag.kind == TagKind::StartTag {
            if DROPPED.contains(&name) {
                self.dropped = Some((name.to_owned(), 1));
            } else if KEPT.contains(&name) {
                self.kept = Some((name.to_owned(), 1, written(tag)));
            } else {
                self.open(tag, name);
            }
        } else {
            self.close(name);
        }
    }

    /// Whether the tag is inside of something that stays or is dropped; then it is dealt with.
    fn is_inside(&mut self, tag: &Tag) -> bool {
        let step = |end: &str, depth: usize| match tag.kind {
            _ if &*tag.name != end || tag.self_closing => depth,
            TagKind::StartTag => depth + 1,
            TagKind::EndTag => depth - 1,
        };
        if let Some((end, depth)) = &mut self.dropped {
            *depth = step(end, *depth);
            if *depth == 0 {
                self.dropped = None;
            }
            return true;
        }
        let Some((end, depth, html)) = &mut self.kept else { return false };
        html.push_str(&written(tag));
        *depth = step(end, *depth);
        if *depth == 0 {
            let html = std::mem::take(html);
            self.kept = None;
            self.block();
            // An empty line would end the HTML early.
            let solid: Vec<&str> = html.lines().filter(|line| !line.trim().is_empty()).collect();
            self.put(&solid.join("\n"));
            self.block();
        }
        true
    }

    fn open(&mut self, tag: &Tag, name: &str) {
        match name {
            "p" | "div" | "section" | "article" | "figure" => self.block(),
            "figcaption" => {
                self.block();
                self.put("*");
            }
            "h1" | "h2" | "h3" | "h4" | "h5" | "h6" => {
                self.block();
                let level = usize::from(name.as_bytes()[1] - b'0');
                self.put(&"#".repeat(level));
                self.put(" ");
            }
            "br" => self.line("\\"),
            "hr" => {
                self.block();
                self.put("---");
                self.block();
            }
            "strong" | "b" => self.out.push_str("**"),
            "em" | "i" => self.out.push('*'),
            "del" | "s" | "strike" => self.out.push_str("~~"),
            "code" | "kbd" | "tt" => {
                self.in_code = true;
                self.put("`");
            }
            "pre" => {
                self.code = Some((String::new(), String::new()));
                self.learn_language(tag);
            }
            "blockquote" => {
                self.block();
                self.put("> ");
                self.prefixes.push("> ".to_owned());
                self.fresh = true;
            }
            "ul" | "ol" => {
                if self.lists.is_empty() {
                    self.block();
                    self.list_begins = true;
                }
                let start = attribute(tag, "start").and_then(|number| number.parse().ok()).unwrap_or(1);
                self.lists.push((name == "ol").then_some(start));
            }
            "li" => self.item(),
            "a" => {
                let href = attribute(tag, "href").filter(|href| !href.is_empty());
                if href.is_some() {
                    self.put("[");
                }
                self.links.push(href);
            }
            "img" => self.picture(tag),
            _ => {}
        }
    }

    fn close(&mut self, name: &str) {
        match name {
            "p" | "div" | "section" | "article" | "figure" | "h1" | "h2" | "h3" | "h4" | "h5" | "h6" => {
                self.block();
            }
            "figcaption" => {
                self.put("*");
                self.block();
            }
            "strong" | "b" => self.close_mark("**"),
            "em" | "i" => self.close_mark("*"),
            "del" | "s" | "strike" => self.close_mark("~~"),
            "code" | "kbd" | "tt" => {
                self.in_code = false;
                self.put("`");
            }
            "blockquote" => {
                self.prefixes.pop();
                self.block();
            }
            "ul" | "ol" => {
                self.lists.pop();
                if self.lists.is_empty() {
                    self.block();
                }
            }
            "li" => {
                self.prefixes.pop();
            }
            "a" => {
                if let Some(Some(href)) = self.links.pop() {
                    let href = href.replace(' ', "%20").replace(')', "%29");
                    self.put(&format!("]({href})"));
                }
            }
            _ => {}
        }
    }

    fn text(&mut self, text: &str, lines: Lines) {
        if self.dropped.is_some() {
            return;
        }
        if let Some((_, _, html)) = &mut self.kept {
            html.push_str(&text.replace('&', "&amp;").replace('<', "&lt;"));
        } else if let Some((_, code)) = &mut self.code {
            code.push_str(text);
        } else if lines == Lines::Kept && text.contains('\n') {
            self.written_lines(text);
        } else {
            self.words(text);
        }
    }

    /// Text whose line ends count.
    fn written_lines(&mut self, text: &str) {
        for (index, paragraph) in text.split("\n\n").enumerate() {
            if index > 0 {
                self.block();
            }
            for (index, line) in paragraph.split('\n').enumerate() {
                if index > 0 && !line.trim().is_empty() {
                    self.line("\\");
                }
                self.words(line);
            }
        }
    }

    /// Text with single spaces, and with a backslash before what Markdown would read as a mark.
    fn words(&mut self, text: &str) {
        for c in text.chars() {
            if c.is_whitespace() && c != '\u{a0}' {
                let starts = self.gap || self.fresh || self.out.is_empty() || self.out.ends_with([' ', '\n']);
                if !starts {
                    self.out.push(' ');
                }
                continue;
            }
            let is_mark = "*_`[]<\\".contains(c) || ("#>-+".contains(c) && self.starts_line());
            self.put(if is_mark && !self.in_code { "\\" } else { "" });
            self.out.push(c);
        }
    }

    fn starts_line(&self) -> bool {
        let line = self.out.rsplit('\n').next().unwrap_or("");
        self.gap || self.fresh || line.trim() == self.prefixes.concat().trim()
    }

    fn item(&mut self) {
        let before = self.prefixes.concat();
        if std::mem::take(&mut self.list_begins) {
            self.put("");
        }
        self.gap = false;
        if !self.out.is_empty() && !self.out.ends_with('\n') && !self.starts_line() {
            self.trim();
            self.out.push('\n');
            self.out.push_str(&before);
        }
        let mark = match self.lists.last_mut() {
            Some(Some(number)) => {
                let mark = format!("{number}. ");
                *number = number.saturating_add(1);
                mark
            }
            _ => "- ".to_owned(),
        };
        self.put(&mark);
        self.prefixes.push(" ".repeat(mark.len()));
        self.fresh = true;
    }

    fn picture(&mut self, tag: &Tag) {
        let Some(source) = attribute(tag, "src").filter(|source| !source.is_empty()) else { return };
        let alt = attribute(tag, "alt").unwrap_or_default().replace(['[', ']', '\n'], " ");
        let source = source.replace(' ', "%20").replace(')', "%29");
        self.put(&format!("![{}]({source})", alt.trim()));
    }

    fn learn_language(&mut self, tag: &Tag) {
        let class = attribute(tag, "class").unwrap_or_default();
        let found = class
            .split([' ', ';', ':'])
            .find_map(|word| word.strip_prefix("language-").or_else(|| word.strip_prefix("lang-")))
            .or_else(|| {
                class.split("brush:").nth(1).map(|rest| rest.trim().split([' ', ';']).next().unwrap_or(""))
            });
        if let (Some((language, _)), Some(found)) = (&mut self.code, found) {
            *language = found.chars().filter(|c| c.is_ascii_alphanumeric() || "+-#".contains(*c)).collect();
        }
    }

    fn end_code(&mut self) {
        let Some((language, code)) = self.code.take() else { return };
        self.block();
        let longest = code.split(|c| c != '`').map(str::len).max().unwrap_or(0);
        let fence = "`".repeat(3.max(longest + 1));
        let prefix = self.prefixes.concat();
        self.put(&format!("{fence}{language}"));
        for line in code.trim_matches('\n').lines() {
            self.out.push_str(&format!("\n{prefix}{line}"));
        }
        self.out.push_str(&format!("\n{prefix}{fence}"));
        self.block();
    }

    /// A mark that closes must touch the word before it; one around nothing is taken back.
    fn close_mark(&mut self, mark: &str) {
        let trimmed = self.out.trim_end_matches(' ').len();
        let spaces = self.out.split_off(trimmed);
        if self.out.ends_with(mark) && !self.out.ends_with(&mark.repeat(2)) {
            self.out.truncate(self.out.len() - mark.len());
        } else {
            self.out.push_str(mark);
        }
        self.out.push_str(&spaces);
    }

    /// The next text starts a paragraph.
    fn block(&mut self) {
        self.gap |= !self.out.is_empty() && !self.fresh;
    }

    /// Writes, after the empty line that a new paragraph needs.
    fn put(&mut self, text: &str) {
        if std::mem::take(&mut self.gap) {
            self.trim();
            let prefix = self.prefixes.concat();
            self.out.push_str(&format!("\n{}\n{prefix}", prefix.trim_end()));
        }
        self.fresh = false;
        self.out.push_str(text);
    }

    /// A new line of the same paragraph.
    fn line(&mut self, mark: &str) {
        if !self.gap && !self.starts_line() {
            self.trim();
            self.out.push_str(&format!("{mark}\n{}", self.prefixes.concat()));
        }
    }

    fn trim(&mut self) {
        self.out.truncate(self.out.trim_end_matches(' ').len());
    }

    fn finish(mut self) -> String {
        if self.code.is_some() {
            self.end_code();
        }
        if let Some((_, _, html)) = self.kept.take() {
            self.out.push_str(&html);
        }
        let lines: Vec<&str> = self.out.lines().map(str::trim_end).collect();
        lines.join("\n").trim().trim_end_matches('\\').to_owned()
    }
}

fn attribute(tag: &Tag, name: &str) -> Option<String> {
    tag.attrs
        .iter()
        .find(|attribute| &*attribute.name.local == name)
        .map(|attribute| attribute.value.to_string())
}

/// A tag as HTML.
fn written(tag: &Tag) -> String {
    if tag.kind == TagKind::EndTag {
        return format!("</{}>", tag.name);
    }
    let mut out = format!("<{}", tag.name);
    for attribute in &tag.attrs {
        let value = attribute.value.replace('&', "&amp;").replace('"', "&quot;");
        out.push_str(&format!(" {}=\"{value}\"", attribute.name.local));
    }
    out.push('>');
    out
}

#[cfg(test)]
mod tests {
    use super::{Lines, to_markdown};

    #[test]
    fn paragraphs_marks_links_and_pictures_become_markdown() {
        let html = "<h2>标题</h2><p>Some <strong>bold </strong>and <em>soft</em> text, <a href=\"https://a.example/x\">a \
                    link</a>.</p><p><img src=\"/a b.png\" alt=\"A\"></p><hr><p>a * b_c</p>";
        assert_eq!(
            to_markdown(html, Lines::Space),
            "## 标题\n\nSome **bold** and *soft* text, [a link](https://a.example/x).\n\n![A](/a%20b.png)\n\n---\n\n\
             a \\* b\\_c"
        );
    }

    #[test]
    fn lists_and_quotations_nest() {
        let html = "<ul><li>one</li><li>two<ol><li>first</li><li>second</li></ol></li></ul>\
                    <blockquote><p>said</p><p>again</p></blockquote><p>after</p>";
        assert_eq!(
            to_markdown(html, Lines::Space),
            "- one\n- two\n  1. first\n  2. second\n\n> said\n>\n> again\n\nafter"
        );
    }

    #[test]
    fn code_keeps_its_lines_and_its_language() {
        let html = "<pre class=\"wp-block-code\"><code class=\"language-rust\">fn main() {\n    a &lt; b;\n\n}</code></pre><p>x</p>";
        assert_eq!(to_markdown(html, Lines::Space), "```rust\nfn main() {\n    a < b;\n\n}\n```\n\nx");
        assert_eq!(to_markdown("<p><code>a_b*</code></p>", Lines::Space), "`a_b*`");
    }

    #[test]
    fn the_old_editors_lines_are_paragraphs_and_line_breaks() {
        let text = "First line\nsecond line\n\nNext <b>one</b>\n\n<ul>\n<li>a</li>\n<li>b</li>\n</ul>\nend";
        assert_eq!(
            to_markdown(text, Lines::Kept),
            "First line\\\nsecond line\n\nNext **one**\n\n- a\n- b\n\nend"
        );
    }

    #[test]
    fn what_markdown_has_not_stays_and_script_goes() {
        let html = "<p>a</p><table><tr><td colspan=\"2\">x &lt; y</td></tr>\n\n<tr><td>z</td></tr></table><p>b\
                    <script>alert(1)</script></p><!-- wp:more -->";
        assert_eq!(
            to_markdown(html, Lines::Space),
            "a\n\n<table><tr><td colspan=\"2\">x &lt; y</td></tr>\n<tr><td>z</td></tr></table>\n\nb"
        );
    }

    #[test]
    fn nothing_that_is_sent_makes_it_panic() {
        for html in [
            "</li></ul></blockquote></a></pre>",
            "<li>x",
            "<pre>x",
            "<table><td>",
            "<b></b>",
            "<a href>x</a>",
            "",
        ] {
            let _ = to_markdown(html, Lines::Kept);
        }
    }
}
