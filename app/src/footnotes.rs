//! Footnotes at the end of a text, in the order in which they are first mentioned, each with its ways back.

use std::collections::HashMap;

use pulldown_cmark::{CowStr, Event, Tag, TagEnd};

/// Takes the notes out of the text and puts those that are mentioned at its end.
pub(crate) fn notes_last(events: Vec<Event<'_>>) -> Vec<Event<'_>> {
    let (mut out, bodies) = taken_out(events);
    if bodies.is_empty() {
        return out;
    }
    let mut notes = Notes { bodies, order: Vec::new() };
    out = notes.number(out);
    let mut index = 0;
    let mut list = Vec::new();
    // A note may mention further notes, so the order grows on the way.
    while let Some(label) = notes.order.get(index).map(|note| note.label.clone()) {
        let body = notes.bodies.remove(&label).unwrap_or_default();
        list.push(notes.number(body));
        index += 1;
    }
    if !list.is_empty() {
        out.push(Event::Html("<section class=\"footnotes\" role=\"doc-endnotes\"><ol>".into()));
        for (index, (body, note)) in list.into_iter().zip(&notes.order).enumerate() {
            write(&mut out, body, (index + 1, note.mentions));
        }
        out.push(Event::Html("</ol></section>\n".into()));
    }
    out
}

struct Notes<'a> {
    bodies: HashMap<CowStr<'a>, Vec<Event<'a>>>,
    order: Vec<Note<'a>>,
}

struct Note<'a> {
    label: CowStr<'a>,
    mentions: usize,
}

impl<'a> Notes<'a> {
    /// Turns every mention into a link with its number.
    fn number(&mut self, events: Vec<Event<'a>>) -> Vec<Event<'a>> {
        events
            .into_iter()
            .map(|event| match event {
                Event::FootnoteReference(label) => self.mention(label),
                other => other,
            })
            .collect()
    }

    fn mention(&mut self, label: CowStr<'a>) -> Event<'a> {
        let index = match self.order.iter().position(|note| note.label == label) {
            Some(index) => index,
            None if self.bodies.contains_key(&label) => {
                self.order.push(Note { label, mentions: 0 });
                self.order.len() - 1
            }
            None => return Event::Text(format!("[^{label}]").into()),
        };
        self.order[index].mentions += 1;
        let (number, mention) = (index + 1, way_back(index + 1, self.order[index].mentions));
        Event::InlineHtml(
            format!(
                "<sup class=\"footnote\"><a id=\"{mention}\" href=\"#fn-{number}\" role=\"doc-noteref\">{number}</a></sup>"
            )
            .into(),
        )
    }
}

/// The text without its notes, and the notes by their labels; the first of a label counts.
fn taken_out(events: Vec<Event<'_>>) -> (Vec<Event<'_>>, HashMap<CowStr<'_>, Vec<Event<'_>>>) {
    let mut text = Vec::with_capacity(events.len());
    let mut bodies: HashMap<CowStr<'_>, Vec<Event<'_>>> = HashMap::new();
    let mut inside: Option<(CowStr<'_>, Vec<Event<'_>>)> = None;
    for event in events {
        match event {
            Event::Start(Tag::FootnoteDefinition(label)) => inside = Some((label, Vec::new())),
            Event::End(TagEnd::FootnoteDefinition) => {
                if let Some((label, body)) = inside.take() {
                    bodies.entry(label).or_insert(body);
                }
            }
            event => match &mut inside {
                Some((_, body)) => body.push(event),
                None => text.push(event),
            },
        }
    }
    (text, bodies)
}

/// One note as an item of the list; the links back stand in its last paragraph.
fn write<'a>(out: &mut Vec<Event<'a>>, mut body: Vec<Event<'a>>, (number, mentions): (usize, usize)) {
    let links: String = (1..=mentions)
        .map(|mention| format!(" <a href=\"#{}\" role=\"doc-backlink\">↩</a>", way_back(number, mention)))
        .collect();
    let place = match body.last() {
        Some(Event::End(TagEnd::Paragraph)) => body.len() - 1,
        _ => body.len(),
    };
    body.insert(place, Event::InlineHtml(links.into()));
    out.push(Event::Html(format!("<li id=\"fn-{number}\">").into()));
    out.append(&mut body);
    out.push(Event::Html("</li>".into()));
}

/// The anchor of a mention: `fnref-2`, and `fnref-2-3` where the note is mentioned for the third time.
fn way_back(number: usize, mention: usize) -> String {
    if mention == 1 { format!("fnref-{number}") } else { format!("fnref-{number}-{mention}") }
}
