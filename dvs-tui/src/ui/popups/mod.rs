// SPDX-License-Identifier: GPL-3.0-or-later
//! What lies over a screen: forms, questions, the own ID, the help, the incoming call.

mod add_contact;
mod command_line;
mod confirm;
mod dial;
mod frame;
pub(crate) mod help;
pub(crate) mod incoming;
mod my_id;
mod quit;
mod rename;
mod target;
mod verify;

use ratatui::Frame;
use ratatui::layout::Rect;
use tui_input::Input as Field;

pub(crate) use self::add_contact::AddContact;
pub(crate) use self::command_line::CommandLine;
pub(crate) use self::confirm::Confirm;
pub(crate) use self::dial::Dial;
pub(crate) use self::my_id::Code;
pub(crate) use self::rename::Rename;
pub(crate) use self::target::Verdict;
pub(crate) use self::verify::Verify;
use super::app::App;

/// Something that was opened over the screen.
#[derive(Clone, Debug)]
pub(crate) enum Popup {
    /// The form for a new contact.
    AddContact(AddContact),
    /// The form for another name.
    Rename(Rename),
    /// Whom to call.
    Dial(Dial),
    /// A question before something that cannot be undone.
    Confirm(Confirm),
    /// The own ID, with the QR code shown.
    MyId(Code),
    /// The key map.
    Help,
    /// What becomes of the call.
    Quit,
    /// The words to compare keys by.
    Verify(Verify),
}

impl Popup {
    /// Whether letters are text.
    pub(crate) fn takes_text(&self) -> bool {
        matches!(self, Self::AddContact(_) | Self::Rename(_) | Self::Dial(_))
    }

    /// Whether both are of one kind.
    pub(crate) fn same_kind(&self, other: &Self) -> bool {
        std::mem::discriminant(self) == std::mem::discriminant(other)
    }

    /// The field that takes text.
    pub(crate) fn field(&mut self) -> Option<&mut Field> {
        match self {
            Self::AddContact(form) => Some(form.field()),
            Self::Rename(form) => Some(&mut form.name),
            Self::Dial(form) => Some(&mut form.target.input),
            _ => None,
        }
    }

    /// The text that stands for somebody, as typed.
    pub(crate) fn target_text(&self) -> Option<String> {
        match self {
            Self::AddContact(form) => Some(form.target.text()),
            Self::Dial(form) => Some(form.target.text()),
            _ => None,
        }
    }

    /// Whose that text is.
    pub(crate) fn set_verdict(&mut self, verdict: Verdict) {
        match self {
            Self::AddContact(form) => form.target.verdict = verdict,
            Self::Dial(form) => form.target.verdict = verdict,
            _ => {}
        }
    }

    /// What the daemon has against it.
    pub(crate) fn set_trouble(&mut self, why: String) {
        if let Some(trouble) = self.trouble() {
            *trouble = Some(why);
        }
    }

    /// Something was typed: the trouble may be over.
    pub(crate) fn clear_trouble(&mut self) {
        if let Some(trouble) = self.trouble() {
            *trouble = None;
        }
    }

    fn trouble(&mut self) -> Option<&mut Option<String>> {
        match self {
            Self::AddContact(form) => Some(&mut form.trouble),
            Self::Rename(form) => Some(&mut form.trouble),
            Self::Dial(form) => Some(&mut form.trouble),
            _ => None,
        }
    }

    /// Focuses the next field of a form.
    pub(crate) fn next_field(&mut self) {
        if let Self::AddContact(form) = self {
            form.naming = !form.naming;
        }
    }

    /// Focuses the previous field of a form.
    pub(crate) fn previous_field(&mut self) {
        if let Self::AddContact(form) = self {
            form.naming = false;
        }
    }

    /// Draws it over `area`.
    pub(crate) fn draw(&self, app: &App, frame: &mut Frame<'_>, area: Rect) {
        match self {
            Self::AddContact(form) => form.draw(app, frame, area),
            Self::Rename(form) => form.draw(app, frame, area),
            Self::Dial(form) => form.draw(app, frame, area),
            Self::Confirm(confirm) => confirm.draw(app, frame, area),
            Self::MyId(code) => my_id::draw(*code, app, frame, area),
            Self::Help => {}
            Self::Quit => quit::draw(app, frame, area),
            Self::Verify(verify) => verify.draw(app, frame, area),
        }
    }
}
