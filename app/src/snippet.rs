//! The part of a text around found words, with the words marked. Pure.

use pulldown_cmark::{Event, Options, Parser, TagEnd};

/// Characters before the first found word.
const BEFORE: usize = 40;
/// Characters of a snippet.
const LENGTH: usize = 180;

/// A part of a text.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Piece {
    /// The text.
    pub text: String,
    /// Whether it was searched for.
    pub found: bool,
}

impl Piece {
    /// A part that was not searched for.
    #[must_use]
    pub fn plain(text: &str) -> Self {
        Self { text: text.to_owned(), found: false }
    }
}

/// The part of a Markdown text around the first found word; `None` where the words are not in its plain text.
#[must_use]
pub fn snippet(markdown: &str, query: &str) -> Option<Vec<Piece>> {
    let plain = plain_text(markdown);
    let lower = lower(&plain);
    let first = words(query).iter().filter_map(|word| find(&lower, word, 0)).min()?;
    let start = first.saturating_sub(BEFORE);
    let part: String = plain.iter().skip(start).take(LENGTH).collect();
    let mut pieces = mark(&part, query);
    if start > 0 {
        pieces.insert(0, Piece::plain("…"));
    }
    if start + LENGTH < plain.len() {
        pieces.push(Piece::plain("…"));
    }
    Some(pieces)
}

/// A text in parts, the words of the query marked.
#[must_use]
pub fn mark(text: &str, query: &str) -> Vec<Piece> {
    let chars: Vec<char> = text.chars().collect();
    let lower = lower(&chars);
    let mut found = vec![false; chars.len()];
    for word in words(query) {
        let mut from = 0;
        while let Some(at) = find(&lower, &word, from) {
            found[at..at + word.len()].fill(true);
            from = at + word.len();
        }
    }
    let mut pieces: Vec<Piece> = Vec::new();
    for (c, found) in chars.into_iter().zip(found) {
        match pieces.last_mut() {
            Some(last) if last.found == found => last.text.push(c),
            _ => pieces.push(Piece { text: c.to_string(), found }),
        }
    }
    pieces
}

fn plain_text(markdown: &str) -> Vec<char> {
    let mut out = String::with_capacity(markdown.len());
    let options = Options::ENABLE_TABLES
        | Options::ENABLE_FOOTNOTES
        | Options::ENABLE_TASKLISTS
        | Options::ENABLE_STRIKETHROUGH
        | Options::ENABLE_GFM;
    for event in Parser::new_ext(markdown, options) {
        match event {
            Event::Text(text) | Event::Code(text) => out.push_str(&text),
            Event::SoftBreak
            | Event::HardBreak
            | Event::End(TagEnd::Paragraph | TagEnd::Item | TagEnd::TableCell)
            | Event::End(TagEnd::Heading(_)) => out.push(' '),
            _ => {}
        }
    }
    let mut chars: Vec<char> = Vec::with_capacity(out.len());
    for c in out.chars() {
        let space = c.is_whitespace();
        if !(space && chars.last().is_none_or(|last| *last == ' ')) {
            chars.push(if space { ' ' } else { c });
        }
    }
    chars
}

/// One lower-case character for each, so that places stay the same.
fn lower(chars: &[char]) -> Vec<char> {
    chars.iter().map(|c| c.to_lowercase().next().unwrap_or(*c)).collect()
}

fn words(query: &str) -> Vec<Vec<char>> {
    query
        .split(|c: char| !c.is_alphanumeric())
        .filter(|word| !word.is_empty())
        .take(16)
        .map(|word| lower(&word.chars().collect::<Vec<_>>()))
        .collect()
}

fn find(text: &[char], word: &[char], from: usize) -> Option<usize> {
    text.get(from..)?.windows(word.len()).position(|window| window == word).map(|at| at + from)
}

#[cfg(test)]
mod tests {
    use super::{mark, snippet};

    fn marked(pieces: &[super::Piece]) -> String {
        pieces.iter().map(|p| if p.found { format!("[{}]", p.text) } else { p.text.clone() }).collect()
    }

    #[test]
    fn found_words_are_marked_whatever_their_case_and_script() {
        assert_eq!(marked(&mark("Rust 与灰度发布", "灰度 rUST")), "[Rust] 与[灰度]发布");
        assert_eq!(marked(&mark("nothing", "x")), "nothing");
        assert_eq!(marked(&mark("ab", "")), "ab");
    }

    #[test]
    fn a_snippet_starts_shortly_before_the_first_word() {
        let text = format!("# T\n\n{}\n\n**灰度**发布 {}", "前".repeat(100), "后".repeat(300));
        let pieces = snippet(&text, "灰度").unwrap();
        let shown = marked(&pieces);
        assert!(shown.starts_with("…前"), "{shown}");
        assert!(shown.contains("[灰度]发布") && shown.ends_with('…'), "{shown}");
        assert!(snippet("nothing here", "灰度").is_none());
        let tasks = snippet("- [x] 第一次发布\n- [ ] 第二次发布\n", "发布").unwrap();
        assert_eq!(marked(&tasks), "第一次[发布] 第二次[发布] ");
    }
}
