//! Links of a text that leaves its page, as in a feed: readers of feeds know no base address.

/// Makes links and sources absolute in HTML that the sanitiser wrote: there, attributes stand in double quotes and a
/// text holds no bare `<`.
pub(crate) fn absolute(html: &str, origin: &str, page: &str) -> String {
    let mut out = String::with_capacity(html.len() + 256);
    let mut rest = html;
    while let Some(start) = rest.find('<') {
        let (text, tag) = rest.split_at(start);
        out.push_str(text);
        let end = tag_end(tag);
        rewrite(&mut out, &tag[..end], (origin, page));
        rest = &tag[end..];
    }
    out.push_str(rest);
    out
}

/// Bytes of a tag: a `>` in quotes does not end it.
fn tag_end(tag: &str) -> usize {
    let mut quoted = false;
    for (index, byte) in tag.bytes().enumerate() {
        match byte {
            b'"' => quoted = !quoted,
            b'>' if !quoted => return index + 1,
            _ => {}
        }
    }
    tag.len()
}

fn rewrite(out: &mut String, mut tag: &str, (origin, page): (&str, &str)) {
    while let Some((before, after)) = tag.split_once("=\"") {
        let (value, rest) = after.split_once('"').unwrap_or((after, ""));
        let name = before.rsplit(' ').next().unwrap_or("");
        out.push_str(before);
        out.push_str("=\"");
        match name {
            "href" | "src" | "poster" => link(out, value, (origin, page)),
            "srcset" => {
                for (index, candidate) in value.split(", ").enumerate() {
                    out.push_str(if index == 0 { "" } else { ", " });
                    link(out, candidate, (origin, page));
                }
            }
            _ => out.push_str(value),
        }
        out.push('"');
        tag = rest;
    }
    out.push_str(tag);
}

fn link(out: &mut String, value: &str, (origin, page): (&str, &str)) {
    if value.starts_with('#') {
        out.push_str(page);
    } else if value.starts_with('/') && !value.starts_with("//") {
        out.push_str(origin);
    }
    out.push_str(value);
}

#[cfg(test)]
mod tests {
    use super::absolute;

    #[test]
    fn links_of_tags_become_absolute_and_text_stays_as_it_is() {
        for (html, wanted) in [
            ("<a href=\"/tags\">t</a>", "<a href=\"https://b.test/tags\">t</a>"),
            (
                "<img alt=\"a > b\" src=\"/media/x.png\">",
                "<img alt=\"a > b\" src=\"https://b.test/media/x.png\">",
            ),
            ("<img srcset=\"/a 1w, /b 2w\">", "<img srcset=\"https://b.test/a 1w, https://b.test/b 2w\">"),
            ("<a href=\"#fn-1\">1</a>", "<a href=\"https://b.test/posts/p#fn-1\">1</a>"),
            ("<a href=\"//cdn.test/x\">c</a>", "<a href=\"//cdn.test/x\">c</a>"),
            ("<code>a href=\"/x\" &lt;</code>", "<code>a href=\"/x\" &lt;</code>"),
            ("<p title=\"/no\">open <a href=\"", "<p title=\"/no\">open <a href=\"\""),
        ] {
            assert_eq!(absolute(html, "https://b.test", "https://b.test/posts/p"), wanted);
        }
    }
}
