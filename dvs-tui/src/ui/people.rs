// SPDX-License-Identifier: GPL-3.0-or-later
//! The two lists of people, contacts and recent calls, and what is selected in them.

use dvs_proto::message::{Contact, PastCall, Snapshot};
use tui_input::Input;

use super::calls::missed;

/// Which list has the focus.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Pane {
    /// The contacts.
    #[default]
    Contacts,
    /// The recent calls.
    Recent,
}

/// A movement of the selection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Step {
    /// So many rows, down if positive.
    By(isize),
    /// To the first row.
    First,
    /// To the last row.
    Last,
}

impl Step {
    /// The row after the step from `row` in a list of `count` rows.
    pub(crate) fn from(self, row: usize, count: usize) -> usize {
        let last = count.saturating_sub(1);
        match self {
            Self::By(rows) => row.saturating_add_signed(rows).min(last),
            Self::First => 0,
            Self::Last => last,
        }
    }
}

/// Somebody who can be called.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Person {
    /// `dvs1…`
    pub(crate) id: String,
    /// The contact's name.
    pub(crate) name: Option<String>,
}

/// Missed calls of one peer in a row, or one other call.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Recent<'a> {
    /// The latest of them.
    pub(crate) call: &'a PastCall,
    /// How many.
    pub(crate) times: usize,
}

/// Focus, selection and filter.
#[derive(Debug, Default)]
pub(crate) struct Lists {
    /// The list in focus.
    pub(crate) pane: Pane,
    /// Text that the contacts shown contain.
    pub(crate) filter: Input,
    /// Whether the filter is being typed.
    pub(crate) filtering: bool,
    contact: Option<String>,
    recent: usize,
}

impl Lists {
    /// The contacts that pass the filter.
    pub(crate) fn contacts<'a>(&self, daemon: &'a Snapshot) -> Vec<&'a Contact> {
        let wanted = self.filter.value().trim().to_lowercase();
        let passes =
            |contact: &&Contact| contact.name.to_lowercase().contains(&wanted) || contact.id.starts_with(&wanted);
        daemon.contacts.iter().filter(passes).collect()
    }

    /// Row of the selected contact among those that pass the filter.
    pub(crate) fn contact_row(&self, daemon: &Snapshot) -> usize {
        let chosen = self.contact.as_deref();
        self.contacts(daemon).iter().position(|contact| Some(contact.id.as_str()) == chosen).unwrap_or(0)
    }

    /// The selected contact.
    pub(crate) fn contact<'a>(&self, daemon: &'a Snapshot) -> Option<&'a Contact> {
        self.contacts(daemon).get(self.contact_row(daemon)).copied()
    }

    /// Row of the selected recent call.
    pub(crate) fn recent_row(&self, daemon: &Snapshot) -> usize {
        self.recent.min(recent(daemon).len().saturating_sub(1))
    }

    /// The selected recent call.
    pub(crate) fn recent<'a>(&self, daemon: &'a Snapshot) -> Option<Recent<'a>> {
        recent(daemon).into_iter().nth(self.recent_row(daemon))
    }

    /// Whoever is selected in the list in focus.
    pub(crate) fn person(&self, daemon: &Snapshot) -> Option<Person> {
        match self.pane {
            Pane::Contacts => self.contact(daemon).map(|contact| Person {
                id: contact.id.clone(),
                name: Some(contact.name.clone()).filter(|name| !name.is_empty()),
            }),
            Pane::Recent => self.recent(daemon).map(|r| Person { id: r.call.peer.clone(), name: r.call.name.clone() }),
        }
    }

    /// Moves the selection of the list in focus.
    pub(crate) fn step(&mut self, step: Step, daemon: &Snapshot) {
        match self.pane {
            Pane::Contacts => {
                let contacts = self.contacts(daemon);
                let row = step.from(self.contact_row(daemon), contacts.len());
                self.contact = contacts.get(row).map(|contact| contact.id.clone());
            }
            Pane::Recent => self.recent = step.from(self.recent_row(daemon), recent(daemon).len()),
        }
    }

    /// Focuses the other list.
    pub(crate) fn next_pane(&mut self) {
        self.pane = match self.pane {
            Pane::Contacts => Pane::Recent,
            Pane::Recent => Pane::Contacts,
        };
    }
}

/// The recent calls, with missed calls of one peer in a row taken together.
pub(crate) fn recent(daemon: &Snapshot) -> Vec<Recent<'_>> {
    let mut rows: Vec<Recent<'_>> = Vec::new();
    for call in &daemon.history {
        match rows.last_mut() {
            Some(row) if missed(call) && missed(row.call) && row.call.peer == call.peer => row.times += 1,
            _ => rows.push(Recent { call, times: 1 }),
        }
    }
    rows
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ui::example::{CAROL, snapshot};

    #[test]
    fn missed_calls_in_a_row_are_one_row() {
        let daemon = snapshot();
        let rows: Vec<(Option<&str>, usize)> =
            recent(&daemon).iter().map(|r| (r.call.name.as_deref(), r.times)).collect();
        assert_eq!(rows, [(Some("Bob"), 1), (Some("Carol"), 2), (Some("Alice"), 1), (None, 1)]);
    }

    #[test]
    fn the_filter_looks_at_names_and_ids() {
        let daemon = snapshot();
        let mut lists = Lists { filter: Input::new("AR".into()), ..Lists::default() };
        assert_eq!(lists.contact(&daemon).map(|c| c.name.as_str()), Some("Carol"));
        lists.filter = Input::new(CAROL.into());
        assert_eq!(lists.contacts(&daemon).len(), 1);
        lists.filter = Input::new("nobody".into());
        assert_eq!(lists.contact(&daemon), None);
    }

    #[test]
    fn the_selection_stays_with_the_person_when_the_list_changes() {
        let mut daemon = snapshot();
        let mut lists = Lists::default();
        lists.step(Step::By(1), &daemon);
        assert_eq!(lists.person(&daemon).and_then(|p| p.name).as_deref(), Some("Bob"));
        daemon.contacts.remove(0);
        assert_eq!(lists.person(&daemon).and_then(|p| p.name).as_deref(), Some("Bob"));
        lists.step(Step::Last, &daemon);
        lists.step(Step::By(10), &daemon);
        assert_eq!(lists.person(&daemon).and_then(|p| p.name).as_deref(), Some("Dave"));
    }
}
