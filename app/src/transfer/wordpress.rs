//! WordPress' export file (WXR: RSS 2.0 with its own elements), read as a stream.

use std::collections::HashMap;
use std::io::BufRead;
use std::path::{Path, PathBuf};

use jiff::tz::TimeZone;
use quick_xml::events::{BytesRef, BytesStart, Event};
use quick_xml::{Reader, XmlVersion};

use super::html::{Lines, to_markdown};
use super::{Author, IncomingComment, IncomingPost, Item, Send, TransferError, dates, files, note, old_path};
use crate::store::{CommentStatus, Draft, Publication};
use crate::{rules, text};

/// Bytes of one text of the file; a longer one is no blog post.
const TEXT_BYTES_MAX: usize = 32 << 20;

/// Hands over every author, post, page and comment. `uploads` is a copy of the other site's `wp-content/uploads`, which
/// the export file does not hold.
pub(super) fn read(file: &Path, uploads: Option<&Path>, send: Send<'_>) -> Result<(), TransferError> {
    let reader =
        Reader::from_file(file).map_err(|error| TransferError::Source(file.to_owned(), error.to_string()))?;
    let mut export = Export { file, uploads, reader, buffer: Vec::new(), base: String::new() };
    let mut path: Vec<String> = Vec::new();
    let mut fields = Fields::default();
    loop {
        match export.next()? {
            Node::Open(name, attributes) => {
                match (path.len(), name.as_str()) {
                    (2, "item" | "wp:author") => fields = Fields::default(),
                    (3, "wp:comment") => fields.comments.push(HashMap::new()),
                    _ => {}
                }
                fields.attributes = attributes;
                path.push(name);
            }
            Node::Text(text) => fields.keep(&path, &text),
            Node::Close => {
                let Some(name) = path.pop() else { break };
                match (path.len(), name.as_str()) {
                    (2, "wp:base_blog_url") => {
                        export.base = fields.channel.trim().trim_end_matches('/').to_owned();
                        send(Item::Source(format!("wordpress {}", export.base)))?;
                    }
                    (2, "wp:author") => send(Item::Author(fields.author()))?,
                    (2, "item") => export.hand_over(&mut fields, send)?,
                    (3, "category") => fields.end_category(),
                    _ => {}
                }
                if path.len() == 2 {
                    fields.channel.clear();
                }
            }
            Node::End => {
                let Some(open) = path.last() else { break };
                let why = format!("the file ends inside of {open}; what came before is kept");
                return Err(TransferError::Source(file.to_owned(), why));
            }
        }
    }
    if !export.base.is_empty() {
        return Ok(());
    }
    Err(TransferError::Source(
        file.to_owned(),
        "it is no WordPress export: wp:base_blog_url is missing".to_owned(),
    ))
}

struct Export<'a, R> {
    file: &'a Path,
    uploads: Option<&'a Path>,
    reader: Reader<R>,
    buffer: Vec<u8>,
    /// The address of the other site.
    base: String,
}

enum Node {
    Open(String, HashMap<String, String>),
    Text(String),
    Close,
    End,
}

impl<R: BufRead> Export<'_, R> {
    fn next(&mut self) -> Result<Node, TransferError> {
        loop {
            self.buffer.clear();
            let event = self.reader.read_event_into(&mut self.buffer);
            let event = event.map_err(|error| {
                let at = self.reader.error_position();
                TransferError::Source(self.file.to_owned(), format!("no XML at byte {at}: {error}"))
            })?;
            return Ok(match event {
                Event::Start(tag) => Node::Open(tag.name().as_ref().to_owned(), attributes(&tag)),
                Event::End(_) => Node::Close,
                Event::Text(text) => Node::Text(text.xml10_content().into_owned()),
                Event::CData(text) => Node::Text(text.xml10_content().into_owned()),
                Event::GeneralRef(entity) => Node::Text(resolve(&entity)),
                Event::Eof => Node::End,
                _ => continue,
            });
        }
    }

    /// An item as a post, or why it is none.
    fn hand_over(&self, fields: &mut Fields, send: Send<'_>) -> Result<(), TransferError> {
        let (kind, status) = (fields.get("wp:post_type"), fields.get("wp:status"));
        let about = format!("{kind} {} {}", fields.get("wp:post_id"), fields.get("title").trim());
        match (kind, status) {
            ("post" | "page", "trash" | "auto-draft") => {
                return send(note(about, format!("left out: its status is {status}")));
            }
            ("post" | "page", _) => {}
            // Files of the media library come with the posts that show them.
            ("attachment", _) => return Ok(()),
            _ => return send(note(about, format!("left out: there is no {kind} here"))),
        }
        let mut notes = Vec::new();
        let mut post = fields.post(&mut notes, self.uploads);
        post.draft.body = at_home(&post.draft.body, &self.base);
        for what in notes {
            send(note(&about, what))?;
        }
        send(Item::Post(Box::new(post)))
    }
}

