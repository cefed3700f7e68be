// SPDX-License-Identifier: GPL-3.0-or-later
//! The own ID: as text, which always works, and as a QR code if there is room.

use ratatui::Frame;
use ratatui::layout::{Constraint, Layout, Rect};
use ratatui::text::Line;
use ratatui::widgets::{Block, Clear, Paragraph};

use crate::ui::app::App;
use crate::ui::text::chunks;
use crate::ui::theme::Theme;
use crate::ui::widgets::qr;

/// What the QR code says.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Code {
    /// The ID; the small code.
    #[default]
    Id,
    /// The invite.
    Invite,
}

impl Code {
    /// The other one.
    pub(crate) fn other(self) -> Self {
        match self {
            Self::Id => Self::Invite,
            Self::Invite => Self::Id,
        }
    }
}

/// Draws the ID, and the code beside or above it.
pub(super) fn draw(code: Code, app: &App, frame: &mut Frame<'_>, area: Rect) {
    let theme = app.theme();
    let block = Block::bordered()
        .border_set(theme.symbols.border)
        .border_style(theme.strong())
        .title(Line::styled(format!(" My ID: {} ", app.setting.host), theme.strong()));
    let inside = block.inner(area);
    frame.render_widget(Clear, area);
    frame.render_widget(block, area);
    let content = match code {
        // Upper case fits the code's compact alphabet, and means the same.
        Code::Id => app.daemon.identity.id.to_uppercase(),
        Code::Invite => app.daemon.identity.invite.clone(),
    };
    let picture = qr::lines(&content, theme);
    let needed = picture.as_ref().map_or((0, 0), |lines| (lines.first().map_or(0, Line::width), lines.len()));
    let (Ok(columns), Ok(rows)) = (u16::try_from(needed.0), u16::try_from(needed.1)) else { return };
    let beside = inside.width >= columns + 24 && inside.height >= rows;
    match picture {
        Some(picture) if beside => {
            let [left, right] =
                Layout::horizontal([Constraint::Length(columns + 2), Constraint::Fill(1)]).areas(inside);
            let left = left.centered_vertically(Constraint::Length(rows));
            frame.render_widget(Paragraph::new(picture), Rect { x: left.x + 1, ..left });
            draw_text(app, frame, right, None);
        }
        _ => {
            let window = (columns + 24 + 2, rows + 4);
            draw_text(app, frame, inside, Some(window));
        }
    }
}

/// All forms of the ID. `too_small` is the window that the code would need.
fn draw_text(app: &App, frame: &mut Frame<'_>, area: Rect, too_small: Option<(u16, u16)>) {
    let (theme, identity) = (app.theme(), &app.daemon.identity);
    let columns = usize::from(area.width).saturating_sub(2);
    let fingerprint = format!("Key fingerprint ({})", identity.algorithm);
    let id = ("ID", identity.id.as_str());
    let key = [("In hex", identity.hex.as_str()), (fingerprint.as_str(), identity.fingerprint.as_str())];
    let invite = ("Invite: ID, key and address in one", identity.invite.as_str());
    let window = too_small.filter(|(columns, _)| *columns > 26);
    let window = window.map(|(columns, rows)| format!(" QR code: needs a window of {columns}x{rows}"));
    let mut lines = part_lines([id].into_iter().chain(key).chain([invite]), columns, theme);
    if lines.len() > usize::from(area.height) {
        lines.retain(|line| line.width() > 0);
    }
    if lines.len() > usize::from(area.height) {
        // What is given to others comes first.
        lines = part_lines([id, invite].into_iter().chain(key), columns, theme);
        lines.retain(|line| line.width() > 0);
    }
    lines.extend(window.map(|words| Line::styled(words, theme.faint())));
    frame.render_widget(Paragraph::new(lines), area);
}

/// Values below their labels, with blank lines between.
fn part_lines<'a>(parts: impl Iterator<Item = (&'a str, &'a str)>, columns: usize, theme: Theme) -> Vec<Line<'static>> {
    let mut lines = Vec::new();
    for (label, value) in parts {
        lines.push(Line::styled(format!(" {label}"), theme.faint()));
        lines.extend(chunks(value, columns).into_iter().map(|piece| Line::raw(format!(" {piece}"))));
        lines.push(Line::default());
    }
    lines
}
