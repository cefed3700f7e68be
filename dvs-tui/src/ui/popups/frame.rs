// SPDX-License-Identifier: GPL-3.0-or-later
//! The frame all pop-ups share: centred, cleared, titled, with its keys on the last line.

use ratatui::Frame;
use ratatui::layout::{Constraint, Position, Rect};
use ratatui::text::{Line, Span};
use ratatui::widgets::{Block, Clear, Paragraph};
use tui_input::Input as Field;

use crate::ui::keys::{self, Context};
use crate::ui::text;
use crate::ui::theme::Theme;

/// Draws `lines` in a titled box in the middle of `area`, at most `columns` wide; hands back the box's inside.
pub(super) fn draw(
    frame: &mut Frame<'_>,
    area: Rect,
    title: &str,
    columns: u16,
    lines: Vec<Line<'_>>,
    theme: Theme,
) -> Rect {
    let rows = u16::try_from(lines.len()).unwrap_or(u16::MAX).saturating_add(2);
    let place = area.centered(Constraint::Max(columns), Constraint::Max(rows.min(area.height)));
    let block = Block::bordered()
        .border_set(theme.symbols.border)
        .border_style(theme.strong())
        .title(Span::styled(format!(" {title} "), theme.strong()));
    let inside = block.inner(place);
    frame.render_widget(Clear, place);
    frame.render_widget(Paragraph::new(lines).block(block), place);
    inside
}

/// The keys that hold in `contexts`, as one line.
pub(super) fn key_line(contexts: &[Context], theme: Theme) -> Line<'static> {
    let mut spans = vec![Span::raw(" ")];
    for binding in keys::hints(contexts) {
        let key = binding.shown().map(|key| key.to_string()).unwrap_or_default();
        spans.extend([Span::styled(key, theme.key()), Span::raw(format!(" {}   ", binding.footer))]);
    }
    Line::from(spans)
}

/// A labelled text field; the part around the cursor is shown.
pub(super) fn field_line(label: &str, field: &Field, columns: u16, theme: Theme) -> Line<'static> {
    let room = field_room(label, columns);
    let skipped = field.visual_scroll(room);
    let value: String = skip_columns(field.value(), skipped);
    Line::from(vec![Span::styled(format!(" {label} "), theme.faint()), Span::raw(text::fit(&value, room, theme))])
}

/// Puts the terminal's cursor into a field drawn by [`field_line`] on row `row` of `inside`.
pub(super) fn set_cursor(frame: &mut Frame<'_>, inside: Rect, row: u16, label: &str, field: &Field) {
    let room = field_room(label, inside.width);
    let at = field.visual_cursor().saturating_sub(field.visual_scroll(room)) + text::width(label) + 2;
    let column = u16::try_from(at).unwrap_or(u16::MAX).min(inside.width.saturating_sub(1));
    if row < inside.height {
        frame.set_cursor_position(Position::new(inside.x + column, inside.y + row));
    }
}

fn field_room(label: &str, columns: u16) -> usize {
    usize::from(columns).saturating_sub(text::width(label) + 3)
}

fn skip_columns(value: &str, columns: usize) -> String {
    let mut skipped = 0;
    let gone = |c: &char| {
        let before = skipped;
        skipped += unicode_width::UnicodeWidthChar::width(*c).unwrap_or(0);
        before < columns
    };
    value.chars().skip_while(gone).collect()
}

/// What is wrong, or an empty line.
pub(super) fn trouble_lines(trouble: Option<&str>, columns: u16, theme: Theme) -> Vec<Line<'static>> {
    match trouble {
        Some(why) => text::paragraph(&format!("{} {why}", theme.symbols.bad), usize::from(columns), theme.bad()),
        None => vec![Line::default()],
    }
}
