//! How a text shows a picture of ours: the browser chooses the size, and the page does not jump when it comes.

use std::fmt::Write as _;

use pulldown_cmark_escape::escape_html;

use super::Name;

/// How wide a text's pictures are shown: as wide as a small screen, and never wider than the column.
const SHOWN: &str = "(max-width: 48rem) 100vw, 48rem";

/// `<img>` with every size of the picture behind `/media/<file>`; `None` for a picture that is not one of ours.
#[must_use]
pub fn tag(address: &str, alt: &str, title: &str) -> Option<String> {
    let file = address.strip_prefix("/media/")?;
    let name = Name::parse(file)?;
    let mut tag = String::from("<img src=\"");
    let _ = escape_html(&mut tag, address);
    tag.push_str("\" alt=\"");
    let _ = escape_html(&mut tag, alt);
    if !title.is_empty() {
        tag.push_str("\" title=\"");
        let _ = escape_html(&mut tag, title);
    }
    let _ = write!(tag, "\" width=\"{}\" height=\"{}\"", name.width, name.height);
    let smaller = name.smaller();
    if !smaller.is_empty() {
        let mut set: Vec<String> =
            smaller.iter().map(|(width, file)| format!("/media/{file} {width}w")).collect();
        set.push(format!("{address} {}w", name.width));
        let _ = write!(tag, " srcset=\"{}\" sizes=\"{SHOWN}\"", set.join(", "));
    }
    tag.push('>');
    Some(tag)
}

#[cfg(test)]
mod tests {
    use super::tag;

    #[test]
    fn a_picture_of_ours_offers_its_sizes_and_any_other_is_left_alone() {
        let shown = tag("/media/0123456789abcdef-700x500.jpg", "a \"b\"", "").unwrap();
        assert_eq!(
            shown,
            "<img src=\"/media/0123456789abcdef-700x500.jpg\" alt=\"a &quot;b&quot;\" width=\"700\" height=\"500\" \
             srcset=\"/media/0123456789abcdef-700x500-320.jpg 320w, /media/0123456789abcdef-700x500-640.jpg 640w, \
             /media/0123456789abcdef-700x500.jpg 700w\" sizes=\"(max-width: 48rem) 100vw, 48rem\">"
        );
        for other in ["https://a.example/media/x.jpg", "/media/example-01.svg", "x.jpg", ""] {
            assert_eq!(tag(other, "", ""), None, "{other}");
        }
    }
}
