// SPDX-License-Identifier: GPL-3.0-or-later
//! The incoming call, and the notice that somebody waits while one talks. They stand above everything, but never take the
//! keys out of a text field: there a line below the header has to do.

use dvs_proto::message::{CallState, Trust};
use ratatui::Frame;
use ratatui::layout::Rect;
use ratatui::text::Line;

use super::frame;
use crate::ui::app::App;
use crate::ui::calls::{heading, waits_here, who};
use crate::ui::keys::Context;
use crate::ui::text::{self, ends, paragraph, short_id};
use crate::ui::time::timer;
use crate::ui::trust;

const COLUMNS: u16 = 54;

/// Draws the pop-up of the call that rings, if one does and has the keys.
pub(crate) fn draw(app: &App, frame: &mut Frame<'_>, area: Rect) {
    let incoming = app.incoming.filter(|_| !app.typing());
    let Some(call) = incoming.and_then(|incoming| app.calls.get(incoming.call)) else { return };
    let (theme, info) = (app.theme(), &call.info);
    let room = usize::from(COLUMNS.min(area.width)).saturating_sub(4);
    let waits = waits_here(info);
    let verb = if waits { "waiting" } else { "ringing" };
    let rings = format!("{verb} {}", timer(app.now.unix.saturating_sub(info.started)));
    let route = info.route.as_deref().unwrap_or_default();
    // Whoever does not know the caller wants to compare all of the ID.
    let (name, known, id) = match &info.name {
        Some(name) => (name.as_str(), trust::words(info.trust), short_id(&info.peer, theme)),
        None => ("Somebody", "not in your contacts", info.peer.clone()),
    };
    let mut lines = vec![
        Line::default(),
        Line::styled(format!(" {}", ends(name, &rings, room, theme)), theme.strong()),
        Line::styled(format!(" {} {known}", trust::mark(info.trust, theme)), trust::style(info.trust, theme)),
    ];
    if text::width(&id) + text::width(route) < room {
        lines.push(Line::styled(format!(" {}", ends(&id, route, room, theme)), theme.faint()));
    } else {
        lines.extend(paragraph(&id, room + 2, theme.faint()));
        lines.extend(paragraph(route, room + 2, theme.faint()));
    }
    lines.push(Line::default());
    if info.trust == Trust::Changed {
        lines.extend(paragraph("Another key than before: this may be somebody else.", room + 2, theme.bad()));
    }
    lines.extend(held_for(app, info.call).map(|words| Line::raw(format!(" {words}"))));
    let context = if waits { Context::CallWaiting } else { Context::Incoming };
    lines.extend(key_lines(app, context, COLUMNS.min(area.width).saturating_sub(2)));
    frame::draw(frame, area, heading(info), COLUMNS, lines, theme);
}

/// Whom answering would put on hold.
fn held_for(app: &App, call: u32) -> Option<String> {
    let current = app.calls.current().filter(|current| current.info.call != call)?;
    let talks = matches!(current.info.state, CallState::Active | CallState::Reconnecting);
    talks.then(|| format!("Answering puts {} on hold.", who(&current.info, app.theme())))
}

/// The keys; faint as long as they are ignored.
fn key_lines(app: &App, context: Context, columns: u16) -> Vec<Line<'static>> {
    let theme = app.theme();
    let lines = frame::key_lines(&[context], columns, theme);
    if app.guarded() { lines.into_iter().map(|line| line.style(theme.faint())).collect() } else { lines }
}
