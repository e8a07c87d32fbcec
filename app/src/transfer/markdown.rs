//! A folder of Markdown files with front matter, as Hugo and Jekyll keep them, or with none at all.

use std::path::{Path, PathBuf};

use jiff::tz::TimeZone;

use super::front_matter::FrontMatter;
use super::{IncomingPost, Item, Send, TransferError, dates, files, note, old_path, read_text};
use crate::store::{Draft, Publication};
use crate::{rules, text};

/// Folders inside of each other that are looked into.
const DEPTH_MAX: usize = 16;

/// Hands over every post of the folder.
pub(super) fn read(root: &Path, zone: &TimeZone, send: Send<'_>) -> Result<(), TransferError> {
    send(Item::Source("markdown".to_owned()))?;
    for file in markdown_files(root)? {
        let name = relative(&file, root);
        if file.file_stem().is_some_and(|stem| stem == "_index") {
            send(note(&name, "left out: it is the page of a section, not a post"))?;
            continue;
        }
        let text = read_text(&file)?;
        match post(&text, &file, (root, zone)) {
            Ok((post, notes)) => {
                for what in notes {
                    send(note(&name, what))?;
                }
                send(Item::Post(Box::new(IncomingPost { key: name, ..post })))?;
            }
            Err(why) => send(note(&name, format!("left out: {why}")))?,
        }
    }
    Ok(())
}

fn post(
    text: &str,
    file: &Path,
    (root, zone): (&Path, &TimeZone),
) -> Result<(IncomingPost, Vec<String>), String> {
    let (matter, body) = FrontMatter::split(text)?;
    let (day, stem) = dated(&stem(file));
    let (title, body) = match matter.text(&["title"]) {
        Some(title) => (title, body.to_owned()),
        None => first_heading(body).unwrap_or_else(|| (stem.replace('-', " "), body.to_owned())),
    };
    let mut notes = Vec::new();
    let at = time(&matter, &["date", "publishDate"], zone)
        .or_else(|| dates::seconds(day.as_deref()?, zone))
        .or_else(|| {
            notes.push("it names no date: the file's own is taken".to_owned());
            modified(file)
        })
        .unwrap_or(0);
    let is_draft = matter.flag(&["draft"]) == Some(true) || matter.flag(&["published"]) == Some(false);
    let mut draft = Draft {
        kind: if is_page(&matter, file, root) { "page" } else { "post" },
        slug: matter.text(&["slug"]).unwrap_or(stem),
        title,
        publication: if is_draft { Publication::Draft } else { Publication::Published(at) },
        ..common(&matter, &mut notes)
    };
    let folder = file.parent().unwrap_or(root);
    let shown = shown(&body, &draft.cover, (folder, root), &mut notes);
    draft.body = body.trim().to_owned();
    let paths = matter.list(&["permalink", "url", "aliases", "redirect_from"]);
    let post = IncomingPost {
        draft,
        author: matter.text(&["author"]).unwrap_or_default(),
        created_at: at,
        updated_at: time(&matter, &["lastmod", "updated", "modified"], zone).unwrap_or(at),
        paths: paths.iter().filter(|path| !path.contains(':')).filter_map(|path| old_path(path)).collect(),
        pictures: shown,
        ..IncomingPost::default()
    };
    Ok((post, notes))
}

/// The fields that Hexo, Hugo and Jekyll call alike.
pub(super) fn common(matter: &FrontMatter, notes: &mut Vec<String>) -> Draft {
    let mut categories = matter.list(&["categories", "category"]).into_iter().map(|name| rules::term(&name));
    let category = categories.next().unwrap_or_default();
    let mut tags: Vec<String> = matter.list(&["tags", "tag"]).iter().map(|name| rules::term(name)).collect();
    for more in categories {
        notes.push(format!("a post has one category: `{more}` became a tag"));
        tags.push(more);
    }
    Draft {
        summary: matter.text(&["summary", "description", "excerpt"]).unwrap_or_default(),
        category,
        tags,
        cover: matter.text(&["cover", "image", "thumbnail", "banner", "featured_image"]).unwrap_or_default(),
        comments_open: matter.flag(&["comments"]).unwrap_or(true),
        ..Draft::default()
    }
}

