// SPDX-License-Identifier: GPL-3.0-or-later
//! What happened: all of it, or the latest of it.

use ratatui::Frame;
use ratatui::layout::Rect;
use ratatui::text::Line;

use super::pane;
use crate::ui::app::{App, Entry};
use crate::ui::text::labelled;

/// Columns of the time of day.
const CLOCK: usize = 6;

/// All lines of the log, oldest first.
pub(super) fn lines(app: &App) -> Vec<Line<'static>> {
    if app.log.is_empty() {
        return vec![Line::styled(" Nothing happened yet.", app.theme().faint())];
    }
    app.log.iter().flat_map(|entry| rows(app, entry, usize::from(app.size.0).saturating_sub(2))).collect()
}

/// Draws the latest lines in their frame.
pub(super) fn draw_activity(app: &App, frame: &mut Frame<'_>, area: Rect) {
    if area.height < 3 {
        return;
    }
    let (height, columns) = (usize::from(area.height) - 2, usize::from(area.width).saturating_sub(2));
    let skip = app.log.len().saturating_sub(height);
    let lines: Vec<Line<'_>> = app.log.iter().skip(skip).flat_map(|entry| rows(app, entry, columns)).collect();
    let skip = lines.len().saturating_sub(height);
    pane::draw(frame, area, "Activity", lines.into_iter().skip(skip).collect(), app.theme());
}

fn rows(app: &App, entry: &Entry, columns: usize) -> Vec<Line<'static>> {
    labelled(&app.setting.zone.clock(entry.at), CLOCK, &entry.text, columns, app.theme())
}
