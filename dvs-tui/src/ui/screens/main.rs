// SPDX-License-Identifier: GPL-3.0-or-later
//! The main screen: the call if there is one, the people, and what is known of the selected one.

use ratatui::Frame;
use ratatui::layout::{Constraint, Layout, Rect};

use super::{call, contacts, detail, log, recent};
use crate::ui::app::App;
use crate::ui::people::Pane;

/// From this width on there are two columns.
const TWO_COLUMNS: u16 = 76;
/// From this height on a single column shows both lists.
const BOTH_LISTS: u16 = 12;
/// Rows of the pane about the selected person, frame included.
const DETAIL: u16 = 11;

/// Draws the screen into `area`.
pub(super) fn draw(app: &App, frame: &mut Frame<'_>, area: Rect) {
    let panel = call::panel(app, usize::from(area.width).saturating_sub(4));
    let rows = panel.as_ref().map_or(0, |panel| panel.rows().min(area.height));
    let [top, people] = Layout::vertical([Constraint::Length(rows), Constraint::Fill(1)]).areas(area);
    if let Some(panel) = panel {
        panel.draw(app, frame, top);
    }
    if area.width < TWO_COLUMNS {
        return draw_lists(app, frame, people);
    }
    let [left, right] = Layout::horizontal([Constraint::Percentage(46), Constraint::Fill(1)]).areas(people);
    draw_lists(app, frame, left);
    let [upper, lower] =
        Layout::vertical([Constraint::Length(DETAIL.min(right.height)), Constraint::Fill(1)]).areas(right);
    detail::draw(app, frame, upper);
    log::draw_activity(app, frame, lower);
}

/// Both lists, or the one in focus if there is little room.
fn draw_lists(app: &App, frame: &mut Frame<'_>, area: Rect) {
    if area.height < BOTH_LISTS {
        return match app.lists.pane {
            Pane::Contacts => contacts::draw(app, frame, area),
            Pane::Recent => recent::draw(app, frame, area),
        };
    }
    let [upper, lower] = Layout::vertical([Constraint::Fill(3), Constraint::Fill(2)]).areas(area);
    contacts::draw(app, frame, upper);
    recent::draw(app, frame, lower);
}
