//! What became of the rows, and the table of it.

use std::fmt;
use std::time::Duration;

/// A row that was told.
#[derive(Clone, Debug)]
pub(crate) struct Row {
    pub(crate) group: &'static str,
    pub(crate) sentence: &'static str,
    pub(crate) end: End,
    pub(crate) took: Duration,
}

/// How a row ended.
#[derive(Clone, Debug)]
pub(crate) enum End {
    Passed,
    /// Failed first, and passed on a fresh cluster; why it failed first.
    PassedAtSecondTry(String),
    Failed(String),
    Skipped(String),
}

// === impl Row ===

impl fmt::Display for Row {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { group, sentence, end, took } = self;
        let (word, note, why) = match end {
            End::Passed => ("pass", "", ""),
            End::PassedAtSecondTry(why) => ("pass", " (passed at the second try)", why.as_str()),
            End::Failed(why) => ("FAIL", "", why.as_str()),
            End::Skipped(why) => ("skip", "", why.as_str()),
        };
        write!(f, "{word}  {:>6.1} s  {group:<12} {sentence}{note}", took.as_secs_f64())?;
        why.lines().try_for_each(|line| write!(f, "\n      {line}"))
    }
}

/// The table, and under it the counts.
pub(crate) fn table(told: &[Row]) -> String {
    let count = |matches: fn(&End) -> bool| told.iter().filter(|row| matches(&row.end)).count();
    let again = count(|end| matches!(end, End::PassedAtSecondTry(_)));
    let rows: String = told.iter().map(|row| format!("{row}\n")).collect();
    format!(
        "{rows}\n{} passed{}, {} failed, {} skipped",
        count(|end| matches!(end, End::Passed)) + again,
        if again == 0 { String::new() } else { format!(" ({again} at the second try)") },
        count(|end| matches!(end, End::Failed(_))),
        count(|end| matches!(end, End::Skipped(_)))
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    fn row(end: End) -> Row {
        Row { group: "deploy", sentence: "it works", end, took: Duration::from_millis(1250) }
    }

    #[test]
    fn a_table_ends_with_counts_and_hides_no_second_try() {
        let rows = [
            row(End::Passed),
            row(End::PassedAtSecondTry("a hiccup".to_owned())),
            row(End::Failed("a\nb".to_owned())),
            row(End::Skipped("no root".to_owned())),
        ];
        let expected = [
            "pass     1.2 s  deploy       it works",
            "pass     1.2 s  deploy       it works (passed at the second try)",
            "      a hiccup",
            "FAIL     1.2 s  deploy       it works",
            "      a",
            "      b",
            "skip     1.2 s  deploy       it works",
            "      no root",
            "",
            "2 passed (1 at the second try), 1 failed, 1 skipped",
        ];
        assert_eq!(table(&rows), expected.join("\n"));
    }
}
