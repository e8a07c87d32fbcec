//! Colours, columns and times for people.

use jiff::Timestamp;
use std::env;
use std::fmt::Write as _;
use std::io::IsTerminal as _;

/// Whether colours are used.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Style {
    /// Text alone.
    Plain,
    /// Text with colours.
    Coloured,
}

/// A meaning that has a colour.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Tone {
    Good,
    Bad,
    Busy,
    Faint,
    Strong,
}

// === impl Style ===

impl Style {
    /// Colours on a terminal, unless `NO_COLOR` is set (<https://no-color.org>).
    pub(super) fn of_stdout() -> Self {
        let wanted = env::var_os("NO_COLOR").is_none_or(|value| value.is_empty());
        if wanted && std::io::stdout().is_terminal() { Self::Coloured } else { Self::Plain }
    }

    pub(super) fn paint(self, tone: Tone, text: &str) -> String {
        let code = match tone {
            Tone::Good => "32",
            Tone::Bad => "31",
            Tone::Busy => "33",
            Tone::Faint => "2",
            Tone::Strong => "1",
        };
        match self {
            Self::Plain => text.to_owned(),
            Self::Coloured => format!("\x1b[{code}m{text}\x1b[0m"),
        }
    }
}

/// Rows in columns, as kubectl prints them: three spaces between, nothing at the end of a line.
pub(super) fn columns<const N: usize>(rows: &[[String; N]]) -> String {
    let mut widths = [0; N];
    for row in rows {
        for (width, cell) in widths.iter_mut().zip(row) {
            *width = (*width).max(visible(cell));
        }
    }
    let mut text = String::new();
    for row in rows {
        let mut line = String::new();
        for (width, cell) in widths.iter().zip(row) {
            let padding = width - visible(cell) + 3;
            // Writing to a string does not fail.
            let _ = write!(line, "{cell}{:padding$}", "");
        }
        text.push_str(line.trim_end());
        text.push('\n');
    }
    text
}

/// The columns that a text takes, without its colours.
pub(super) fn visible(text: &str) -> usize {
    let mut width = 0;
    let mut chars = text.chars();
    while let Some(char) = chars.next() {
        if char == '\x1b' {
            chars.by_ref().find(|char| *char == 'm');
        } else {
            width += 1;
        }
    }
    width
}

/// The first `width` columns of a line, colours kept.
pub(super) fn cut(line: &str, width: usize) -> String {
    if visible(line) <= width {
        return line.to_owned();
    }
    let (mut text, mut seen) = (String::new(), 0);
    let mut chars = line.chars();
    while let Some(char) = chars.next() {
        text.push(char);
        if char == '\x1b' {
            for char in chars.by_ref() {
                text.push(char);
                if char == 'm' {
                    break;
                }
            }
            continue;
        }
        seen += 1;
        if seen + 1 >= width {
            break;
        }
    }
    text + "…\x1b[0m"
}

/// A span as kubectl writes ages: `45s`, `12m`, `3h`, `2d`.
pub(super) fn span(from: Timestamp, to: Timestamp) -> String {
    let seconds = to.duration_since(from).as_secs().max(0);
    match seconds {
        0..120 => format!("{seconds}s"),
        120..600 => match seconds % 60 {
            0 => format!("{}m", seconds / 60),
            rest => format!("{}m{rest}s", seconds / 60),
        },
        600..10_800 => format!("{}m", seconds / 60),
        10_800..172_800 => format!("{}h", seconds / 3600),
        _ => format!("{}d", seconds / 86_400),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_line_up_whatever_their_colours() {
        let green = Style::Coloured.paint(Tone::Good, "ok");
        let rows = [["A".to_owned(), "B".to_owned()], [green, "x".to_owned()]];
        assert_eq!(columns(&rows), "A    B\n\x1b[32mok\x1b[0m   x\n");
    }

    #[test]
    fn ages_are_short() {
        for (seconds, text) in [
            (-5, "0s"),
            (0, "0s"),
            (119, "119s"),
            (150, "2m30s"),
            (180, "3m"),
            (7200, "120m"),
            (200_000, "2d"),
        ] {
            let from = Timestamp::UNIX_EPOCH;
            assert_eq!(span(from, Timestamp::from_second(seconds).unwrap()), text);
        }
    }

    #[test]
    fn a_line_is_cut_to_the_terminal_with_its_colours_closed() {
        assert_eq!(cut("short", 10), "short");
        assert_eq!(cut("a longer line", 5), "a lo…\x1b[0m");
        assert_eq!(visible(&cut(&Style::Coloured.paint(Tone::Bad, "a longer line"), 5)), 5);
    }
}
