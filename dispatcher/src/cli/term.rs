//! What goes to a person's terminal: colours, aligned tables, and text of others made harmless.

use std::{
    borrow::Cow,
    fmt::{Display, Write as _},
    io::{ErrorKind, IsTerminal as _, Write as _},
};

use anstyle::{AnsiColor, Style};
use comfy_table::{CellAlignment, Table, presets};

use super::{Exit, Failure};

/// What is of less interest.
pub(super) const DIM: Style = Style::new().dimmed();
/// Something began, or went well.
pub(super) const GOOD: Style = AnsiColor::Green.on_default();
/// Something ended.
pub(super) const ENDED: Style = AnsiColor::Yellow.on_default();
/// Something is missing, or still owed.
pub(super) const BAD: Style = AnsiColor::Red.on_default();
/// What the dispatcher says of itself or of a gateway.
pub(super) const NOTE: Style = AnsiColor::Cyan.on_default();

/// A text in a style, with the reset behind it.
pub(super) fn paint(style: Style, text: impl Display) -> String {
    format!("{style}{text}{style:#}")
}

/// Whether stdout is read by a person.
pub(super) fn is_terminal() -> bool {
    std::io::stdout().is_terminal()
}

/// Writes lines to stdout, without colours where it is no terminal. Nobody reading any more is no failure.
pub(super) fn print(text: &str) -> Result<(), Failure> {
    let mut out = anstream::stdout().lock();
    match writeln!(out, "{text}").and_then(|()| out.flush()) {
        Err(error) if error.kind() != ErrorKind::BrokenPipe => {
            Err(Exit::Fault.because(format!("stdout: {error}")))
        }
        _ => Ok(()),
    }
}

/// Says something on stderr; nobody is left to tell when that fails.
pub(super) fn say(text: impl Display) {
    let _ = writeln!(anstream::stderr(), "hookwire: {text}");
}

/// A name or text that came from elsewhere: control characters would steer the terminal.
pub(super) fn clean(text: &str) -> Cow<'_, str> {
    if !text.contains(char::is_control) {
        return Cow::Borrowed(text);
    }
    let mut harmless = String::with_capacity(text.len() + 8);
    for character in text.chars() {
        if character.is_control() {
            let _ = write!(harmless, "{}", character.escape_default()); // a String takes everything
        } else {
            harmless.push(character);
        }
    }
    Cow::Owned(harmless)
}

/// A table without lines: names to the left, numbers to the right.
pub(super) fn table(header: &[&str], names: usize, rows: impl IntoIterator<Item = Vec<String>>) -> String {
    let mut table = Table::new();
    table.load_style(presets::NOTHING).set_header(header.to_vec());
    for row in rows {
        table.add_row(row.iter().map(|cell| clean(cell).into_owned()).collect::<Vec<_>>());
    }
    for (index, column) in table.column_iter_mut().enumerate() {
        column.set_padding((0, 2));
        if index >= names {
            column.set_cell_alignment(CellAlignment::Right);
        }
    }
    table.trim_fmt()
}

/// Milliseconds for a person: `87 ms`, `1.2 s`, `3 min`, `26 h`.
pub(super) fn span(ms: u64) -> String {
    match ms {
        0..1_000 => format!("{ms} ms"),
        1_000..60_000 => format!("{}.{} s", ms / 1_000, ms % 1_000 / 100),
        60_000..7_200_000 => format!("{} min", ms / 60_000),
        _ => format!("{} h", ms / 3_600_000),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn foreign_text_cannot_steer_the_terminal() {
        assert_eq!(clean("agent:main"), "agent:main");
        assert_eq!(clean("\u{1b}[2J\r\nx\u{9b}1m"), "\\u{1b}[2J\\r\\nx\\u{9b}1m");
    }

    #[test]
    fn tables_are_aligned() {
        let rows = [vec!["audit".to_owned(), "7".to_owned()], vec!["m".to_owned(), "1234".to_owned()]];
        assert_eq!(
            table(&["subscriber", "owed"], 1, rows),
            "subscriber  owed\naudit          7\nm           1234"
        );
    }

    #[test]
    fn spans_are_short() {
        let spans = [0, 999, 1_234, 59_999, 60_000, 7_200_000].map(span);
        assert_eq!(spans, ["0 ms", "999 ms", "1.2 s", "59.9 s", "1 min", "2 h"]);
    }
}
