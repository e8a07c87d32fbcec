//! A Hexo blog's folder: `_config.yml`, `source/_posts`, `source/_drafts` and pages.

use std::path::{Path, PathBuf};

use jiff::Timestamp;
use jiff::tz::TimeZone;
use serde::Deserialize;

use super::front_matter::FrontMatter;
use super::markdown::{common, dated, markdown_files, modified, relative, shown, time};
use super::{IncomingPost, Item, Send, TransferError, note, old_path, read_text};
use crate::store::{Draft, Publication};
use crate::text;

/// What of `_config.yml` matters here.
#[derive(Debug, Deserialize)]
#[serde(default)]
struct Config {
    author: String,
    timezone: String,
    url: String,
    root: String,
    permalink: String,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            author: String::new(),
            timezone: String::new(),
            url: String::new(),
            root: "/".to_owned(),
            permalink: ":year/:month/:day/:title/".to_owned(),
        }
    }
}

/// The folder and how it is read.
struct Blog {
    source: PathBuf,
    config: Config,
    zone: TimeZone,
}

/// Hands over every post, draft and page.
pub(super) fn read(root: &Path, zone: &TimeZone, send: Send<'_>) -> Result<(), TransferError> {
    let place = root.join("_config.yml");
    let config: Config = serde_saphyr::from_str(&read_text(&place)?).map_err(|error| {
        TransferError::Source(place, error.to_string().lines().next().unwrap_or("").to_owned())
    })?;
    let zone = if config.timezone.is_empty() {
        zone.clone()
    } else {
        TimeZone::get(&config.timezone).unwrap_or_else(|_| zone.clone())
    };
    send(Item::Source(format!("hexo {}", config.url)))?;
    let blog = Blog { source: root.join("source"), config, zone };
    for file in markdown_files(&blog.source)? {
        let name = relative(&file, &blog.source);
        if name.split('/').any(|part| part.starts_with('_') && part != "_posts" && part != "_drafts") {
            continue;
        }
        let text = read_text(&file)?;
        match blog.post(&text, &file, &name) {
            Ok((post, notes)) => {
                for what in notes {
                    send(note(&name, what))?;
                }
                send(Item::Post(Box::new(post)))?;
            }
            Err(why) => send(note(&name, format!("left out: {why}")))?,
        }
    }
    Ok(())
}

impl Blog {
    fn post(&self, text: &str, file: &Path, name: &str) -> Result<(IncomingPost, Vec<String>), String> {
        let (matter, body) = FrontMatter::split(text)?;
        let inside = name.strip_prefix("_posts/").or_else(|| name.strip_prefix("_drafts/"));
        let called = inside.unwrap_or(name).rsplit_once('.').map_or(name, |(stem, _)| stem);
        let called = if inside.is_none() { called.trim_end_matches("/index") } else { called };
        let last = called.rsplit('/').next().unwrap_or(called);
        let (day, short) = dated(last);
        let mut notes = Vec::new();
        let at = time(&matter, &["date"], &self.zone)
            .or_else(|| super::dates::seconds(day.as_deref()?, &self.zone))
            .or_else(|| {
                notes.push("it names no date: the file's own is taken".to_owned());
                modified(file)
            })
            .unwrap_or(0);
        let mut draft = Draft {
            kind: if inside.is_some() { "post" } else { "page" },
            slug: short,
            title: matter.text(&["title"]).unwrap_or_else(|| last.replace('-', " ")),
            publication: if name.starts_with("_drafts/") || matter.flag(&["published"]) == Some(false) {
                Publication::Draft
            } else {
                Publication::Published(at)
            },
            ..common(&matter, &mut notes)
        };
        let assets = file.with_extension("");
        let body = tags(body, last, &mut notes);
        if let Some((before, _)) = body.split_once("<!-- more -->").filter(|_| draft.summary.is_empty()) {
            draft.summary = text::excerpt(before);
        }
        draft.body = body.replace("<!-- more -->", "").trim().to_owned();
        let folder = if assets.is_dir() { assets } else { file.parent().unwrap_or(&self.source).to_owned() };
        let pictures = shown(&draft.body, &draft.cover, (&folder, &self.source), &mut notes);
        let path = match inside {
            Some(_) => self.permalink(&matter, called, at),
            None => Some(called.to_owned()),
        };
        let rooted = path.map(|path| format!("{}/{path}", self.config.root.trim_end_matches('/')));
        let post = IncomingPost {
            key: name.to_owned(),
            draft,
            author: matter.text(&["author"]).unwrap_or_else(|| self.config.author.clone()),
            created_at: at,
            updated_at: time(&matter, &["updated"], &self.zone).unwrap_or(at),
            paths: rooted.iter().chain(&matter.list(&["alias"])).filter_map(|path| old_path(path)).collect(),
            pictures,
            ..IncomingPost::default()
        };
        Ok((post, notes))
    }

