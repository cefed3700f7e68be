// SPDX-License-Identifier: GPL-3.0-or-later
//! A small terminal: one line for the call, one list, no frames.

use ratatui::Frame;
use ratatui::layout::{Constraint, Layout, Rect};
use ratatui::text::{Line, Span};

use super::{bars, call, contacts, draw_body};
use crate::ui::app::{App, View};
use crate::ui::people::Pane;
use crate::ui::popups;
use crate::ui::text::{join_fitting, short_id};
use crate::ui::widgets::meter;

/// Columns of a meter.
const METER: usize = 6;

/// Draws everything.
pub(super) fn draw(app: &App, frame: &mut Frame<'_>, area: Rect) {
    let [top, body, footer] =
        Layout::vertical([Constraint::Length(1), Constraint::Fill(1), Constraint::Length(1)]).areas(area);
    frame.render_widget(status(app, usize::from(area.width)), top);
    if app.view == View::Main && app.popup.is_none() {
        draw_people(app, frame, body);
    } else {
        draw_body(app, frame, body);
    }
    bars::footer(app, frame, footer);
    popups::incoming::draw(app, frame, body);
}

/// The call, or else who and where we are.
fn status(app: &App, columns: usize) -> Line<'static> {
    let theme = app.theme();
    let mut groups = vec![Vec::new()];
    if let Some(call) = bars::call_in_short(app) {
        groups.push(call);
        if let Some(levels) = app.levels {
            groups.push(vec![Span::raw(meter::bar(levels.capture, METER, theme))]);
            groups.push(vec![Span::raw(meter::bar(levels.playback, METER, theme))]);
        }
        if let Some(stats) = &app.stats {
            groups.extend(stats.rtt_us.map(|rtt| vec![Span::raw(format!("{} ms", rtt / 1_000))]));
            groups.push(vec![Span::raw(call::loss(stats))]);
        }
        return join_fitting(groups, columns);
    }
    groups.push(bars::connection(app, columns));
    groups.push(vec![Span::raw(short_id(&app.daemon.identity.id, theme))]);
    join_fitting(groups, columns)
}

/// What goes on in the call as far as it needs words, and the list in focus.
fn draw_people(app: &App, frame: &mut Frame<'_>, area: Rect) {
    let words = call::words(app, usize::from(area.width));
    let [line, list] =
        Layout::vertical([Constraint::Length(u16::from(words.is_some())), Constraint::Fill(1)]).areas(area);
    if let Some(words) = words {
        frame.render_widget(words, line);
    }
    match app.lists.pane {
        Pane::Contacts => contacts::draw_rows(app, frame, list),
        Pane::Recent => super::recent::draw(app, frame, list),
    }
}
