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
/// Draws everything.
pub(crate) fn draw(app: &App, frame: &mut Frame<'_>) {
    let area = frame.area();
    match size(area) {
        Size::Tiny => tiny::draw(app, frame, area),
        size => draw_framed(app, frame, area, size),
    }
}

/// How much there is to draw on.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Size {
    Tiny,
    Compact,
    Full,
}

fn size(area: Rect) -> Size {
    let below = |(columns, rows): (u16, u16)| area.width < columns || area.height < rows;
    if below(COMPACT) {
        Size::Tiny
    } else if below(FULL) {
        Size::Compact
    } else {
        Size::Full
    }
}

/// Draws the bars, and between them the body.
fn draw_framed(app: &App, frame: &mut Frame<'_>, area: Rect, size: Size) {
    let banner = bars::banner(app, usize::from(area.width));
    let footer = bars::footer(app, usize::from(area.width));
    let [top, middle, body, bottom] = Layout::vertical([
        Constraint::Length(1),
        Constraint::Length(height(&banner)),
        Constraint::Fill(1),
        Constraint::Length(height(&footer)),
    ])
    .areas(area);
    let header = if size == Size::Full { bars::header(app, top.width) } else { compact::header(app, top.width) };
    frame.render_widget(header, top);
    frame.render_widget(Paragraph::new(banner), middle);
    frame.render_widget(Paragraph::new(footer), bottom);
    if size == Size::Compact && app.view == View::Main && app.popup.is_none() {
        compact::draw(app, frame, body);
    } else {
        draw_body(app, frame, body);
    }
    popups::incoming::draw(app, frame, body);
    if let Some(line) = &app.command {
        line.draw(frame, bottom, app.theme());
    }
}

fn height(lines: &[Line<'_>]) -> u16 {
    u16::try_from(lines.len()).unwrap_or(u16::MAX)
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
    let columns = usize::from(app.size.0);
    // The header and the frame take three rows.
    let around = 3 + bars::banner(app, columns).len() + bars::footer(app, columns).len();
    let rows = usize::from(app.size.1).saturating_sub(around);
    reading(app).map_or(0, |(_, lines)| lines.len().saturating_sub(rows))
}
