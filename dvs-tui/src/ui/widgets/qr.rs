// SPDX-License-Identifier: GPL-3.0-or-later
//! A QR code as text: half blocks, or two characters per module without Unicode.

use qrcode::{Color, EcLevel, QrCode};
use ratatui::style::{Color as Paint, Style};
use ratatui::text::{Line, Span};

use crate::ui::theme::Theme;

/// The light frame that readers need, in modules. The standard says 4; with 2 the code of an ID fits 80x24 and is
/// still read.
const QUIET: usize = 2;

/// The code of `content`, quiet zone included; `None` if it is too long.
pub(crate) fn lines(content: &str, theme: Theme) -> Option<Vec<Line<'static>>> {
    let code = QrCode::with_error_correction_level(content, EcLevel::L).ok()?;
    let picture = Picture { width: code.width(), dark: code.to_colors() };
    Some(match (theme.symbols.unicode, theme.colour) {
        (true, true) => picture.half_blocks(true).into_iter().map(|row| Line::styled(row, PAPER)).collect(),
        (true, false) => picture.half_blocks(false).into_iter().map(Line::raw).collect(),
        (false, true) => picture.painted(),
        (false, false) => picture.ascii(),
    })
}

/// Readers want dark on light, whatever the terminal's own colours are.
const PAPER: Style = Style::new().fg(Paint::Black).bg(Paint::White);

struct Picture {
    width: usize,
    dark: Vec<Color>,
}

impl Picture {
    /// Modules along one side, quiet zone included.
    fn side(&self) -> usize {
        self.width + 2 * QUIET
    }

    fn is_dark(&self, row: usize, column: usize) -> bool {
        let (Some(row), Some(column)) = (row.checked_sub(QUIET), column.checked_sub(QUIET)) else { return false };
        column < self.width && self.dark.get(row * self.width + column) == Some(&Color::Dark)
    }

    /// Two rows in one. `dark_ink` or not: without colours the terminal is taken for a dark one, and its ink is light.
    fn half_blocks(&self, dark_ink: bool) -> Vec<String> {
        let ink = |row, column| row < self.side() && self.is_dark(row, column) == dark_ink;
        let block = |row: usize, column: usize| match (ink(row, column), ink(row + 1, column)) {
            (true, true) => '█',
            (true, false) => '▀',
            (false, true) => '▄',
            (false, false) => ' ',
        };
        (0..self.side()).step_by(2).map(|row| (0..self.side()).map(|column| block(row, column)).collect()).collect()
    }

    /// Blanks with a coloured background.
    fn painted(&self) -> Vec<Line<'static>> {
        let cell = |row, column| {
            let paint = if self.is_dark(row, column) { Paint::Black } else { Paint::White };
            Span::styled("  ", Style::new().bg(paint))
        };
        (0..self.side()).map(|row| (0..self.side()).map(|column| cell(row, column)).collect()).collect()
    }

    /// Light modules as ink, on a terminal taken for a dark one.
    fn ascii(&self) -> Vec<Line<'static>> {
        let cell = |row, column| if self.is_dark(row, column) { "  " } else { "##" };
        (0..self.side())
            .map(|row| Line::raw((0..self.side()).map(|column| cell(row, column)).collect::<String>()))
            .collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ui::example::OWN;

    #[test]
    fn the_code_of_an_id_fits_into_80x24() {
        let lines = lines(&OWN.to_uppercase(), Theme::new(true, true)).unwrap();
        assert_eq!((lines.len(), lines[0].width()), (15, 29));
    }

    #[test]
    fn the_modules_are_the_same_in_ascii() {
        let rows: Vec<String> =
            lines("DVS", Theme::new(false, false)).unwrap().iter().map(ToString::to_string).collect();
        assert_eq!(rows.len(), 21 + 2 * QUIET);
        assert_eq!(&rows[QUIET][2 * QUIET..][..14], " ".repeat(14), "the corner's upper edge is seven dark modules");
        assert_eq!(rows[0], "#".repeat(2 * rows.len()), "the quiet zone is light");
        let painted = lines("DVS", Theme::new(false, true)).unwrap();
        assert_eq!(painted[QUIET].spans[QUIET].style.bg, Some(Paint::Black));
        assert_eq!(painted[0].spans[0].style.bg, Some(Paint::White));
    }

    #[test]
    fn too_long_a_text_has_no_code() {
        assert_eq!(lines(&"x".repeat(5_000), Theme::new(true, true)), None);
    }
}