/// Local files among the pictures of a text; what is missing is noted.
pub(super) fn shown(
    body: &str,
    cover: &str,
    (folder, root): (&Path, &Path),
    notes: &mut Vec<String>,
) -> Vec<(String, PathBuf)> {
    let mut found = Vec::new();
    let covers = (!cover.is_empty()).then(|| cover.to_owned());
    for address in files::pictures(body).into_iter().chain(covers) {
        match files::local(&address, folder, root) {
            Some(file) => found.push((address, file)),
            None if address.contains("://") || address.starts_with("//") => {
                notes.push(format!("its picture stays on the other site: {address}"));
            }
            None if address.starts_with("data:") => {}
            None => notes.push(format!("its picture is not there: {address}")),
        }
    }
    found
}

/// A time of the front matter.
pub(super) fn time(matter: &FrontMatter, names: &[&str], zone: &TimeZone) -> Option<i64> {
    matter.text(names).and_then(|text| dates::seconds(&text, zone))
}

/// When the file was last changed.
pub(super) fn modified(file: &Path) -> Option<i64> {
    let since = file.metadata().ok()?.modified().ok()?.duration_since(std::time::UNIX_EPOCH).ok()?;
    i64::try_from(since.as_secs()).ok()
}

/// Every Markdown file under `root`, in order of paths; hidden ones are passed over.
pub(super) fn markdown_files(root: &Path) -> Result<Vec<PathBuf>, TransferError> {
    let mut files = Vec::new();
    walk(root, 0, &mut files)?;
    files.sort();
    Ok(files)
}

fn walk(folder: &Path, depth: usize, files: &mut Vec<PathBuf>) -> Result<(), TransferError> {
    let failed = |error| TransferError::File(folder.to_owned(), error);
    if depth > DEPTH_MAX {
        return Ok(());
    }
    for entry in std::fs::read_dir(folder).map_err(failed)? {
        let entry = entry.map_err(failed)?;
        let (path, kind) = (entry.path(), entry.file_type().map_err(failed)?);
        if entry.file_name().to_string_lossy().starts_with('.') {
            continue;
        }
        if kind.is_dir() {
            walk(&path, depth + 1, files)?;
        } else if kind.is_file() && path.extension().is_some_and(|kind| kind == "md" || kind == "markdown") {
            files.push(path);
        }
    }
    Ok(())
}

/// A path inside the folder, with slashes.
pub(super) fn relative(file: &Path, root: &Path) -> String {
    let inside = file.strip_prefix(root).unwrap_or(file);
    inside.components().map(|part| part.as_os_str().to_string_lossy()).collect::<Vec<_>>().join("/")
}

/// What a post is called by its file: `name.md`, or `name/index.md`.
fn stem(file: &Path) -> String {
    let stem = file.file_stem().unwrap_or_default().to_string_lossy().into_owned();
    match file.parent().and_then(|folder| folder.file_name()) {
        Some(folder) if stem == "index" => folder.to_string_lossy().into_owned(),
        _ => stem,
    }
}

/// Jekyll's `2024-03-01-name` as day and name.
pub(super) fn dated(stem: &str) -> (Option<String>, String) {
    let day = stem.get(..10).filter(|day| dates::seconds(day, &TimeZone::UTC).is_some());
    match (day, stem.get(10..).and_then(|rest| rest.strip_prefix('-'))) {
        (Some(day), Some(name)) if !name.is_empty() => (Some(day.to_owned()), name.to_owned()),
        _ => (None, stem.to_owned()),
    }
}

/// A text's first line as its title, where it is a heading.
fn first_heading(body: &str) -> Option<(String, String)> {
    let (first, rest) = body.trim_start().split_once('\n')?;
    let title = first.strip_prefix("# ")?.trim();
    (!title.is_empty()).then(|| (text::shorten(title, rules::TITLE_CHARS_MAX - 1), rest.to_owned()))
}

/// A page says so, or stands in a folder `pages`.
fn is_page(matter: &FrontMatter, file: &Path, root: &Path) -> bool {
    matter.text(&["layout", "type"]).is_some_and(|kind| kind == "page")
        || relative(file, root).split('/').any(|part| part == "pages" || part == "_pages")
}

#[cfg(test)]
mod tests {
    use super::{dated, first_heading};

    #[test]
    fn the_name_of_a_file_may_hold_a_day() {
        assert_eq!(
            dated("2024-03-01-hello-world"),
            (Some("2024-03-01".to_owned()), "hello-world".to_owned())
        );
        for plain in ["hello", "2024-13-01-x", "2024-03-01", "灰度发布的一天-x"] {
            assert_eq!(dated(plain), (None, plain.to_owned()));
        }
    }

    #[test]
    fn a_first_heading_is_the_title() {
        assert_eq!(first_heading("\n# Title\n\ntext"), Some(("Title".to_owned(), "\ntext".to_owned())));
        assert_eq!(first_heading("## Second\ntext"), None);
    }
}
