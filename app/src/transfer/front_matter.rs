//! The block of YAML at the start of a Markdown file, as Hexo, Hugo and Jekyll have it.

use serde_json::{Map, Value};

/// A file taken apart.
#[derive(Clone, Debug, Default)]
pub(super) struct FrontMatter {
    fields: Map<String, Value>,
}

impl FrontMatter {
    /// The front matter and the text after it. A file without one is all text.
    ///
    /// # Errors
    /// When there is front matter that can't be read; the text says why.
    pub(super) fn split(text: &str) -> Result<(Self, &str), String> {
        if text.starts_with("+++\n") {
            return Err(
                "its front matter is TOML; `hugo convert toYAML` writes it as YAML, which is read".into()
            );
        }
        let (block, rest) = match text.strip_prefix("---\n") {
            Some(after) => match block(after) {
                Some(parts) => parts,
                None => return Ok((Self::default(), text)),
            },
            // Hexo takes front matter without the first line too.
            None => match block(text).filter(|(block, _)| looks_like_fields(block)) {
                Some(parts) => parts,
                None => return Ok((Self::default(), text)),
            },
        };
        if block.trim().is_empty() {
            return Ok((Self::default(), rest));
        }
        let fields = serde_saphyr::from_str::<Map<String, Value>>(block).map_err(|error| {
            let message = error.to_string();
            format!("its front matter is no YAML: {}", message.lines().next().unwrap_or(""))
        })?;
        Ok((Self { fields }, rest))
    }

    /// The first of these fields that is a text or a number.
    pub(super) fn text(&self, names: &[&str]) -> Option<String> {
        names.iter().find_map(|name| match self.fields.get(*name)? {
            Value::String(text) if !text.trim().is_empty() => Some(text.trim().to_owned()),
            Value::Number(number) => Some(number.to_string()),
            _ => None,
        })
    }

    /// The first of these fields that is yes or no.
    pub(super) fn flag(&self, names: &[&str]) -> Option<bool> {
        names.iter().find_map(|name| self.fields.get(*name)?.as_bool())
    }

    /// The texts of a field that is a text, a list, or a list of lists.
    pub(super) fn list(&self, names: &[&str]) -> Vec<String> {
        let mut out = Vec::new();
        for name in names {
            if let Some(value) = self.fields.get(*name) {
                flatten(value, &mut out);
            }
        }
        out
    }
}

fn flatten(value: &Value, out: &mut Vec<String>) {
    match value {
        Value::String(text) => {
            out.extend(text.split(',').map(str::trim).filter(|part| !part.is_empty()).map(str::to_owned));
        }
        Value::Number(number) => out.push(number.to_string()),
        Value::Array(values) => values.iter().for_each(|value| flatten(value, out)),
        _ => {}
    }
}

/// What stands before a line `---`, and after it.
fn block(text: &str) -> Option<(&str, &str)> {
    if let Some(rest) = text.strip_prefix("---\n") {
        return Some(("", rest));
    }
    let at = text.find("\n---")?;
    let rest = &text[at + 4..];
    let rest = rest.strip_prefix('\n').or_else(|| rest.is_empty().then_some(""))?;
    Some((&text[..=at], rest))
}

fn looks_like_fields(block: &str) -> bool {
    let first = block.lines().next().unwrap_or("");
    first.split_once(':').is_some_and(|(name, _)| {
        !name.is_empty() && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"_-".contains(&byte))
    })
}

#[cfg(test)]
mod tests {
    use super::FrontMatter;

    #[test]
    fn fields_are_read_and_the_text_is_left_alone() {
        let file = "---\ntitle: 灰度: 一\ndate: 2024-03-01 20:00:00\ntags: [a, b c]\ncategories:\n- [技术, 运维]\n- x\n\
                    draft: true\n---\n# Text\n\n---\nmore\n";
        let wrong = FrontMatter::split(file).unwrap_err();
        assert!(wrong.contains("no YAML"), "{wrong}");
        let (fields, text) = FrontMatter::split(&file.replace("灰度: 一", "\"灰度: 一\""))
            .map(|(f, t)| (f, t.to_owned()))
            .unwrap();
        assert_eq!(fields.text(&["nothing", "title"]).unwrap(), "灰度: 一");
        assert_eq!(fields.text(&["date"]).unwrap(), "2024-03-01 20:00:00");
        assert_eq!(fields.list(&["tags"]), ["a", "b c"]);
        assert_eq!(fields.list(&["categories"]), ["技术", "运维", "x"]);
        assert_eq!(fields.flag(&["draft"]), Some(true));
        assert_eq!(text, "# Text\n\n---\nmore\n");
    }

    #[test]
    fn hexos_short_form_is_read_and_a_rule_in_a_text_is_no_front_matter() {
        let (fields, text) = FrontMatter::split("title: x\ntags: a, b\n---\nText").unwrap();
        assert_eq!((fields.list(&["tags"]), text), (vec!["a".to_owned(), "b".to_owned()], "Text"));
        for plain in ["Just text.\n\n---\n\nMore.", "", "---\nno end", "# Head: line\n\n---\nx"] {
            assert_eq!(FrontMatter::split(plain).unwrap().1, plain);
        }
        assert!(FrontMatter::split("+++\ntitle = 1\n+++\n").unwrap_err().contains("TOML"));
    }
}
