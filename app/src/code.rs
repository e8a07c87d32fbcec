//! Colours for code: a small lexer with a table of languages. Pure.
//!
//! A grammar engine was tried first: syntect with the grammars of ten common languages took 84 MB of memory, most
//! of the 30 MB that a whole process should need and then some. Comments, strings, numbers, keywords and names are
//! what helps a reader, and those a table can tell apart.

use std::iter::Peekable;
use std::str::CharIndices;

use pulldown_cmark_escape::escape_html;

/// Bytes of a block beyond which it stays plain.
const COLOURED_BYTES_MAX: usize = 64 << 10;

/// How a language is written.
struct Language {
    /// What authors call it after the fence.
    names: &'static [&'static str],
    keywords: &'static str,
    line_comments: &'static [&'static str],
    block_comment: Option<(&'static str, &'static str)>,
    quotes: &'static str,
    style: Style,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Style {
    /// Names that start with a capital are types, names before a bracket are functions.
    Program,
    /// As a program, and keywords are read in any case.
    Query,
    /// Words at the start of a line or of a command stand out.
    Shell,
    /// Names before a colon or an equals sign are keys.
    Data,
    /// Tags and attributes.
    Markup,
    /// Lines are added, removed or context.
    Diff,
    /// Lines after a prompt are typed, the others are answers.
    Console,
}

