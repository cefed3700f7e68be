// SPDX-License-Identifier: GPL-3.0-or-later
//! Typing: into the command line, the filter, or the field of a form.

use crossterm::event::{Event, KeyEvent};
use tui_input::backend::crossterm::to_input_request;
use tui_input::{Input as Field, InputRequest};

use super::App;
use crate::ui::keys::Action;
use crate::ui::people::Step;
use crate::ui::popups::Popup;
use crate::ui::sanitise;

/// Longest text that a field takes, in bytes; the daemon refuses longer strings.
const LONGEST: usize = 256;

impl App {
    /// What the keys that are not text do in a text field.
    pub(super) fn act_in_field(&mut self, action: Action) {
        if self.command.is_some() {
            match action {
                Action::Submit => self.run_command(),
                Action::Next => self.complete(),
                Action::Close => self.command = None,
                _ => {}
            }
        } else if self.lists.filtering {
            self.act_in_filter(action);
        } else if let Some(popup) = &mut self.popup {
            match action {
                Action::Submit => self.submit(),
                Action::Next => popup.next_field(),
                Action::Up => popup.previous_field(),
                Action::Close => self.popup = None,
                _ => {}
            }
        }
    }

    fn act_in_filter(&mut self, action: Action) {
        match action {
            Action::Submit => self.lists.filtering = false,
            Action::Next => self.lists.step(Step::By(1), &self.daemon),
            Action::Up => self.lists.step(Step::By(-1), &self.daemon),
            Action::Close => {
                self.lists.filtering = false;
                self.lists.filter.reset();
            }
            _ => {}
        }
    }

    /// A key that no binding knows.
    pub(super) fn type_key(&mut self, event: KeyEvent) {
        if let Some(request) = to_input_request(&Event::Key(event)) {
            self.edit(&[request]);
        }
    }

    /// Pasted text goes where typed text would; without a field it goes nowhere.
    pub(super) fn paste(&mut self, text: &str) {
        let clean = sanitise::text(text.trim());
        let requests: Vec<InputRequest> = clean.chars().map(InputRequest::InsertChar).collect();
        self.edit(&requests);
    }

    fn edit(&mut self, requests: &[InputRequest]) {
        let target = self.popup.as_ref().and_then(Popup::target_text);
        let Some(field) = self.field() else { return };
        let before = field.value().to_owned();
        for request in requests {
            let inserts = matches!(request, InputRequest::InsertChar(_));
            if !inserts || field.value().len() < LONGEST {
                field.handle(*request);
            }
        }
        if field.value() != before {
            self.edited();
        }
        if self.popup.as_ref().and_then(Popup::target_text) != target {
            self.resolve();
        }
    }

    /// The field that takes text now.
    fn field(&mut self) -> Option<&mut Field> {
        if let Some(line) = &mut self.command {
            Some(&mut line.input)
        } else if self.lists.filtering {
            Some(&mut self.lists.filter)
        } else {
            self.popup.as_mut().and_then(Popup::field)
        }
    }

    /// The text of a field is another now: what was said about the old one does not hold.
    fn edited(&mut self) {
        if let Some(line) = &mut self.command {
            line.trouble = None;
        } else if !self.lists.filtering
            && let Some(popup) = &mut self.popup
        {
            popup.clear_trouble();
        }
    }
}
