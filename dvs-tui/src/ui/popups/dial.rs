// SPDX-License-Identifier: GPL-3.0-or-later
//! Whom to call.

use ratatui::Frame;
use ratatui::layout::Rect;

use super::frame;
use super::target::TargetField;
use crate::ui::app::App;
use crate::ui::keys::Context;

const LABEL: &str = "Who ";
const COLUMNS: u16 = 62;

/// A name, an ID or an invite.
#[derive(Clone, Debug, Default)]
pub(crate) struct Dial {
    /// What was typed, and whose it is.
    pub(crate) target: TargetField,
    /// What the daemon has against it.
    pub(crate) trouble: Option<String>,
}

impl Dial {
    /// What was typed.
    pub(crate) fn text(&self) -> String {
        self.target.text()
    }

    /// Draws the form.
    pub(crate) fn draw(&self, app: &App, frame: &mut Frame<'_>, area: Rect) {
        let theme = app.theme();
        let columns = COLUMNS.min(area.width).saturating_sub(2);
        let mut lines = vec![frame::field_line(LABEL, &self.target.input, columns, theme)];
        lines.extend(self.target.lines("ID, invite or name", columns, theme));
        lines.extend(frame::trouble_lines(self.target.news(self.trouble.as_deref()), columns, theme));
        lines.extend(frame::key_lines(&[Context::Field], columns, theme));
        let inside = frame::draw(frame, area, "Call", COLUMNS, lines, theme);
        frame::set_cursor(frame, inside, 0, LABEL, &self.target.input);
    }
}