#[rustfmt::skip]
const LANGUAGES: &[Language] = &[
    Language { names: &["rust", "rs"], style: Style::Program, line_comments: &["//"], block_comment: Some(("/*", "*/")), quotes: "\"",
        keywords: "as async await break const continue crate dyn else enum extern false fn for if impl in let loop match mod move mut pub ref return self Self static struct super trait true type union unsafe use where while" },
    Language { names: &["go", "golang"], style: Style::Program, line_comments: &["//"], block_comment: Some(("/*", "*/")), quotes: "\"'`",
        keywords: "break case chan const continue default defer else fallthrough false for func go goto if import interface map nil package range return select struct switch true type var" },
    Language { names: &["python", "py", "starlark"], style: Style::Program, line_comments: &["#"], block_comment: None, quotes: "\"'",
        keywords: "and as assert async await break class continue def del elif else except False finally for from global if import in is lambda None nonlocal not or pass raise return True try while with yield match case" },
    Language { names: &["javascript", "js", "jsx", "typescript", "ts", "tsx"], style: Style::Program, line_comments: &["//"], block_comment: Some(("/*", "*/")), quotes: "\"'`",
        keywords: "abstract as async await break case catch class const continue default delete do else enum export extends false finally for from function get if implements import in instanceof interface let new null of private public readonly return set static super switch this throw true try type typeof undefined var void while yield" },
    Language { names: &["java", "kotlin", "kt", "scala", "csharp", "cs", "swift", "dart"], style: Style::Program, line_comments: &["//"], block_comment: Some(("/*", "*/")), quotes: "\"'",
        keywords: "abstract as async await boolean break byte case catch char class const continue data def default do double else enum extends false final finally float for fun func if implements import in instanceof int interface is let long namespace new null object override package private protected public record return sealed short static string super suspend switch this throw throws trait true try using val var virtual void when where while yield" },
    Language { names: &["c", "h", "cpp", "c++", "cc", "hpp", "cuda", "zig"], style: Style::Program, line_comments: &["//"], block_comment: Some(("/*", "*/")), quotes: "\"'",
        keywords: "alignas auto bool break case catch char class const constexpr continue default delete do double else enum explicit export extern false float fn for friend goto if inline int long mutable namespace new noexcept nullptr operator override private protected pub public return short signed sizeof static struct switch template this throw true try typedef typename union unsigned using var virtual void volatile while" },
    Language { names: &["ruby", "rb", "elixir", "ex", "lua", "perl", "pl", "r"], style: Style::Program, line_comments: &["#", "--"], block_comment: None, quotes: "\"'",
        keywords: "alias and begin break case class def defmodule do else elsif end ensure false fn for function if in local module my next nil not or redo rescue return self sub super then true unless until use when while yield" },
    Language { names: &["php"], style: Style::Program, line_comments: &["//", "#"], block_comment: Some(("/*", "*/")), quotes: "\"'",
        keywords: "abstract array as break case catch class const continue default do echo else elseif extends false final for foreach function if implements interface namespace new null private protected public return static switch this throw trait true try use var while yield" },
    Language { names: &["sql", "sqlite", "postgresql", "mysql", "promql"], style: Style::Query, line_comments: &["--", "#"], block_comment: Some(("/*", "*/")), quotes: "'\"",
        keywords: "add all alter and as asc avg begin between by case cast check commit conflict constraint count create default delete desc distinct do drop else end exists explain foreign from full group having immediate in increase index inner insert into is join key left like limit max min not nothing null offset on or order outer over partition pragma primary rate references returning right rollback row select set sum table then transaction trigger union unique update using values view virtual when where with without" },
    Language { names: &["bash", "sh", "shell", "zsh", "fish", "makefile", "make", "dockerfile", "docker", "nix", "hcl", "terraform", "nginx", "powershell"], style: Style::Shell, line_comments: &["#"], block_comment: None, quotes: "\"'",
        keywords: "ADD ARG CMD COPY ENTRYPOINT ENV EXPOSE FROM HEALTHCHECK LABEL RUN USER VOLUME WORKDIR case do done elif else esac exec exit export fi for function if in let local location readonly resource return server set shift source then trap unset until upstream variable while with" },
    Language { names: &["yaml", "yml", "toml", "ini", "conf", "properties", "env"], style: Style::Data, line_comments: &["#", ";"], block_comment: None, quotes: "\"'",
        keywords: "true false null yes no on off" },
    Language { names: &["json", "json5", "jsonc", "graphql", "proto", "css", "scss"], style: Style::Data, line_comments: &["//"], block_comment: Some(("/*", "*/")), quotes: "\"'",
        keywords: "true false null enum fragment import message mutation option package query repeated returns rpc service subscription syntax type" },
    Language { names: &["html", "xml", "svg", "vue", "svelte"], style: Style::Markup, line_comments: &[], block_comment: Some(("<!--", "-->")), quotes: "\"'", keywords: "" },
    Language { names: &["diff", "patch"], style: Style::Diff, line_comments: &[], block_comment: None, quotes: "", keywords: "" },
    Language { names: &["console", "terminal", "shell-session"], style: Style::Console, line_comments: &[], block_comment: None, quotes: "", keywords: "" },
];

/// Code as HTML with a `span` around each part that has a colour. The text is escaped, whatever it holds.
#[must_use]
pub(crate) fn colour(code: &str, language: &str) -> String {
    let wanted = language.to_ascii_lowercase();
    let mut out = Out { html: String::with_capacity(code.len() * 2) };
    let known = LANGUAGES.iter().find(|language| language.names.contains(&wanted.as_str()));
    match known.filter(|_| code.len() <= COLOURED_BYTES_MAX) {
        None => out.plain(code),
        Some(language) => match language.style {
            Style::Diff => lines(code, &mut out, |line| match line.as_bytes().first() {
                Some(b'+') => Some("hl-add"),
                Some(b'-') => Some("hl-del"),
                Some(b'@') => Some("hl-k"),
                _ => None,
            }),
            Style::Console => lines(code, &mut out, |line| {
                if line.starts_with("$ ") || line.starts_with("# ") || line.starts_with("> ") {
                    Some("hl-f")
                } else {
                    None
                }
            }),
            _ => Lexer { code, language, chars: code.char_indices().peekable(), line_start: true }
                .run(&mut out),
        },
    }
    out.html
}

struct Out {
    html: String,
}

impl Out {
    fn plain(&mut self, text: &str) {
        let _ = escape_html(&mut self.html, text);
    }

