//! YAML files whose errors name the file, the line, the field and the remedy.

use serde::de::{self, DeserializeOwned};
use serde::{Deserialize, Deserializer};
use serde_saphyr::Spanned;
use std::collections::BTreeMap;
use std::fmt;
use std::fs;
use std::path::{Path, PathBuf};

/// Why a file was refused.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum FileError {
    /// It could not be read.
    #[error("{}: cannot be read: {source}; name a file that is there and may be read", path.display())]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// It does not say what it should.
    #[error("{}{place}: {field}{message}", path.display())]
    Invalid {
        /// The file.
        path: PathBuf,
        /// `:line:column`, where known.
        place: String,
        /// The path of the field and a colon, where known.
        field: String,
        /// What is wrong, and what to write instead.
        message: String,
    },
}

/// Reads a YAML file.
///
/// # Errors
/// Where it cannot be read or does not say what `T` needs.
pub fn read<T: DeserializeOwned>(path: &Path) -> Result<T, FileError> {
    let text =
        fs::read_to_string(path).map_err(|source| FileError::Unreadable { path: path.to_owned(), source })?;
    parse(&text, path)
}

/// Parses YAML; `path` is what errors call it.
///
/// # Errors
/// Where it does not say what `T` needs.
pub fn parse<T: DeserializeOwned>(text: &str, path: &Path) -> Result<T, FileError> {
    let mut field = String::new();
    let options = serde_saphyr::options! { with_snippet: false };
    serde_saphyr::with_deserializer_from_str_with_options(text, options, |deserializer| {
        serde_path_to_error::deserialize(deserializer).map_err(|error| {
            field = error.path().to_string();
            error.into_inner()
        })
    })
    .map_err(|error| invalid(path, text, &field, &error))
}

fn invalid(path: &Path, text: &str, field: &str, error: &serde_saphyr::Error) -> FileError {
    let message = error.without_snippet().to_string();
    // The place is told once, before the field.
    let message = message.split(" at line ").next().unwrap_or_default();
    let (whole, rest) = whole_path(field, message);
    let told = error.location().map(|at| (at.line(), at.column()));
    // A rule between fields is checked when their parent is read; the field that the message names says it better.
    let place = if rest.len() < message.len() { locate(text, &whole).or(told) } else { told };
    let (field, message) = (whole, rest);
    let place = place.map(|(line, column)| format!(":{line}:{column}")).unwrap_or_default();
    let field = if field.is_empty() { field } else { format!("{field}: ") };
    FileError::Invalid { path: path.to_owned(), place, field, message: message.to_owned() }
}

/// The path of the parent and the path that the message begins with, together; and the rest of the message.
fn whole_path<'a>(parent: &str, message: &'a str) -> (String, &'a str) {
    let parent = if parent == "." { "" } else { parent };
    let named = message.split_once(": ").filter(|(path, _)| {
        !path.is_empty() && path.chars().all(|char| char.is_ascii_alphanumeric() || "._[]".contains(char))
    });
    match named {
        Some((path, rest)) if parent.is_empty() => (path.to_owned(), rest),
        Some((path, rest)) => (format!("{parent}.{path}"), rest),
        None => (parent.to_owned(), message),
    }
}

/// Line and column of the field at `path`, or of its nearest parent that is there.
fn locate(text: &str, path: &str) -> Option<(u64, u64)> {
    let mut node = &serde_saphyr::from_str::<Spanned<Node>>(text).ok()?;
    let mut found = None;
    for part in path.split(['.', '[']).filter(|part| !part.is_empty()) {
        let next = match &node.value {
            Node::Mapping(fields) => fields.get(part),
            Node::Sequence(items) => items.get(part.trim_end_matches(']').parse::<usize>().ok()?),
            Node::Scalar => None,
        };
        let Some(next) = next else { break };
        node = next;
        found = Some((node.defined.line(), node.defined.column()));
    }
    found
}

/// A document of which only the places matter.
enum Node {
    Mapping(BTreeMap<String, Spanned<Node>>),
    Sequence(Vec<Spanned<Node>>),
    Scalar,
}

impl<'de> Deserialize<'de> for Node {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Visitor;

        impl<'de> de::Visitor<'de> for Visitor {
            type Value = Node;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("anything")
            }

            fn visit_map<A: de::MapAccess<'de>>(self, map: A) -> Result<Node, A::Error> {
                BTreeMap::deserialize(de::value::MapAccessDeserializer::new(map)).map(Node::Mapping)
            }

            fn visit_seq<A: de::SeqAccess<'de>>(self, items: A) -> Result<Node, A::Error> {
                Vec::deserialize(de::value::SeqAccessDeserializer::new(items)).map(Node::Sequence)
            }

            fn visit_unit<E>(self) -> Result<Node, E> {
                Ok(Node::Scalar)
            }

            fn visit_bool<E>(self, _: bool) -> Result<Node, E> {
                Ok(Node::Scalar)
            }

            fn visit_i64<E>(self, _: i64) -> Result<Node, E> {
                Ok(Node::Scalar)
            }

            fn visit_u64<E>(self, _: u64) -> Result<Node, E> {
                Ok(Node::Scalar)
            }

            fn visit_f64<E>(self, _: f64) -> Result<Node, E> {
                Ok(Node::Scalar)
            }

            fn visit_str<E>(self, _: &str) -> Result<Node, E> {
                Ok(Node::Scalar)
            }
        }
        deserializer.deserialize_any(Visitor)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use release::Spec;

    fn refused(yaml: &str) -> String {
        parse::<Spec>(yaml, Path::new("spec.yaml")).unwrap_err().to_string()
    }

    #[test]
    fn an_error_names_the_file_the_line_the_field_and_the_remedy() {
        for (yaml, place, parts) in [
            (
                "bake: 5s\nsteps:\n  - weight: 5%\n    wieght: 6%\n",
                "spec.yaml:4:5: ",
                &["steps[0]", "wieght", "weight"][..],
            ),
            (
                "steps:\n  - weight: 101%\n",
                "spec.yaml:2:",
                &["steps[0].weight", "101% is outside 0% to 100%"],
            ),
            ("bake: -5s\n", "spec.yaml:1:", &["bake: ", "`-5s` is not a duration: write it as 10s"]),
            ("analysis:\n  alpha: [\n", "spec.yaml:", &[]),
            (
                "steps: [{weight: 20%}, {weight: 5%}]\n",
                "spec.yaml:1:",
                &["steps[1].weight: 5% does not go up"],
            ),
        ] {
            let error = refused(yaml);
            assert!(error.starts_with(place), "{error}");
            for part in parts {
                assert!(error.contains(part), "{part}: {error}");
            }
            assert_eq!(error.lines().count(), 1, "{error}");
        }
    }

    #[test]
    fn a_missing_file_is_named() {
        let error = read::<Spec>(Path::new("/nowhere/spec.yaml")).unwrap_err().to_string();
        assert!(error.starts_with("/nowhere/spec.yaml: cannot be read: "), "{error}");
    }
}
