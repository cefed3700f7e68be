// SPDX-License-Identifier: GPL-3.0-or-later
//! The screens. They draw the state and change nothing.

mod audio;
mod bars;
mod call;
mod compact;
mod contacts;
mod detail;
mod log;
mod main;
mod network;
mod pane;
mod recent;
#[cfg(test)]
mod tests;
mod tiny;

use ratatui::Frame;
use ratatui::layout::{Constraint, Layout, Rect};
use ratatui::text::Line;
use ratatui::widgets::Paragraph;

use super::app::{App, View};
use super::popups::{self, Popup, help};

/// Smallest terminal with frames and panes.
const FULL: (u16, u16) = (60, 16);
/// Smallest terminal with a list.
const COMPACT: (u16, u16) = (30, 8);
/// Rows of a full screen that a text to read does not get: header, footer, frame.
const AROUND: u16 = 4;

/// Draws everything.
pub(crate) fn draw(app: &App, frame: &mut Frame<'_>) {
    let area = frame.area();
    let (columns, rows) = (area.width, area.height);
    if columns < COMPACT.0 || rows < COMPACT.1 {
        return tiny::draw(app, frame, area);
    }
    if columns < FULL.0 || rows < FULL.1 {
        return compact::draw(app, frame, area);
    }
    let [header, body, footer] =
        Layout::vertical([Constraint::Length(1), Constraint::Fill(1), Constraint::Length(1)]).areas(area);
    bars::header(app, frame, header);
    draw_body(app, frame, body);
    bars::footer(app, frame, footer);
    popups::incoming::draw(app, frame, body);
}

/// The view, and what lies over it.
fn draw_body(app: &App, frame: &mut Frame<'_>, area: Rect) {
    match (reading(app), app.view) {
        (Some((title, lines)), _) => draw_reading(app, frame, area, title, lines),
        (None, View::Audio) => audio::draw(app, frame, area),
        (None, _) => main::draw(app, frame, area),
    }
    if let Some(popup) = &app.popup {
        popup.draw(app, frame, area);
    }
}

/// The text of the screens that are only read.
fn reading(app: &App) -> Option<(&'static str, Vec<Line<'static>>)> {
    match (&app.popup, app.view) {
        (Some(Popup::Help), _) => Some(("Keys", help::lines(app.theme()))),
        (_, View::Network) => Some(("Network", network::lines(app, usize::from(app.size.0).saturating_sub(4)))),
        (_, View::Log) => Some(("Log", log::lines(app))),
        (_, View::Main | View::Audio) => None,
    }
}

fn draw_reading(app: &App, frame: &mut Frame<'_>, area: Rect, title: &str, lines: Vec<Line<'static>>) {
    let block = pane::block(title, true, app.theme());
    let inside = block.inner(area);
    let (count, rows) = (lines.len(), usize::from(inside.height));
    let limit = count.saturating_sub(rows);
    let scrolled = app.scroll.min(limit);
    let skip = if app.popup.is_none() && app.view == View::Log { limit - scrolled } else { scrolled };
    let block =
        if limit > 0 { block.title_bottom(format!(" {}-{} of {count} ", skip + 1, skip + rows)) } else { block };
    frame.render_widget(block, area);
    let shown: Vec<Line<'_>> = lines.into_iter().skip(skip).take(rows).collect();
    frame.render_widget(Paragraph::new(shown), inside);
}

/// How many rows the text shown can be scrolled.
pub(crate) fn scroll_limit(app: &App) -> usize {
    let rows = usize::from(app.size.1.saturating_sub(AROUND));
    reading(app).map_or(0, |(_, lines)| lines.len().saturating_sub(rows))
}
