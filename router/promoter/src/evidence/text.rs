//! The text format that Prometheus scrapes, as far as counters and histograms need it.
//!
//! Source: <https://prometheus.io/docs/instrumenting/exposition_formats/>.

use std::collections::BTreeMap;

/// One line: a name, its labels and a value.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Line {
    pub(super) number: usize,
    pub(super) labels: BTreeMap<String, String>,
    pub(super) value: f64,
}

/// The lines of `page` whose metric has exactly this name.
///
/// # Errors
/// A sentence with the line number where such a line cannot be understood.
pub(super) fn lines_of(page: &str, name: &str) -> Result<Vec<Line>, String> {
    let mut lines = Vec::new();
    for (index, text) in page.lines().enumerate() {
        let Some(rest) = text.strip_prefix(name) else { continue };
        if !rest.starts_with(['{', ' ', '\t']) {
            continue;
        }
        let number = index + 1;
        let (labels, value) =
            parse(rest).ok_or_else(|| format!("line {number} is cut short or malformed"))?;
        lines.push(Line { number, labels, value });
    }
    Ok(lines)
}

/// A counter is a whole number; `what` names it in the error.
pub(super) fn count(value: f64, what: &str) -> Result<u64, String> {
    // Above 2^53 a float no longer counts in ones.
    const LIMIT: f64 = 9_007_199_254_740_992.0;
    if value.fract() == 0.0 && (0.0..=LIMIT).contains(&value) {
        #[expect(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "checked in the line above"
        )]
        return Ok(value as u64);
    }
    Err(format!("{what} is {value}, and a counter is a whole number of at least 0"))
}

/// `{name="value",…} value [timestamp]`.
fn parse(rest: &str) -> Option<(BTreeMap<String, String>, f64)> {
    let (labels, rest) = match rest.strip_prefix('{') {
        Some(inside) => labels(inside)?,
        None => (BTreeMap::new(), rest),
    };
    let value = rest.split_whitespace().next()?;
    Some((labels, value.parse().ok()?))
}

/// The labels, and what follows the closing brace.
fn labels(mut rest: &str) -> Option<(BTreeMap<String, String>, &str)> {
    let mut labels = BTreeMap::new();
    loop {
        rest = rest.trim_start_matches([',', ' ']);
        if let Some(after) = rest.strip_prefix('}') {
            return Some((labels, after));
        }
        let (name, after) = rest.split_once("=\"")?;
        let (value, after) = quoted(after)?;
        labels.insert(name.trim().to_owned(), value);
        rest = after;
    }
}

/// A value with its escapes undone, and what follows the closing quote.
fn quoted(text: &str) -> Option<(String, &str)> {
    let mut value = String::new();
    let mut chars = text.char_indices();
    while let Some((index, char)) = chars.next() {
        match char {
            '"' => return Some((value, text.get(index + 1..)?)),
            '\\' => value.push(match chars.next()?.1 {
                'n' => '\n',
                other => other,
            }),
            other => value.push(other),
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_metric_of_that_name_is_read() {
        let page = "# HELP a_count x\na_count{t=\"s\"} 3\na_count_total 9\na_count 4 1395066363000\n";
        let lines = lines_of(page, "a_count").unwrap();
        assert_eq!(lines.iter().map(|line| line.value).collect::<Vec<_>>(), [3.0, 4.0]);
        assert_eq!(lines[0].labels["t"], "s");
    }

    #[test]
    fn labels_may_hold_anything() {
        let lines = lines_of(r#"m{a="x,}\"\\y",b="n\nl",} +Inf"#, "m").unwrap();
        assert_eq!(lines[0].labels["a"], "x,}\"\\y");
        assert_eq!(lines[0].labels["b"], "n\nl");
        assert_eq!(lines[0].value, f64::INFINITY);
    }

    #[test]
    fn a_page_that_was_cut_short_is_told_by_its_line() {
        for text in ["m{a=\"x\" 1", "m{a=\"x", "m{a=\"x\"} ", "m{a} 1", "m one"] {
            let error = lines_of(&format!("# m\n{text}"), "m").unwrap_err();
            assert_eq!(error, "line 2 is cut short or malformed", "{text}");
        }
    }

    #[test]
    fn a_counter_is_a_whole_number() {
        assert_eq!(count(12.0, "x"), Ok(12));
        for value in [f64::NAN, f64::INFINITY, -1.0, 0.5, 1e300] {
            assert!(count(value, "x").unwrap_err().starts_with(&format!("x is {value}")));
        }
    }
}
