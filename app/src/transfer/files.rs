//! Local files that a text shows.

use std::path::{Component, Path, PathBuf};

use pulldown_cmark::{Event, Options, Parser, Tag};

/// Addresses of pictures in a text, Markdown or HTML, each once.
#[must_use]
pub(crate) fn pictures(body: &str) -> Vec<String> {
    let mut found = Vec::new();
    for event in Parser::new_ext(body, Options::ENABLE_TABLES | Options::ENABLE_FOOTNOTES) {
        match event {
            Event::Start(Tag::Image { dest_url, .. }) => found.push(dest_url.to_string()),
            Event::Html(html) | Event::InlineHtml(html) => found.extend(sources(&html)),
            _ => {}
        }
    }
    found.sort();
    found.dedup();
    found
}

/// Addresses of links in a text, each once.
#[must_use]
pub(crate) fn links(body: &str) -> Vec<String> {
    let mut found: Vec<String> = Parser::new_ext(body, Options::ENABLE_TABLES | Options::ENABLE_FOOTNOTES)
        .filter_map(|event| match event {
            Event::Start(Tag::Link { dest_url, .. }) => Some(dest_url.to_string()),
            _ => None,
        })
        .collect();
    found.sort();
    found.dedup();
    found
}

/// The `src` of each `<img>`.
fn sources(html: &str) -> Vec<String> {
    let mut found = Vec::new();
    for part in html.split("<img").skip(1) {
        let tag = part.split('>').next().unwrap_or("");
        let Some(after) = tag.split("src=").nth(1) else { continue };
        let quote = after.chars().next().filter(|c| "\"'".contains(*c));
        let source = match quote {
            Some(quote) => after[1..].split(quote).next(),
            None => after.split_whitespace().next(),
        };
        found.extend(source.filter(|source| !source.is_empty()).map(str::to_owned));
    }
    found
}

/// The text with one address instead of another, wherever it stands whole.
#[must_use]
pub(super) fn readdress(body: &str, from: &str, to: &str) -> String {
    let mut out = String::with_capacity(body.len());
    let mut rest = body;
    while let Some(at) = rest.find(from) {
        let (before, after) = (&rest[..at], &rest[at + from.len()..]);
        let opens = before.is_empty() || before.ends_with(['(', '"', '\'', '<', ' ', '\n', '=']);
        let closes = after.is_empty() || after.starts_with([')', '"', '\'', '>', ' ', '\n', '\t']);
        out.push_str(before);
        out.push_str(if opens && closes { to } else { from });
        rest = after;
    }
    out.push_str(rest);
    out
}

/// The file that a relative address means beside `folder`, or one with a slash in front under `root`; never outside
/// of `root`.
#[must_use]
pub(super) fn local(address: &str, folder: &Path, root: &Path) -> Option<PathBuf> {
    if address.contains("://") || address.starts_with("//") || address.starts_with("data:") {
        return None;
    }
    let path = address.split(['?', '#']).next()?;
    let path = percent_encoding::percent_decode_str(path).decode_utf8().ok()?;
    let beside = match path.strip_prefix('/') {
        Some(path) => root.join(path),
        None => folder.join(&*path),
    };
    let is_plain = Path::new(&*path).components().all(|part| !matches!(part, Component::Prefix(_)));
    let file = beside.canonicalize().ok().filter(|file| is_plain && file.is_file())?;
    file.starts_with(root.canonicalize().ok()?).then_some(file)
}

#[cfg(test)]
mod tests {
    use super::{links, local, pictures, readdress};

    #[test]
    fn pictures_and_links_are_found_in_markdown_and_html_but_not_in_code() {
        let body = "![a](x.png \"t\") [l](/posts/y) <img class=c src=\"/z.jpg\">\n\n```\n![no](code.png)\n```\n\n\
                    <p><img src='q.gif'></p>\n\n`![no](n.png)`";
        assert_eq!(pictures(body), ["/z.jpg", "q.gif", "x.png"]);
        assert_eq!(links(body), ["/posts/y"]);
    }

    #[test]
    fn an_address_is_replaced_where_it_stands_whole() {
        let body = "![a](a.png) ![b](dir/a.png) <img src=\"a.png\"> a.pngs";
        let out = readdress(body, "a.png", "/media/x.png");
        assert_eq!(out, "![a](/media/x.png) ![b](dir/a.png) <img src=\"/media/x.png\"> a.pngs");
    }

    #[test]
    fn a_file_outside_of_the_folder_is_never_taken() {
        let root = tempfile::tempdir().unwrap();
        std::fs::create_dir_all(root.path().join("source/post")).unwrap();
        std::fs::write(root.path().join("secret.png"), "x").unwrap();
        std::fs::write(root.path().join("source/a b.png"), "x").unwrap();
        let (folder, source) = (root.path().join("source/post"), root.path().join("source"));
        assert!(local("../a%20b.png", &folder, &source).is_some());
        assert!(local("/a%20b.png?x#y", &folder, &source).is_some());
        for outside in
            ["../../secret.png", "/../secret.png", "/etc/passwd", "https://a.example/a.png", "nothing.png"]
        {
            assert_eq!(local(outside, &folder, &source), None, "{outside}");
        }
    }
}
