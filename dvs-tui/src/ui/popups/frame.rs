// SPDX-License-Identifier: GPL-3.0-or-later
//! The frame all pop-ups share: centred, cleared, titled, with its keys on the last line.

use ratatui::Frame;
use ratatui::layout::{Constraint, Position, Rect};
use ratatui::text::{Line, Span};
use ratatui::widgets::{Block, Clear, Paragraph};
use tui_input::Input as Field;

use crate::ui::keys::{self, Binding, Context};
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

/// The keys that hold in `contexts`, in as many lines as they need.
pub(super) fn key_lines(contexts: &[Context], columns: u16, theme: Theme) -> Vec<Line<'static>> {
    lines_of(keys::hints(contexts).into_iter().map(|binding| hint(binding, theme)), columns)
}

/// A key and what it does.
pub(super) fn hint(binding: &Binding, theme: Theme) -> Vec<Span<'static>> {
    let key = binding.shown().map(|key| key.to_string()).unwrap_or_default();
    vec![Span::styled(key, theme.key()), Span::raw(format!(" {}", binding.footer))]
}

/// Groups of spans in lines of at most `columns`; no group is cut as long as it fits a line of its own.
pub(super) fn lines_of(groups: impl Iterator<Item = Vec<Span<'static>>>, columns: u16) -> Vec<Line<'static>> {
    let mut lines: Vec<Line<'static>> = Vec::new();
    for group in groups {
        let needed: usize = group.iter().map(|span| text::width(&span.content)).sum();
        match lines.last_mut() {
            Some(line) if text::line_width(line) + 3 + needed <= usize::from(columns) => {
                line.spans.push(Span::raw("   "));
                line.spans.extend(group);
            }
            _ => lines.push(Line::from_iter([Span::raw(" ")].into_iter().chain(group))),
        }
    }
    lines
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
