// SPDX-License-Identifier: GPL-3.0-or-later
//! The list of recent calls.

use dvs_proto::message::Direction;
use ratatui::Frame;
use ratatui::layout::Rect;
use ratatui::text::{Line, Span};
use ratatui::widgets::Paragraph;

use super::pane;
use crate::ui::app::App;
use crate::ui::calls::{missed, named};
use crate::ui::people::{self, Pane, Recent};
use crate::ui::text::ends;
use crate::ui::time::timer;

/// Draws the list in its frame.
pub(super) fn draw(app: &App, frame: &mut Frame<'_>, area: Rect) {
    let theme = app.theme();
    let block = pane::block("Recent", app.lists.pane == Pane::Recent, theme);
    let inside = block.inner(area);
    let rows = people::recent(&app.daemon);
    let mut lines = Vec::new();
    if rows.is_empty() {
        lines.push(Line::styled(" No calls yet.", theme.faint()));
    }
    let selected = app.lists.recent_row(&app.daemon);
    for (index, recent) in pane::window(rows, selected, inside.height) {
        lines.push(row(app, &recent, index == selected, usize::from(inside.width)));
    }
    frame.render_widget(Paragraph::new(lines).block(block), area);
}

fn row(app: &App, recent: &Recent<'_>, selected: bool, columns: usize) -> Line<'static> {
    let (theme, call) = (app.theme(), recent.call);
    let mark = match call.direction {
        _ if missed(call) => Span::styled(theme.symbols.bad, theme.bad()),
        Direction::Incoming => Span::raw(theme.symbols.incoming),
        Direction::Outgoing => Span::raw(theme.symbols.outgoing),
    };
    let focus = app.lists.pane == Pane::Recent;
    let pointer = if selected && focus { theme.symbols.pointer } else { " " };
    let name = named(call.name.as_deref(), &call.peer, theme);
    let right = format!("{} {:>6}", app.setting.zone.when(call.started, app.now.unix), outcome(app, recent));
    let rest = format!(" {}", ends(&name, &right, columns.saturating_sub(4), theme));
    let line = Line::from(vec![Span::raw(pointer), mark, Span::raw(rest), Span::raw(" ")]);
    if selected && focus { line.style(theme.selected()) } else { line }
}

/// How long it was talked, or that it was not.
fn outcome(app: &App, recent: &Recent<'_>) -> String {
    match recent.call.talked {
        Some(seconds) => timer(u64::from(seconds)),
        None if recent.times > 1 => format!("{}{}", app.theme().symbols.times, recent.times),
        None if missed(recent.call) => "missed".to_owned(),
        None => "-".to_owned(),
    }
}
