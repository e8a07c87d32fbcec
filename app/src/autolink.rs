//! Addresses that stand in a text become links, as on GitHub (GFM, section 6.9), for `https://` and `http://`.

use pulldown_cmark::{CowStr, Event, LinkType, Tag, TagEnd};

/// Turns addresses in texts into links; links, pictures and code stay as they are.
pub(crate) fn link_addresses<'a>(events: impl Iterator<Item = Event<'a>>) -> Vec<Event<'a>> {
    let mut out = Vec::new();
    let mut closed = 0_usize;
    for event in events {
        match &event {
            Event::Start(Tag::Link { .. } | Tag::Image { .. } | Tag::CodeBlock(_)) => closed += 1,
            Event::End(TagEnd::Link | TagEnd::Image | TagEnd::CodeBlock) => closed -= 1,
            Event::Text(text) if closed == 0 && text.contains("://") => {
                split(text, &mut out);
                continue;
            }
            _ => {}
        }
        out.push(event);
    }
    out
}

fn split(text: &str, out: &mut Vec<Event<'_>>) {
    let mut rest = text;
    while let Some((start, end)) = address(rest) {
        let link: CowStr<'static> = rest[start..end].to_owned().into();
        out.push(Event::Text(rest[..start].to_owned().into()));
        out.push(Event::Start(Tag::Link {
            link_type: LinkType::Autolink,
            dest_url: link.clone(),
            title: "".into(),
            id: "".into(),
        }));
        out.push(Event::Text(link));
        out.push(Event::End(TagEnd::Link));
        rest = &rest[end..];
    }
    out.push(Event::Text(rest.to_owned().into()));
}

/// Where the first address starts and ends.
fn address(text: &str) -> Option<(usize, usize)> {
    let mut from = 0;
    loop {
        let start =
            ["https://", "http://"].iter().filter_map(|scheme| text[from..].find(scheme)).min()? + from;
        let host = start + text[start..].find("://")? + 3;
        let before = text[..start].chars().next_back();
        let end = host + trimmed(&text[host..]);
        let begins_well = before.is_none_or(|c| !c.is_ascii_alphanumeric());
        if begins_well && text[host..end].starts_with(|c: char| c.is_alphanumeric()) {
            return Some((start, end));
        }
        from = host;
    }
}

/// Bytes of an address behind its scheme: up to a space or a Chinese mark, without the marks that end a sentence.
fn trimmed(rest: &str) -> usize {
    let is_end = |c: char| {
        c.is_whitespace()
            || matches!(
                c,
                '<' | '"'
                    | '，'
                    | '。'
                    | '、'
                    | '；'
                    | '：'
                    | '！'
                    | '？'
                    | '（'
                    | '）'
                    | '《'
                    | '》'
                    | '“'
                    | '”'
            )
    };
    let mut address = &rest[..rest.find(is_end).unwrap_or(rest.len())];
    while let Some(last) = address.chars().next_back() {
        let count = |wanted: char| address.chars().filter(|c| *c == wanted).count();
        let cut = matches!(last, '.' | ',' | ';' | ':' | '!' | '?' | '\'' | '’' | '*' | '_' | '~')
            || (last == ')' && count(')') > count('('));
        if !cut {
            break;
        }
        address = &address[..address.len() - last.len_utf8()];
    }
    address.len()
}

#[cfg(test)]
mod tests {
    use super::address;

    #[test]
    fn an_address_ends_where_a_reader_would_end_it() {
        for (text, wanted) in [
            ("see https://a.test/b_c?d=1&e.", Some("https://a.test/b_c?d=1&e")),
            ("见https://a.test/路径，然后", Some("https://a.test/路径")),
            ("(https://a.test/x_(y))", Some("https://a.test/x_(y)")),
            ("http://a.test", Some("http://a.test")),
            ("xhttps://a.test", None),
            ("https:// nothing", None),
            ("no address at all ://", None),
        ] {
            assert_eq!(address(text).map(|(start, end)| &text[start..end]), wanted, "{text}");
        }
    }
}