/// Texts of the element that is being read.
#[derive(Default)]
struct Fields {
    item: HashMap<String, String>,
    comments: Vec<HashMap<String, String>>,
    categories: Vec<String>,
    tags: Vec<String>,
    /// Text of a child of the channel.
    channel: String,
    /// Of the element that began last.
    attributes: HashMap<String, String>,
    category: String,
}

impl Fields {
    fn keep(&mut self, path: &[String], text: &str) {
        let add = |kept: &mut String| {
            if kept.len() + text.len() <= TEXT_BYTES_MAX {
                kept.push_str(text);
            }
        };
        let names: Vec<&str> = path.iter().map(String::as_str).collect();
        match names.as_slice() {
            ["rss", "channel", _] => add(&mut self.channel),
            ["rss", "channel", "item", "category"] => add(&mut self.category),
            ["rss", "channel", "item" | "wp:author", name] => {
                add(self.item.entry((*name).to_owned()).or_default());
            }
            ["rss", "channel", "item", "wp:comment", name] => {
                if let Some(comment) = self.comments.last_mut() {
                    add(comment.entry((*name).to_owned()).or_default());
                }
            }
            _ => {}
        }
    }

    fn get(&self, name: &str) -> &str {
        self.item.get(name).map_or("", |text| text.trim())
    }

    fn end_category(&mut self) {
        let name = rules::term(&std::mem::take(&mut self.category));
        let domain = self.attributes.get("domain").map_or("", String::as_str);
        match domain {
            _ if name.is_empty() => {}
            "post_tag" => self.tags.push(name),
            // WordPress files every post somewhere; this is where it puts those that their author did not file.
            "category" if name != "Uncategorized" && name != "未分类" => self.categories.push(name),
            _ => {}
        }
    }

    fn author(&self) -> Author {
        Author {
            name: self.get("wp:author_login").to_owned(),
            shown: self.get("wp:author_display_name").to_owned(),
            ..Author::default()
        }
    }

    fn post(&mut self, notes: &mut Vec<String>, uploads: Option<&Path>) -> IncomingPost {
        let at = self.time("wp:post_date_gmt", "wp:post_date").unwrap_or(0);
        let modified = self.time("wp:post_modified_gmt", "wp:post_modified").unwrap_or(at);
        let (body, summary) = self.text(notes);
        let mut categories = std::mem::take(&mut self.categories).into_iter();
        let category = categories.next().unwrap_or_default();
        let mut tags = std::mem::take(&mut self.tags);
        for more in categories {
            notes.push(format!("a post has one category: `{more}` became a tag"));
            tags.push(more);
        }
        let status = self.get("wp:status");
        if matches!(status, "private" | "pending") || !self.get("wp:post_password").is_empty() {
            notes.push("only some readers could see it: it is a draft here".to_owned());
        }
        let is_public = matches!(status, "publish" | "future") && self.get("wp:post_password").is_empty();
        let pictures = pictures(&body, uploads, notes);
        IncomingPost {
            key: self.get("wp:post_id").to_owned(),
            draft: Draft {
                kind: if self.get("wp:post_type") == "page" { "page" } else { "post" },
                slug: decoded(self.get("wp:post_name")),
                title: match self.get("title") {
                    "" => text::shorten(&text::excerpt(&body), 60),
                    title => title.to_owned(),
                },
                summary,
                category,
                tags,
                comments_open: self.get("wp:comment_status") != "closed",
                publication: if is_public { Publication::Published(at) } else { Publication::Draft },
                body,
                ..Draft::default()
            },
            author: self.get("dc:creator").to_owned(),
            created_at: at,
            updated_at: modified,
            paths: old_path(self.get("link")).into_iter().collect(),
            comments: self.comments(),
            pictures,
            ..IncomingPost::default()
        }
    }

