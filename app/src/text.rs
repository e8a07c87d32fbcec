//! Small pure functions on text.

use std::fmt::Write as _;

use sha2::{Digest as _, Sha256};

/// Characters of a slug: URLs stay short enough to paste.
const SLUG_CHARS_MAX: usize = 80;
/// Characters after which a summary ends with its paragraph.
const EXCERPT_CHARS_MIN: usize = 40;
/// Characters of a summary made from the body.
const EXCERPT_CHARS: usize = 160;

/// A name for URLs: letters and digits of any script in lower case, everything else one hyphen; never empty.
#[must_use]
pub fn slugify(text: &str) -> String {
    let mut slug = String::new();
    let mut gap = false;
    for c in text.chars().flat_map(char::to_lowercase) {
        if c.is_alphanumeric() {
            if gap && !slug.is_empty() {
                slug.push('-');
            }
            gap = false;
            slug.push(c);
            if slug.chars().count() >= SLUG_CHARS_MAX {
                break;
            }
        } else {
            gap = true;
        }
    }
    if slug.is_empty() { "untitled".to_owned() } else { slug }
}

/// The start of a Markdown text as one line of plain text.
#[must_use]
pub fn excerpt(markdown: &str) -> String {
    use pulldown_cmark::{Event, Options, Parser, Tag, TagEnd};
    let mut out = String::new();
    let mut skipped = 0_usize;
    let options = Options::ENABLE_TABLES
        | Options::ENABLE_STRIKETHROUGH
        | Options::ENABLE_FOOTNOTES
        | Options::ENABLE_TASKLISTS;
    for event in Parser::new_ext(markdown, options) {
        match &event {
            Event::Start(
                Tag::CodeBlock(_)
                | Tag::Table(_)
                | Tag::Heading { .. }
                | Tag::Image { .. }
                | Tag::FootnoteDefinition(_),
            ) => {
                skipped += 1;
            }
            Event::End(
                TagEnd::CodeBlock
                | TagEnd::Table
                | TagEnd::Heading(_)
                | TagEnd::Image
                | TagEnd::FootnoteDefinition,
            ) => {
                skipped -= 1;
            }
            Event::Text(text) | Event::Code(text) if skipped == 0 => out.push_str(text),
            Event::SoftBreak | Event::HardBreak | Event::End(TagEnd::Paragraph | TagEnd::Item) => {
                out.push(' ');
            }
            _ => {}
        }
        // The first paragraph says what a text is about; a very short one is joined by the next.
        let block_ends = skipped == 0 && matches!(event, Event::End(TagEnd::Paragraph | TagEnd::Item));
        if out.chars().count() > if block_ends { EXCERPT_CHARS_MIN } else { EXCERPT_CHARS * 2 } {
            break;
        }
    }
    shorten(&out.split_whitespace().collect::<Vec<_>>().join(" "), EXCERPT_CHARS)
}

/// At most `chars` characters, with an ellipsis where something was cut.
#[must_use]
pub fn shorten(text: &str, chars: usize) -> String {
    if text.chars().count() <= chars {
        return text.to_owned();
    }
    let mut cut: String = text.chars().take(chars).collect();
    // A Latin word is not cut in two when a space is near.
    if let Some(space) = cut.rfind(' ').filter(|space| cut.len() - space < 20) {
        cut.truncate(space);
    }
    cut.push('…');
    cut
}

/// A text that somebody typed, without control characters but for line ends and tabs: PostgreSQL keeps no NUL, and
/// XML has no way to write the others.
#[must_use]
pub fn typed(text: &str) -> String {
    text.replace("\r\n", "\n").chars().filter(|c| !c.is_control() || matches!(c, '\n' | '\t')).collect()
}

/// Minutes that reading takes: 300 Chinese characters or 220 words a minute, at least one.
#[must_use]
pub fn reading_minutes(text: &str) -> usize {
    let han = text.chars().filter(|c| ('\u{3400}'..='\u{9fff}').contains(c)).count();
    let words = text.split_whitespace().filter(|word| word.is_ascii()).count();
    (han / 300 + words / 220).max(1)
}

/// Lower-case hexadecimal digits.
#[must_use]
pub fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::with_capacity(bytes.len() * 2), |mut out, byte| {
        let _ = write!(out, "{byte:02x}");
        out
    })
}

/// SHA-256 in hexadecimal digits.
#[must_use]
pub fn sha256_hex(bytes: &[u8]) -> String {
    hex(&Sha256::digest(bytes))
}

/// A path segment as it stands in a URL.
#[must_use]
pub fn url_segment(text: &str) -> String {
    percent_encoding::utf8_percent_encode(text, SEGMENT).to_string()
}

/// Everything but RFC 3986's unreserved characters.
const SEGMENT: &percent_encoding::AsciiSet =
    &percent_encoding::NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~');

#[cfg(test)]
mod tests {
    use super::{excerpt, reading_minutes, shorten, slugify, typed, url_segment};

    #[test]
    fn what_was_typed_has_no_control_characters_but_line_ends_and_tabs() {
        assert_eq!(typed("  a\0b\u{1b}[31m\r\n\tc\u{85}灰"), "  ab[31m\n\tc灰");
    }

    #[test]
    fn a_slug_keeps_letters_of_any_script() {
        assert_eq!(slugify("灰度发布：从 1% 到 100%"), "灰度发布-从-1-到-100");
        assert_eq!(slugify("  Hello,   World!  "), "hello-world");
        assert_eq!(slugify("Ünïcode & Ελληνικά"), "ünïcode-ελληνικά");
        assert_eq!(slugify("!!!"), "untitled");
        assert!(slugify(&"长".repeat(500)).chars().count() <= 80);
    }

    #[test]
    fn an_excerpt_is_plain_text_without_code_and_headings() {
        let text = excerpt("# Title\n\nSome *bold* `code` text.\n\n```rust\nfn x() {}\n```\n\n- item");
        assert_eq!(text, "Some bold code text. item");
        assert_eq!(excerpt(""), "");
        assert!(excerpt(&"字".repeat(1000)).ends_with('…'));
    }

    #[test]
    fn a_text_is_cut_between_words_where_it_can_be() {
        assert_eq!(shorten("one two three", 9), "one two…");
        assert_eq!(shorten("short", 9), "short");
    }

    #[test]
    fn reading_takes_at_least_a_minute() {
        assert_eq!(reading_minutes(""), 1);
        assert_eq!(reading_minutes(&"字".repeat(3000)), 10);
    }

    #[test]
    fn a_segment_of_a_url_has_no_delimiter_left() {
        assert_eq!(url_segment("a/b?c#d"), "a%2Fb%3Fc%23d");
        assert_eq!(url_segment("灰度"), "%E7%81%B0%E5%BA%A6");
    }
}
