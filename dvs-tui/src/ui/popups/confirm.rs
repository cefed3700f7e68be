// SPDX-License-Identifier: GPL-3.0-or-later
//! A question before something that cannot be undone.

use dvs_proto::message::Request;
use ratatui::Frame;
use ratatui::layout::Rect;
use ratatui::text::Line;

use super::frame;
use crate::ui::app::App;
use crate::ui::keys::Context;

const COLUMNS: u16 = 58;

/// What to do after a yes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Confirm {
    title: &'static str,
    question: String,
    consequence: &'static str,
    /// What to ask of the daemon.
    pub(crate) request: Request,
    /// What to say when it is done.
    pub(crate) done: String,
}

impl Confirm {
    /// Whether to forget a contact.
    pub(crate) fn remove(contact: String, name: &str) -> Self {
        Self {
            title: "Remove contact",
            question: format!("Remove {name}?"),
            consequence: "The pinned key is forgotten, too.",
            request: Request::ContactRemove { contact },
            done: format!("{name} was removed"),
        }
    }

    /// Whether to block somebody.
    pub(crate) fn block(contact: String, name: &str) -> Self {
        Self {
            title: "Block",
            question: format!("Block {name}?"),
            consequence: "Their calls will not ring, nor be listed as missed.",
            request: Request::ContactBlock { contact, on: true },
            done: format!("{name} is blocked"),
        }
    }

    /// Draws the question.
    pub(crate) fn draw(&self, app: &App, frame: &mut Frame<'_>, area: Rect) {
        let theme = app.theme();
        let mut lines = vec![
            Line::default(),
            Line::styled(format!(" {}", self.question), theme.strong()),
            Line::raw(format!(" {}", self.consequence)),
            Line::default(),
        ];
        let columns = COLUMNS.min(area.width).saturating_sub(2);
        lines.extend(frame::key_lines(&[Context::Confirm], columns, theme));
        frame::draw(frame, area, self.title, COLUMNS, lines, theme);
    }
}
