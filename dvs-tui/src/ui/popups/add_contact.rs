// SPDX-License-Identifier: GPL-3.0-or-later
//! The form for a new contact.

use ratatui::Frame;
use ratatui::layout::Rect;
use ratatui::text::Span;
use tui_input::Input as Field;

use super::frame;
use super::target::TargetField;
use crate::ui::app::App;
use crate::ui::keys::{self, Context};

const ID: &str = "ID  ";
const NAME: &str = "Name";
const COLUMNS: u16 = 62;

/// ID or invite, and name.
#[derive(Clone, Debug, Default)]
pub(crate) struct AddContact {
    /// Who it is.
    pub(crate) target: TargetField,
    /// What to call them.
    pub(crate) name: Field,
    /// Whether the name has the focus.
    pub(crate) naming: bool,
    /// What the daemon has against it.
    pub(crate) trouble: Option<String>,
}

/// A form that can be sent.
pub(crate) struct Ready {
    pub(crate) name: String,
    pub(crate) target: String,
}

impl AddContact {
    /// An empty form, or one for somebody whose ID is known.
    pub(crate) fn of(id: Option<String>) -> Self {
        let mut form = Self { naming: id.is_some(), ..Self::default() };
        form.target.input = Field::new(id.unwrap_or_default());
        form
    }

    /// The field in focus.
    pub(crate) fn field(&mut self) -> &mut Field {
        if self.naming { &mut self.name } else { &mut self.target.input }
    }

    /// What to send; if something is missing, moves the focus there instead.
    pub(crate) fn ready(&mut self) -> Option<Ready> {
        let name = self.target.renews().unwrap_or_else(|| self.name.value().trim()).to_owned();
        let target = self.target.text();
        if target.is_empty() || self.target.objection().is_some() {
            self.naming = false;
            None
        } else if name.is_empty() {
            self.trouble = self.naming.then(|| "a name is missing".to_owned());
            self.naming = true;
            None
        } else {
            Some(Ready { name, target })
        }
    }

    /// Draws the form.
    pub(crate) fn draw(&self, app: &App, frame: &mut Frame<'_>, area: Rect) {
        let theme = app.theme();
        let columns = COLUMNS.min(area.width).saturating_sub(2);
        let mut lines = vec![frame::field_line(ID, &self.target.input, columns, theme)];
        lines.extend(self.target.lines_for_contact(columns, theme));
        let name_row = u16::try_from(lines.len()).unwrap_or(u16::MAX);
        lines.push(frame::field_line(NAME, &self.name, columns, theme));
        lines.extend(frame::trouble_lines(self.target.news(self.trouble.as_deref()), columns, theme));
        let keys = keys::hints(&[Context::Field]).into_iter().map(|binding| frame::hint(binding, theme));
        let next = vec![Span::styled("Tab", theme.key()), Span::raw(" other field")];
        lines.extend(frame::lines_of(keys.chain([next]), columns));
        let inside = frame::draw(frame, area, "Add contact", COLUMNS, lines, theme);
        let (row, label, field) = if self.naming { (name_row, NAME, &self.name) } else { (0, ID, &self.target.input) };
        frame::set_cursor(frame, inside, row, label, field);
    }
}
