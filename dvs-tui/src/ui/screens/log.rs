// SPDX-License-Identifier: GPL-3.0-or-later
//! What happened: all of it, or the latest of it.

use ratatui::Frame;
use ratatui::layout::Rect;
use ratatui::text::{Line, Span};

use super::pane;
use crate::ui::app::{App, Entry};
use crate::ui::text;

/// All lines of the log, oldest first.
pub(super) fn lines(app: &App) -> Vec<Line<'static>> {
    if app.log.is_empty() {
        return vec![Line::styled(" Nothing happened yet.", app.theme().faint())];
    }
    app.log.iter().map(|entry| line(app, entry, usize::from(app.size.0).saturating_sub(2))).collect()
}

/// Draws the latest lines in their frame.
pub(super) fn draw_activity(app: &App, frame: &mut Frame<'_>, area: Rect) {
    if area.height < 3 {
        return;
    }
    let (rows, columns) = (usize::from(area.height) - 2, usize::from(area.width).saturating_sub(2));
    let skip = app.log.len().saturating_sub(rows);
    let lines = app.log.iter().skip(skip).map(|entry| line(app, entry, columns)).collect();
    pane::draw(frame, area, "Activity", lines, app.theme());
}

fn line(app: &App, entry: &Entry, columns: usize) -> Line<'static> {
    let clock = format!(" {} ", app.setting.zone.clock(entry.at));
    let room = columns.saturating_sub(text::width(&clock));
    let text = text::cut(&entry.text, room, app.theme());
    Line::from(vec![Span::styled(clock, app.theme().faint()), Span::raw(text)])
}
