// SPDX-License-Identifier: GPL-3.0-or-later
//! Standard output: lines for people, or JSON for programs.

use std::io::{Stdout, Write, stderr, stdout};

use dvs_proto::message::Audio;
use serde::Serialize;
use unicode_width::UnicodeWidthStr;

use crate::failed::Failed;

/// Where verbs print.
pub(super) struct Output {
    json: bool,
    stdout: Stdout,
}

impl Output {
    /// JSON or text.
    pub(super) fn new(json: bool) -> Self {
        Self { json, stdout: stdout() }
    }

    /// Prints `value` for programs, or what `text` makes of it for people.
    pub(super) fn show<T: Serialize>(&mut self, value: &T, text: impl FnOnce(&T) -> String) -> Result<(), Failed> {
        if self.json {
            let json = serde_json::to_string(value).map_err(|error| Failed::internal(error.to_string()))?;
            return self.line(&json);
        }
        match text(value) {
            nothing if nothing.is_empty() => Ok(()),
            text => self.line(&text),
        }
    }

    /// Prints each of `values` for programs, or all of them as a table for people; `nothing` when there are none.
    pub(super) fn list<T: Serialize, const N: usize>(
        &mut self,
        values: &[T],
        nothing: &str,
        row: impl Fn(&T) -> [String; N],
    ) -> Result<(), Failed> {
        if self.json {
            return values.iter().try_for_each(|value| self.show(value, |_| String::new()));
        }
        if values.is_empty() {
            return self.line(nothing);
        }
        let rows: Vec<[String; N]> = values.iter().map(row).collect();
        self.line(&table(&rows))
    }

    /// Says that something is done of which there is nothing to show.
    pub(super) fn done(&mut self, text: &str) -> Result<(), Failed> {
        self.line(if self.json { r#"{"done":true}"# } else { text })
    }

    /// Prints something for people only.
    pub(super) fn note(&mut self, text: &str) -> Result<(), Failed> {
        if self.json { Ok(()) } else { self.line(text) }
    }

    /// Prints a line, at once.
    pub(super) fn line(&mut self, text: &str) -> Result<(), Failed> {
        writeln!(self.stdout, "{text}")?;
        Ok(self.stdout.flush()?)
    }
}

/// Says something besides, on standard error.
pub(super) fn aside(text: &str) {
    // Nothing can be done when even this fails.
    let _ = writeln!(stderr(), "{text}");
}

/// Says that nobody will be heard before the microphone is switched on again.
pub(super) fn mention_mute(audio: &Audio) {
    if audio.muted {
        aside("note: the microphone is muted; to speak: dvs-tui mute off");
    }
}

/// Lines of columns, each as wide as its widest cell.
pub(super) fn table<const N: usize>(rows: &[[String; N]]) -> String {
    let mut widths = [0; N];
    for row in rows {
        for (width, cell) in widths.iter_mut().zip(row) {
            *width = (*width).max(cell.width());
        }
    }
    let lines = rows.iter().map(|row| {
        let cells = row.iter().zip(widths);
        let line: String = cells.map(|(cell, width)| format!("{cell}{}  ", pad(cell, width))).collect();
        line.trim_end().to_owned()
    });
    lines.collect::<Vec<_>>().join("\n")
}

fn pad(cell: &str, width: usize) -> String {
    " ".repeat(width.saturating_sub(cell.width()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_line_up_whatever_the_script() {
        let rows = [["Alice".into(), "1".into()], ["アリス".into(), "2".into()], [String::new(), "3".into()]];
        assert_eq!(table(&rows), "Alice   1\nアリス  2\n        3");
    }
}
