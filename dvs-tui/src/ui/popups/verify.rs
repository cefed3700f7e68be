// SPDX-License-Identifier: GPL-3.0-or-later
//! The comparison of keys by voice: the words and digits that both users read to each other.

use std::time::Duration;

use dvs_proto::message::VerifyState;
use ratatui::Frame;
use ratatui::layout::Rect;
use ratatui::text::Line;

use super::frame;
use crate::ui::app::App;
use crate::ui::calls::who;
use crate::ui::keys::{self, Context};
use crate::ui::text::paragraph;
use crate::ui::verify;

const COLUMNS: u16 = 62;

/// The call in which keys are compared.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Verify {
    /// Its number.
    pub(crate) call: u32,
    /// Since when it could take keys.
    pub(crate) since: Duration,
}

impl Verify {
    /// Draws words, digits and keys; before they are there, that they are on the way.
    pub(crate) fn draw(&self, app: &App, frame: &mut Frame<'_>, area: Rect) {
        let theme = app.theme();
        let Some(call) = app.calls.get(self.call) else { return };
        let name = who(&call.info, theme);
        let columns = COLUMNS.min(area.width).saturating_sub(2);
        let room = usize::from(columns);
        let said = |words: &str| paragraph(words, room, theme.strong());
        let mut lines = Vec::new();
        let comparing = app.verification(self.call).filter(|one| one.state == VerifyState::Compare);
        match comparing {
            Some(verification) => {
                lines.extend(paragraph("Read these to each other. Both must see the same:", room, theme.strong()));
                lines.push(Line::default());
                lines.push(Line::styled(verify::words(verification), theme.good()).centered());
                lines.push(Line::styled(verify::digits(verification), theme.good()).centered());
                lines.push(Line::default());
                lines.extend(frame::key_lines(&[Context::Verify], columns, theme));
            }
            None => {
                lines.extend(said(&verify::in_words(VerifyState::Exchanging, &name)));
                lines.push(Line::default());
                let later = keys::hints(&[Context::Verify]).into_iter().filter(|one| one.action == keys::Action::Close);
                lines.extend(frame::lines_of(later.map(|binding| frame::hint(binding, theme)), columns));
            }
        }
        if app.guarded()
            && let Some(keys) = lines.last_mut()
        {
            *keys = std::mem::take(keys).style(theme.faint());
        }
        frame::draw(frame, area, &format!("Verify {name}"), COLUMNS, lines, theme);
    }
}
