// SPDX-License-Identifier: GPL-3.0-or-later
//! What is known of the selected person; of ourselves when nobody is selected.

use dvs_proto::message::{Contact, PastCall, Presence, Trust};
use ratatui::Frame;
use ratatui::layout::Rect;
use ratatui::text::{Line, Span};
use ratatui::widgets::Paragraph;

use super::{bars, pane};
use crate::ui::app::App;
use crate::ui::calls::{named, why};
use crate::ui::keys::{self, Action};
use crate::ui::people::{Pane, Person};
use crate::ui::presence;
use crate::ui::text::{self, chunks, labelled};
use crate::ui::time::timer;
use crate::ui::trust;

const LABEL: usize = 10;
/// Characters of an ID in one piece, so that two people can compare it piece by piece.
const PIECE: usize = 22;

/// Draws the pane.
pub(super) fn draw(app: &App, frame: &mut Frame<'_>, area: Rect) {
    let columns = usize::from(area.width).saturating_sub(2);
    let (title, lines) = match app.lists.person(&app.daemon) {
        Some(person) => about(app, &person, columns),
        None => ("You".to_owned(), you(app, columns)),
    };
    let title = text::cut(&title, columns.saturating_sub(4), app.theme());
    frame.render_widget(Paragraph::new(lines).block(pane::block(&title, false, app.theme())), area);
}

fn id(app: &App, id: &str, columns: usize) -> Vec<Line<'static>> {
    labelled("ID", LABEL, &chunks(id, PIECE).join(" "), columns, app.theme())
}

fn you(app: &App, columns: usize) -> Vec<Line<'static>> {
    let mut lines = id(app, &app.daemon.identity.id, columns);
    lines.push(Line::default());
    lines.extend(bars::advice(app, columns));
    lines
}

fn about(app: &App, person: &Person, columns: usize) -> (String, Vec<Line<'static>>) {
    let theme = app.theme();
    let mut lines = id(app, &person.id, columns);
    match app.daemon.contacts.iter().find(|contact| contact.id == person.id) {
        Some(contact) => lines.extend(about_contact(app, contact, columns)),
        None => lines.push(Line::styled(" not in your contacts", theme.faint())),
    }
    let call = match app.lists.pane {
        Pane::Contacts => app.daemon.history.iter().find(|past| past.peer == person.id),
        Pane::Recent => app.lists.recent(&app.daemon).map(|recent| recent.call),
    };
    lines.extend(call.map(|call| about_call(app, call, columns)).unwrap_or_default());
    lines.extend(possible(app, person, columns));
    (named(person.name.as_deref(), &person.id, theme), lines)
}

fn about_contact(app: &App, contact: &Contact, columns: usize) -> Vec<Line<'static>> {
    let theme = app.theme();
    let (mark, words) = (trust::mark(contact.trust, theme), trust::words(contact.trust));
    let mut lines = vec![Line::from(vec![
        Span::styled(format!(" {:<LABEL$}", "key"), theme.faint()),
        Span::styled(format!("{mark} {words}"), trust::style(contact.trust, theme)),
    ])];
    if contact.trust == Trust::Changed {
        let advice = "Somebody else may pose as them: calls are refused. If they really have a new key, enter its \
                      fingerprint: :contact verify.";
        lines.extend(text::paragraph(advice, columns, theme.bad()));
    }
    let seen = contact.last_seen.map(|seen| app.setting.zone.when(seen, app.now.unix));
    match (presence::in_words(contact.presence), seen) {
        (Some(now), Some(seen)) if contact.presence == Presence::Offline => {
            lines.extend(labelled("presence", LABEL, &format!("{now}; seen {seen}"), columns, theme));
        }
        (Some(now), _) => lines.extend(labelled("presence", LABEL, &now, columns, theme)),
        (None, Some(seen)) => lines.extend(labelled("last seen", LABEL, &seen, columns, theme)),
        (None, None) => {}
    }
    if contact.auto_answer {
        lines.extend(labelled("intercom", LABEL, "answered at once, after a tone", columns, theme));
    }
    if let Some(address) = &contact.last_address {
        lines.extend(labelled("reached", LABEL, address, columns, theme));
    }
    if !contact.at.is_empty() {
        lines.extend(labelled("invite at", LABEL, &contact.at.join(", "), columns, theme));
    }
    lines
}

fn about_call(app: &App, call: &PastCall, columns: usize) -> Vec<Line<'static>> {
    let name = named(call.name.as_deref(), &call.peer, app.theme());
    let talked = call.talked.map(|seconds| format!(", talked {}", timer(u64::from(seconds)))).unwrap_or_default();
    let when = app.setting.zone.when(call.started, app.now.unix);
    let value = format!("{when}{talked}, {}", why(call.ended, call.direction, &name));
    labelled("last call", LABEL, &value, columns, app.theme())
}

/// What can be done with the person, beside calling them.
fn possible(app: &App, person: &Person, columns: usize) -> Vec<Line<'static>> {
    let theme = app.theme();
    let contact = app.daemon.contacts.iter().find(|contact| contact.id == person.id);
    let blocked = contact.is_some_and(|contact| contact.trust == Trust::Blocked);
    let (known, intercom) = (contact.is_some(), contact.is_some_and(|contact| contact.auto_answer));
    let trusted = contact.is_some_and(|contact| !matches!(contact.trust, Trust::Blocked | Trust::Changed));
    let words = [
        (!known, Action::AddContact, "add"),
        (known, Action::Rename, "rename"),
        (known, Action::Remove, "remove"),
        (true, Action::Block, if blocked { "unblock" } else { "block" }),
        (true, Action::Copy, "copy ID"),
        (trusted, Action::Verify, "verify"),
        (trusted, Action::AutoAnswer, if intercom { "let it ring" } else { "answer at once" }),
    ];
    let group = |(possible, action, word): (bool, Action, &str)| {
        let key = keys::shown(&app.list_contexts(), action).filter(|_| possible)?;
        Some(vec![Span::styled(key.to_string(), theme.key()), Span::raw(format!(" {word}"))])
    };
    text::rows_of(words.into_iter().filter_map(group), columns)
}
