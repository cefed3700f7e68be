// SPDX-License-Identifier: GPL-3.0-or-later
//! A QR code as text: half blocks, or two characters per module without Unicode.

use qrcode::{Color, EcLevel, QrCode};
use ratatui::style::{Color as Paint, Style};
use ratatui::text::Line;

use crate::ui::theme::Theme;

/// The light frame that readers need, in modules. The standard says 4; with 2 the code of an ID fits 80x24 and is
/// still read.
const QUIET: usize = 2;

/// The code of `content`, quiet zone included; `None` if it is too long.
pub(crate) fn lines(content: &str, theme: Theme) -> Option<Vec<Line<'static>>> {
    let code = QrCode::with_error_correction_level(content, EcLevel::L).ok()?;
    let picture = Picture { width: code.width(), dark: code.to_colors() };
    let rows = if theme.symbols.unicode { picture.half_blocks(theme) } else { picture.ascii(theme) };
    // Readers want dark on light whatever the terminal's colours are.
    let paper = if theme.colour { Style::new().fg(Paint::Black).bg(Paint::White) } else { Style::new() };
    Some(rows.into_iter().map(|row| Line::styled(row, paper)).collect())
}

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

    /// Whether to put ink there. Without colours the terminal is taken for a dark one: then ink is light.
    fn ink(&self, row: usize, column: usize, theme: Theme) -> bool {
        self.is_dark(row, column) == theme.colour
    }

    fn half_blocks(&self, theme: Theme) -> Vec<String> {
        let block = |row: usize, column: usize| {
            let lower = row + 1 < self.side() && self.ink(row + 1, column, theme);
            match (self.ink(row, column, theme), lower) {
                (true, true) => '█',
                (true, false) => '▀',
                (false, true) => '▄',
                (false, false) => ' ',
            }
        };
        (0..self.side()).step_by(2).map(|row| (0..self.side()).map(|column| block(row, column)).collect()).collect()
    }

    fn ascii(&self, theme: Theme) -> Vec<String> {
        let cell = |row: usize, column: usize| if self.ink(row, column, theme) { "##" } else { "  " };
        (0..self.side()).map(|row| (0..self.side()).map(|column| cell(row, column)).collect()).collect()
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
        let wide = lines("DVS", Theme::new(false, true)).unwrap();
        let rows: Vec<String> = wide.iter().map(ToString::to_string).collect();
        assert_eq!(rows.len(), 21 + 2 * QUIET);
        assert_eq!(&rows[QUIET][2 * QUIET..][..14], "#".repeat(14), "the corner's upper edge is seven dark modules");
        assert!(rows[0].trim().is_empty(), "the quiet zone is empty");
    }

    #[test]
    fn too_long_a_text_has_no_code() {
        assert_eq!(lines(&"x".repeat(5_000), Theme::new(true, true)), None);
    }
}
