// SPDX-License-Identifier: GPL-3.0-or-later
//! A small terminal: one line for the call, one list, no frames.

use ratatui::Frame;
use ratatui::layout::{Constraint, Layout, Rect};
use ratatui::text::{Line, Span};

use super::{bars, call, contacts, recent};
use crate::ui::app::App;
use crate::ui::people::Pane;
use crate::ui::text::{join_fitting, short_id};
use crate::ui::widgets::meter;

/// Columns of a meter.
const METER: usize = 5;

/// The call, or else who and where we are.
pub(super) fn header(app: &App, columns: u16) -> Line<'static> {
    let theme = app.theme();
    let mut groups = Vec::new();
    match bars::call_in_short(app) {
        Some(call) => {
            groups.push(call);
            groups.extend(levels(app));
            if let Some(stats) = &app.stats {
                groups.extend(stats.rtt_us.map(|rtt| vec![Span::raw(format!("{} ms", rtt / 1_000))]));
                groups.push(vec![Span::raw(call::loss(stats))]);
            }
        }
        None => {
            groups.extend(bars::disturbs_nobody(app));
            groups.push(bars::connection(app));
            groups.extend(bars::strangers(app));
            groups.push(vec![Span::raw(short_id(&app.daemon.identity.id, theme))]);
        }
    }
    let mut line = join_fitting(groups, usize::from(columns).saturating_sub(1));
    line.spans.insert(0, Span::raw(" "));
    line
}

/// Both meters, where they mean something.
fn levels(app: &App) -> Option<Vec<Span<'static>>> {
    let (levels, audio, theme) = (app.levels?, &app.daemon.audio, app.theme());
    if audio.muted && audio.deafened {
        return None;
    }
    let side = |off: bool, level| if off { " ".repeat(METER) } else { meter::bar(level, METER, theme) };
    let both = format!("{} {}", side(audio.muted, levels.capture), side(audio.deafened, levels.playback));
    Some(vec![Span::raw(both)])
}

/// What goes on in the call as far as it needs words, and the list in focus.
pub(super) fn draw(app: &App, frame: &mut Frame<'_>, area: Rect) {
    let words = call::words(app, usize::from(area.width));
    let [line, list] =
        Layout::vertical([Constraint::Length(u16::from(words.is_some())), Constraint::Fill(1)]).areas(area);
    if let Some(words) = words {
        frame.render_widget(words, line);
    }
    match app.lists.pane {
        Pane::Contacts => contacts::draw_rows(app, frame, list),
        Pane::Recent => recent::draw(app, frame, list),
    }
}