    /// The text and the summary, as Markdown and as plain text.
    fn text(&self, notes: &mut Vec<String>) -> (String, String) {
        let html = shortcodes(self.get("content:encoded"), notes);
        // The new editor writes blocks of finished HTML, the old one leaves paragraphs to the site.
        let lines = if html.contains("<!-- wp:") { Lines::Space } else { Lines::Kept };
        let mut summary = text::excerpt(&to_markdown(self.get("excerpt:encoded"), lines));
        if let (true, Some((before, _))) = (summary.is_empty(), html.split_once("<!--more-->")) {
            summary = text::excerpt(&to_markdown(before, lines));
        }
        (to_markdown(&html, lines), summary)
    }

    /// WordPress writes both; the second is in the site's own zone, which the file does not name.
    fn time(&self, gmt: &str, local: &str) -> Option<i64> {
        dates::seconds(self.get(gmt), &TimeZone::UTC)
            .or_else(|| dates::seconds(self.get(local), &TimeZone::UTC))
    }

    fn comments(&mut self) -> Vec<IncomingComment> {
        let mut comments: Vec<IncomingComment> =
            self.comments.drain(..).filter_map(|comment| read_comment(&comment)).collect();
        // An answer has a later number than what it answers.
        comments.sort_by_key(|comment| comment.key.parse::<i64>().unwrap_or(i64::MAX));
        comments
    }
}

fn read_comment(comment: &HashMap<String, String>) -> Option<IncomingComment> {
    let get = |name: &str| comment.get(name).map_or("", |text| text.trim());
    // Other kinds are notes that another site linked here.
    if !matches!(get("wp:comment_type"), "" | "comment") {
        return None;
    }
    let status = match get("wp:comment_approved") {
        "1" => CommentStatus::Approved,
        "0" => CommentStatus::Pending,
        "spam" => CommentStatus::Spam,
        _ => return None,
    };
    let url = get("wp:comment_author_url");
    Some(IncomingComment {
        key: get("wp:comment_id").to_owned(),
        answers: Some(get("wp:comment_parent"))
            .filter(|parent| !matches!(*parent, "" | "0"))
            .map(str::to_owned),
        author: get("wp:comment_author").to_owned(),
        email: get("wp:comment_author_email").to_owned(),
        url: if url.starts_with("http://") || url.starts_with("https://") {
            url.to_owned()
        } else {
            String::new()
        },
        body: to_markdown(get("wp:comment_content"), Lines::Kept),
        status,
        address: get("wp:comment_author_IP").to_owned(),
        at: dates::seconds(get("wp:comment_date_gmt"), &TimeZone::UTC).unwrap_or(0),
        user: String::new(),
    })
}

/// Links to the other site's own posts as links inside of this one, where their old addresses redirect.
fn at_home(body: &str, base: &str) -> String {
    let start = format!("]({base}/");
    let mut parts = body.split(&start);
    let mut out = parts.next().unwrap_or("").to_owned();
    for part in parts {
        // Files did not come along.
        let there = if part.starts_with("wp-content/") { base } else { "" };
        out.push_str(&format!("]({there}/{part}"));
    }
    out
}

/// Files of `uploads` that the text shows. WordPress names smaller sizes `name-300x200.jpg`.
fn pictures(body: &str, uploads: Option<&Path>, notes: &mut Vec<String>) -> Vec<(String, PathBuf)> {
    let mut found = Vec::new();
    for address in files::pictures(body) {
        let inside = address.split_once("/wp-content/uploads/").map(|(_, inside)| inside);
        let file = uploads.zip(inside).and_then(|(uploads, inside)| {
            let full = without_size(inside).and_then(|full| files::local(&full, uploads, uploads));
            full.or_else(|| files::local(inside, uploads, uploads))
        });
        match file {
            Some(file) => found.push((address, file)),
            None if inside.is_some() && uploads.is_none() => {
                notes.push(format!("its picture stays on the other site (give --uploads): {address}"));
            }
            None => notes.push(format!("its picture stays on the other site: {address}")),
        }
    }
    found
}