    fn span(&mut self, class: &str, text: &str) {
        self.html.push_str("<span class=\"");
        self.html.push_str(class);
        self.html.push_str("\">");
        self.plain(text);
        self.html.push_str("</span>");
    }
}

fn lines(code: &str, out: &mut Out, class: impl Fn(&str) -> Option<&'static str>) {
    for line in code.split_inclusive('\n') {
        match class(line) {
            Some(class) => out.span(class, line),
            None => out.plain(line),
        }
    }
}

struct Lexer<'a> {
    code: &'a str,
    language: &'static Language,
    chars: Peekable<CharIndices<'a>>,
    /// Nothing but spaces stands before on this line.
    line_start: bool,
}

impl Lexer<'_> {
    fn run(mut self, out: &mut Out) {
        while let Some(&(at, c)) = self.chars.peek() {
            let rest = &self.code[at..];
            if let Some(end) = self.comment(rest, at) {
                self.take("hl-c", (at, at + end), out);
            } else if self.language.quotes.contains(c) {
                let end = at + string_end(rest, c);
                let is_key = self.language.style == Style::Data && followed_by(&self.code[end..], ":");
                self.take(if is_key { "hl-a" } else { "hl-s" }, (at, end), out);
            } else if c.is_ascii_digit() {
                let end = rest
                    .find(|c: char| !(c.is_ascii_alphanumeric() || c == '.' || c == '_'))
                    .unwrap_or(rest.len());
                self.take("hl-n", (at, at + end), out);
            } else if c.is_alphabetic() || c == '_' || c == '@' {
                self.word(rest, at, out);
            } else {
                self.chars.next();
                out.plain(&rest[..c.len_utf8()]);
                self.line_start = c == '\n' || (self.line_start && (c.is_whitespace() || c == '-'));
            }
        }
    }

    /// The length of the comment that starts here.
    fn comment(&self, rest: &str, at: usize) -> Option<usize> {
        if let Some((open, close)) = self.language.block_comment.filter(|(open, _)| rest.starts_with(open)) {
            let end = rest[open.len()..].find(close).map(|end| open.len() + end + close.len());
            return Some(end.unwrap_or(rest.len()));
        }
        // `#` inside a word or a URL is none.
        let free = at == 0 || self.code[..at].ends_with(char::is_whitespace);
        let starts = |mark: &&&str| {
            rest.starts_with(**mark) && (free || **mark == "//" && !self.code[..at].ends_with(':'))
        };
        self.language.line_comments.iter().find(starts)?;
        Some(rest.find('\n').unwrap_or(rest.len()))
    }

    fn word(&mut self, rest: &str, at: usize, out: &mut Out) {
        let style = self.language.style;
        let dashes = matches!(style, Style::Data | Style::Markup | Style::Shell);
        let inside =
            |c: char| c.is_alphanumeric() || c == '_' || c == '@' || (dashes && (c == '-' || c == '.'));
        let end = rest.find(|c: char| !inside(c)).unwrap_or(rest.len());
        let (word, after) = (&rest[..end], &rest[end..]);
        let is_keyword = match style {
            Style::Query => {
                self.language.keywords.split(' ').any(|keyword| keyword.eq_ignore_ascii_case(word))
            }
            _ => self.language.keywords.split(' ').any(|keyword| keyword == word),
        };
        let class = match style {
            Style::Data if followed_by(after, ":") || followed_by(after, "=") => Some("hl-a"),
            Style::Markup if self.code[..at].ends_with('<') || self.code[..at].ends_with("</") => {
                Some("hl-k")
            }
            Style::Markup if followed_by(after, "=") => Some("hl-a"),
            _ if is_keyword => Some("hl-k"),
            Style::Shell if self.line_start => Some("hl-f"),
            Style::Program | Style::Query if after.starts_with('(') || after.starts_with("!(") => {
                Some("hl-f")
            }
            Style::Program if word.starts_with(char::is_uppercase) => Some("hl-t"),
            Style::Program if word.starts_with('@') => Some("hl-a"),
            _ => None,
        };
        match class {
            Some(class) => self.take(class, (at, at + end), out),
            None => {
                self.skip_to(at + end);
                out.plain(word);
                self.line_start = false;
            }
        }
    }

    fn take(&mut self, class: &str, (from, to): (usize, usize), out: &mut Out) {
        out.span(class, &self.code[from..to]);
        self.skip_to(to);
        self.line_start = false;
    }

    fn skip_to(&mut self, end: usize) {
        while self.chars.next_if(|(at, _)| *at < end).is_some() {}
    }
}

