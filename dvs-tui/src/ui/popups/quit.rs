// SPDX-License-Identifier: GPL-3.0-or-later
//! The question what becomes of the call when its user leaves.

use ratatui::Frame;
use ratatui::layout::Rect;
use ratatui::text::Line;

use super::frame;
use crate::ui::app::App;
use crate::ui::calls::who;
use crate::ui::keys::Context;

/// Draws the question.
pub(super) fn draw(app: &App, frame: &mut Frame<'_>, area: Rect) {
    let theme = app.theme();
    let question = match app.calls.to_leave() {
        Some(call) => format!(" There is a call with {}.", who(&call.info, theme)),
        None => " The call is over.".to_owned(),
    };
    let lines = vec![
        Line::default(),
        Line::styled(question, theme.strong()),
        Line::raw(" It does not need this window."),
        Line::default(),
        frame::key_line(&[Context::Quit], theme),
    ];
    frame::draw(frame, area, "Quit", 60, lines, theme);
}
