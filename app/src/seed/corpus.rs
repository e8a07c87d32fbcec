//! The building blocks of the example posts, read from the text files beside this one.

/// Everything that posts are made of.
pub(super) struct Corpus {
    pub(super) subjects: Vec<Subject>,
    /// Names and texts.
    pub(super) comments: Vec<(String, String)>,
}

/// A subject with what can be said about it.
#[derive(Default)]
pub(super) struct Subject {
    pub(super) is_chinese: bool,
    pub(super) category: String,
    pub(super) tags: Vec<String>,
    pub(super) titles: Vec<String>,
    /// Headings with Markdown.
    pub(super) parts: Vec<(String, String)>,
}

impl Corpus {
    pub(super) fn read() -> Self {
        let mut subjects = subjects(include_str!("zh.md"), true);
        subjects.extend(subjects_en());
        Self { subjects, comments: comments(include_str!("comments.txt")) }
    }
}

fn subjects_en() -> Vec<Subject> {
    subjects(include_str!("en.md"), false)
}

fn subjects(text: &str, is_chinese: bool) -> Vec<Subject> {
    let mut subjects: Vec<Subject> = Vec::new();
    for line in text.lines() {
        if line.starts_with("@subject ") {
            subjects.push(Subject { is_chinese, ..Subject::default() });
        }
        let Some(subject) = subjects.last_mut() else { continue };
        match line.split_once(' ') {
            Some(("@subject", _)) => {}
            Some(("@category", name)) => subject.category = name.to_owned(),
            Some(("@tags", names)) => subject.tags = names.split(", ").map(str::to_owned).collect(),
            Some(("@title", title)) => subject.titles.push(title.to_owned()),
            Some(("@part", heading)) => subject.parts.push((heading.to_owned(), String::new())),
            _ => {
                if let Some((_, content)) = subject.parts.last_mut() {
                    content.push_str(line);
                    content.push('\n');
                }
            }
        }
    }
    subjects
}

fn comments(text: &str) -> Vec<(String, String)> {
    text.lines()
        .filter_map(|line| {
            let mut fields = line.splitn(3, '|').skip(1);
            Some((fields.next()?.to_owned(), fields.next()?.replace("\\n", "\n")))
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::Corpus;

    #[test]
    fn every_subject_has_enough_to_say() {
        let corpus = Corpus::read();
        assert!(corpus.subjects.len() >= 12);
        assert!(corpus.comments.len() >= 12);
        for subject in &corpus.subjects {
            assert!(subject.titles.len() >= 5 && subject.parts.len() >= 4, "{:?}", subject.titles);
            assert!(!subject.category.is_empty() && subject.tags.len() >= 2, "{:?}", subject.titles);
            assert!(subject.parts.iter().all(|(_, content)| !content.trim().is_empty()));
        }
    }
}
