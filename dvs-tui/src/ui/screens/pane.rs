// SPDX-License-Identifier: GPL-3.0-or-later
//! Framed panes and the lists in them.

use ratatui::Frame;
use ratatui::layout::Rect;
use ratatui::style::Style;
use ratatui::text::{Line, Span};
use ratatui::widgets::{Block, Paragraph};

use crate::ui::theme::Theme;

/// A frame with a title, strong when in focus.
pub(super) fn block(title: &str, focus: bool, theme: Theme) -> Block<'static> {
    let style = if focus { theme.strong() } else { theme.faint() };
    Block::bordered()
        .border_set(theme.symbols.border)
        .border_style(if focus { Style::new() } else { theme.faint() })
        .title(Span::styled(format!(" {title} "), style))
}

/// Draws `lines` into a titled frame.
pub(super) fn draw(frame: &mut Frame<'_>, area: Rect, title: &str, lines: Vec<Line<'_>>, theme: Theme) {
    frame.render_widget(Paragraph::new(lines).block(block(title, false, theme)), area);
}

/// The part of `rows` that fits into `height` and holds the row `selected`, which is kept near the middle.
pub(super) fn window<T>(rows: Vec<T>, selected: usize, height: u16) -> Vec<(usize, T)> {
    let height = usize::from(height);
    let skip = selected.saturating_sub(height / 2).min(rows.len().saturating_sub(height));
    rows.into_iter().enumerate().skip(skip).take(height).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_selected_row_is_always_in_the_window() {
        let rows: Vec<usize> = (0..50).collect();
        for selected in 0..50 {
            let shown = window(rows.clone(), selected, 7);
            assert_eq!(shown.len(), 7);
            assert!(shown.iter().any(|(index, _)| *index == selected));
        }
        assert_eq!(window(vec![1, 2], 1, 7).len(), 2);
    }
}
