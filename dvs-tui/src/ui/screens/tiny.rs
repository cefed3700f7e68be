// SPDX-License-Identifier: GPL-3.0-or-later
//! A terminal too small for anything but the call: its timer and the mute stay in sight, and its keys work.

use ratatui::Frame;
use ratatui::layout::Rect;
use ratatui::text::{Line, Span};
use ratatui::widgets::Paragraph;

use super::bars;
use crate::ui::app::App;
use crate::ui::calls::{waits_here, who};
use crate::ui::keys::{self, Action};
use crate::ui::text::{self, join_fitting};

/// Draws what fits.
pub(super) fn draw(app: &App, frame: &mut Frame<'_>, area: Rect) {
    let theme = app.theme();
    let columns = usize::from(area.width);
    let mut lines = Vec::new();
    if app.calls.to_leave().is_some() {
        lines.extend(bars::call_in_short(app).map(Line::from));
        lines.push(hints(app, &[(Action::Mute, "mute"), (Action::HangUp, "hang up")], columns));
    }
    if let Some(call) = app.calls.asking() {
        let does = if waits_here(&call.info) { "is waiting" } else { "is calling" };
        let line = text::cut(&format!("{} {does}", who(&call.info, theme)), columns, theme);
        lines.push(Line::styled(line, theme.strong()));
        lines.extend(app.typing().then(|| Line::raw("Esc, then a or x")));
        lines.push(hints(app, &[(Action::Answer, "answer"), (Action::Decline, "decline")], columns));
    }
    let size = format!("terminal too small: {}x{}", area.width, area.height);
    lines.push(Line::raw(text::cut(&size, columns, theme)));
    frame.render_widget(Paragraph::new(lines), area);
}

/// The keys of `actions`, if they hold now.
fn hints(app: &App, actions: &[(Action, &str)], columns: usize) -> Line<'static> {
    let contexts = app.contexts();
    let group = |(action, word): &(Action, &str)| {
        let key = keys::shown(&contexts, *action)?;
        Some(vec![Span::styled(key.to_string(), app.theme().key()), Span::raw(format!(" {word}"))])
    };
    join_fitting(actions.iter().filter_map(group).collect(), columns)
}
