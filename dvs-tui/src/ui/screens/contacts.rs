// SPDX-License-Identifier: GPL-3.0-or-later
//! The list of contacts.

use dvs_proto::message::{Contact, Trust};
use ratatui::Frame;
use ratatui::layout::{Position, Rect};
use ratatui::text::{Line, Span};
use ratatui::widgets::Paragraph;

use super::pane;
use crate::ui::app::App;
use crate::ui::calls::{in_brief, named};
use crate::ui::people::Pane;
use crate::ui::presence;
use crate::ui::text::{self, ends};
use crate::ui::trust;

/// Draws the list in its frame.
pub(super) fn draw(app: &App, frame: &mut Frame<'_>, area: Rect) {
    let theme = app.theme();
    let (shown, all) = (app.lists.contacts(&app.daemon).len(), app.daemon.contacts.len());
    let count = if shown == all { format!("{all}") } else { format!("{shown} of {all}") };
    let block = pane::block(&format!("Contacts ({count})"), app.lists.pane == Pane::Contacts, theme);
    let inside = block.inner(area);
    frame.render_widget(block, area);
    draw_rows(app, frame, inside);
}

/// Draws filter and rows without a frame.
pub(super) fn draw_rows(app: &App, frame: &mut Frame<'_>, area: Rect) {
    let columns = usize::from(area.width);
    let mut lines = Vec::new();
    let filter = app.lists.filter.value();
    if app.lists.filtering || !filter.is_empty() {
        lines.push(Line::from(vec![
            Span::styled("/", app.theme().key()),
            Span::raw(text::cut(filter, columns.saturating_sub(2), app.theme())),
        ]));
    }
    if app.lists.filtering {
        let column = u16::try_from(app.lists.filter.visual_cursor() + 1).unwrap_or(u16::MAX);
        frame.set_cursor_position(Position::new(area.x + column.min(area.width.saturating_sub(1)), area.y));
    }
    let contacts = app.lists.contacts(&app.daemon);
    let rows = area.height.saturating_sub(u16::try_from(lines.len()).unwrap_or(0));
    if contacts.is_empty() {
        lines.extend(nobody(app));
    }
    let selected = app.lists.contact_row(&app.daemon);
    for (index, contact) in pane::window(contacts, selected, rows) {
        lines.push(row(app, contact, index == selected, columns));
    }
    frame.render_widget(Paragraph::new(lines), area);
}

fn row(app: &App, contact: &Contact, selected: bool, columns: usize) -> Line<'static> {
    let theme = app.theme();
    let name = named(Some(&contact.name), &contact.id, theme);
    let call = app.calls.ongoing().iter().find(|call| call.info.peer == contact.id);
    let right = match (call, contact.trust) {
        (Some(call), _) => in_brief(&call.info).to_owned(),
        (None, Trust::Changed) => "KEY CHANGED".to_owned(),
        (None, Trust::Blocked) => "blocked".to_owned(),
        (None, _) => presence::in_brief(contact, app.now.unix, theme),
    };
    let pointer = if selected { theme.symbols.pointer } else { " " };
    let mark = Span::styled(trust::mark(contact.trust, theme), trust::style(contact.trust, theme));
    let rest = format!(" {}", ends(&name, &right, columns.saturating_sub(4), theme));
    let line = Line::from(vec![Span::raw(pointer), mark, Span::raw(rest), Span::raw(" ")]);
    if selected && app.lists.pane == Pane::Contacts { line.style(theme.selected()) } else { line }
}

/// What to do when there is nobody in the list.
fn nobody(app: &App) -> Vec<Line<'static>> {
    let theme = app.theme();
    if !app.lists.filter.value().is_empty() {
        return vec![Line::styled(" Nobody like that. Esc shows all.", theme.faint())];
    }
    let step = |key: &'static str, rest: &'static str| {
        Line::from(vec![Span::raw("  "), Span::styled(key, theme.key()), Span::raw(rest)])
    };
    vec![
        Line::default(),
        Line::styled(" Nobody here yet.", theme.strong()),
        step("I", " shows your ID, for a friend"),
        step("n", " adds a friend's ID"),
        step("d", " calls an ID at once"),
    ]
}
