//! What a post must keep to, whether it comes from the editor, a program or another blog.

use crate::store::Draft;
use crate::text::typed;

/// Characters of a title.
pub(crate) const TITLE_CHARS_MAX: usize = 200;
/// Bytes of a text: a novel; the database and every reader's browser must bear it.
pub(crate) const BODY_BYTES_MAX: usize = 2 << 20;
/// Characters of a summary.
pub(crate) const SUMMARY_CHARS_MAX: usize = 500;
/// Tags of a post.
pub(crate) const TAGS_MAX: usize = 20;
/// Characters of a tag or a category.
pub(crate) const TERM_CHARS_MAX: usize = 50;
/// Characters of the name in URLs, of which at most 80 are used.
const SLUG_CHARS_MAX: usize = 200;

/// What is wrong with a field.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Problem {
    /// The field's name in forms and in the API.
    pub(crate) field: &'static str,
    /// What to do, in Chinese.
    pub(crate) zh: &'static str,
    /// What to do, in English.
    pub(crate) en: &'static str,
}

/// Everything that is wrong with a post, in the order of its fields.
#[must_use]
pub(crate) fn problems(draft: &Draft) -> Vec<Problem> {
    let chars = |text: &str| text.chars().count();
    let is_cover = |byte: u8| byte.is_ascii_alphanumeric() || b"-._".contains(&byte);
    let rules = [
        (
            (1..=TITLE_CHARS_MAX).contains(&chars(draft.title.trim())),
            ("title", "标题要有 1 到 200 个字。", "A title has 1 to 200 characters."),
        ),
        (
            chars(&draft.slug) <= SLUG_CHARS_MAX,
            ("slug", "链接名最多 200 个字。", "A link name has at most 200 characters."),
        ),
        (
            chars(&draft.summary) <= SUMMARY_CHARS_MAX,
            ("summary", "摘要最多 500 个字。", "A summary has at most 500 characters."),
        ),
        (draft.body.len() <= BODY_BYTES_MAX, ("body", "正文不能超过 2 MiB。", "A text has at most 2 MiB.")),
        (
            chars(&draft.category) <= TERM_CHARS_MAX,
            ("category", "分类最多 50 个字。", "A category has at most 50 characters."),
        ),
        (
            draft.tags.len() <= TAGS_MAX
                && draft.tags.iter().all(|tag| (1..=TERM_CHARS_MAX).contains(&chars(tag))),
            ("tags", "最多 20 个标签，每个 1 到 50 个字。", "At most 20 tags, each of 1 to 50 characters."),
        ),
        (
            draft.cover.len() <= 100 && draft.cover.bytes().all(is_cover),
            ("cover", "封面要写图片库里的文件名。", "A cover is the name of a file from the pictures."),
        ),
    ];
    rules
        .into_iter()
        .filter(|(holds, _)| !holds)
        .map(|(_, (field, zh, en))| Problem { field, zh, en })
        .collect()
}

/// The post without characters that no database and no feed takes.
pub(crate) fn tidy(draft: &mut Draft) {
    draft.title = typed(draft.title.trim());
    draft.slug = typed(draft.slug.trim());
    draft.summary = typed(draft.summary.trim());
    draft.body = typed(&draft.body);
    draft.category = term(&typed(&draft.category));
    draft.tags = draft.tags.iter().map(|tag| term(&typed(tag))).collect();
}

/// A tag's or category's name as it is kept: single spaces, none at the ends.
#[must_use]
pub(crate) fn term(name: &str) -> String {
    name.split_whitespace().collect::<Vec<_>>().join(" ")
}

#[cfg(test)]
mod tests {
    use super::problems;
    use crate::store::Draft;

    #[test]
    fn every_field_has_its_limit_and_all_that_is_wrong_is_said_at_once() {
        let fine = Draft { title: "字".repeat(200), ..Draft::default() };
        assert_eq!(problems(&fine), []);
        let wrong = Draft {
            title: " ".to_owned(),
            slug: "x".repeat(201),
            summary: "x".repeat(501),
            body: "x".repeat((2 << 20) + 1),
            category: "x".repeat(51),
            tags: vec![String::new()],
            cover: "../secret".to_owned(),
            ..Draft::default()
        };
        let fields: Vec<&str> = problems(&wrong).iter().map(|problem| problem.field).collect();
        assert_eq!(fields, ["title", "slug", "summary", "body", "category", "tags", "cover"]);
    }
}
