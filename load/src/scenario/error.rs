//! What is wrong with a scenario.

use std::fmt;

use serde_saphyr::Location;

/// A scenario that cannot be used: where, what, and what to do.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
#[error("{file}{place}: {what}")]
pub struct ScenarioError {
    file: String,
    place: Place,
    what: String,
}

/// Line, column and field, as far as they are known.
#[derive(Debug, Default, PartialEq, Eq)]
struct Place {
    line_and_column: Option<(u64, u64)>,
    field: String,
}

impl ScenarioError {
    pub(super) fn unreadable(path: &str, error: &std::io::Error, built_in: &[&str]) -> Self {
        let names = built_in.join(", ");
        let what = format!("cannot be read ({error}); give the path of a YAML file or one of: {names}");
        Self { file: path.to_owned(), place: Place::default(), what }
    }

    pub(super) fn at(file: &str, location: Location, field: &str, what: impl Into<String>) -> Self {
        let place = Place { line_and_column: coordinates(location), field: field.to_owned() };
        Self { file: file.to_owned(), place, what: what.into() }
    }

    pub(super) fn yaml(file: &str, field: String, error: &serde_saphyr::Error) -> Self {
        let line_and_column = error.location().and_then(coordinates);
        let text = error.without_snippet().to_string();
        // The place is written in front, so the library's own mention of it goes.
        let what = text.split(" at line ").next().unwrap_or(&text).to_owned();
        let what =
            if what.contains("unknown field") { format!("{what}; remove or correct it") } else { what };
        Self { file: file.to_owned(), place: Place { line_and_column, field }, what }
    }
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some((line, column)) = self.line_and_column {
            write!(f, ":{line}:{column}")?;
        }
        if !self.field.is_empty() && self.field != "." {
            write!(f, ": {}", self.field)?;
        }
        Ok(())
    }
}

fn coordinates(location: Location) -> Option<(u64, u64)> {
    (location.line() > 0).then(|| (location.line(), location.column()))
}
