//! What the search knows of a text. Pure.
//!
//! Chinese has no spaces, and a trigram index can't find a word of two characters. So a text becomes *terms* before
//! either database sees it: a word of letters is one term, a run of Chinese characters becomes its pairs of
//! neighbours (`灰度发布` → `灰度 度发 发布`). A search for `灰度` is then one lookup, and a longer phrase a phrase of
//! pairs. One tokenizer serves both databases, so both find the same.
//!
//! A title's terms are kept once more with a mark, and so is each single Chinese character: what stands in titles, and
//! what holds `灰`, is then one lookup too, however common the word is.

use std::collections::BTreeSet;

/// Characters of a post that are indexed: a book of that length is still found by its first part.
const INDEXED_CHARS_MAX: usize = 200_000;
/// Terms of a query that count; the rest is ignored.
const QUERY_TERMS_MAX: usize = 32;
/// Letters of a word's beginning that is looked for; fewer begin half of all words.
const BEGINNING_CHARS_MIN: usize = 3;
/// Before the terms and characters of a title. Marks are characters of private use, which no query can hold.
const IN_TITLE: char = '\u{e000}';
/// Before a single character of title or text.
const SINGLE: char = '\u{e001}';

/// What is indexed of a post.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Indexed {
    /// The title's terms, then the marked ones.
    pub(super) title: String,
    /// The text's terms, then the single characters of title and text.
    pub(super) body: String,
}

/// What is asked for: every run of the query.
#[derive(Debug)]
pub(super) struct Query {
    runs: Vec<Run>,
}

/// Where words are asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Part {
    /// Title or text.
    Any,
    /// The title alone.
    Title,
}

#[derive(Debug)]
enum Run {
    Word(String),
    Han(Vec<char>),
}

/// The terms of a text, in order, separated by spaces.
#[must_use]
fn terms(text: &str) -> String {
    let mut out = String::with_capacity(text.len() * 2);
    for run in runs(text) {
        for term in run.terms() {
            push(&mut out, &term);
        }
    }
    out
}

// === impl Indexed ===

impl Indexed {
    pub(super) fn of(title: &str, body: &str) -> Self {
        let head: String = body.chars().take(INDEXED_CHARS_MAX).collect();
        let mut out = Self { title: terms(title), body: terms(&head) };
        let plain = out.title.clone();
        let in_title = singles(title);
        let pairs_and_words = plain.split(' ').filter(|term| term.chars().count() > 1 || !is_single(term));
        for term in pairs_and_words.chain(in_title.iter().map(String::as_str)).filter(|term| !term.is_empty())
        {
            push(&mut out.title, &marked(IN_TITLE, term));
        }
        for single in singles(&head).union(&in_title) {
            push(&mut out.body, &marked(SINGLE, single));
        }
        out
    }

    /// Every term once.
    pub(super) fn set(&self) -> Vec<String> {
        let all = self.title.split(' ').chain(self.body.split(' ')).filter(|term| !term.is_empty());
        all.map(str::to_owned).collect::<BTreeSet<String>>().into_iter().collect()
    }
}

// === impl Query ===

impl Query {
    /// Reads what somebody typed; `None` where it holds no letter and no digit.
    pub(super) fn read(text: &str) -> Option<Self> {
        let mut count = 0;
        let runs: Vec<Run> = runs(text)
            .into_iter()
            .take_while(|run| {
                count += run.terms().len();
                count <= QUERY_TERMS_MAX
            })
            .collect();
        (!runs.is_empty()).then_some(Self { runs })
    }

    /// For FTS5: every run as a quoted phrase. A term holds letters and digits only, so nothing in it can end the
    /// quotation. Where there are whole words for the last run, one of them must be there in its place.
    pub(super) fn phrases(&self, part: Part, whole_words: &[String]) -> String {
        let quoted = |terms: &[String]| format!("\"{}\"", terms.join(" "));
        let before = self.runs.len() - usize::from(!whole_words.is_empty());
        let mut phrases: Vec<String> =
            self.runs[..before].iter().map(|run| quoted(&run.asked(part))).collect();
        if !whole_words.is_empty() {
            let words: Vec<String> =
                whole_words.iter().map(|word| quoted(&Run::Word(word.clone()).asked(part))).collect();
            phrases.push(format!("({})", words.join(" OR ")));
        }
        phrases.join(" AND ")
    }

    /// For an index of sets: the terms.
    pub(super) fn terms(&self, part: Part) -> Vec<String> {
        self.runs.iter().flat_map(|run| run.asked(part)).collect()
    }

    /// Runs of more than one pair: that all their pairs are there does not say yet that they stand together.
    pub(super) fn long_runs(&self) -> Vec<String> {
        let long = |run: &Run| match run {
            Run::Han(chars) if chars.len() > 2 => Some(chars.iter().collect()),
            _ => None,
        };
        self.runs.iter().filter_map(long).collect()
    }

    /// The terms before the last word, and that word where it is long enough to be looked for as a beginning.
    pub(super) fn beginning(&self) -> Option<(Vec<String>, &str)> {
        match self.runs.split_last() {
            Some((Run::Word(word), before)) if word.chars().count() >= BEGINNING_CHARS_MIN => {
                Some((before.iter().flat_map(|run| run.asked(Part::Any)).collect(), word))
            }
            _ => None,
        }
    }
}

// === impl Run ===

