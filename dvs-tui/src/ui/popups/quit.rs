// SPDX-License-Identifier: GPL-3.0-or-later
//! The question what becomes of the call when its user leaves.

use ratatui::Frame;
use ratatui::layout::Rect;
use ratatui::text::Line;

use super::frame;
use crate::ui::app::App;
use crate::ui::calls::who;
use crate::ui::keys::Context;

const COLUMNS: u16 = 60;

/// Draws the question.
pub(super) fn draw(app: &App, frame: &mut Frame<'_>, area: Rect) {
    let theme = app.theme();
    let question = match app.calls.to_leave() {
        Some(call) => format!(" There is a call with {}.", who(&call.info, theme)),
        None => " The call is over.".to_owned(),
    };
    let mut lines = vec![
        Line::default(),
        Line::styled(question, theme.strong()),
        Line::raw(" It does not need this window."),
        Line::default(),
    ];
    let columns = COLUMNS.min(area.width).saturating_sub(2);
    lines.extend(frame::key_lines(&[Context::Quit], columns, theme));
    frame::draw(frame, area, "Quit", COLUMNS, lines, theme);
}
