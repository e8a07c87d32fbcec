//! Recorded counts in a table.

use release::{Counts, Tally};
use std::fs;
use std::path::{Path, PathBuf};

/// The columns, in this order.
const HEADER: [&str; 5] = ["tick", "canary_requests", "canary_errors", "stable_requests", "stable_errors"];

/// What was counted in one tick.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RecordedTick {
    /// Its number; numbers rise, and what lies between two of them passed without counts.
    pub tick: u64,
    /// The counts.
    pub counts: Counts,
}

/// Why a table of counts was refused.
#[derive(Debug, thiserror::Error)]
#[error("{}{place}: {problem}", path.display())]
pub struct CountsError {
    path: PathBuf,
    /// `:line:column`, the column counted in values.
    place: String,
    problem: String,
}

/// Reads a table of counts: a header, then a line for each tick; lines that begin with `#` are comments.
///
/// # Errors
/// Where the file cannot be read or a value makes no sense; the text names the file, the line and the column.
pub fn read_counts(path: &Path) -> Result<Vec<RecordedTick>, CountsError> {
    let text = fs::read_to_string(path).map_err(|error| CountsError {
        path: path.to_owned(),
        place: String::new(),
        problem: format!("cannot be read: {error}"),
    })?;
    parse(&text).map_err(|(line, column, problem)| CountsError {
        path: path.to_owned(),
        place: format!(":{line}:{column}"),
        problem,
    })
}

/// An error is a line, a column and what is wrong there.
type Wrong = (usize, usize, String);

fn parse(text: &str) -> Result<Vec<RecordedTick>, Wrong> {
    let lines = text.lines().enumerate().map(|(index, line)| (index + 1, line.trim()));
    let mut lines = lines.filter(|(_, line)| !line.is_empty() && !line.starts_with('#'));
    let header = lines.next();
    let (line, columns) = header.map_or((1, Vec::new()), |(line, header)| (line, split(header)));
    if columns != HEADER {
        let column = HEADER.iter().zip(&columns).take_while(|(wanted, found)| *wanted == *found).count() + 1;
        return Err((line, column, format!("the header must be {}", HEADER.join(","))));
    }
    let mut ticks: Vec<RecordedTick> = Vec::new();
    for (line, text) in lines {
        let tick = row(line, text)?;
        if let Some(before) = ticks.last().filter(|before| before.tick >= tick.tick) {
            return Err((line, 1, format!("tick {} does not come after tick {}", tick.tick, before.tick)));
        }
        ticks.push(tick);
    }
    Ok(ticks)
}

fn row(line: usize, text: &str) -> Result<RecordedTick, Wrong> {
    let values = split(text);
    if values.len() != HEADER.len() {
        let problem = format!("{} values where the header has {}", values.len(), HEADER.len());
        return Err((line, values.len().min(HEADER.len()), problem));
    }
    let mut numbers = [0; HEADER.len()];
    for (index, (number, (name, value))) in numbers.iter_mut().zip(HEADER.iter().zip(&values)).enumerate() {
        *number = value.parse::<u32>().map(u64::from).map_err(|_| {
            (line, index + 1, format!("{name}: `{value}` is not a count; write a whole number of at least 0"))
        })?;
    }
    let [tick, m_c, k_c, m_s, k_s] = numbers;
    for (column, name, errors, requests) in [(3, HEADER[2], k_c, m_c), (5, HEADER[4], k_s, m_s)] {
        if errors > requests {
            return Err((line, column, format!("{name}: {errors} errors of {requests} requests cannot be")));
        }
    }
    Ok(RecordedTick { tick, counts: Counts { canary: Tally::new(m_c, k_c), stable: Tally::new(m_s, k_s) } })
}

fn split(line: &str) -> Vec<&str> {
    line.split(',').map(str::trim).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_table_is_read_with_comments_and_blank_lines() {
        let text = "# Tuesday\ntick,canary_requests,canary_errors,stable_requests,stable_errors\n1, 10,0,90,1\n\n3,20,2,80,0\n";
        let ticks = parse(text).unwrap();
        assert_eq!(ticks.iter().map(|tick| tick.tick).collect::<Vec<_>>(), [1, 3]);
        assert_eq!(ticks[1].counts.canary, Tally::new(20, 2));
    }

    #[test]
    fn nonsense_is_named_by_line_and_column() {
        let header = HEADER.join(",");
        for (text, line, column, part) in [
            (String::new(), 1, 1, "the header must be tick,canary_requests"),
            ("tick,canary_errors".to_owned(), 1, 2, "the header must be"),
            (format!("{header}\n1,2,0,3"), 2, 4, "4 values where the header has 5"),
            (format!("{header}\n1,2,0,3,-1"), 2, 5, "stable_errors: `-1` is not a count"),
            (format!("{header}\n1,NaN,0,3,0"), 2, 2, "canary_requests: `NaN` is not a count"),
            (format!("{header}\n1,2,3,3,0"), 2, 3, "3 errors of 2 requests cannot be"),
            (format!("{header}\n2,1,0,1,0\n2,1,0,1,0"), 3, 1, "tick 2 does not come after tick 2"),
        ] {
            let (at_line, at_column, problem) = parse(&text).unwrap_err();
            assert_eq!((at_line, at_column), (line, column), "{text}");
            assert!(problem.contains(part), "{problem}");
        }
    }
}