impl Run {
    fn terms(&self) -> Vec<String> {
        match self {
            Self::Word(word) => vec![word.clone()],
            Self::Han(chars) if chars.len() == 1 => vec![chars.iter().collect()],
            Self::Han(chars) => chars.windows(2).map(|pair| pair.iter().collect()).collect(),
        }
    }

    /// The terms as they are asked for: a character alone may stand anywhere in a run of the text.
    fn asked(&self, part: Part) -> Vec<String> {
        let mark = match (part, self) {
            (Part::Title, _) => IN_TITLE,
            (Part::Any, Self::Han(chars)) if chars.len() == 1 => SINGLE,
            (Part::Any, _) => return self.terms(),
        };
        self.terms().iter().map(|term| marked(mark, term)).collect()
    }
}

/// Runs of letters and digits, in lower case, and runs of characters of scripts without spaces.
fn runs(text: &str) -> Vec<Run> {
    let mut runs = Vec::new();
    let mut word = String::new();
    let mut han: Vec<char> = Vec::new();
    for c in text.chars() {
        let spaceless = is_spaceless(c);
        if !han.is_empty() && !spaceless {
            runs.push(Run::Han(std::mem::take(&mut han)));
        }
        if !word.is_empty() && (spaceless || !c.is_alphanumeric()) {
            runs.push(Run::Word(std::mem::take(&mut word)));
        }
        if spaceless {
            han.push(c);
        } else if c.is_alphanumeric() {
            word.extend(c.to_lowercase().filter(|lower| lower.is_alphanumeric()));
        }
    }
    if !han.is_empty() {
        runs.push(Run::Han(han));
    }
    if !word.is_empty() {
        runs.push(Run::Word(word));
    }
    runs
}

/// The characters of scripts without spaces, each once.
fn singles(text: &str) -> BTreeSet<String> {
    text.chars().filter(|c| is_spaceless(*c)).map(String::from).collect()
}

fn is_single(term: &str) -> bool {
    term.chars().all(is_spaceless)
}

/// Scripts written without spaces: Han (with extensions and compatibility forms), kana, Thai.
fn is_spaceless(c: char) -> bool {
    matches!(c, '\u{3400}'..='\u{4dbf}' | '\u{4e00}'..='\u{9fff}' | '\u{f900}'..='\u{faff}'
        | '\u{20000}'..='\u{323af}' | '\u{3041}'..='\u{30ff}' | '\u{0e01}'..='\u{0e4e}' | '々' | '〇')
}

fn marked(mark: char, term: &str) -> String {
    format!("{mark}{term}")
}

fn push(out: &mut String, term: &str) {
    if !out.is_empty() {
        out.push(' ');
    }
    out.push_str(term);
}

#[cfg(test)]
mod tests {
    use super::{Indexed, Part, Query, terms};

    /// With marks that can be read.
    fn shown(text: &str) -> String {
        text.replace('\u{e000}', "^").replace('\u{e001}', "~")
    }

    #[test]
    fn chinese_becomes_pairs_and_words_stay_words() {
        assert_eq!(terms("灰度发布 with Kubernetes v1.34"), "灰度 度发 发布 with kubernetes v1 34");
        assert_eq!(terms("用Rust写"), "用 rust 写");
        assert_eq!(terms("  --- \n"), "");
    }

    #[test]
    fn a_title_is_marked_and_single_characters_are_kept_once() {
        let indexed = Indexed::of("灰度 v1", "灰度 的 Go");
        assert_eq!(shown(&indexed.title), "灰度 v1 ^灰度 ^v1 ^度 ^灰");
        assert_eq!(shown(&indexed.body), "灰度 的 go ~度 ~灰 ~的");
        assert_eq!(indexed.set().len(), 11);
        let empty = Indexed::of("", "");
        assert_eq!((empty.title.as_str(), empty.body.as_str(), empty.set().len()), ("", "", 0));
    }

    #[test]
    fn a_query_can_not_leave_its_quotation() {
        let whole = |query| Query::read(query).map(|query| shown(&query.phrases(Part::Any, &[])));
        assert_eq!(whole("灰度发布 rust").unwrap(), "\"灰度 度发 发布\" AND \"rust\"");
        assert_eq!(whole("\" OR NEAR(a) *").unwrap(), "\"or\" AND \"near\" AND \"a\"");
        assert_eq!(whole("的 \u{e000}x").unwrap(), "\"~的\" AND \"x\"");
        assert_eq!(whole("!!! ???"), None);
        let title = |query| shown(&Query::read(query).unwrap().phrases(Part::Title, &[]));
        assert_eq!(title("灰度发布 的 rust"), "\"^灰度 ^度发 ^发布\" AND \"^的\" AND \"^rust\"");
    }

    #[test]
    fn only_a_word_of_three_letters_at_the_end_may_be_a_beginning() {
        let beginning = |query| Query::read(query).unwrap().beginning().map(|(_, word)| word.to_owned());
        assert_eq!(beginning("灰度 kub"), Some("kub".to_owned()));
        assert_eq!((beginning("ku"), beginning("kub 灰度")), (None, None));
        let words = ["kube".to_owned(), "kubectl".to_owned()];
        let query = Query::read("灰度 kub").unwrap();
        assert_eq!(query.phrases(Part::Any, &words), "\"灰度\" AND (\"kube\" OR \"kubectl\")");
        assert_eq!(shown(&query.phrases(Part::Title, &words[..1])), "\"^灰度\" AND (\"^kube\")");
    }
}