    /// The address of a post by `permalink` of its front matter or of `_config.yml`. `None` where it holds a variable
    /// that only Hexo can fill in.
    fn permalink(&self, matter: &FrontMatter, called: &str, at: i64) -> Option<String> {
        if let Some(own) = matter.text(&["permalink"]) {
            return Some(own);
        }
        let date = Timestamp::from_second(at).ok()?.to_zoned(self.zone.clone());
        let name = called.rsplit('/').next().unwrap_or(called);
        let category = matter.list(&["categories", "category"]).first().map(|name| text::slugify(name));
        let mut path = self.config.permalink.clone();
        // Longer names first: `:i_month` holds `:month` in no place, but `:post_title` ends like `:title`.
        for (variable, value) in [
            (":post_title", name.to_owned()),
            (":i_month", date.month().to_string()),
            (":i_day", date.day().to_string()),
            (":year", format!("{:04}", date.year())),
            (":month", format!("{:02}", date.month())),
            (":day", format!("{:02}", date.day())),
            (":hour", format!("{:02}", date.hour())),
            (":minute", format!("{:02}", date.minute())),
            (":second", format!("{:02}", date.second())),
            (":title", called.to_owned()),
            (":name", name.to_owned()),
            (":category", category.unwrap_or_else(|| "uncategorized".to_owned())),
        ] {
            path = path.replace(variable, &value);
        }
        (!path.contains(':')).then_some(path)
    }
}

/// Hexo's own tags as Markdown: `{% asset_img … %}`, `{% post_link … %}`, code blocks and quotations.
fn tags(body: &str, name: &str, notes: &mut Vec<String>) -> String {
    let mut out = String::with_capacity(body.len());
    let mut rest = body;
    while let Some(at) = rest.find("{%") {
        let Some(end) = rest[at..].find("%}") else { break };
        out.push_str(&rest[..at]);
        let tag = rest[at + 2..at + end].trim();
        rest = &rest[at + end + 2..];
        let mut words = tag.split_whitespace();
        let kind = words.next().unwrap_or("");
        let words: Vec<&str> = words.collect();
        let first = words.first().copied().unwrap_or("");
        match kind {
            "asset_img" | "img" => {
                let source = words.iter().find(|word| word.contains('.')).copied().unwrap_or(first);
                let title: Vec<&str> =
                    words.iter().copied().skip_while(|word| *word != source).skip(1).collect();
                out.push_str(&format!("![{}]({source})", title.join(" ").trim_matches(['"', '\''])));
            }
            "post_link" => {
                let title = words[1.min(words.len())..].join(" ");
                let title = if title.is_empty() { first } else { title.trim_matches(['"', '\'']) };
                out.push_str(&format!(
                    "[{title}](/posts/{})",
                    text::url_segment(&text::slugify(&dated(first).1))
                ));
            }
            "codeblock" | "code" => {
                let language = words.iter().find_map(|word| word.strip_prefix("lang:")).unwrap_or("");
                let until = format!("{{% end{kind} %}}");
                let (code, after) = rest.split_once(&until).unwrap_or((rest, ""));
                out.push_str(&format!("```{language}\n{}\n```", code.trim_matches('\n')));
                rest = after;
            }
            "raw" | "endraw" | "endquote" | "endblockquote" => {}
            "quote" | "blockquote" => {
                let until = format!("{{% end{kind} %}}");
                let (quoted, after) = rest.split_once(&until).unwrap_or((rest, ""));
                let lines: Vec<String> = quoted.trim().lines().map(|line| format!("> {line}")).collect();
                out.push_str(&lines.join("\n"));
                rest = after;
            }
            _ => {
                notes.push(format!("Hexo's tag {{% {kind} %}} of {name} stays as it stands"));
                out.push_str(&format!("{{% {tag} %}}"));
            }
        }
    }
    out.push_str(rest);
    out
}

#[cfg(test)]
mod tests {
    use super::tags;

    #[test]
    fn hexos_own_tags_become_markdown_and_unknown_ones_stay_with_a_note() {
        let mut notes = Vec::new();
        let body = "{% asset_img a.png \"A picture\" %} {% post_link 2024-01-02-hello 你好 %}\n\
                    {% codeblock lang:rust %}\nfn x() {}\n{% endcodeblock %}\n{% note %}x{% endnote %} 100%}";
        let out = tags(body, "p", &mut notes);
        assert_eq!(
            out,
            "![A picture](a.png) [你好](/posts/hello)\n```rust\nfn x() {}\n```\n{% note %}x{% endnote %} 100%}"
        );
        assert_eq!(notes.len(), 2);
        assert_eq!(
            tags("{% post_link %}{% img %}{% open", "p", &mut notes),
            "[](/posts/untitled)![](){% open"
        );
    }
}
