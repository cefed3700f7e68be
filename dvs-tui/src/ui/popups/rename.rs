// SPDX-License-Identifier: GPL-3.0-or-later
//! The form for another name.

use ratatui::Frame;
use ratatui::layout::Rect;
use tui_input::Input as Field;

use super::frame;
use crate::ui::app::App;
use crate::ui::keys::Context;

const LABEL: &str = "Name";
const COLUMNS: u16 = 50;

/// A contact and its name to be.
#[derive(Clone, Debug)]
pub(crate) struct Rename {
    /// `dvs1…`
    pub(crate) id: String,
    /// The name so far.
    pub(crate) old: String,
    /// The name to be.
    pub(crate) name: Field,
    /// What the daemon has against it.
    pub(crate) trouble: Option<String>,
}

impl Rename {
    /// A form that holds the present name.
    pub(crate) fn of(id: String, name: String) -> Self {
        Self { id, name: Field::new(name.clone()), old: name, trouble: None }
    }

    /// The name to be, without blanks around it.
    pub(crate) fn text(&self) -> String {
        self.name.value().trim().to_owned()
    }

    /// Draws the form.
    pub(crate) fn draw(&self, app: &App, frame: &mut Frame<'_>, area: Rect) {
        let theme = app.theme();
        let columns = COLUMNS.min(area.width).saturating_sub(2);
        let mut lines = vec![frame::field_line(LABEL, &self.name, columns, theme)];
        lines.extend(frame::trouble_lines(self.trouble.as_deref(), columns, theme));
        lines.extend(frame::key_lines(&[Context::Field], columns, theme));
        let inside = frame::draw(frame, area, &format!("Rename {}", self.old), COLUMNS, lines, theme);
        frame::set_cursor(frame, inside, 0, LABEL, &self.name);
    }
}