fn without_size(name: &str) -> Option<String> {
    let (stem, extension) = name.rsplit_once('.')?;
    let (full, size) = stem.rsplit_once('-')?;
    let (width, height) = size.split_once('x')?;
    let is_number = |text: &str| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    (is_number(width) && is_number(height)).then(|| format!("{full}.{extension}"))
}

/// The text without the square brackets of WordPress that mean nothing elsewhere. Those of plugins stay, with a note.
fn shortcodes(html: &str, notes: &mut Vec<String>) -> String {
    let mut out = String::with_capacity(html.len());
    let mut rest = html;
    while let Some(at) = rest.find('[') {
        out.push_str(&rest[..at]);
        let tag = &rest[at + 1..];
        let closes = tag.starts_with('/');
        let name: String = tag
            .trim_start_matches('/')
            .chars()
            .take_while(|c| c.is_ascii_alphanumeric() || "_-".contains(*c))
            .collect();
        let end = tag.find(']').filter(|end| !tag[..*end].contains('\n'));
        match (name.as_str(), end) {
            ("caption" | "embed" | "audio" | "video" | "wp_caption", Some(end)) => rest = &tag[end + 1..],
            ("code" | "sourcecode", Some(end)) => {
                out.push_str(if closes { "</pre>" } else { "<pre>" });
                rest = &tag[end + 1..];
            }
            (_, Some(end)) => {
                let looks_like_one = !name.is_empty() && (name == "gallery" || tag[..end].contains('='));
                if looks_like_one {
                    notes.push(format!("the shortcode [{name}] stays as it stands"));
                }
                out.push('[');
                rest = tag;
            }
            (_, None) => {
                out.push('[');
                rest = tag;
            }
        }
    }
    out.push_str(rest);
    out
}

fn attributes(tag: &BytesStart<'_>) -> HashMap<String, String> {
    tag.attributes()
        .with_checks(false)
        .flatten()
        .map(|attribute| {
            let value = attribute
                .normalized_value(XmlVersion::Implicit1_0)
                .unwrap_or_else(|_| attribute.value.clone());
            (attribute.key.as_ref().to_owned(), value.into_owned())
        })
        .collect()
}

/// `&amp;` and the like; a name that XML does not know stays as it stands, for HTML to read.
fn resolve(entity: &BytesRef<'_>) -> String {
    if let Ok(Some(c)) = entity.resolve_char_ref() {
        return c.to_string();
    }
    let name = entity.xml10_content();
    quick_xml::escape::resolve_predefined_entity(&name).map_or_else(|| format!("&{name};"), str::to_owned)
}

fn decoded(slug: &str) -> String {
    percent_encoding::percent_decode_str(slug).decode_utf8_lossy().into_owned()
}

#[cfg(test)]
mod tests {
    use super::{shortcodes, without_size};

    #[test]
    fn a_smaller_size_leads_to_the_whole_picture() {
        assert_eq!(without_size("2024/03/a-300x200.jpg").as_deref(), Some("2024/03/a.jpg"));
        assert_eq!(without_size("2024/03/a-b.jpg"), None);
    }

    #[test]
    fn known_shortcodes_go_and_unknown_ones_stay_with_a_note() {
        let mut notes = Vec::new();
        let html = "[caption id=\"x\"]<img src=\"a.png\">[/caption] [embed]https://a.example[/embed] [code]a[0][/code] \
                    [gallery ids=\"1,2\"] [1] [form id=3]";
        assert_eq!(
            shortcodes(html, &mut notes),
            "<img src=\"a.png\"> https://a.example <pre>a[0]</pre> [gallery ids=\"1,2\"] [1] [form id=3]"
        );
        assert_eq!(notes.len(), 2, "{notes:?}");
    }
}
