// SPDX-License-Identifier: GPL-3.0-or-later
//! What is known of the selected person.

use dvs_proto::message::{Contact, PastCall, Trust};
use ratatui::Frame;
use ratatui::layout::Rect;
use ratatui::text::{Line, Span};
use ratatui::widgets::Paragraph;

use super::pane;
use crate::ui::app::App;
use crate::ui::calls::{named, why};
use crate::ui::people::Pane;
use crate::ui::text::{self, chunks};
use crate::ui::time::timer;
use crate::ui::trust;

const LABEL: usize = 10;

/// Draws the pane.
pub(super) fn draw(app: &App, frame: &mut Frame<'_>, area: Rect) {
    let theme = app.theme();
    let Some(person) = app.lists.person(&app.daemon) else {
        return pane::draw(frame, area, "Nobody selected", Vec::new(), theme);
    };
    let name = named(person.name.as_deref(), &person.id, theme);
    let block = pane::block(&text::cut(&name, usize::from(area.width).saturating_sub(6), theme), false, theme);
    let columns = usize::from(block.inner(area).width).saturating_sub(LABEL + 2);
    let mut lines = field(app, "ID", &chunks(&person.id, columns.min(22)).join(" "), columns);
    match app.daemon.contacts.iter().find(|contact| contact.id == person.id) {
        Some(contact) => lines.extend(about_contact(app, contact, columns)),
        None => {
            lines.push(Line::styled(" not in your contacts", theme.faint()));
            lines.push(Line::from(vec![Span::styled(" n", theme.key()), Span::raw(" adds them")]));
        }
    }
    let call = match app.lists.pane {
        Pane::Contacts => app.daemon.history.iter().find(|past| past.peer == person.id),
        Pane::Recent => app.lists.recent(&app.daemon).map(|recent| recent.call),
    };
    if let Some(call) = call {
        lines.extend(about_call(app, call, columns));
    }
    frame.render_widget(Paragraph::new(lines).block(block), area);
}

/// A label and a value, broken at blanks into as many rows as it needs.
fn field(app: &App, label: &str, value: &str, columns: usize) -> Vec<Line<'static>> {
    let mut rows: Vec<String> = Vec::new();
    for word in value.split_whitespace() {
        match rows.last_mut() {
            Some(row) if text::width(row) + 1 + text::width(word) <= columns => *row = format!("{row} {word}"),
            _ => rows.push(word.to_owned()),
        }
    }
    let label = |index: usize| if index == 0 { label } else { "" };
    let line = |(index, row): (usize, String)| {
        let label = Span::styled(format!(" {:<LABEL$}", label(index)), app.theme().faint());
        Line::from(vec![label, Span::raw(row)])
    };
    rows.into_iter().enumerate().map(line).collect()
}

fn about_contact(app: &App, contact: &Contact, columns: usize) -> Vec<Line<'static>> {
    let theme = app.theme();
    let style = trust::style(contact.trust, theme);
    let mark = trust::mark(contact.trust, theme);
    let mut lines = vec![Line::from(vec![
        Span::styled(format!(" {:<LABEL$}", "key"), theme.faint()),
        Span::styled(format!("{mark} {}", trust::words(contact.trust)), style),
    ])];
    if contact.trust == Trust::Changed {
        lines.push(Line::styled(" Calls are refused until you remove and add them again.", theme.bad()));
    }
    if let Some(seen) = contact.last_seen {
        lines.extend(field(app, "last seen", &app.setting.zone.when(seen, app.now.unix), columns));
    }
    lines
}

fn about_call(app: &App, call: &PastCall, columns: usize) -> Vec<Line<'static>> {
    let name = named(call.name.as_deref(), &call.peer, app.theme());
    let talked = call.talked.map(|seconds| format!("{}, ", timer(u64::from(seconds)))).unwrap_or_default();
    let when = app.setting.zone.when(call.started, app.now.unix);
    let value = format!("{when}: {talked}{}", why(call.ended, call.direction, &name));
    field(app, "last call", &value, columns)
}