/// Bytes of the string that starts with this quote. Only back quotes and triple quotes go over lines.
fn string_end(rest: &str, quote: char) -> usize {
    let triple: String = std::iter::repeat_n(quote, 3).collect();
    if rest.starts_with(&triple) {
        return rest[3..].find(&triple).map_or(rest.len(), |end| end + 6);
    }
    let mut escaped = false;
    for (at, c) in rest.char_indices().skip(1) {
        match c {
            _ if escaped => escaped = false,
            '\\' => escaped = true,
            c if c == quote => return at + c.len_utf8(),
            '\n' if quote != '`' => return at,
            _ => {}
        }
    }
    rest.len()
}

fn followed_by(rest: &str, mark: &str) -> bool {
    rest.trim_start_matches(' ').starts_with(mark)
}

#[cfg(test)]
mod tests {
    use super::{LANGUAGES, colour};

    #[test]
    fn code_is_escaped_in_every_language_and_in_none() {
        for name in LANGUAGES.iter().flat_map(|language| language.names).chain(&["", "no-such-language"]) {
            let html = colour("<script>alert(\"1\")</script> & 'x'", name);
            assert!(!html.contains("<script"), "{name}: {html}");
            assert!(html.contains("&lt;") && html.contains("&amp;"), "{name}: {html}");
        }
    }

    #[test]
    fn nothing_of_the_code_is_lost_or_changed() {
        let strange = "a\"b\\\"c\n'unclosed\n/* open\n灰度 = `x\ny` # c // d <!-- e 0x1F 1.5e3 @a é\u{0}\t\r\n+x\n-y\n$ z";
        for name in LANGUAGES.iter().flat_map(|language| language.names) {
            let html = colour(strange, name);
            let mut text = String::new();
            let mut in_tag = false;
            for c in html.chars() {
                match c {
                    '<' => in_tag = true,
                    '>' if in_tag => in_tag = false,
                    c if !in_tag => text.push(c),
                    _ => {}
                }
            }
            let text = text
                .replace("&lt;", "<")
                .replace("&gt;", ">")
                .replace("&quot;", "\"")
                .replace("&#39;", "'")
                .replace("&amp;", "&");
            assert_eq!(text, strange, "{name}");
        }
    }

    #[test]
    fn parts_have_their_colours() {
        assert_eq!(
            colour("let x: Weight = try_new(5); // 灰度\n", "rust"),
            "<span class=\"hl-k\">let</span> x: <span class=\"hl-t\">Weight</span> = \
             <span class=\"hl-f\">try_new</span>(<span class=\"hl-n\">5</span>); <span class=\"hl-c\">// 灰度</span>\n"
        );
        assert!(colour("reason: X # why", "yaml").contains("<span class=\"hl-a\">reason</span>"));
        assert!(!colour("see https://a.example", "rust").contains("hl-c"), "no comment inside a URL");
        assert!(colour("select id FROM t", "sql").contains("<span class=\"hl-k\">select</span>"));
        assert!(colour("+new\n-old\n", "diff").contains("<span class=\"hl-add\">+new\n</span>"));
        assert!(colour("$ ls\nout", "console").starts_with("<span class=\"hl-f\">$ ls\n</span>out"));
    }
}
