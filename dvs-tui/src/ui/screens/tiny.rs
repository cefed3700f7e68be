// SPDX-License-Identifier: GPL-3.0-or-later
//! A terminal too small for anything but the call: its timer and the mute stay in sight, and its keys work.

use dvs_proto::message::CallState;
use ratatui::Frame;
use ratatui::layout::Rect;
use ratatui::text::Line;
use ratatui::widgets::Paragraph;

use super::bars;
use crate::ui::app::App;
use crate::ui::calls::who;
use crate::ui::text;

/// Draws what fits.
pub(super) fn draw(app: &App, frame: &mut Frame<'_>, area: Rect) {
    let theme = app.theme();
    let columns = usize::from(area.width);
    let mut lines = Vec::new();
    if let Some(call) = app.incoming.and_then(|incoming| app.calls.get(incoming.call)) {
        let name = who(&call.info, theme);
        lines.push(Line::styled(text::cut(&format!("{name} is calling"), columns, theme), theme.strong()));
        let keys = if app.typing() { "Esc, then a or x" } else { "a answer  x decline" };
        lines.push(Line::raw(keys));
    }
    let current = app.calls.current().filter(|call| call.info.state != CallState::Alerting);
    if current.is_some() {
        lines.extend(bars::call_in_short(app).map(Line::from));
    }
    lines.push(Line::raw(text::cut(&format!("too small: {}x{}", area.width, area.height), columns, theme)));
    if current.is_some() {
        lines.push(bars::hints(app, columns));
    }
    frame.render_widget(Paragraph::new(lines), area);
}
